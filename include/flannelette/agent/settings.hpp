// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "flannelette/base/files.hpp"
#include "flannelette/base/ip.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/base/pattern.hpp"
#include "flannelette/base/text.hpp"

/// What the operator wants of this node; filled by the command line, the environment and the INI file (cli),
/// read by the agent.
namespace flannelette::agent {

/// A short list of texts without a heap.
template <std::size_t Count, std::size_t Size>
class TextList {
 public:
  [[nodiscard]] bool add(std::string_view text) {
    if (count_ == Count || !items_[count_].assign(text)) return false;
    ++count_;
    return true;
  }
  void clear() { count_ = 0; }
  bool empty() const { return count_ == 0; }
  std::span<const Text<Size>> items() const { return {items_.data(), count_}; }

 private:
  std::array<Text<Size>, Count> items_;
  std::size_t count_ = 0;
};

/// How to find the underlay interface and our address on it, in flanneld's order: each of `names` (an
/// interface name or one of its addresses), then each regular expression, then the interface that reaches an
/// address, then the one that has `public_ip`, then that of the default route. Of those the first that is up
/// and has a carrier and an address; where none has a carrier, the first that is up and has an address. If
/// any of the first three is given and nothing matches, we wait; we never fall through to the default route.
struct InterfaceSettings {
  TextList<8, 63> names;
  TextList<4, Pattern::kMaxText> regexes;  ///< each compiles; searched in addresses, then in names
  std::optional<Ip4> can_reach;
  std::optional<Ip4> public_ip;  ///< what peers send to; default: our address on the interface
  /// Has that address in it, and goes before `public_ip`, which then does not choose the interface. Empty: no
  /// file.
  Text<Files::kMaxPath> public_ip_file;
  /// How long an interface that goes before the one in use must have been usable until it is taken, ms.
  std::int64_t failback_delay = 30'000;
};

/// Who computes the inner checksums of what leaves through our device: its driver in the end (kOn, the
/// kernel's default), or the kernel before (kOff). kAuto: kOff where PublicIP is no address of this machine
/// or the NIC's driver is vmxnet3; else it stays as it is.
enum class TxChecksum : std::uint8_t { kAuto, kOn, kOff };

struct Settings {
  InterfaceSettings interface;
  Text<Files::kMaxPath> subnet_file{"/run/flannel/subnet.env"};
  /// Where the state files of this network are (overlay/state.hpp); it must survive a reboot. Empty: none. At
  /// most kMaxPath - 6 bytes.
  Text<Files::kMaxPath> state_dir{FLANNELETTE_STATE_DIR};
  /// How long the registry may be silent at start before the kept state is used, ms.
  std::int64_t registry_wait = 1'000;
  bool ip_masq = false;
  bool masq_fully_random = true;
  bool forward_rules = true;      ///< takes effect together with ip_masq; flanneld's own is independent of it
  bool clamp_mss = false;         ///< of the pods' TCP connections, to what the route's MTU allows
  bool vxlan_peers_only = false;  ///< VXLAN packets from other addresses than the peers' are dropped
  bool set_ip_forward = false;    ///< write net.ipv4.ip_forward = 1 if it is 0; else only warn
  TxChecksum tx_checksum = TxChecksum::kAuto;
  Level log_level = Level::kInfo;
};

}  // namespace flannelette::agent
