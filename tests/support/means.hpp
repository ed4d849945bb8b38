// SPDX-License-Identifier: Apache-2.0
// What a test needs from its machine. `REQUIRE_MEANS(namespaces(), program("etcd"));` at the top of a test
// skips it with the reason if something is missing. A machine that can do it all runs everything.
#pragma once

#include <initializer_list>
#include <string>

#include "support/skip.hpp"

namespace flannelette::tests::means {

// Each returns why the means are missing, or an empty string.

/// Namespaces of our own (netns.hpp); this enters them.
std::string namespaces();
/// An executable in PATH.
std::string program(const std::string& name);
/// What `ip link add NAME <arguments>` can make, such as "type vxlan id 1 dstport 8472".
std::string link_kind(const std::string& arguments);
/// Errors that a socket tells later with the numbers of <errno.h>. qemu-user 7.2 gives the host's numbers,
/// which are others than those of MIPS.
std::string socket_errors();
/// What a connection reports by TCP_INFO. qemu-user 7.2 gives its first four bytes only.
std::string connection_reports();
/// A process that a signal ends writes nothing itself. qemu-user does, and waits where stderr is full.
std::string silent_death();

}  // namespace flannelette::tests::means

#define REQUIRE_MEANS(...)                                                                \
  do {                                                                                    \
    using namespace ::flannelette::tests::means;                                          \
    for (const std::string& missing_ : std::initializer_list<std::string>{__VA_ARGS__}) { \
      if (!missing_.empty()) SKIP(missing_);                                              \
    }                                                                                     \
  } while (false)
