# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC1090,SC2034
# Stands in for OpenWrt's /lib/functions.sh: settings in the form in which uci exports them, which is one that a shell reads.

N='
'
unset_callbacks() {
	config_cb() { :; }
	option_cb() { :; }
	list_cb() { :; }
}
reset_cb() { unset_callbacks; }
unset_callbacks

config() {
	CONFIG_SECTION=$2
	config_cb "$1" "$2"
}
option() {
	eval "CONFIG_${CONFIG_SECTION}_$1=\$2"
	option_cb "$1" "$2"
}
list() { list_cb "$1" "$2"; }

config_load() {
	. "/etc/config/$1"
	config_cb
}
config_get() { eval "$1=\${CONFIG_$2_$3:-\$4}"; }
config_get_bool() {
	config_get "$@"
	eval "case \$$1 in 1 | on | true | yes | enabled) $1=1 ;; 0 | off | false | no | disabled) $1=0 ;; *) $1=\$4 ;; esac"
}
