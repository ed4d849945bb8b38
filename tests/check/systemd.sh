#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# systemd has nothing to say about the unit of board/systemd, and its exposure is 1.7 at most. No systemd needs to run here.
. "$(dirname "$0")/lib.sh"
command -v systemd-analyze >/dev/null || { echo 'no systemd-analyze in PATH'; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
status=0
# The program need not be installed.
sed 's/^ExecStart=flannelette .*/ExecStart=true/' board/systemd/flannelette.service >"$work/flannelette.service"
if systemd-analyze verify --man=no "$work/flannelette.service" 2>&1 | grep flannelette; then status=1; fi
systemd-analyze security --offline=true --no-pager --threshold=17 "$work/flannelette.service" >"$work/table" || {
  cat "$work/table"
  status=1
}
exit "$status"
