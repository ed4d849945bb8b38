#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The arrows between the rooms (src/README.md): who may include whom, and which library only one room may see.
# layers.sh [DIRECTORY]: the tree to check, the project itself by default (the self-test checks others).
. "$(dirname "$0")/lib.sh"
root=${1:-.}
cd "$root" || exit 1
for folder in src include/flannelette; do
  [ -d "$folder" ] || { echo "no $folder in $root"; exit 1; }
done

find src include -type f \( -name '*.cpp' -o -name '*.hpp' -o -name '*.c' -o -name '*.h' \) | sort | xargs -r awk '
  BEGIN {
    may["base"] = "base"
    may["io"] = "io base"
    may["json"] = "json base"
    may["http"] = "http io base"
    may["overlay"] = "overlay json base"
    may["registry"] = "registry overlay http json io base"
    may["kernel"] = "kernel overlay io base"
    may["status"] = "status overlay json base"
    may["agent"] = "agent status registry kernel overlay http json io base"
    may["cli"] = "cli agent status registry kernel overlay http json io base"
    may["cni"] = "cni kernel overlay json base"
    may["main"] = may["cli"]
    pure = " json overlay status "
    # A pure room takes nothing from the system but these C headers and the headers of the C++ library.
    c_headers = " stddef.h stdint.h string.h limits.h "
    runtime = " iostream istream ostream fstream sstream iomanip locale codecvt regex string thread mutex shared_mutex " \
              "condition_variable future filesystem typeinfo stdexcept exception "
  }
  function wrong(text) { print FILENAME ":" FNR ": " text; bad = 1 }
  function in_list(word, list) { return index(" " list " ", " " word " ") > 0 }
  function allowed(to) { return in_list(to, may[room]) }

  FNR == 1 {
    parts = split(FILENAME, part, "/")
    public = part[1] == "include"
    room = public ? part[3] : part[2]
    if (FILENAME == "src/main.cpp") room = "main"
    else if (public ? part[2] != "flannelette" || parts < 4 : parts < 3) { wrong("a file outside of all rooms"); nextfile }
    if (!(room in may)) { wrong("unknown room " room); nextfile }
    comment = 0
  }
  room == "main" && FNR == 60 { wrong("main.cpp has 60 lines or more") }
  /std::function[^a-z_]/ && !/^ *\/\// { wrong("std::function") }
  !/^[ \t]*#[ \t]*include/ { next }
  {
    line = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", line)
    quoted = substr(line, 1, 1) == "\""
    header = line
    sub(/^["<]/, "", header)
    sub(/[">].*$/, "", header)
    split(header, step, "/")

    if (index(header, "..") > 0) { wrong("an include that climbs with ..: " header); next }
    if (step[1] == "flannelette") {
      if (!(step[2] in may)) wrong("include of unknown room " step[2])
      else if (!allowed(step[2])) wrong(room " must not know " step[2] ": " header)
      next
    }
    if (step[1] in may && index(header, "/") > 0) {
      if (public) wrong("a contract includes a private header: " header)
      else if (step[1] != room) wrong(step[1] "\47s private header " header " in " room)
      next
    }
    if (quoted && header !~ /^(mbedtls|psa|libmnl|linux|sys|net|netinet|arpa)\// && header != "ini.h") {
      if (public) wrong("a contract includes a private header: " header)
      next
    }

    if (header ~ /^(mbedtls|psa)\//) {
      if (public) wrong("mbedTLS header in a contract: " header)
      else if (room != "io") wrong("only io may include mbedTLS: " header)
      else if (tls_file != "" && tls_file != FILENAME) wrong("a second file includes mbedTLS, beside " tls_file)
      else tls_file = FILENAME
    } else if (header ~ /^libmnl\//) {
      if (public) wrong("libmnl header in a contract: " header)
      else if (room != "kernel") wrong("only kernel may include libmnl: " header)
    } else if (header == "ini.h") {
      if (public) wrong("inih header in a contract: " header)
      else if (room != "cli") wrong("only cli may include inih: " header)
    } else if (in_list(header, runtime)) {
      wrong("needs the C++ runtime library: " header)
    } else if (in_list(room, pure) && header ~ /[.\/]/ && !in_list(header, c_headers)) {
      wrong(room " is pure and must not know the system: " header)
    }
  }
  END { exit bad }
'
