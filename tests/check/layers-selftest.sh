#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The layer check catches what it is there for: one small tree a rule.
. "$(dirname "$0")/lib.sh"
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
status=0

# expect FILE CONTENT MESSAGE: with CONTENT in FILE the check says MESSAGE; an empty MESSAGE: it is content.
expect() {
  rm -rf "${tree:?}"/*
  mkdir -p "$tree/src" "$tree/include/flannelette" "$tree/$(dirname "$1")"
  printf '%b\n' "$2" >"$tree/$1"
  local output result=0
  output=$(tests/check/layers.sh "$tree" 2>&1) || result=1
  if [ -z "$3" ]; then
    [ "$result" -eq 0 ] && [ -z "$output" ] && return
  else
    [ "$result" -eq 1 ] && [[ $output == *"$3"* ]] && return
  fi
  echo "$1 with '$2': expected '$3', got '$output'"
  status=1
}

allows() { expect "$1" "$2" ''; }

allows src/base/text.cpp '#include "flannelette/base/text.hpp"\n#include <unistd.h>'
allows src/http/client.cpp '#include "flannelette/io/stream.hpp"\n#include "http/parser.hpp"\n#include "parser.hpp"'
allows src/registry/etcd/client.cpp '#include "flannelette/http/client.hpp"\n#include "registry/etcd/x.hpp"'
allows src/kernel/link.cpp '#include "flannelette/overlay/peer.hpp"\n#include <libmnl/libmnl.h>\n#include <linux/if_link.h>'
allows src/io/tls.cpp '#include <mbedtls/ssl.h>\n#include <psa/crypto.h>'
allows src/cli/ini.cpp '#include <ini.h>'
allows src/json/reader.cpp '#include <string_view>\n#include <string.h>'
allows src/main.cpp '#include "flannelette/cli/cli.hpp"'

expect src/base/text.cpp '#include "flannelette/io/loop.hpp"' 'base must not know io'
expect src/io/loop.cpp '#include "flannelette/json/reader.hpp"' 'io must not know json'
expect src/http/client.cpp '#include "flannelette/json/reader.hpp"' 'http must not know json'
expect src/json/reader.cpp '#include <sys/socket.h>' 'json is pure'
expect src/json/reader.cpp '#include "linux/types.h"' 'json is pure'
expect src/overlay/peer.cpp '#include <unistd.h>' 'overlay is pure'
expect include/flannelette/overlay/peer.hpp '#include <netinet/in.h>' 'overlay is pure'
expect src/overlay/peer.cpp '#include "flannelette/io/loop.hpp"' 'overlay must not know io'
expect src/registry/etcd/client.cpp '#include "flannelette/kernel/ports.hpp"' 'registry must not know kernel'
expect src/kernel/link.cpp '#include "flannelette/registry/registry.hpp"' 'kernel must not know registry'
expect src/kernel/link.cpp '#include "flannelette/json/reader.hpp"' 'kernel must not know json'
expect src/kernel/link.cpp '#include "flannelette/http/client.hpp"' 'kernel must not know http'
expect src/kernel/link.cpp '#include "flannelette/agent/agent.hpp"' 'kernel must not know agent'
expect src/agent/agent.cpp '#include <libmnl/libmnl.h>' 'only kernel may include libmnl'
expect src/agent/agent.cpp '#include <mbedtls/ssl.h>' 'only io may include mbedTLS'
expect src/agent/agent.cpp '#include "flannelette/cli/cli.hpp"' 'agent must not know cli'
expect src/agent/agent.cpp '#include "kernel/batch.hpp"' "kernel's private header"
expect src/agent/config.cpp '#include <ini.h>' 'only cli may include inih'
expect include/flannelette/kernel/ports.hpp '#include <libmnl/libmnl.h>' 'libmnl header in a contract'
expect include/flannelette/io/stream.hpp '#include "mbedtls/ssl.h"' 'mbedTLS header in a contract'
expect include/flannelette/cli/cli.hpp '#include <ini.h>' 'inih header in a contract'
expect include/flannelette/io/stream.hpp '#include "io/private.hpp"' 'a contract includes a private header'
expect src/cli/cli.cpp '#include "../agent/agent.hpp"' 'climbs with ..'
expect src/cli/cli.cpp '#include "flannelette/attic/x.hpp"' 'include of unknown room attic'
expect src/attic/x.cpp '' 'unknown room attic'
expect src/helper.cpp '' 'a file outside of all rooms'
expect src/main.cpp "$(printf '\\n%.0s' {1..60})" 'main.cpp has 60 lines or more'
expect src/cli/cli.cpp '#include <iostream>' 'needs the C++ runtime library'
expect src/cli/cli.cpp 'std::function<void()> f;' 'std::function'

# Two files that see mbedTLS need a tree of two.
rm -rf "${tree:?}"/*
mkdir -p "$tree/src/io" "$tree/include/flannelette"
for name in a b; do echo '#include <mbedtls/ssl.h>' >"$tree/src/io/$name.cpp"; done
output=$(tests/check/layers.sh "$tree") && { echo 'two files with mbedTLS were let through'; status=1; }
[[ $output == *'a second file includes mbedTLS'* ]] || { echo "two files with mbedTLS: $output"; status=1; }

exit "$status"
