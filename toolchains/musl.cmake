# SPDX-License-Identifier: Apache-2.0
#
# For target.cmake: Debian's GCC, which is made for glibc, compiles for the musl in `root`, without the C++ runtime library.

# While CMake asks the compiler for its folders: ccache with a base_dir has them printed relative to another folder.
set(ENV{CCACHE_DISABLE} 1)

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
# Functions with character buffers; -fstack-protector-strong costs 11 KiB more.
set(common "${flags} -fno-pie -fstack-protector -fomit-frame-pointer -nostdinc")
if(NOT model STREQUAL "-")
  string(APPEND common " -mcmodel=${model}")
endif()
set(c_include "-isystem ${root}/include -isystem ${gcc_include}")
set(CMAKE_C_FLAGS_INIT "${common} ${c_include}")
set(CMAKE_CXX_FLAGS_INIT "${common} -nostdinc++ ${cxx_include} ${c_include}")

# Padding between segments is dead weight in a small file, and there is most of it where pages may have 64 KiB. Segments only
# need the same place in their page in the file and in memory. Neither static PIE nor RELRO: README.md.
# One partition: the optimiser sees the whole program.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-fstack-usage -flto-partition=one \
-Wl,--build-id=none,-z,noseparate-code,-z,norelro,-z,max-page-size=${page},-z,common-page-size=64")
if(model STREQUAL "tiny")
  # The linker mends the ADRP that Cortex-A53 may get wrong (erratum 843419) by an ADR, which reaches all of the program. Its
  # other way, a veneer, pads .text by 4 KiB.
  string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT " -mno-fix-cortex-a53-843419 -Wl,--fix-cortex-a53-843419=adr")
endif()
set(lib ${root}/lib)
if(EXISTS ${lib}/libgcc.a)  # a part of it, for soft float
  set(libgcc ${lib}/libgcc.a)
endif()
set(libc -static ${lib}/libc.a ${libgcc} ${lib}/libc.a)
if(EXISTS ${lib}/libc.so)  # to measure (sysroot.sh): with the linker's flags that OpenWrt's SDK has
  set(CMAKE_EXE_LINKER_FLAGS_INIT "-flto-partition=one -Wl,-z,now,-z,relro,--dynamic-linker=/lib/ld-musl.so.1")
  set(libc ${lib}/libc.so ${libgcc})
endif()
list(JOIN libc " " libc)
foreach(language C CXX)
  set(CMAKE_${language}_LINK_EXECUTABLE "<CMAKE_C_COMPILER> <FLAGS> <CMAKE_${language}_LINK_FLAGS> <LINK_FLAGS> -nostdlib \
-no-pie ${lib}/crt1.o ${lib}/crti.o <OBJECTS> -o <TARGET> <LINK_LIBRARIES> ${libc} ${lib}/crtn.o")
endforeach()
