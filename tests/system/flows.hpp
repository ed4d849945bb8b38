// SPDX-License-Identifier: Apache-2.0
// Pings every 10 ms between the pods of every two machines, both ways, and what each step of a test cost
// them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "system/cluster.hpp"

namespace flannelette::tests {

/// What flows lost during one step.
struct Loss {
  int packets = 0;
  double longest_gap = 0;  ///< seconds between two answers of one flow
  void add(const Loss& other);
};

class Flows {
 public:
  /// The machines' pods; they answer each other already.
  explicit Flows(const std::vector<Machine*>& machines);
  ~Flows();
  Flows(const Flows&) = delete;
  Flows& operator=(const Flows&) = delete;

  /// A step begins here; its name is what report() shows.
  void step(const std::string& name, const Machine& moved);
  /// Stops the pings; no step follows.
  void end();

  /// After end(). Of all steps: the flows between pods of machines that were not moved in it, and those from
  /// or to a pod of the machine that was.
  Loss of_others() const { return others_; }
  Loss of_moved() const { return moved_; }
  /// A line for each step.
  const std::string& report() const { return report_; }

 private:
  struct Flow;
  struct Step {
    std::string name;
    const Machine* moved;
    double begin;  ///< seconds of the wall clock, as ping prints it
    double end;
  };
  Loss loss_of(const Flow& flow, const Step& step) const;

  std::vector<std::unique_ptr<Flow>> flows_;
  std::vector<Step> steps_;
  Loss others_, moved_;
  std::string report_;
};

}  // namespace flannelette::tests
