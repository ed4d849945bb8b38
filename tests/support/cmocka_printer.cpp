// SPDX-License-Identifier: Apache-2.0
#include "support/cmocka_printer.hpp"

#include <strings.h>

#include <algorithm>
#include <cstdarg>

namespace flannelette::tests {

namespace {

std::string message_of(const TestResult& result) {
  std::string message;
  for (const Failure& failure : result.failures) {
    if (!message.empty()) message += '\n';
    message += failure.text + '\n' + failure.file + ':' + std::to_string(failure.line) + ": error: Failure!";
  }
  return message;
}

std::size_t count_if(const std::vector<TestResult>& results, bool (*wanted)(const TestResult&)) {
  return static_cast<std::size_t>(std::count_if(results.begin(), results.end(), wanted));
}

bool is_failed(const TestResult& result) { return result.failed(); }
bool is_skipped(const TestResult& result) { return !result.failed() && result.skipped; }
bool is_passed(const TestResult& result) { return !result.failed() && !result.skipped; }

std::string with_group(std::string pattern, std::string group) {
  std::replace(group.begin(), group.end(), '/', '-');
  for (std::size_t at = pattern.find("%g"); at != std::string::npos;
       at = pattern.find("%g", at + group.size())) {
    pattern.replace(at, 2, group);
  }
  return pattern;
}

}  // namespace

OutputForm output_form_from(const char* name) {
  if (name != nullptr) {
    if (strcasecmp(name, "TAP") == 0) return OutputForm::kTap;
    if (strcasecmp(name, "SUBUNIT") == 0) return OutputForm::kSubunit;
    if (strcasecmp(name, "XML") == 0) return OutputForm::kXml;
  }
  return OutputForm::kStdout;
}

std::string xml_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      default:
        // XML 1.0 has no way to write other control characters, not even as a reference.
        escaped += (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') ? '?' : c;
    }
  }
  return escaped;
}

CmockaPrinter::CmockaPrinter(OutputForm form, std::FILE* out, const char* xml_file)
    : form_(form), out_(out), xml_file_(xml_file != nullptr ? xml_file : "") {}

void CmockaPrinter::print(const char* format, ...) {
  va_list args;
  va_start(args, format);
  std::vfprintf(out_, format, args);
  va_end(args);
  std::fflush(out_);  // a crash must not swallow the lines that lead to it
}

void CmockaPrinter::group_start(std::string_view group, std::size_t planned) {
  group_ = group;
  results_.clear();
  if (form_ == OutputForm::kStdout) print("[==========] %s: Running %zu test(s).\n", group_.c_str(), planned);
  if (form_ == OutputForm::kTap) {
    if (!tap_version_printed_) print("TAP version 13\n");
    tap_version_printed_ = true;
    print("1..%zu\n", planned);
  }
}

void CmockaPrinter::test_start(std::string_view name) {
  const std::string text(name);
  if (form_ == OutputForm::kStdout) print("[ RUN      ] %s\n", text.c_str());
  if (form_ == OutputForm::kSubunit) print("test: %s\n", text.c_str());
}

void CmockaPrinter::test_end(TestResult result) {
  results_.push_back(std::move(result));
  switch (form_) {
    case OutputForm::kStdout: print_stdout_end(results_.back()); break;
    case OutputForm::kTap: print_tap_end(results_.back()); break;
    case OutputForm::kSubunit: print_subunit_end(results_.back()); break;
    case OutputForm::kXml: break;
  }
}

void CmockaPrinter::group_end() {
  switch (form_) {
    case OutputForm::kStdout: print_stdout_summary(); break;
    case OutputForm::kTap:
      print("# %s - %s\n", count_if(results_, is_failed) == 0 ? "ok" : "not ok", group_.c_str());
      break;
    case OutputForm::kSubunit: break;
    case OutputForm::kXml: print_xml_group(); break;
  }
}

void CmockaPrinter::note(std::string_view text) {
  if (form_ == OutputForm::kStdout) print("%s\n", std::string(text).c_str());
  if (form_ == OutputForm::kTap) print_tap_comment(text);
}

