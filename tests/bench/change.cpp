// SPDX-License-Identifier: Apache-2.0
// Many changes at once: a burst of joins, as many leaving, the device taken down or away.
#include "bench/lab.hpp"

namespace flannelette::bench {
namespace {

using namespace tests;

struct Rows {
  Rows(int peers, int burst)
      : name_("among " + grouped(peers) + ": "),
        join(row(grouped(burst) + " join")),
        leave(row(grouped(burst) + " leave")),
        bounce(row("device down and up, repaired")),
        lost(row("device deleted, repaired")) {}

 private:
  Report::Row row(const std::string& label) const { return {"", 0, name_ + label, Unit::kSeconds}; }
  const std::string name_;

 public:
  const Report::Row join, leave, bounce, lost;
};

const char* const kDown = "link set flannel.1 down";
const char* const kUp = "link set flannel.1 up";
const char* const kDelete = "link del flannel.1";

/// As nodes come and go, each for itself, without a pause.
void one_by_one(Lab& lab, int peers) { lab.set_peers(peers, 1); }

/// The puts and removals themselves; the kernel's own share of losing a device, and the entries made anew.
void measure_floor(const Settings& settings, Lab& lab, int peers, const Rows& rows, Report& report) {
  lab.set_peers(peers);
  double start = now();
  one_by_one(lab, peers + settings.burst);
  report.add(rows.join, kFloor, now() - start);
  start = now();
  one_by_one(lab, peers);
  report.add(rows.leave, kFloor, now() - start);

  const Guest guest(lab);
  const double batch = floor_seconds(settings, guest.node(), peers);
  start = now();
  guest.node().ip(kDown);
  guest.node().ip(kUp);
  report.add(rows.bounce, kFloor, now() - start + batch);
  guest.node().ip(kDelete);
  (void)floor_seconds(settings, guest.node(), peers);
  start = now();
  guest.node().ip(kDelete);
  report.add(rows.lost, kFloor, now() - start + batch);
}

void measure_agent(const Settings& settings, Lab& lab, const Contender& contender, int peers,
                   const Rows& rows, Report& report) {
  lab.set_peers(peers);
  Guest guest(lab);
  guest.start(contender);
  if (!guest.tables().wait(peers, settings.wait_seconds + peers / 50.0))
    return report.note(rows.join, contender.name, "not ready");

  const auto measure = [&](const Report::Row& row, int expected, auto&& disturb) {
    const double start = now();
    disturb();
    const auto done = guest.tables().wait(expected, settings.wait_seconds);
    if (done) {
      report.add(row, contender.name, *done - start);
    } else {
      report.note(row, contender.name, "not in " + std::to_string(settings.wait_seconds) + " s");
    }
  };
  measure(rows.join, peers + settings.burst, [&] { one_by_one(lab, peers + settings.burst); });
  measure(rows.leave, peers, [&] { one_by_one(lab, peers); });
  measure(rows.bounce, peers, [&] {
    guest.node().ip(kDown);
    guest.node().ip(kUp);
  });
  measure(rows.lost, peers, [&] { guest.node().ip(kDelete); });
}

}  // namespace

void bench_change(const Settings& settings, Report& report) {
  report.section(
      "Many changes at once (the floor: the puts and removals in etcd alone; the device's loss with no agent "
      "and "
      "the bare netlink)");
  Lab lab;
  for (const int peers : settings.burst_sizes) {
    const Rows rows(peers, settings.burst);
    for (int round = 0; round < settings.flanneld_rounds; ++round) {
      measure_floor(settings, lab, peers, rows, report);
      for (const Contender& contender : contenders()) {
        // It takes minutes, and what it does not repair it never repairs.
        if (!contender.ours() && (round > 0 || peers > settings.flanneld_max)) continue;
        measure_agent(settings, lab, contender, peers, rows, report);
      }
    }
  }
}

}  // namespace flannelette::bench
