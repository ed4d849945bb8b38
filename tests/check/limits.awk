# SPDX-License-Identifier: Apache-2.0
# Reads the C++ files named (sorted by name, as clang-format leaves them) and prints a line for all that limits.sh refuses. A
# body begins with a line that ends in { and ends with the next line that has a } where its head begins.

function found(text) { print text; bad = 1 }
function indent_of(text) { match(text, /^ */); return RLENGTH }

function end_class() {
  if (virtuals[depth] > 8) found(type_at[depth] ": " type[depth] " has " virtuals[depth] " virtual functions of at most 8")
  if (booleans[depth] > 3) found(type_at[depth] ": " type[depth] " has " booleans[depth] " boolean members of at most 3")
  depth--
}

function end_file() {
  while (depth > 0) end_class()
  if (lines > 450) found(file ": " lines " lines of at most 450")
}

# One header and one source have a base name, both in one room: include/flannelette/ROOM, src/ROOM or below.
function check_name(    stem, room, key) {
  stem = file
  sub(/^.*\//, "", stem)
  room = file
  sub(/^(src|include\/flannelette)\//, "", room)
  sub(/\/.*$/, "", room)
  key = stem  # with its .hpp or .cpp
  sub(/\.[ch]pp$/, "", stem)
  if (key in named) found(file ": " named[key] " has this name, too")
  else if (stem in room_of && room_of[stem] != room) found(file ": the base name of " file_of[stem] ", of another room")
  named[key] = file
  if (!(stem in room_of)) { room_of[stem] = room; file_of[stem] = file }
}

FNR == 1 {
  if (NR > 1) end_file()
  file = FILENAME
  depth = head = in_function = 0
  check_name()
}
{
  lines = FNR
  line = $0
  sub(/[ ]*\/\/.*$/, "", line)
}

in_function {
  if (indent_of(line) == indent && line ~ /^ *\}/) {
    if (FNR - head + 1 > 65) found(file ":" head ": " name " has " (FNR - head + 1) " lines of at most 65")
    in_function = head = 0
  }
  next
}

# The end of a class, its members.
depth > 0 && indent_of(line) == closing[depth] && line ~ /^ *\}/ { end_class(); head = 0; next }
depth > 0 && line ~ /^ *virtual / && line !~ /virtual ~/ { virtuals[depth]++ }
depth > 0 && line ~ /^ *bool [a-z0-9_]+_( = [a-z]+|\{.*\})?( : 1)?;/ { booleans[depth]++ }

line ~ /^ *$/ || line ~ /^ *#/ || line ~ /^ *(public|private|protected):$/ { head = 0; next }
{
  if (!head) { head = FNR; indent = indent_of(line); statement = "" }
  statement = statement line
}
line ~ /[;}]$/ { head = 0; next }
line !~ /\{$/ { next }
statement ~ /^ *(template <.*> *)?(class|struct) [^(]*\{$/ {
  depth++
  type[depth] = statement
  sub(/^ *(template <.*> *)?(class|struct) +/, "", type[depth])
  sub(/( final)?( : .*)? *\{$/, "", type[depth])
  type_at[depth] = file ":" head
  closing[depth] = indent
  virtuals[depth] = booleans[depth] = 0
  head = 0
  next
}
# Neither a namespace, an enumeration nor a table: a function.
statement ~ /\(/ && statement !~ /[=\]] *\{$/ {
  name = statement
  sub(/ *\(.*/, "", name)
  sub(/^.*[ *&]/, "", name)
  in_function = 1
  next
}
{ head = 0 }
END { end_file(); exit bad }
