#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every source file names its licence in its first lines.
. "$(dirname "$0")/lib.sh"
status=0
while IFS= read -r file; do
  if ! head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0'; then
    echo "$file: no SPDX-License-Identifier: Apache-2.0 in its first three lines"
    status=1
  fi
done < <(project_files '*.cpp' '*.hpp' '*.c' '*.h' '*.sh' '*.bash' '*.py' '*.[578]' '*.cmake' '*CMakeLists.txt' '*Makefile' '.ci/run')
exit "$status"
