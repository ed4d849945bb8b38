// SPDX-License-Identifier: Apache-2.0
// Whether a connection leads to the store that was listed, what it has still to tell, and where to go on.
#include "registry/etcd/history.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace flannelette;
using namespace flannelette::registry::etcd;

namespace {

using Verdict = History::Verdict;
constexpr Verdict kGoOn = Verdict::kGoOn, kLater = Verdict::kLater, kGap = Verdict::kGap;
constexpr Millis kQuiet = History::kQuiet;
constexpr Change kNone{};

/// What the store or the clock does, and what must come of it.
struct Step {
  enum Kind { kList, kAsk, kCreated, kNews, kIgnored, kEnd, kProven, kCompacted, kSettle, kNext };
  Kind kind;
  std::int64_t number = 0;
  std::uint64_t digest = 0;
  int expected = 0;
};
Step list(Change newest, std::int64_t next) {
  return {Step::kList, newest.revision, newest.digest, int(next)};
}
/// A new connection, that asks for what is from `first` on.
Step asks(std::int64_t first) { return {Step::kAsk, first}; }
Step created(std::int64_t revision, Verdict is) { return {Step::kCreated, revision, 0, int(is)}; }
Step news(std::int64_t revision, char what) { return {Step::kNews, revision, std::uint64_t(what)}; }
Step ignored(std::int64_t revision, char what) { return {Step::kIgnored, revision, std::uint64_t(what)}; }
/// The end of a message whose header says `revision`.
Step ends(std::int64_t revision, bool with_news) { return {Step::kEnd, revision, 0, with_news}; }
Step proven(bool is) { return {Step::kProven, 0, 0, is}; }
Step compacted(std::int64_t revision, bool can_go_on) { return {Step::kCompacted, revision, 0, can_go_on}; }
Step settles(Millis after, Verdict is) { return {Step::kSettle, after, 0, int(is)}; }
Step goes_on_at(std::int64_t next) { return {Step::kNext, next}; }

using Steps = std::vector<Step>;
Steps operator+(Steps first, const Steps& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

struct Row {
  const char* name;
  Steps steps;
};

void check(const Row& row) {
  CAPTURE(row.name);
  History history;
  Millis now = 1'000'000;
  int at = 0;
  for (const Step& step : row.steps) {
    CAPTURE(++at);
    const Change change{step.number, step.digest};
    switch (step.kind) {
      case Step::kList: history.begin(change, step.expected); break;
      case Step::kAsk: CHECK(history.connect() == step.number); break;
      case Step::kCreated: CHECK(int(history.on_created(step.number)) == step.expected); break;
      case Step::kNews: CHECK(history.on_change(change, now)); break;
      case Step::kIgnored: CHECK(!history.on_change(change, now)); break;
      case Step::kEnd: CHECK(int(history.on_message(step.number)) == step.expected); break;
      case Step::kProven: CHECK(int(history.proven()) == step.expected); break;
      case Step::kCompacted: CHECK(int(history.on_compacted(step.number)) == step.expected); break;
      case Step::kSettle: CHECK(int(history.settle(now += step.number)) == step.expected); break;
      case Step::kNext: CHECK(history.next() == step.number); break;
    }
  }
}

/// The newest record of the list is of revision 5, the list of 8.
const Steps kListed{list({5, 'k'}, 9)};
/// And a connection has settled that told no more than that.
const Steps kChecked =
    kListed + Steps{asks(4), created(8, kGoOn), ignored(5, 'k'), ends(8, false), settles(kQuiet, kGoOn)};

}  // namespace

TEST_SUITE("registry/etcd_history") {
  TEST_CASE("a connection proves that it leads to the store that was listed") {
    const Row rows[] = {
        {"the newest change that is known is told again; one revision more is asked for",
         kListed + Steps{asks(4), created(8, kGoOn), proven(false), ignored(5, 'k'), proven(true),
                         ends(8, false), goes_on_at(9), settles(kQuiet, kGoOn)}},
        {"of an empty list there is nothing to prove",
         {list(kNone, 9), asks(1), created(8, kGoOn), proven(true), settles(0, kGoOn), news(9, 'a'),
          ends(9, true), goes_on_at(10)}},
        {"the next connection has to prove what the one before told",
         kChecked + Steps{asks(4), created(8, kGoOn), ignored(5, 'k'), news(9, 'a'), ends(9, true), asks(8),
                          ignored(5, 'k'), proven(false), ignored(9, 'a'), proven(true)}},
        {"of several changes in one revision the last one counts, and the others are no contradiction",
         kChecked + Steps{asks(4), ignored(5, 'k'), news(9, 'a'), news(9, 'b'), ends(9, true), asks(8),
                          ignored(9, 'a'), proven(false), ignored(9, 'b'), proven(true)}},
        {"a restored snapshot of before it: what is told after that revision is no news",
         kListed + Steps{asks(4), created(20, kGoOn), ignored(9, 'x'), ignored(12, 'y'), proven(false)}},
        {"a restored snapshot with another change in its revision",
         kListed + Steps{asks(4), created(20, kGoOn), ignored(5, 'x'), proven(false)}},
        {"a store made anew that tells nothing",
         kListed + Steps{asks(4), created(20, kGoOn), settles(5'000, kGap)}},
        {"a restored snapshot with a change where there was none",
         kChecked + Steps{asks(4), created(20, kGoOn), ignored(5, 'k'), ignored(7, 'x'), proven(false),
                          ignored(9, 'y'), settles(5'000, kGap)}},
        {"a store that contradicts itself proves nothing any more",
         kChecked + Steps{asks(4), created(20, kGoOn), ignored(7, 'x'), ignored(5, 'k'), proven(false)}},
    };
    for (const Row& row : rows) check(row);
  }

  TEST_CASE("the first connection behind a list hears what was removed after its newest record") {
    const Steps removed = kListed + Steps{asks(4),      created(8, kGoOn), ignored(5, 'k'), ignored(7, 'r'),
                                          proven(true), ends(8, false),    goes_on_at(9)};
    const Steps long_history{list({5, 'k'}, 2'000), asks(1'999), created(1'999, kGoOn), proven(true)};
    const Row rows[] = {
        {"the removal is what the next connection has to prove",
         removed + Steps{settles(kQuiet, kGoOn), asks(6), ignored(7, 'r'), proven(true)}},
        {"also if this one ends before it settles", removed + Steps{asks(6), ignored(7, 'r'), proven(true)}},
        {"a restored snapshot that undoes it",
         removed +
             Steps{settles(kQuiet, kGoOn), asks(6), created(20, kGoOn), ignored(8, 'x'), proven(false)}},
        {"until a connection has settled the next one may tell more",
         removed + Steps{asks(6), ignored(7, 'r'), ignored(8, 's'), proven(true)}},
        {"news tell that there was nothing else before them",
         kListed + Steps{asks(4), ignored(5, 'k'), news(9, 'a'), ends(9, true), ends(15, false),
                         goes_on_at(16), asks(8), ignored(9, 'a'), proven(true), ignored(12, 'x'),
                         proven(false)}},
        {"a thousand revisions are heard", {list({5, 'k'}, 1'005), asks(4)}},
        {"one more is too much", {list({5, 'k'}, 1'006), asks(1'005), proven(true)}},
        {"a long history is heard by the next connection once one has settled",
         long_history + Steps{settles(0, kGoOn), asks(4), ignored(5, 'k'), ignored(700, 'r'), proven(true),
                              ends(1'999, false), settles(kQuiet, kGoOn), asks(699), ignored(700, 'r'),
                              ignored(800, 'x'), proven(false)}},
        {"and by none before", long_history + Steps{asks(1'999)}},
        {"after news it need not be heard any more",
         long_history + Steps{news(2'000, 'a'), ends(2'000, true), asks(1'999), proven(false),
                              ignored(2'000, 'a'), proven(true)}},
        {"also if the connection settles after them",
         long_history + Steps{news(2'000, 'a'), ends(2'000, true), settles(0, kGoOn), ends(4'000, false),
                              asks(1'999), ignored(2'000, 'a'), ignored(3'000, 'x'), proven(false)}},
        {"another list begins anew", kChecked + Steps{list({5, 'k'}, 2'000), asks(1'999)}},
    };
    for (const Row& row : rows) check(row);
  }

  TEST_CASE("a connection settles when what is old has been told, however slowly") {
    const Row rows[] = {
        {"nothing old, no wait", {list(kNone, 9), asks(1), settles(0, kGoOn)}},
        {"each old change begins the wait anew",
         kListed + Steps{asks(4), ignored(5, 'k'), settles(kQuiet - 1, kLater), ignored(6, 'r'),
                         ends(8, false), settles(kQuiet - 1, kLater), settles(1, kGoOn)}},
        {"news do not", kListed + Steps{asks(4), ignored(5, 'k'), settles(kQuiet - 1, kLater), news(9, 'a'),
                                        ends(9, true), settles(1, kGoOn)}},
        {"what the connection before told does not",
         kListed + Steps{asks(4), ignored(5, 'k'), compacted(6, true), asks(6), settles(0, kGoOn)}},
    };
    for (const Row& row : rows) check(row);
  }

  TEST_CASE("where to go on is what was told, message by message") {
    const Row rows[] = {
        {"the revision in the header of a message with changes does not count",
         kChecked + Steps{asks(4), ignored(5, 'k'), news(9, 'a'), ends(500, true), goes_on_at(10)}},
        {"an older change that comes after is not the newest",
         kChecked + Steps{asks(4), ignored(5, 'k'), ignored(4, 'j'), ends(8, false), goes_on_at(9), asks(4)}},
        {"that of a progress notice does", kChecked + Steps{asks(4), ignored(5, 'k'), ends(8, false),
                                                            ends(20, false), goes_on_at(21), asks(4)}},
        {"one that is behind moves nothing", kChecked + Steps{ends(3, false), goes_on_at(9)}},
        {"a message in fragments that is cut is had again from its beginning",
         kChecked + Steps{asks(4), ignored(5, 'k'), ends(8, false), news(9, 'a'), news(10, 'b'),
                          goes_on_at(9), asks(4), ignored(5, 'k'), proven(true), news(9, 'a'), news(10, 'b'),
                          news(11, 'c'), ends(11, true), goes_on_at(12)}},
        {"nothing of the cut message counts for a progress notice of the next connection",
         kChecked + Steps{asks(4), ignored(5, 'k'), news(9, 'a'), asks(4), ends(8, false), goes_on_at(9)}},
    };
    for (const Row& row : rows) check(row);
  }

  TEST_CASE("what was compacted need not be told, but for what is to come") {
    const Row rows[] = {
        {"the proof: the next connection goes without",
         kChecked + Steps{asks(4), compacted(6, true), asks(6), proven(true), settles(0, kGoOn), news(9, 'a'),
                          ends(9, true), asks(8), proven(false)}},
        {"all that is known: the very revision that is compacted can be asked for",
         kChecked + Steps{asks(4), compacted(8, true), asks(8), proven(true)}},
        {"twice, further on",
         kChecked + Steps{asks(4), compacted(5, true), asks(5), compacted(7, true), asks(7)}},
        {"what is to come", kChecked + Steps{asks(4), compacted(9, false)}},
        {"what was not asked for cannot be missed", kChecked + Steps{asks(4), compacted(4, false)}},
        {"no compaction", kChecked + Steps{asks(4), compacted(0, false)}},
        {"a new list forgets it", kChecked + Steps{asks(4), compacted(6, true), list({3, 'j'}, 5), asks(2)}},
    };
    for (const Row& row : rows) check(row);
  }

  TEST_CASE("one member may be behind; the second one means that the store went back") {
    const Row rows[] = {
        {"one is", kListed + Steps{asks(4), created(7, kLater), asks(4), created(8, kGoOn)}},
        {"the second one",
         kListed + Steps{asks(4), created(7, kLater), asks(4), created(8, kGoOn), asks(4), created(7, kGap)}},
        {"a connection that settles forgets the first",
         kListed + Steps{asks(4), created(7, kLater), asks(4), created(8, kGoOn), ignored(5, 'k'),
                         ends(8, false), settles(kQuiet, kGoOn), asks(4), created(7, kLater)}},
        {"a list, too",
         kListed + Steps{asks(4), created(7, kLater), list({5, 'k'}, 9), asks(4), created(7, kLater)}},
    };
    for (const Row& row : rows) check(row);
  }
}
