#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Nothing in the repository ties it to one machine: no host that this machine takes packages from (apt's own
# configuration says where they come from), and no path of this work tree.
. "$(dirname "$0")/lib.sh"
words=()
if command -v apt-get >/dev/null; then
  mapfile -t words < <(apt-get indextargets --format '$(SITE)' 2>/dev/null | sed -nE 's|^[a-z+]+://([^/:]+).*|\1|p' | sort -u)
fi
# A path of one component, such as /build, is a word that files may use for other reasons.
[[ $PWD == /*/* ]] && words+=("$PWD/" "${PWD%/*}/")
[ ${#words[@]} -gt 0 ] || { echo 'nothing to look for: no apt-get here'; exit 77; }
status=0
while IFS= read -r file; do
  grep -IHnF "${words[@]/#/-e}" -- "$file" && status=1
done < <(project_files '*')
exit "$status"
