# SPDX-License-Identifier: Apache-2.0
set(FLANNELETTE_TARGET x86_64)
include("${CMAKE_CURRENT_LIST_DIR}/target.cmake")
