// SPDX-License-Identifier: Apache-2.0
// The expected texts were compared byte for byte with the output of a program linked with cmocka 1.1.7.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <fstream>
#include <sstream>

#include "support/cmocka_printer.hpp"
#include "support/temp_dir.hpp"

using namespace flannelette::tests;

namespace {

std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

template <typename Use>
std::string printed(OutputForm form, const char* xml_file, Use&& use) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  CmockaPrinter printer(form, out, xml_file);
  use(printer);
  std::fclose(out);
  std::string result(text, size);
  free(text);
  return result;
}

// What a program with one passing, one failing and one skipped test in one group and one passing test in
// another makes cmocka print.
void two_groups(CmockaPrinter& printer) {
  const auto run = [&printer](TestResult result) {
    printer.test_start(result.name);
    printer.test_end(std::move(result));
  };
  printer.group_start("json/pull", 3);
  run({.name = "ok", .failures = {}, .skip_reason = ""});
  run({.name = "bad", .failures = {{"ERROR: 1 != 2", "g.c", 7}}, .skip_reason = ""});
  run({.name = "skipit", .failures = {}, .skipped = true, .skip_reason = ""});
  printer.group_end();
  printer.group_start("http", 1);
  run({.name = "ok", .failures = {}, .skip_reason = ""});
  printer.group_end();
}

TestResult skipped_because(const char* reason) {
  return {.name = "no etcd", .failures = {}, .skipped = true, .skip_reason = reason};
}

TestResult failed_with(const char* text) {
  return {.name = "a", .failures = {{text, "g.c", 7}}, .skip_reason = ""};
}

}  // namespace

