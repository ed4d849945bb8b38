# SPDX-License-Identifier: Apache-2.0
#
# One chart of a benchmark's results (bench.cpp writes them) as SVG, on logarithmic axes. For any awk.
#
#   awk -f chart.awk -v chart=sync  -v title='...' -v axis='...' results.tsv >time.svg
#   awk -f chart.awk -v chart=rss ...
#
# `chart` chooses the rows (first field). Units: s and KiB, written on the axis as ms, s, KiB, MiB.

function log10(x) { return log(x) / log(10) }
function floor(x) { return x < int(x) ? int(x) - 1 : int(x) }
function ceil(x) { return -floor(-x) }
function x_of(peers) { return left + (log10(peers) - x_low) / (x_high - x_low) * (right - left) }
function y_of(value) { return bottom - (log10(value) - y_low) / (y_high - y_low) * (bottom - top) }

function grouped(n,    text) {
  text = sprintf("%d", n)
  while (text ~ /[0-9][0-9][0-9][0-9]/) {
    match(text, /[0-9][0-9][0-9](,|$)/)
    text = substr(text, 1, RSTART - 1) "," substr(text, RSTART)
    if (text ~ /^,/) text = substr(text, 2)
    if (text !~ /[0-9][0-9][0-9][0-9]/) break
  }
  return text
}

# Two significant digits; three from 100 on.
function number(x) { return x >= 10 ? sprintf("%.0f", x) : sprintf("%.1f", x) }
function shown(value) {
  if (unit == "s") return value < 1 ? number(value * 1000) " ms" : number(value) " s"
  return value < 1024 ? number(value) " KiB" : number(value / 1024) " MiB"
}

function text(x, y, anchor, style, words) {
  gsub(/&/, "\\&amp;", words)
  gsub(/</, "\\&lt;", words)
  printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" %s>%s</text>\n", x, y, anchor, style, words
}
function line(x1, y1, x2, y2, style) {
  printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2, y2, style
}

BEGIN {
  FS = "\t"
  width = 760; height = 470; left = 86; right = 722; top = 92; bottom = 368
  colours["flannelette"] = "#0969da"; colours["floor"] = "#6e7781"
  split("#cf222e #bc4c00 #8250df #9a6700", more, " ")
}

$1 == "machine" { machine = $3 }
$1 == chart {
  unit = $4
  if (!($5 in known)) {
    known[$5] = 1
    series[++count] = $5
    if (!($5 in colours)) colours[$5] = more[++others]
  }
  value[$5, $2] = $6
  if (!($2 in at)) { at[$2] = 1; peers[++points] = $2 }
  if (least == 0 || $6 < least) least = $6
  if ($6 > greatest) greatest = $6
  if (first == 0 || $2 + 0 < first) first = $2 + 0
  if ($2 + 0 > last) last = $2 + 0
}

