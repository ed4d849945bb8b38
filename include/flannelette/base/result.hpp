// SPDX-License-Identifier: Apache-2.0
// Errors as values.
#pragma once

#include <cstdint>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

/// Errors as values. An Error is three words and owns nothing, so that making one never allocates; the text a
/// person reads is built by whoever logs it. Absence and "feed me more" are results (std::optional,
/// json::Token::NeedMore), not errors.
namespace flannelette {

/// As wide as an int, so that an Error has no padding and is copied as a whole: 0.8 KiB.
enum class Code : std::uint32_t {
  kInvalid,      ///< the input is malformed
  kLimit,        ///< a named limit was exceeded
  kNotFound,     ///< the named object does not exist (any more)
  kExists,       ///< an object of that identity exists already
  kConflict,     ///< somebody else holds it, or changed it first
  kDenied,       ///< not permitted
  kUnsupported,  ///< the kernel or the peer cannot do this
  kInterrupted,  ///< a dump was cut or changed under way: the result says nothing
  kUnavailable,  ///< the other side cannot answer now; trying again may help
  kTimeout,
  kClosed,  ///< the other side ended the connection
  kTls,     ///< handshake or certificate
  kSystem,  ///< see sys_errno
};

/// What went wrong, where. `context` is a string literal ("open", "lease grant", "SubnetLen must be ..."),
/// never owned and never null.
struct [[nodiscard]] Error {
  Code code = Code::kSystem;
  int sys_errno = 0;  ///< errno where the kernel said no, else 0; for kTls the mbedTLS error (negative)
  const char* context = "";  ///< static storage
};

/// A short word for the code ("invalid", "timeout", ...).
std::string_view name(Code code);

inline Error system_error(const char* context, int sys_errno) { return {Code::kSystem, sys_errno, context}; }
/// The same of errno.
Error last_error(const char* context);

/// A value or an Error. Test it before use: `if (!r) return r.error();`
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : ok_(true) { ::new (&value_) T(std::move(value)); }  // NOLINT: implicit on purpose
  Result(Error error) : ok_(false), error_(error) {}                    // NOLINT
  Result(Result&& other) noexcept : ok_(other.ok_) {
    if (ok_) {
      ::new (&value_) T(std::move(other.value_));
    } else {
      error_ = other.error_;
    }
  }
  Result(const Result&) = delete;
  Result& operator=(const Result&) = delete;
  Result& operator=(Result&&) = delete;
  ~Result() {
    if (ok_) value_.~T();
  }

  explicit operator bool() const { return ok_; }
  T& operator*() & { return value_; }
  const T& operator*() const& { return value_; }
  T&& operator*() && { return std::move(value_); }
  T* operator->() { return &value_; }
  const T* operator->() const { return &value_; }
  const Error& error() const { return error_; }

 private:
  bool ok_;
  union {
    T value_;
    Error error_;
  };
};

/// Two words: it is returned in registers. Success is an Error without a context, which no other is.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(error) {}  // NOLINT: implicit on purpose
  explicit operator bool() const { return error_.context == nullptr; }
  const Error& error() const { return error_; }

 private:
  Error error_{.context = nullptr};
};

/// `FLT_TRY(expr);` returns the error of a Result<void> (or any Result whose value is not wanted).
#define FLT_TRY(expr)                            \
  do {                                           \
    if (auto flt_result = (expr); !flt_result) { \
      return flt_result.error();                 \
    }                                            \
  } while (false)

}  // namespace flannelette
