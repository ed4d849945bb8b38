// SPDX-License-Identifier: Apache-2.0
// What the header-only parts of the C++ standard library expect of libstdc++, for a program that links
// without it (FLANNELETTE_NO_LIBSTDCXX). Nothing here returns in failure: out of memory, or a container
// driven past its limits, ends the process with one line on stderr, and the service manager starts it again.
// The data plane stays up meanwhile.

#include <cstdlib>
#include <new>

#include "flannelette/base/fatal.hpp"

using flannelette::die;

namespace {

void* allocate(size_t size) {
  void* memory = malloc(size != 0 ? size : 1);
  if (memory == nullptr) die("out of memory");
  return memory;
}

}  // namespace

void* operator new(size_t size) { return allocate(size); }
void* operator new[](size_t size) { return allocate(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return malloc(size != 0 ? size : 1); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return malloc(size != 0 ? size : 1); }
void operator delete(void* memory) noexcept { free(memory); }
void operator delete[](void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
void operator delete[](void* memory, size_t) noexcept { free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { free(memory); }

namespace std {
const nothrow_t nothrow{};
// Declared in <bits/functexcept.h> and <bits/c++config.h>; with those names, so that inlined library code
// finds them.
[[noreturn]] void __throw_bad_alloc() { die("out of memory"); }
[[noreturn]] void __throw_bad_array_new_length() { die("array length"); }
[[noreturn]] void __throw_length_error(const char* what) { die(what); }
[[noreturn]] void __throw_logic_error(const char* what) { die(what); }
[[noreturn]] void __throw_invalid_argument(const char* what) { die(what); }
[[noreturn]] void __throw_out_of_range(const char* what) { die(what); }
[[noreturn]] void __throw_out_of_range_fmt(const char* what, ...) { die(what); }
[[noreturn]] void __throw_bad_optional_access() { die("empty optional"); }
[[noreturn]] void __throw_bad_variant_access(const char* what) { die(what); }
[[noreturn]] void __throw_bad_function_call() { die("empty function"); }
[[noreturn]] void __glibcxx_assert_fail(const char*, int, const char*, const char* condition) noexcept {
  die(condition);
}
[[noreturn]] void terminate() noexcept { die("terminate"); }
}  // namespace std

extern "C" {
[[noreturn]] void __cxa_pure_virtual() { die("pure virtual call"); }
[[noreturn]] void __cxa_deleted_virtual() { die("deleted virtual call"); }

// Only its address matters: the C++ ABI hands it to __cxa_atexit. Weak, as GCC's crtbegin.o has one too.
[[gnu::weak, gnu::visibility("hidden")]] void* __dso_handle = nullptr;
}
