# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# Stands in for OpenWrt's network.sh: /tmp/interfaces has a line "NAME DEVICE" for each logical interface that is up.

network_get_device() {  # variable, logical interface
	eval "$1=\$(sed -n 's/^$2 //p' /tmp/interfaces)"
	eval "[ -n \"\$$1\" ]"
}
