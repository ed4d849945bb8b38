# SPDX-License-Identifier: Apache-2.0
# Prints each warning and error that sources (C++, as arguments) may log, as its line begins: "warning: peer ignored". Fails where
# it cannot find the text of a call.
#
# The text is found in the call itself, also both of a choice; in the constant or variable that the call names; in the function
# that is called for it; or, where it is a parameter, in the calls of the function that has it.

function wrong(text) {
  print text > "/dev/stderr"
  bad = 1
}

# The code of a file: without comments, each literal as \001N\001, those that follow each other as one.
function read_code(file,    line, text, i, c, in_literal) {
  text = ""
  while ((getline line < file) > 0) {
    in_literal = 0
    for (i = 1; i <= length(line); ++i) {
      c = substr(line, i, 1)
      if (in_literal) {
        if (c == "\"") {
          in_literal = 0
          text = text "\001"
        } else {
          if (c == "\\") c = c substr(line, ++i, 1)
          literal[count] = literal[count] c
        }
      } else if (c == "'" && substr(line, i) ~ /^'(\\.|[^\\])'/) {
        i += substr(line, i + 1, 1) == "\\" ? 3 : 2
      } else if (c == "\"") {
        in_literal = 1
        literal[++count] = ""
        text = text "\001" count "\001"
        text = substr(text, 1, length(text) - 1)
      } else if (substr(line, i, 2) == "//") {
        break
      } else {
        text = text c
      }
    }
    text = text " "
  }
  close(file)
  return joined(text)
}

function joined(text,    out, pair) {
  out = ""
  while (match(text, /\001[0-9]+\001 +\001[0-9]+\001/)) {
    split(substr(text, RSTART, RLENGTH), pair, "\001")
    literal[pair[4]] = literal[pair[2]] literal[pair[4]]
    out = out substr(text, 1, RSTART - 1)
    text = "\001" pair[4] substr(text, RSTART + RLENGTH - 1)
  }
  return out text
}

# What stands between here and the end of the argument (or of all arguments).
function argument(text, all,    i, c, depth) {
  depth = 0
  for (i = 1; i <= length(text); ++i) {
    c = substr(text, i, 1)
    if (index("({[", c)) ++depth
    if (index(")}]", c) && depth-- == 0) break
    if (c == "," && depth == 0 && !all) break
  }
  return substr(text, 1, i - 1)
}

# Fields that follow are not part of it.
function report(line) {
  sub(/\\n$/, "", line)
  sub(/ [a-z_]+=$/, "", line)
  print line
}

# All literals in it; false if there is none.
function emit(level, text,    any, number) {
  while (match(text, /\001[0-9]+\001/)) {
    number = substr(text, RSTART + 1, RLENGTH - 2)
    text = substr(text, RSTART + RLENGTH)
    if (literal[number] == "") continue
    report(level ": " literal[number])
    any = 1
  }
  return any
}

# The values of a constant or variable.
function emit_value(level, name, text,    any) {
  while (match(text, "[ *]" name " *= *")) {
    text = substr(text, RSTART + RLENGTH)
    any = emit(level, substr(text, 1, index(text, ";"))) || any
  }
  return any
}

# What a function returns that has a parameter of the argument's name.
function emit_function(level, call, text,    any, name, parameter) {
  if (call !~ /^[a-z_]+\([a-z_]+\)$/) return 0
  name = parameter = call
  sub(/\(.*/, "", name)
  sub(/.*\(/, "", parameter)
  sub(/\)/, "", parameter)
  while (match(text, "[ &]" name "\\([^(){}]*[ &*]" parameter "\\) *\\{")) {
    text = substr(text, RSTART + RLENGTH)
    any = emit(level, argument(text, 1)) || any
  }
  return any
}

# The calls of the function whose parameter it is. A level among the arguments goes before that of the call.
function emit_calls(level, name, text,    function_name, rest, any, arguments, own) {
  if (!match(text, "[A-Za-z_]+( = \\[[^]]*\\] *)?\\([^(){}]*const char\\* " name "[,)]")) return 0
  function_name = substr(text, RSTART, RLENGTH)
  sub(/[ (].*/, "", function_name)
  rest = text
  while (match(rest, "[^A-Za-z_]" function_name "\\(")) {
    rest = substr(rest, RSTART + RLENGTH)
    arguments = argument(rest, 1)
    own = level
    if (arguments ~ /^Level::k/) {
      own = arguments ~ /^Level::kWarning/ ? "warning" : arguments ~ /^Level::kError/ ? "error" : ""
      sub(/^[^,]*, */, "", arguments)
    }
    if (own != "") any = emit(own, argument(arguments, 0)) || any
  }
  return any
}

function walk(file, text,    rest, call, level, what, part) {
  rest = text
  while (match(rest, /(log|log_)(\.|->)(warning|error|write)\(/)) {
    call = substr(rest, RSTART, RLENGTH)
    rest = substr(rest, RSTART + RLENGTH)
    level = call ~ /warning/ ? "warning" : call ~ /error/ ? "error" : ""
    what = argument(rest, 0)
    if (level == "") {
      level = what ~ /kWarning/ ? "warning" : what ~ /kError/ ? "error" : "any"
      what = argument(rest, 1)
      sub(/^[^,]*, */, "", what)
      what = argument(what, 0)
    }
    gsub(/^ +| +$/, "", what)
    if (emit(level, what) || emit_function(level, what, all_code)) continue
    if (what ~ /^[A-Za-z_]+$/ && (emit_value(level, what, text) || emit_calls(level, what, text))) continue
    if (what ~ /^k[A-Z][A-Za-z]*$/ && emit_value(level, what, all_code)) continue
    wrong(file ": the text of " call what " is not found")
  }
  rest = text
  while (match(rest, /[^A-Za-z_]die\(\001/)) {
    rest = substr(rest, RSTART + RLENGTH - 1)
    emit("flannelette: fatal", argument(rest, 0))
  }
  # Lines that do not come through the log have the level in their text.
  rest = text
  while (match(rest, /\001[0-9]+\001(\)\.put_unsigned\([^()]*\)\.put\(\001[0-9]+\001)?/)) {
    split(substr(rest, RSTART, RLENGTH), part, "\001")
    rest = substr(rest, RSTART + RLENGTH - 1)
    if (literal[part[2]] !~ /^(warning|error): /) continue
    report(literal[part[2]] (part[4] == "" ? "" : "N" literal[part[4]]))
  }
}

BEGIN {
  for (i = 1; i < ARGC; ++i) {
    code[i] = read_code(ARGV[i])
    all_code = all_code code[i]
  }
  for (i = 1; i < ARGC; ++i) walk(ARGV[i], code[i])
  exit bad
}
