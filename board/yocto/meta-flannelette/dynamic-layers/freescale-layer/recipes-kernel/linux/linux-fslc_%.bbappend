# SPDX-License-Identifier: Apache-2.0
# What flannelette needs of this kernel, for a distribution that has the feature flannelette.
require ${@bb.utils.contains('DISTRO_FEATURES', 'flannelette', 'recipes-kernel/linux/flannelette-kernel.inc', '', d)}
