// service/forward/peers.hpp - the servers of one rule: who gets the next request, and who is down.
//
// Layer: service. Thread: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include <sluice/settings.hpp>

#include "base/clock.hpp"
#include "core/upstream.hpp"
#include "service/forward/names.hpp"
#include "service/forward/upstream_url.hpp"

namespace sluice::service {

// One address of one upstream.
struct Peer {
  Peer(core::UpstreamAddress where, const UpstreamUrl& of) : address(std::move(where)), url(of) {}
  const core::UpstreamAddress address;
  const UpstreamUrl& url;                   // of its group, which lives longer
  std::atomic<std::uint32_t> active{0};     // requests under way
  std::atomic<std::uint32_t> failures{0};   // in a row
  std::atomic<std::int64_t> down_until{0};  // nanoseconds of base::Instant
};
using PeerRef = std::shared_ptr<Peer>;

class UpstreamGroup {
 public:
  // `names` outlives it.
  UpstreamGroup(std::vector<UpstreamUrl> urls, const ForwardOptions& options, Names& names);

  struct Choice {
    PeerRef peer;
    // Names are being looked up: `wait` is called, for each of them. It may be called, too, for one
    // where there is a peer.
    bool later = false;
    Error error;  // nobody is left
  };
  // Who gets the next request. Those that were tried for it are left out.
  Choice choose(base::Instant now, std::span<const PeerRef> tried,
                const std::function<void()>& wait);

  bool has_names() const { return has_names_; }
  static void succeeded(Peer& peer);
  void failed(Peer& peer, base::Instant now) const;

 private:
  using Peers = std::vector<PeerRef>;
  // Null: `why`, or `later`.
  std::shared_ptr<const Peers> all(base::Instant now, const std::function<void()>& wait,
                                   Choice& choice);

  const std::vector<UpstreamUrl> urls_;
  const Balance balance_;
  const std::uint32_t max_failures_;
  const base::Duration fail_time_;
  Names& names_;
  bool has_names_ = false;
  std::atomic<std::uint32_t> next_{0};
  std::mutex mutex_;  // where there are names: what follows
  std::shared_ptr<const Peers> peers_;
  std::vector<std::shared_ptr<const Names::Addresses>> known_;  // of which they were made
};

}  // namespace sluice::service
