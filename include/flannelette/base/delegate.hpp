// SPDX-License-Identifier: Apache-2.0
// A bound member function, for callbacks that outlive the call.
#pragma once

#include <utility>

namespace flannelette {

template <class Signature>
class Delegate;

/// A bound member function in two words: no heap, no ownership. The object must outlive every call.
///     Timer timer{loop, Delegate<void()>::to<&Agent::on_timer>(this)};
template <class R, class... Args>
class Delegate<R(Args...)> {
 public:
  Delegate() = default;

  template <auto Method, class T>
  static Delegate to(T* object) {
    Delegate d;
    d.object_ = object;
    d.call_ = [](void* self, Args... args) -> R {
      return (static_cast<T*>(self)->*Method)(std::forward<Args>(args)...);
    };
    return d;
  }

  explicit operator bool() const { return call_ != nullptr; }
  R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  void* object_ = nullptr;
  R (*call_)(void*, Args...) = nullptr;
};

}  // namespace flannelette
