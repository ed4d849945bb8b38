#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# size.sh [NAME...]: a table of what is in build/NAME/flannelette (NAME: a target, TARGET-router, -shared or -notls; all that are there
# without a name), and their budgets (toolchains/targets). Exit code 1 if one is over its budget or was not built.
#   text, data, bss    as size(1) has them
#   file               the stripped program: what the budget is for
#   rooms, libraries   what is in the file under their symbols; link-time optimisation puts a function that is called once
#                      into its caller's room
#   no symbol          string literals, padding and headers
#   stack              the largest frame of one function, of ours and of mbedTLS
set -eu
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || for file in build/*/obj/flannelette; do
  [ -f "$file" ] || continue
  name=${file#build/}
  set -- "$@" "${name%/obj/flannelette}"
done
[ $# -gt 0 ] || { echo "size: nothing is built: make cross" >&2; exit 1; }

# symbols FILE...: the names of all symbols that the files define.
symbols() { "$gnu-nm" --defined-only "$@" 2>/dev/null | awk 'NF == 3 { print $3 }'; }

# measure NAME: lines "row value".
measure() {
  target=${1%%-*}
  gnu=$(toolchains/target.sh "$target" gnu)
  case $1 in
    *-router) column="budget" ;;
    *-notls) column="budget-notls" ;;
    *-shared) column="budget-shared" ;;
    *) column="budget-full" ;;
  esac
  budget=$(toolchains/target.sh "$target" "$column")
  linked=build/$1/obj/flannelette
  "$gnu-size" "$linked" | awk 'NR == 2 { print "text", $1; print "data", $2; print "bss", $3 }'
  file=$(stat -c %s "build/$1/flannelette")
  echo "file $file"
  [ "$budget" = - ] && echo "budget -" || echo "budget $((budget * 1024))"

  sysroot=build/sysroot/$target
  {
    [ ! -f "$sysroot/lib/libmnl.a" ] || symbols "$sysroot/lib/libmnl.a" | sed 's/^/known libmnl /'
    [ ! -f "$sysroot/lib/libc.a" ] || symbols "$sysroot"/lib/libc.a "$sysroot"/lib/crt1.o | sed 's/^/known libc /'
    symbols "$("$gnu-gcc" -print-libgcc-file-name)" | sed 's/^/known libc /'
    "$gnu-nm" -n -S --defined-only "$linked"
  } | awk -v file="$file" '
    # number(text): hexadecimal
    function number(text,  i, n) {
      n = 0
      for (i = 1; i <= length(text); ++i) n = n * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
      return n
    }
    function owner(name,  rest, length_) {
      if (name == "main" || name ~ /^_ZN12_GLOBAL__N_1/) return "cli"
      if (name ~ /^_Z/) {
        if (!match(name, /11flannelette[0-9]+/)) return "base"
        rest = substr(name, RSTART + 13)
        length_ = rest + 0
        rest = substr(rest, length(length_ "") + 1, length_)
        return rest in rooms ? rest : "base"
      }
      sub(/\..*/, "", name)
      if (name in known) return known[name]
      return name ~ /^ini_/ ? "inih" : "mbedTLS"
    }
    BEGIN { n = split("io json http overlay registry kernel agent cli", list); for (i = 1; i <= n; ++i) rooms[list[i]] }
    $1 == "known" { sub(/\..*/, "", $3); if (!($3 in known)) known[$3] = $2; next }
    NF == 4 && $3 !~ /[bB]/ {
      size = number($2)
      if ($1 == at && size <= last) next  # a second name of the same thing
      sum[owner($4)] += size - ($1 == at ? last : 0)
      total += size - ($1 == at ? last : 0)
      at = $1
      last = size
    }
    END { for (room in sum) print room, sum[room]; print "symbol-less", file - total }'

  cat "build/$1"/obj/*.su 2>/dev/null | sort -t "$(printf '\t')" -k 2 -n -r | awk -F '\t' 'NR == 1 { print "stack", $2; print "frame", $1 }'
}

rows="text data bss file budget base io json http overlay registry kernel agent cli mbedTLS libmnl inih libc symbol-less stack"
for name in "$@"; do
  [ -f "build/$name/obj/flannelette" ] || { echo "size: build/$name is not built" >&2; exit 1; }
  measure "$name" | sed "s/^/$name /"
done | awk -v names="$*" -v rows="$rows" '
  { value[$1, $2] = $3 }
  END {
    columns = split(names, name)
    count = split(rows, row)
    title["libc"] = "musl, libgcc"; title["symbol-less"] = "no symbol"; title["stack"] = "largest frame"
    printf "%-14s", "bytes"
    for (c = 1; c <= columns; ++c) printf " %13s", name[c]
    for (r = 1; r <= count; ++r) {
      printf "\n%-14s", row[r] in title ? title[row[r]] : row[r]
      for (c = 1; c <= columns; ++c) printf " %13s", value[name[c], row[r]]
    }
    printf "\n\n"
    for (c = 1; c <= columns; ++c) {
      if (value[name[c], "frame"] != "") print name[c] ": the largest frame is of " value[name[c], "frame"]
    }
    for (c = 1; c <= columns; ++c) {
      budget = value[name[c], "budget"]
      if (budget == "-" || value[name[c], "file"] + 0 <= budget + 0) continue
      print name[c] ": " value[name[c], "file"] - budget " bytes over its budget"
      over = 1
    }
    exit over
  }'
