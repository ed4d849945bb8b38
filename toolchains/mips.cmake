# SPDX-License-Identifier: Apache-2.0
set(FLANNELETTE_TARGET mips)
include("${CMAKE_CURRENT_LIST_DIR}/target.cmake")