void CmockaPrinter::print_stdout_end(const TestResult& result) {
  const char* name = result.name.c_str();
  for (const Failure& failure : result.failures) {
    print("[  ERROR   ] --- %s\n", failure.text.c_str());
    print("[   LINE   ] --- %s:%d: error: Failure!\n", failure.file.c_str(), failure.line);
  }
  if (result.failed()) {
    print("[  FAILED  ] %s\n", name);
  } else if (result.skipped) {
    if (!result.skip_reason.empty()) print("[   LINE   ] --- skipped: %s\n", result.skip_reason.c_str());
    print("[  SKIPPED ] %s\n", name);
  } else {
    print("[       OK ] %s\n", name);
  }
}

void CmockaPrinter::print_tap_comment(std::string_view text) {
  while (!text.empty()) {
    const std::string line(text.substr(0, text.find('\n')));
    print("# %s\n", line.c_str());
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
}

void CmockaPrinter::print_tap_end(const TestResult& result) {
  const std::size_t number = results_.size();
  const char* name = result.name.c_str();
  if (result.failed()) {
    print("not ok %zu - %s\n", number, name);
    print_tap_comment(message_of(result));
  } else if (result.skipped) {
    print("ok %zu # SKIP %s\n", number, name);
    print_tap_comment(result.skip_reason);
  } else {
    print("ok %zu - %s\n", number, name);
  }
}

void CmockaPrinter::print_subunit_end(const TestResult& result) {
  const char* name = result.name.c_str();
  if (result.failed()) {
    print("failure: %s [\n%s\n]\n", name, message_of(result).c_str());
  } else {
    print("%s: %s\n", result.skipped ? "skip" : "success", name);
  }
}

void CmockaPrinter::print_stdout_summary() {
  const auto list = [this](const char* label, const char* word, bool (*wanted)(const TestResult&)) {
    const std::size_t total = count_if(results_, wanted);
    if (total == 0) return;
    print("[  %-8s] %s: %zu test(s), listed below:\n", label, group_.c_str(), total);
    for (const TestResult& result : results_) {
      if (wanted(result)) print("[  %-8s] %s\n", label, result.name.c_str());
    }
    print("\n %zu %s TEST(S)\n", total, word);
  };
  print("[==========] %s: %zu test(s) run.\n", group_.c_str(), results_.size());
  print("[  PASSED  ] %zu test(s).\n", count_if(results_, is_passed));
  list("SKIPPED", "SKIPPED", is_skipped);
  list("FAILED", "FAILED", is_failed);
}

void CmockaPrinter::print_xml_group() {
  std::FILE* file = out_;
  bool header = !xml_header_printed_;
  if (!xml_file_.empty()) {
    const std::string path = with_group(xml_file_, group_);
    const bool begun = std::find(begun_files_.begin(), begun_files_.end(), path) != begun_files_.end();
    if (std::FILE* opened = std::fopen(path.c_str(), begun ? "a" : "wx")) {
      file = opened;
      header = !begun;
      begun_files_.push_back(path);
    }
  }
  if (file == out_) xml_header_printed_ = true;

  double seconds = 0;
  for (const TestResult& result : results_) seconds += result.seconds;
  if (header) std::fprintf(file, "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n");
  std::fprintf(file,
               "<testsuites>\n"
               "  <testsuite name=\"%s\" time=\"%.3f\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" "
               "skipped=\"%zu\" >\n",
               xml_escaped(group_).c_str(), seconds, results_.size(), count_if(results_, is_failed),
               count_if(results_, is_skipped));
  for (const TestResult& result : results_) {
    std::fprintf(file, "    <testcase name=\"%s\" time=\"%.3f\" >\n", xml_escaped(result.name).c_str(),
                 result.seconds);
    if (result.failed()) {
      std::string message = message_of(result);
      // "]]>" would end the CDATA section: split it over two sections.
      for (std::size_t at = message.find("]]>"); at != std::string::npos; at = message.find("]]>", at + 15)) {
        message.replace(at, 3, "]]]]><![CDATA[>");
      }
      std::replace_if(
          message.begin(), message.end(),
          [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t'; }, '?');
      std::fprintf(file, "      <failure><![CDATA[%s]]></failure>\n", message.c_str());
    } else if (result.skipped) {
      std::fprintf(file, "      <skipped/>\n");
      if (!result.skip_reason.empty()) {
        std::fprintf(file, "      <system-out>%s</system-out>\n", xml_escaped(result.skip_reason).c_str());
      }
    }
    std::fprintf(file, "    </testcase>\n");
  }
  std::fprintf(file, "  </testsuite>\n</testsuites>\n");
  if (file == out_) {
    std::fflush(out_);
  } else {
    std::fclose(file);
  }
}

}  // namespace flannelette::tests
