# SPDX-License-Identifier: Apache-2.0
set(FLANNELETTE_TARGET s390x)
include("${CMAKE_CURRENT_LIST_DIR}/target.cmake")
