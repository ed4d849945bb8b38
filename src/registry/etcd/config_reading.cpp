// SPDX-License-Identifier: Apache-2.0
// Reading the cluster's config.
#include "registry/etcd/config_reading.hpp"

#include "registry/etcd/protocol.hpp"

namespace flannelette::registry::etcd {

void ConfigReading::begin(OnRead on_read) {
  on_read_ = on_read;
  quiet_ = false;
  backoff_.reset();
  want(core_.loop.now());
  session().schedule();
}

void ConfigReading::probe() {
  if (wanted()) return;
  begin({});
  quiet_ = true;
}

Request::Call ConfigReading::write(json::Writer& body) {
  value_ = Value::kAbsent;
  write_range(body, core_.keys.config(), {}, 0, 0);
  return {post(kRangePath)};
}

void ConfigReading::on_value(std::string_view value) {
  // The text is in the decoder's scratch, so it is used before the answer is complete.
  value_ = Value::kDelivered;
  done();
  if (!quiet_) parse(value);
}

void ConfigReading::on_pair(const Pair& pair) {
  if (value_ == Value::kAbsent) value_ = pair.value_overlong ? Value::kOverlong : Value::kEmpty;
}

Outcome ConfigReading::on_message(const Message& message) {
  if (value_ == Value::kDelivered) return Outcome::kDone;
  if (message.revision == 0) return kNotOfEtcd;
  if (value_ == Value::kOverlong) return Error{Code::kLimit, 0, "etcd: the config is larger than 16 KiB"};
  done();
  if (quiet_) return Outcome::kDone;
  if (value_ == Value::kEmpty) {
    parse({});
  } else {
    again();
    core_.membership->on_config_missing();
  }
  return Outcome::kDone;
}

void ConfigReading::parse(std::string_view text) {
  overlay::ConfigProblem problem;
  if (parse_config(text, core_.network, problem)) {
    core_.membership->on_config(core_.network);
    if (!core_.stopped && on_read_) on_read_();
  } else {
    again();
    core_.membership->on_config_problem(problem, text.substr(problem.offset, 1));
  }
}

}  // namespace flannelette::registry::etcd
