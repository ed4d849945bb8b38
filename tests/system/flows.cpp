// SPDX-License-Identifier: Apache-2.0
#include "system/flows.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <sstream>

namespace flannelette::tests {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

struct Answer {
  int sequence;
  double time;
};

std::string shown(const Loss& loss) {
  char text[64];
  std::snprintf(text, sizeof text, "%d lost, longest gap %.0f ms", loss.packets, loss.longest_gap * 1000);
  return text;
}

}  // namespace

void Loss::add(const Loss& other) {
  packets += other.packets;
  longest_gap = std::max(longest_gap, other.longest_gap);
}

struct Flows::Flow {
  Flow(const Machine& source, const Machine& target)
      : from(&source),
        to(&target),
        ping({.args = {"ping", "-D", "-n", "-i", "0.01", host_in(target.subnet(), 2)},
              .netns = source.pod().name()}) {}
  /// Lines such as "[1764000000.123456] 64 bytes from 10.64.7.2: icmp_seq=12 ttl=62 time=0.1 ms".
  void read() {
    const std::string text = ping.output();
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
      double time = 0;
      int sequence = 0;
      const auto at = line.find(" bytes from ");
      const auto number = line.find("icmp_seq=");
      if (at != std::string::npos && std::sscanf(line.c_str(), "[%lf]", &time) == 1 &&
          std::sscanf(line.c_str() + std::min(number, line.size()), "icmp_seq=%d", &sequence) == 1) {
        answers.push_back({sequence, time});
      } else if (line.find(" packets transmitted") != std::string::npos) {
        sent = std::stoi(line);
      }
    }
    std::sort(answers.begin(), answers.end(),
              [](const Answer& a, const Answer& b) { return a.sequence < b.sequence; });
  }

  const Machine* from;
  const Machine* to;
  Process ping;
  std::vector<Answer> answers;
  int sent = 0;
};

Flows::Flows(const std::vector<Machine*>& machines) {
  for (const Machine* from : machines) {
    for (const Machine* to : machines) {
      if (from != to) flows_.push_back(std::make_unique<Flow>(*from, *to));
    }
  }
}

Flows::~Flows() = default;

void Flows::step(const std::string& name, const Machine& moved) {
  if (!steps_.empty()) steps_.back().end = now();
  steps_.push_back({name, &moved, now(), 0});
}

Loss Flows::loss_of(const Flow& flow, const Step& step) const {
  Loss loss;
  const Answer* before = nullptr;
  for (const Answer& answer : flow.answers) {
    if (before != nullptr && answer.time >= step.begin && answer.time < step.end)
      loss.add({answer.sequence - before->sequence - 1, answer.time - before->time});
    before = &answer;
  }
  // The answer to the last one may be on its way.
  const Answer last = before != nullptr ? *before : Answer{0, step.begin};
  if (&step == &steps_.back()) loss.add({std::max(0, flow.sent - last.sequence - 1), step.end - last.time});
  return loss;
}

void Flows::end() {
  steps_.back().end = now();
  for (const auto& flow : flows_) flow->ping.signal(SIGINT);
  for (const auto& flow : flows_) {
    flow->ping.wait(std::chrono::seconds(5));
    flow->read();
  }
  for (const Step& step : steps_) {
    Loss others, moved;
    for (const auto& flow : flows_)
      (flow->from == step.moved || flow->to == step.moved ? moved : others).add(loss_of(*flow, step));
    report_ += step.name + ": of the others " + shown(others) + "; of its own " + shown(moved) + "\n";
    others_.add(others);
    moved_.add(moved);
  }
}

}  // namespace flannelette::tests
