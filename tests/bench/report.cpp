// SPDX-License-Identifier: Apache-2.0
#include "bench/report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

namespace flannelette::bench {
namespace {

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::string text_of(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

/// Three significant digits.
std::string three(double value) {
  const double size = std::fabs(value);
  return text_of(value, size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

const char* unit_name(Unit unit) {
  switch (unit) {
    case Unit::kSeconds: return "s";
    case Unit::kKib: return "KiB";
    case Unit::kBytes: return "B";
    case Unit::kCount: return "";
    case Unit::kMbPerSecond: return "MB/s";
    case Unit::kInstructions: return "instructions";
  }
  return "";
}

}  // namespace

std::string grouped(long number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<long>(text.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

std::string shown(double value, Unit unit) {
  switch (unit) {
    case Unit::kSeconds:
      if (value < 1e-3) return three(value * 1e6) + " us";
      if (value < 1) return three(value * 1e3) + " ms";
      return three(value) + " s";
    case Unit::kKib:
      return value < 10'000 ? grouped(std::lround(value)) + " KiB" : three(value / 1024) + " MiB";
    case Unit::kBytes: return grouped(std::lround(value)) + " B";
    case Unit::kCount:
      return value < 10 && value != std::floor(value) ? three(value) : grouped(std::lround(value));
    case Unit::kMbPerSecond: return three(value) + " MB/s";
    case Unit::kInstructions: return grouped(std::lround(value));
  }
  return "";
}

std::optional<double> quotient(std::optional<double> a, std::optional<double> b) {
  if (!a || !b || *b == 0) return std::nullopt;
  return *a / *b;
}

void Report::section(const std::string& title) {
  lines_.push_back({});
  lines_.back().title = title;
}

Report::Cell& Report::cell(const Row& row, const std::string& column) {
  auto line =
      std::find_if(lines_.begin(), lines_.end(), [&](const Line& l) { return l.row.label == row.label; });
  if (line == lines_.end()) {
    lines_.push_back({});
    line = lines_.end() - 1;
    line->row = row;
  }
  auto& cells = line->cells;
  auto found = std::find_if(cells.begin(), cells.end(), [&](const Cell& c) { return c.column == column; });
  if (found == cells.end()) {
    cells.push_back({column, {}, ""});
    found = cells.end() - 1;
  }
  return *found;
}

void Report::add(const Row& row, const std::string& column, double value) {
  cell(row, column).values.push_back(value);
  std::fprintf(stderr, "  %-64s %-16s %s\n", row.label.c_str(), column.c_str(),
               shown(value, row.unit).c_str());
}

void Report::note(const Row& row, const std::string& column, const std::string& text) {
  cell(row, column).note = text;
  std::fprintf(stderr, "  %-64s %-16s %s\n", row.label.c_str(), column.c_str(), text.c_str());
}

const Report::Cell* Report::find(const Line& line, const std::string& column) const {
  for (const Cell& cell : line.cells) {
    if (cell.column == column) return &cell;
  }
  return nullptr;
}

std::optional<double> Report::median(const std::string& label, const std::string& column) const {
  for (const Line& line : lines_) {
    if (line.row.label != label) continue;
    const Cell* const cell = find(line, column);
    if (cell == nullptr || cell->values.empty() || !cell->note.empty()) return std::nullopt;
    return median_of(cell->values);
  }
  return std::nullopt;
}

void Report::target(const std::string& text, std::optional<double> value, double limit) {
  if (value) targets_.push_back({text, *value, limit});
}

void Report::print() const {
  std::vector<std::string> used;
  for (const std::string& column : columns_) {
    if (std::any_of(lines_.begin(), lines_.end(), [&](const Line& l) { return find(l, column) != nullptr; }))
      used.push_back(column);
  }
  std::printf("%-64s", "");
  for (const std::string& column : used) std::printf("%-*s", column == kOurs ? 14 : 22, column.c_str());
  for (const Line& line : lines_) {
    if (!line.title.empty()) {
      std::printf("\n%s\n", line.title.c_str());
      continue;
    }
    std::printf("  %-62s", line.row.label.c_str());
    const auto ours = median(line.row.label, kOurs);
    for (const std::string& column : used) {
      const Cell* const cell = find(line, column);
      std::string text;
      if (cell != nullptr && !cell->note.empty()) {
        text = cell->note;
      } else if (cell != nullptr) {
        const double value = median_of(cell->values);
        text = shown(value, line.row.unit);
        if (const auto ratio = quotient(value, ours); ratio && column != kOurs)
          text += " (" + three(*ratio) + ")";
      }
      std::printf("%-*s", column == kOurs ? 14 : 22, text.c_str());
    }
    std::printf("\n");
  }
  std::printf("\nIn brackets: the multiple of flannelette's. Medians where there were several rounds.\n");
  if (!targets_.empty()) std::printf("\nTargets\n");
  for (const Target& target : targets_) {
    std::printf("  %-62s%s, %s\n", target.text.c_str(), three(target.value).c_str(),
                target.value <= target.limit ? "met" : "MISSED");
  }
}

void Report::save(const std::string& path) const {
  std::ofstream out(path);
  out.precision(9);
  for (const Line& line : lines_) {
    for (const Cell& cell : line.cells) {
      if (cell.values.empty()) continue;
      const auto [least, greatest] = std::minmax_element(cell.values.begin(), cell.values.end());
      out << line.row.chart << '\t' << line.row.peers << '\t' << line.row.label << '\t'
          << unit_name(line.row.unit) << '\t' << cell.column << '\t' << median_of(cell.values) << '\t'
          << *least << '\t' << *greatest << '\t' << cell.values.size() << '\n';
    }
  }
}

}  // namespace flannelette::bench
