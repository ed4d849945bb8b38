// SPDX-License-Identifier: Apache-2.0
// Whatever can be called, for parameters.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace flannelette {

template <class Signature>
class FunctionRef;

/// Whatever can be called, in two words: no heap, no ownership. For parameters: a lambda in a call lives as
/// long as the call. The function that takes it is compiled once, not once for each lambda.
template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>)
      FunctionRef(F&& function)  // NOLINT: implicit on purpose
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(function)))),
        call_([](void* object, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(std::forward<Args>(args)...);
        }) {}

  R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

}  // namespace flannelette
