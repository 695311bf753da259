// service/forward/peers.cpp - see peers.hpp.
#include "service/forward/peers.hpp"

#include <algorithm>
#include <utility>

namespace sluice::service {
namespace {

std::int64_t count(base::Instant at) { return at.time_since_epoch().count(); }

core::UpstreamAddress at(core::Endpoint endpoint, const UpstreamUrl& url) {
  endpoint.port = url.port;
  return {endpoint, {}, url.security};
}

}  // namespace

UpstreamGroup::UpstreamGroup(std::vector<UpstreamUrl> urls, const ForwardOptions& options,
                             Names& names)
    : urls_(std::move(urls)),
      balance_(options.balance),
      max_failures_(options.max_failures),
      fail_time_(options.fail_time),
      names_(names) {
  auto peers = std::make_shared<Peers>();
  for (const UpstreamUrl& url : urls_) {
    if (url.endpoint) {
      peers->push_back(std::make_shared<Peer>(at(*url.endpoint, url), url));
    } else if (!url.socket.empty()) {
      peers->push_back(std::make_shared<Peer>(core::UpstreamAddress{{}, url.socket, {}}, url));
    } else {
      has_names_ = true;
    }
  }
  peers_ = std::move(peers);
  known_.resize(urls_.size());
}

std::shared_ptr<const UpstreamGroup::Peers> UpstreamGroup::all(base::Instant now,
                                                               const std::function<void()>& wait,
                                                               Choice& choice) {
  std::lock_guard lock(mutex_);
  bool changed = false;
  for (std::size_t i = 0; i < urls_.size(); ++i) {
    const UpstreamUrl& url = urls_[i];
    if (url.endpoint || !url.socket.empty()) continue;
    Names::Found found = names_.find(url.host, now, peers_->empty() ? wait : nullptr);
    if (!found.addresses) {
      choice.error = found.error;
      if (!found.error && peers_->empty() && wait) choice.later = true;
    } else if (known_[i] != found.addresses) {
      known_[i] = std::move(found.addresses);
      changed = true;
    }
  }
  if (!changed) return peers_;
  auto next = std::make_shared<Peers>();
  const auto add = [&](core::UpstreamAddress address, const UpstreamUrl& url) {
    const auto same = std::find_if(peers_->begin(), peers_->end(), [&](const PeerRef& peer) {
      return &peer->url == &url && peer->address == address;
    });
    next->push_back(same != peers_->end() ? *same
                                          : std::make_shared<Peer>(std::move(address), url));
  };
  for (std::size_t i = 0; i < urls_.size(); ++i) {
    const UpstreamUrl& url = urls_[i];
    if (url.endpoint) {
      add(at(*url.endpoint, url), url);
    } else if (!url.socket.empty()) {
      add({{}, url.socket, {}}, url);
    } else if (known_[i]) {
      for (const core::Endpoint& endpoint : *known_[i]) add(at(endpoint, url), url);
    }
  }
  peers_ = std::move(next);
  return peers_;
}

UpstreamGroup::Choice UpstreamGroup::choose(base::Instant now, std::span<const PeerRef> tried,
                                            const std::function<void()>& wait) {
  Choice choice;
  std::shared_ptr<const Peers> held;
  if (has_names_) held = all(now, wait, choice);
  const Peers& peers = held ? *held : *peers_;
  if (peers.size() == 1 && tried.empty()) {
    choice.peer = peers.front();
    choice.later = false;
    return choice;
  }
  const std::uint32_t first = next_.fetch_add(1, std::memory_order_relaxed);
  const Peer* best = nullptr;
  std::size_t best_at = 0;
  bool best_up = false;
  std::uint32_t best_active = 0;
  std::int64_t best_until = 0;
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const std::size_t index = (first + i) % peers.size();
    const Peer& peer = *peers[index];
    if (std::any_of(tried.begin(), tried.end(),
                    [&](const PeerRef& other) { return other.get() == &peer; })) {
      continue;
    }
    const std::int64_t until = peer.down_until.load(std::memory_order_relaxed);
    const bool up = until <= count(now);
    const std::uint32_t active = peer.active.load(std::memory_order_relaxed);
    bool better = !best || (up && !best_up);
    if (best && up == best_up) {
      // Of those that are down the one that has been for longest.
      better =
          up ? balance_ == Balance::least_connections && active < best_active : until < best_until;
    }
    if (!better) continue;
    best = &peer;
    best_at = index;
    best_up = up;
    best_active = active;
    best_until = until;
  }
  if (best) {
    choice.peer = peers[best_at];
    choice.later = false;
  }
  return choice;
}

void UpstreamGroup::succeeded(Peer& peer) {
  if (peer.failures.load(std::memory_order_relaxed) == 0) return;
  peer.failures.store(0, std::memory_order_relaxed);
  peer.down_until.store(0, std::memory_order_relaxed);
}

void UpstreamGroup::failed(Peer& peer, base::Instant now) const {
  const std::uint32_t failures = peer.failures.fetch_add(1, std::memory_order_relaxed) + 1;
  if (max_failures_ == 0 || failures < max_failures_) return;
  peer.down_until.store(count(now + fail_time_), std::memory_order_relaxed);
}

}  // namespace sluice::service
