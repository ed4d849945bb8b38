# SPDX-License-Identifier: Apache-2.0
set(FLANNELETTE_TARGET armv7)
include("${CMAKE_CURRENT_LIST_DIR}/target.cmake")
