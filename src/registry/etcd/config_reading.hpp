// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/etcd/protocol.hpp"
#include "registry/etcd/requests.hpp"

namespace flannelette::registry::etcd {

/// Reads `<prefix>/config` until there is a good one.
class ConfigReading final : public Operation {
 public:
  using OnRead = Delegate<void()>;  ///< core.network is the config; the listener has heard of it
  ConfigReading(Core& core, Requests& requests) : core_(core), requests_(requests) {}

  void begin(OnRead on_read) {
    on_read_ = on_read;
    quiet_ = false;
    backoff_.reset();
    want(core_.loop.now());
    requests_.schedule();
  }
  /// Reads it only to see whether there is an answer: nobody hears of it.
  void probe() {
    if (wanted()) return;
    begin({});
    quiet_ = true;
  }

 private:
  const char* name() const override { return "config"; }
  Call compose(json::Writer& body) override {
    delivered_ = false;
    overlong_ = empty_ = false;
    write_range(body, core_.keys.config(), {}, 0, 0);
    return {kRangePath};
  }
  void on_value(std::string_view value) override {
    // The text is in the decoder's scratch, so it is used before the answer is complete.
    delivered_ = true;
    done();
    if (!quiet_) parse(value);
  }
  void on_pair(const Pair& pair) override {
    overlong_ = pair.value_overlong;
    empty_ = !overlong_;
  }
  void on_answer(const Message& message) override {
    if (delivered_) return;
    if (message.revision == 0) return requests_.retry_later(*this, describe(kNotOfEtcd));
    if (overlong_) {
      const Status status = describe(Error{Code::kLimit, 0, "etcd: the config is larger than 16 KiB"});
      return requests_.retry_later(*this, status);
    }
    done();
    if (quiet_) return;
    if (empty_) return parse({});
    again();
    core_.membership->on_config_missing();
  }
  void on_refusal(const Status& status) override { requests_.retry_later(*this, status); }
  bool on_lost(const Status&) override { return delivered_; }

  void parse(std::string_view text) {
    overlay::ConfigProblem problem;
    if (parse_config(text, core_.network, problem)) {
      core_.membership->on_config(core_.network);
      if (!core_.stopped && on_read_) on_read_();
    } else {
      again();
      core_.membership->on_config_problem(problem, text.substr(problem.offset, 1));
    }
  }
  void again() { want(core_.loop.now() + backoff_.next()); }

  Core& core_;
  Requests& requests_;
  OnRead on_read_;
  Backoff backoff_{EtcdRegistry::kConfigFirst, EtcdRegistry::kConfigMax};
  bool quiet_ = false;
  bool delivered_ = false;
  bool overlong_ = false;
  bool empty_ = false;  // the key is there, and its value is empty
};

}  // namespace flannelette::registry::etcd
