#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every numbered statement that is cited exists: "compat 9.7" is that number of src/COMPATIBILITY.md, "invariant 14" one of
# src/DESIGN.md; so are "compat 9.4 and 9.5" and "invariants 3, 4". No number of either document is there twice.
# citations.sh [DIRECTORY]: the tree to check, the project itself by default.
. "$(dirname "$0")/lib.sh"
cd "${1:-.}" || exit 1
find src include tests toolchains board openwrt .github README.md -type f ! -path 'tests/fuzz/corpus/*' ! -path 'tests/check/citations*' 2>/dev/null |
  LC_ALL=C sort | xargs -r grep -nIE '(^|[^a-z_])(compat [0-9]|invariants? [0-9])' |
  awk -v compat="$(sed -n 's/^[-|*]* *\**\([0-9]\{1,\}\.[0-9]\{1,\}\)[.*| ].*/\1/p' src/COMPATIBILITY.md 2>/dev/null)" \
    -v invariant="$(sed -n '/^## Invariants$/,/^## /s/^\([0-9]\{1,\}\)\. .*/\1/p' src/DESIGN.md 2>/dev/null)" '
    function wrong(text) { print text; bad = 1 }
    function learn(kind, list,    count, i, number) {
      count = split(list, number, "\n")
      for (i = 1; i <= count; ++i) {
        if ((kind, number[i]) in known) wrong(kind " " number[i] " is there twice")
        known[kind, number[i]] = 1
      }
    }
    BEGIN {
      learn("compat", compat)
      learn("invariant", invariant)
    }
    {
      split($0, part, ":")
      place = part[1] ":" part[2]
      rest = $0
      while (match(rest, /(compat|invariants?) [0-9.]*[0-9]((, | and |, and )[0-9.]*[0-9])*/)) {
        citation = substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH)
        kind = citation ~ /^c/ ? "compat" : "invariant"
        count = split(citation, word, /[ ,]+/)
        for (i = 2; i <= count; ++i)
          if (word[i] != "and" && !((kind, word[i]) in known)) wrong(place ": there is no " kind " " word[i])
      }
    }
    END { exit bad }'
