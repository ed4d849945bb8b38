# SPDX-License-Identifier: Apache-2.0
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(MUSL_PAGE_SIZE 16384)
include("${CMAKE_CURRENT_LIST_DIR}/musl.cmake")