END {
  if (points < 2) { print "chart.awk: two sizes at least are needed for " chart >"/dev/stderr"; exit 1 }
  for (i = 2; i <= points; ++i)  # by number of peers
    for (j = i; j > 1 && peers[j] + 0 < peers[j - 1] + 0; --j) { k = peers[j]; peers[j] = peers[j - 1]; peers[j - 1] = k }
  # A little room to both sides; up and down to the next third of a decade.
  x_low = log10(first) - 0.15; x_high = log10(last) + 0.15
  y_low = floor(log10(least) * 3 - 0.7) / 3; y_high = ceil(log10(greatest) * 3 + 0.7) / 3

  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" ", width, height, width, height
  print "font-family=\"-apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif\" font-size=\"13\">"
  print "<title>" title "</title>"
  printf "<rect x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"6\" fill=\"#ffffff\" stroke=\"#d0d7de\"/>\n", width - 1, height - 1
  text(24, 34, "start", "font-size=\"17\" font-weight=\"600\" fill=\"#1f2328\"", title)

  # Axes. Memory has its lines at powers of two times 1 MiB, time at powers of ten.
  grid = "stroke=\"#eaeef2\""
  for (step = unit == "s" ? 1e-6 : 1 / 1024; step <= greatest * 100; step *= unit == "s" ? 10 : 4) {
    mark = unit == "s" ? step : step * 1024
    if (log10(mark) < y_low - 1e-9 || log10(mark) > y_high + 1e-9) continue
    line(left, y_of(mark), right, y_of(mark), grid)
    if (unit == "s") label = mark < 0.9 ? sprintf("%g ms", mark * 1000) : sprintf("%g s", mark)
    else label = mark < 1000 ? sprintf("%g KiB", mark) : sprintf("%g MiB", mark / 1024)
    text(left - 10, y_of(mark) + 4.5, "end", "fill=\"#59636e\"", label)
  }
  for (i = 1; i <= points; ++i) {
    line(x_of(peers[i]), top, x_of(peers[i]), bottom, grid)
    text(x_of(peers[i]), bottom + 21, "middle", "fill=\"#59636e\"", grouped(peers[i]))
  }
  printf "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#afb8c1\"/>\n", left, top, right - left, bottom - top
  text((left + right) / 2, bottom + 45, "middle", "fill=\"#1f2328\"", "peers (logarithmic)")
  printf "<g transform=\"translate(22 %.1f) rotate(-90)\">", (top + bottom) / 2
  text(0, 0, "middle", "fill=\"#1f2328\"", axis)
  print "</g>"

  x = left
  for (pass = 1; pass <= 3; ++pass) for (s = 1; s <= count; ++s) {
    name = series[s]
    if ((name == "flannelette" ? 1 : name == "floor" ? 3 : 2) != pass) continue
    dash = name == "floor" ? " stroke-dasharray=\"6 4\"" : ""
    thick = name == "flannelette" ? 3 : 2
    line(x, 66, x + 26, 66, "stroke=\"" colours[name] "\" stroke-width=\"" thick "\"" dash)
    label = name == "floor" && floor_label != "" ? floor_label : name
    text(x + 33, 70.5, "start", "fill=\"#1f2328\"", label)
    x += 33 + 6.9 * length(label) + 20
  }

  # The floor first, ours last and on top.
  for (pass = 1; pass <= 3; ++pass)
    for (s = 1; s <= count; ++s) {
      name = series[s]
      if ((name == "floor" ? 1 : name == "flannelette" ? 3 : 2) != pass) continue
      path = ""
      for (i = 1; i <= points; ++i)
        if ((name, peers[i]) in value)
          path = path sprintf("%s%.1f %.1f", path == "" ? "M" : " L", x_of(peers[i]), y_of(value[name, peers[i]]))
      dash = name == "floor" ? " stroke-dasharray=\"6 4\"" : ""
      printf "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"%d\" stroke-linejoin=\"round\"%s/>\n", path, colours[name], name == "flannelette" ? 3 : 2, dash
      for (i = 1; i <= points; ++i)
        if ((name, peers[i]) in value && name != "floor")
          printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%g\" fill=\"%s\"/>\n", x_of(peers[i]), y_of(value[name, peers[i]]), name == "flannelette" ? 4.5 : 3.5, colours[name]
    }
  # Figures: ours above its line, since the floor is below; of the others the greatest above, the next one below its line.
  for (i = 1; i <= points; ++i) {
    if (("flannelette", peers[i]) in value) figure("flannelette", peers[i], -12)
    high = next_one = ""
    for (s = 1; s <= count; ++s) {
      name = series[s]
      if (name == "floor" || name == "flannelette" || !((name, peers[i]) in value)) continue
      if (high == "" || value[name, peers[i]] > value[high, peers[i]]) { next_one = high; high = name }
      else if (next_one == "" || value[name, peers[i]] > value[next_one, peers[i]]) next_one = name
    }
    if (high != "") figure(high, peers[i], -11)
    room = ("flannelette", peers[i]) in value && next_one != "" ? y_of(value["flannelette", peers[i]]) - y_of(value[next_one, peers[i]]) : 99
    if (next_one != "" && room > 46) figure(next_one, peers[i], 20)
  }
  text(24, height - 18, "start", "font-size=\"11.5\" fill=\"#59636e\"", machine)
  print "</svg>"
}

function figure(name, n, dy,    x, anchor) {
  text(x_of(n), y_of(value[name, n]) + dy, "middle", \
    "font-size=\"12\" font-weight=\"600\" fill=\"" colours[name] "\" stroke=\"#ffffff\" stroke-width=\"3\" paint-order=\"stroke\"", shown(value[name, n]))
}