TEST_SUITE("tests/cmocka printer") {
  TEST_CASE("STDOUT form is cmocka's") {
    CHECK(printed(OutputForm::kStdout, nullptr, two_groups) ==
          "[==========] json/pull: Running 3 test(s).\n"
          "[ RUN      ] ok\n"
          "[       OK ] ok\n"
          "[ RUN      ] bad\n"
          "[  ERROR   ] --- ERROR: 1 != 2\n"
          "[   LINE   ] --- g.c:7: error: Failure!\n"
          "[  FAILED  ] bad\n"
          "[ RUN      ] skipit\n"
          "[  SKIPPED ] skipit\n"
          "[==========] json/pull: 3 test(s) run.\n"
          "[  PASSED  ] 1 test(s).\n"
          "[  SKIPPED ] json/pull: 1 test(s), listed below:\n"
          "[  SKIPPED ] skipit\n"
          "\n"
          " 1 SKIPPED TEST(S)\n"
          "[  FAILED  ] json/pull: 1 test(s), listed below:\n"
          "[  FAILED  ] bad\n"
          "\n"
          " 1 FAILED TEST(S)\n"
          "[==========] http: Running 1 test(s).\n"
          "[ RUN      ] ok\n"
          "[       OK ] ok\n"
          "[==========] http: 1 test(s) run.\n"
          "[  PASSED  ] 1 test(s).\n");
  }

  TEST_CASE("TAP form is cmocka's") {
    CHECK(printed(OutputForm::kTap, nullptr, two_groups) ==
          "TAP version 13\n"
          "1..3\n"
          "ok 1 - ok\n"
          "not ok 2 - bad\n"
          "# ERROR: 1 != 2\n"
          "# g.c:7: error: Failure!\n"
          "ok 3 # SKIP skipit\n"
          "# not ok - json/pull\n"
          "1..1\n"
          "ok 1 - ok\n"
          "# ok - http\n");
  }

  TEST_CASE("SUBUNIT form is cmocka's") {
    CHECK(printed(OutputForm::kSubunit, nullptr, two_groups) ==
          "test: ok\n"
          "success: ok\n"
          "test: bad\n"
          "failure: bad [\n"
          "ERROR: 1 != 2\n"
          "g.c:7: error: Failure!\n"
          "]\n"
          "test: skipit\n"
          "skip: skipit\n"
          "test: ok\n"
          "success: ok\n");
  }

  TEST_CASE("XML form is cmocka's") {
    CHECK(
        printed(OutputForm::kXml, nullptr, two_groups) ==
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n"
        "<testsuites>\n"
        "  <testsuite name=\"json/pull\" time=\"0.000\" tests=\"3\" failures=\"1\" errors=\"0\" "
        "skipped=\"1\" >\n"
        "    <testcase name=\"ok\" time=\"0.000\" >\n"
        "    </testcase>\n"
        "    <testcase name=\"bad\" time=\"0.000\" >\n"
        "      <failure><![CDATA[ERROR: 1 != 2\n"
        "g.c:7: error: Failure!]]></failure>\n"
        "    </testcase>\n"
        "    <testcase name=\"skipit\" time=\"0.000\" >\n"
        "      <skipped/>\n"
        "    </testcase>\n"
        "  </testsuite>\n"
        "</testsuites>\n"
        "<testsuites>\n"
        "  <testsuite name=\"http\" time=\"0.000\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\" >\n"
        "    <testcase name=\"ok\" time=\"0.000\" >\n"
        "    </testcase>\n"
        "  </testsuite>\n"
        "</testsuites>\n");
  }

  TEST_CASE("XML is well formed whatever names and messages hold") {
    const std::string xml = printed(OutputForm::kXml, nullptr, [](CmockaPrinter& printer) {
      printer.group_start("a \"<&>\" b", 1);
      printer.test_end(failed_with("x ]]> y \x01"));
      printer.group_end();
    });
    CHECK(xml.find("name=\"a &quot;&lt;&amp;&gt;&quot; b\"") != std::string::npos);
    CHECK(xml.find("<![CDATA[x ]]]]><![CDATA[> y ?\n") != std::string::npos);
  }

  TEST_CASE("the form is chosen as cmocka chooses it") {
    CHECK(output_form_from(nullptr) == OutputForm::kStdout);
    CHECK(output_form_from("stdout") == OutputForm::kStdout);
    CHECK(output_form_from("nonsense") == OutputForm::kStdout);
    CHECK(output_form_from("tap") == OutputForm::kTap);
    CHECK(output_form_from("Subunit") == OutputForm::kSubunit);
    CHECK(output_form_from("XML") == OutputForm::kXml);
  }

  TEST_CASE("a skip reason is one line more") {
    const auto skip = [](CmockaPrinter& printer) {
      printer.group_start("g", 1);
      printer.test_end(skipped_because("no <etcd> here"));
      printer.group_end();
    };
    CHECK(printed(OutputForm::kStdout, nullptr, skip)
              .find("[   LINE   ] --- skipped: no <etcd> here\n[  SKIPPED ] no etcd\n") != std::string::npos);
    CHECK(printed(OutputForm::kTap, nullptr, skip).find("ok 1 # SKIP no etcd\n# no <etcd> here\n") !=
          std::string::npos);
    CHECK(printed(OutputForm::kXml, nullptr, skip)
              .find("<skipped/>\n      <system-out>no &lt;etcd&gt; here</system-out>\n") !=
          std::string::npos);
  }

  TEST_CASE("%g in CMOCKA_XML_FILE gives every group a file of its own") {
    const TempDir dir;
    CHECK(printed(OutputForm::kXml, dir.file("%g.xml").c_str(), two_groups) == "");
    const std::string json = read_file(dir.file("json-pull.xml"));
    const std::string http = read_file(dir.file("http.xml"));
    CHECK(json.starts_with("<?xml"));
    CHECK(json.find("name=\"json/pull\"") != std::string::npos);
    CHECK(http.starts_with("<?xml"));
    CHECK(http.find("name=\"http\"") != std::string::npos);
  }

  TEST_CASE("groups that share a file are appended, and the header comes once") {
    const TempDir dir;
    const std::string path = dir.file("all.xml");
    CHECK(printed(OutputForm::kXml, path.c_str(), two_groups) == "");
    const std::string xml = read_file(path);
    CHECK(xml.rfind("<?xml") == 0);
    CHECK(xml.find("name=\"http\"") != std::string::npos);
  }

  TEST_CASE("an XML file of somebody else is left alone") {
    const TempDir dir;
    const std::string path = dir.file("theirs.xml");
    std::ofstream(path) << "theirs";
    CHECK(printed(OutputForm::kXml, path.c_str(), two_groups).starts_with("<?xml"));
    CHECK(read_file(path) == "theirs");
  }
}
