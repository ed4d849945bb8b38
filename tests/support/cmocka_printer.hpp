// SPDX-License-Identifier: Apache-2.0
// Prints test results in the output forms of cmocka 1.1.7, so that whatever reads cmocka reads us.
//
// Two deliberate differences: everything goes to stdout (cmocka sends part of STDOUT form to stderr), and XML
// is escaped (cmocka copies names and messages as they are). A skip reason, which cmocka cannot print, is one
// extra line (an extra <system-out> element in XML); all other lines are cmocka's own.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace flannelette::tests {

enum class OutputForm { kStdout, kTap, kSubunit, kXml };

/// The form named by CMOCKA_MESSAGE_OUTPUT: case does not matter, unknown or absent (nullptr) means STDOUT.
OutputForm output_form_from(const char* name);

/// `text` made safe for XML character data and double-quoted attributes.
std::string xml_escaped(std::string_view text);

struct Failure {
  std::string text;
  std::string file;
  int line = 0;
};

struct TestResult {
  std::string name;
  std::vector<Failure> failures;  ///< not empty: the test failed
  bool skipped = false;           ///< only meaningful when nothing failed
  std::string skip_reason;
  double seconds = 0;

  bool failed() const { return !failures.empty(); }
};

class CmockaPrinter {
 public:
  /// `xml_file`: the value of CMOCKA_XML_FILE or nullptr; `%g` in it stands for the group's name, '/' turned
  /// into
  /// '-'. Like cmocka it never overwrites a file that it did not begin itself, but falls back to `out`.
  CmockaPrinter(OutputForm form, std::FILE* out, const char* xml_file);

  void group_start(std::string_view group, std::size_t planned);
  void test_start(std::string_view name);
  void test_end(TestResult result);
  void group_end();

  /// Free text of a running test: a line of its own in STDOUT form, a comment in TAP, dropped elsewhere.
  void note(std::string_view text);

 private:
  void print(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void print_stdout_end(const TestResult& result);
  void print_tap_end(const TestResult& result);
  void print_subunit_end(const TestResult& result);
  void print_stdout_summary();
  void print_xml_group();
  void print_tap_comment(std::string_view text);

  const OutputForm form_;
  std::FILE* const out_;
  const std::string xml_file_;
  std::vector<std::string> begun_files_;
  bool tap_version_printed_ = false;
  bool xml_header_printed_ = false;
  std::string group_;
  std::vector<TestResult> results_;
};

}  // namespace flannelette::tests
