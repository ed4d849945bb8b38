# SPDX-License-Identifier: Apache-2.0
#
# What the toolchain files of the targets have in common. Each sets FLANNELETTE_TARGET, a name of the table `targets` beside it:
#
#   cmake -DCMAKE_TOOLCHAIN_FILE=toolchains/aarch64.cmake -DFLANNELETTE_STATIC=ON -DFLANNELETTE_NO_LIBSTDCXX=ON ...
#
# Debian's GCC for the processor compiles against the sysroot that sysroot.sh makes in build/sysroot/:
#   FLANNELETTE_LIBC=musl   (default) no C++ runtime library, always static
#   FLANNELETTE_LIBC=gnu    the compiler's own glibc and libstdc++: for test binaries
#   MUSL_SYSROOT=DIR        another musl sysroot: DIR/include, DIR/lib
# Whoever has an SDK (OpenWrt, Yocto, Buildroot) uses its toolchain file instead of these; see README.md.

file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/targets" line REGEX "^${FLANNELETTE_TARGET} ")
string(REGEX MATCHALL "[^ ]+" columns "${line}")
list(GET columns 1 musl)
list(GET columns 2 gnu)
list(GET columns 4 page)
list(GET columns 10 model)
list(REMOVE_AT columns 0 1 2 3 4 5 6 7 8 9 10)
list(JOIN columns " " flags)

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${FLANNELETTE_TARGET})
set(FLANNELETTE_LIBC musl CACHE STRING "")
set(root "${CMAKE_CURRENT_LIST_DIR}/../build/sysroot/${FLANNELETTE_TARGET}")
set(MUSL_SYSROOT "${root}" CACHE PATH "")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES FLANNELETTE_LIBC MUSL_SYSROOT)

find_program(CMAKE_C_COMPILER ${gnu}-gcc REQUIRED)
find_program(CMAKE_CXX_COMPILER ${gnu}-g++ REQUIRED)

if(FLANNELETTE_LIBC STREQUAL "gnu")
  get_filename_component(root "${root}-gnu" ABSOLUTE)
  set(CMAKE_C_FLAGS_INIT "${flags}")
  set(CMAKE_CXX_FLAGS_INIT "${flags}")
else()
  get_filename_component(root "${MUSL_SYSROOT}" ABSOLUTE)
  if(musl MATCHES "sf$")
    string(APPEND flags " -msoft-float")
  endif()
  include("${CMAKE_CURRENT_LIST_DIR}/musl.cmake")
endif()

set(CMAKE_FIND_ROOT_PATH ${root})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
foreach(mode LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${mode} ONLY)
endforeach()
