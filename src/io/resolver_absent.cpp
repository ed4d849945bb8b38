// SPDX-License-Identifier: Apache-2.0
// In the place of resolver.cpp when the build resolves no names: it knows none. Without getaddrinfo a static
// program has neither libc's DNS client nor its stdio.
#include "flannelette/io/net_stream.hpp"
#include "io/resolver.hpp"

namespace flannelette::io {

bool NetStream::resolves_names() { return false; }

Resolver::Resolver(Loop& loop, Delegate<void()> done)
    : done_(done),
      source_(loop, {}),
      timer_(loop, Delegate<void()>::to<&Resolver::on_timer>(this)),
      result_(Error{Code::kUnsupported, 0, "resolver: this build resolves no names"}) {}
Resolver::~Resolver() = default;

void Resolver::start(const Text<Endpoint::kMaxHost>&) { timer_.arm_in(0); }
void Resolver::cancel() { timer_.cancel(); }
void Resolver::on_timer() { done_(); }

}  // namespace flannelette::io
