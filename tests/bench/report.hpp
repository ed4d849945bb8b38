// SPDX-License-Identifier: Apache-2.0
// What was measured, and the one table that it becomes: a row a quantity, a column for each program.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace flannelette::bench {

enum class Unit { kSeconds, kKib, kBytes, kCount, kMbPerSecond, kInstructions };

/// The columns that are always there.
inline const std::string kOurs = "flannelette";
inline const std::string kFloor = "floor";

class Report {
 public:
  struct Row {
    std::string chart;  ///< names the rows that are one curve, "" for none
    long peers = 0;     ///< where on the curve
    std::string label;
    Unit unit;
  };

  /// The rows that follow stand under this title.
  void section(const std::string& title);
  /// One more measurement in the cell of this row and column; rows and columns come into being by it, columns
  /// in the order of declare_columns().
  void add(const Row& row, const std::string& column, double value);
  /// What stands in a cell that nothing could be measured for.
  void note(const Row& row, const std::string& column, const std::string& text);
  void declare_columns(std::vector<std::string> columns) { columns_ = std::move(columns); }

  std::optional<double> median(const std::string& label, const std::string& column) const;
  /// What must hold: `value` at most `limit`; nothing where there was no value.
  void target(const std::string& text, std::optional<double> value, double limit);

  void print() const;
  /// Tab-separated: chart, peers, label, unit, column, median, least, greatest, number of measurements.
  void save(const std::string& path) const;

 private:
  struct Cell {
    std::string column;
    std::vector<double> values;
    std::string note;
  };
  struct Line {
    std::string title;  ///< not empty: a section begins, nothing else counts
    Row row;
    std::vector<Cell> cells;
  };
  struct Target {
    std::string text;
    double value;
    double limit;
  };
  Cell& cell(const Row& row, const std::string& column);
  const Cell* find(const Line& line, const std::string& column) const;

  std::vector<std::string> columns_;
  std::vector<Line> lines_;
  std::vector<Target> targets_;
};

/// "10,000"
std::string grouped(long number);
std::string shown(double value, Unit unit);
std::optional<double> quotient(std::optional<double> a, std::optional<double> b);

}  // namespace flannelette::bench
