# SPDX-License-Identifier: Apache-2.0
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(MUSL_PAGE_SIZE 4096)
include("${CMAKE_CURRENT_LIST_DIR}/musl.cmake")
