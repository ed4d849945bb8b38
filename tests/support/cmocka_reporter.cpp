// SPDX-License-Identifier: Apache-2.0
#define DOCTEST_CONFIG_IMPLEMENT
#if defined(FLANNELETTE_SANITIZE)
#define DOCTEST_CONFIG_NO_POSIX_SIGNALS  // the sanitizer's own report of a crash says more
#endif
#include "support/cmocka_reporter.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "support/cmocka_printer.hpp"
#include "support/skip.hpp"

namespace flannelette::tests {

namespace {

using std::string;

// doctest creates the reporter itself, so what it shares with run_all and with running tests lives here.
std::map<string, std::size_t> planned_tests;
bool skip_marked = false;
string skip_reason;
std::vector<std::function<string()>> failure_lines;

string group_of(const doctest::TestCaseData& test) {
  return test.m_test_suite[0] != '\0' ? test.m_test_suite : "tests";
}

// Binaries may be built with absolute paths; output names files as they are named in the repository.
string in_repository(std::string_view file) {
  for (const std::string_view top : {"/tests/", "/src/", "/include/"}) {
    if (const std::size_t at = file.rfind(top); at != std::string_view::npos)
      return string(file.substr(at + 1));
  }
  return string(file);
}

string text_of(const doctest::AssertData& data) {
  namespace type = doctest::assertType;
  string text = string(doctest::assertString(data.m_at)) + "( " + data.m_expr;
  if (data.m_at & type::is_throws_as) text += string(", ") + data.m_exception_type;
  if (data.m_at & type::is_throws_with) text += string(", \"") + data.m_exception_string.c_str() + "\"";
  text += " )";
  if (data.m_threw) return text + " threw: " + data.m_exception.c_str();
  if (data.m_at & (type::is_throws | type::is_throws_as | type::is_throws_with))
    return text + " did not throw";
  return text + " is not so: " + data.m_decomp.c_str();
}

class CmockaReporter final : public doctest::IReporter {
 public:
  explicit CmockaReporter(const doctest::ContextOptions& /*options*/)
      : printer_(output_form_from(std::getenv("CMOCKA_MESSAGE_OUTPUT")), stdout,
                 std::getenv("CMOCKA_XML_FILE")) {}

  void report_query(const doctest::QueryData& query) override {
    for (unsigned i = 0; i < query.num_data; i++) planned_tests[group_of(*query.data[i])]++;
  }

  void test_run_start() override {}

  void test_run_end(const doctest::TestRunStats& /*stats*/) override {
    if (!group_.empty()) printer_.group_end();
  }

  void test_case_start(const doctest::TestCaseData& test) override {
    const string group = group_of(test);
    if (group != group_) {
      if (!group_.empty()) printer_.group_end();
      printer_.group_start(group, planned_tests[group]);
      group_ = group;
    }
    test_ = &test;
    result_ = {};
    result_.name = test.m_name;
    skip_marked = false;
    skip_reason.clear();
    failure_lines.clear();
    subcases_.clear();
    printer_.test_start(result_.name);
  }

  void test_case_reenter(const doctest::TestCaseData& /*test*/) override { subcases_.clear(); }

  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    // A test that doctest calls failed without a failing assert: decorators and time limits.
    if (!stats.testCaseSuccess && !result_.failed()) fail("the test failed without a failing assert", {}, 0);
    if (stats.testCaseSuccess) result_.failures.clear();  // should_fail, may_fail
    if (result_.failed()) {
      for (const auto& line : failure_lines) {
        if (const string text = line(); !text.empty()) result_.failures.back().text += "\n" + text;
      }
    }
    result_.skipped = skip_marked;
    result_.skip_reason = skip_reason;
    result_.seconds = stats.seconds;
    printer_.test_end(std::move(result_));
  }

  void test_case_exception(const doctest::TestCaseException& thrown) override {
    fail(string(thrown.is_crash ? "the test crashed: " : "the test threw: ") + thrown.error_string.c_str(),
         {}, 0);
  }

  void subcase_start(const doctest::SubcaseSignature& subcase) override {
    subcases_.emplace_back(subcase.m_name.c_str());
  }
  void subcase_end() override {
    if (!subcases_.empty()) subcases_.pop_back();
  }

  void log_assert(const doctest::AssertData& data) override {
    if (!data.m_failed) return;
    if (data.m_at & doctest::assertType::is_warn) {
      printer_.note(text_of(data));
    } else {
      fail(text_of(data), data.m_file, data.m_line);
    }
  }

  void log_message(const doctest::MessageData& message) override {
    if (message.m_severity & doctest::assertType::is_warn) {
      printer_.note(message.m_string.c_str());
    } else {
      fail(message.m_string.c_str(), message.m_file, message.m_line);
    }
  }

  void test_case_skipped(const doctest::TestCaseData& /*test*/) override {}

 private:
  // Without a file the failure is charged to the test's own line.
  void fail(string text, std::string_view file, int line) {
    for (const string& subcase : subcases_) text += "\n  in: " + subcase;
    const int contexts = get_num_active_contexts();
    const doctest::IContextScope* const* active = get_active_contexts();
    for (int i = 0; i < contexts; i++) {
      std::ostringstream context;
      active[i]->stringify(&context);
      text += "\n  with: " + context.str();
    }
    if (file.empty()) {
      file = test_->m_file.c_str();
      line = static_cast<int>(test_->m_line);
    }
    result_.failures.push_back({std::move(text), in_repository(file), line});
  }

  CmockaPrinter printer_;
  string group_;
  const doctest::TestCaseData* test_ = nullptr;
  TestResult result_;
  std::vector<string> subcases_;
};

REGISTER_REPORTER("cmocka", 1, CmockaReporter);

bool chooses_reporter(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    const std::string_view arg = argv[i];
    for (const std::string_view option : {"-r=", "--reporters=", "-dt-r=", "--dt-reporters="}) {
      if (arg.starts_with(option)) return true;
    }
  }
  return false;
}

void prepare(doctest::Context& context, int argc, char** argv) {
  context.applyCommandLine(argc, argv);
  context.setOption("order-by", "suite");  // a group is printed in one piece
  context.setOption("no-skip", true);      // no test may leave the run without a word: use SKIP
  context.setOption("no-intro", true);
}

}  // namespace

void mark_skipped(string reason) {
  skip_marked = true;
  skip_reason = std::move(reason);
}

void on_failure_print(std::function<string()> line) { failure_lines.push_back(std::move(line)); }

int run_all(int argc, char** argv) {
  doctest::Context context;
  prepare(context, argc, argv);
  if (context.shouldExit() || chooses_reporter(argc, argv)) return context.run();

  // cmocka names the number of tests of a group before it runs; doctest only tells in a query.
  std::vector<char*> query_args(argv, argv + argc);
  string list = "--list-test-cases";  // doctest takes its queries from a command line only
  query_args.push_back(list.data());
  doctest::Context query;
  prepare(query, static_cast<int>(query_args.size()), query_args.data());
  query.setOption("reporters", "cmocka");
  query.run();

  context.setOption("reporters", "cmocka");
  return context.run();
}

}  // namespace flannelette::tests
