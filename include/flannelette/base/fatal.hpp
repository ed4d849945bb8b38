// SPDX-License-Identifier: Apache-2.0
// The end of the process where nothing else can be done.
#pragma once

/// The end of the process where nothing else can be done: out of memory, a container driven past its limits.
/// The service manager starts it again; the data plane stays up meanwhile.
namespace flannelette {

/// Says "flannelette: fatal: <why>" on stderr, if that takes it at once, and aborts. Allocates nothing.
[[noreturn]] void die(const char* why);

}  // namespace flannelette
