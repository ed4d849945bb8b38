# SPDX-License-Identifier: Apache-2.0
#
# What the <cpu>-linux-musl.cmake files have in common: Debian's GCC for the processor, a musl sysroot, no C++ runtime library.
# Expects CMAKE_SYSTEM_PROCESSOR and MUSL_PAGE_SIZE, the largest page size of the kernels to run on.
# -DMUSL_SYSROOT=DIR names another sysroot than the one that sysroot.sh makes.

set(CMAKE_SYSTEM_NAME Linux)
set(MUSL_SYSROOT "${CMAKE_CURRENT_LIST_DIR}/../build/sysroot/${CMAKE_SYSTEM_PROCESSOR}-linux-musl" CACHE PATH "")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MUSL_SYSROOT)
get_filename_component(MUSL_SYSROOT "${MUSL_SYSROOT}" ABSOLUTE)

set(prefix ${CMAKE_SYSTEM_PROCESSOR}-linux-gnu-)
find_program(CMAKE_C_COMPILER ${prefix}gcc REQUIRED)
find_program(CMAKE_CXX_COMPILER ${prefix}g++ REQUIRED)

# Headers: GCC's C++ ones with our corrections, then musl's instead of glibc's, then GCC's own.
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=include OUTPUT_VARIABLE gcc_include
  OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-libgcc-file-name OUTPUT_VARIABLE libgcc
  OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -E -x c++ -v /dev/null OUTPUT_QUIET ERROR_VARIABLE search)
string(REGEX MATCHALL "\n [^\n]*/c\\+\\+/[^\n]*" directories "${search}")
set(cxx_include "-isystem ${CMAKE_CURRENT_LIST_DIR}/cxx_on_musl")
foreach(directory IN LISTS directories)
  string(STRIP "${directory}" directory)
  string(APPEND cxx_include " -isystem ${directory}")
endforeach()
# Position-independent costs 5 KiB (a table of relocations, which are applied at start).
option(MUSL_PIE "Make position-independent executables" OFF)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MUSL_PIE)
if(MUSL_PIE)
  set(pie -fPIE)
  set(link -static-pie)
  set(crt1 rcrt1.o)
else()
  set(pie -fno-pie)
  set(link "-static -no-pie")
  set(crt1 crt1.o)
endif()

# Functions with character buffers; -fstack-protector-strong costs 11 KiB more.
set(common "${pie} -fstack-protector -nostdinc")
set(c_include "-isystem ${MUSL_SYSROOT}/include -isystem ${gcc_include}")
set(CMAKE_C_FLAGS_INIT "${common} ${c_include}")
set(CMAKE_CXX_FLAGS_INIT "${common} -nostdinc++ ${cxx_include} ${c_include}")

# Padding between segments is dead weight in a small file, and there is most of it where pages may have 64 KiB.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,--build-id=none,-z,noseparate-code,-z,max-page-size=${MUSL_PAGE_SIZE}")
set(lib ${MUSL_SYSROOT}/lib)
foreach(language C CXX)
  set(CMAKE_${language}_LINK_EXECUTABLE "<CMAKE_C_COMPILER> <FLAGS> <CMAKE_${language}_LINK_FLAGS> <LINK_FLAGS> -nostdlib \
${link} ${lib}/${crt1} ${lib}/crti.o <OBJECTS> -o <TARGET> <LINK_LIBRARIES> ${lib}/libc.a ${libgcc} ${lib}/libc.a ${lib}/crtn.o")
endforeach()

set(CMAKE_FIND_ROOT_PATH ${MUSL_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
foreach(mode LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${mode} ONLY)
endforeach()
