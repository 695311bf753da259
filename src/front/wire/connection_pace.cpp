// front/wire/connection_pace.cpp - limits.bandwidth: what is sent waits until it may leave.
#include <algorithm>

#include "core/bandwidth.hpp"
#include "core/session.hpp"
#include "front/wire/connection.hpp"
#include "front/wire/loop.hpp"

namespace sluice::wire {
namespace {

constexpr std::size_t kMostAtOnce = 1 << 20;

}  // namespace

Pace::Pace(Work& work) : timer(&Connection::pace_fired, &work) {}

// How many bytes of the queue may leave now. None: a flush follows when they may.
std::uint64_t Connection::allowed() {
  const auto& server = shard().settings().bandwidth;
  const auto& group = bandwidth();
  if (!server && !group) {
    pay_back();
    paced_ = false;
    return ~std::uint64_t{0};
  }
  if (!work_->pace) work_->pace = std::make_unique<Pace>(*work_);
  Pace& pace = *work_->pace;
  if (pace.timer.armed()) return 0;
  if (pace.paid > 0) return pace.paid;
  const std::uint64_t bytes = std::min<std::uint64_t>(
      work_->out.size(), core::piece(server.get(), group.get(), kMostAtOnce));
  const base::Duration wait = core::reserve(server.get(), group.get(), bytes, shard().now);
  pace.paid = bytes;
  pace.server = server;
  pace.group = group;
  if (wait <= base::Duration::zero()) return bytes;
  shard().timers.set(pace.timer, shard().now + wait);
  return 0;
}

// What was reserved and does not leave is for others.
void Connection::pay_back() {
  if (!work_->pace) return;
  Pace& pace = *work_->pace;
  shard().timers.cancel(pace.timer);
  core::give_back(pace.server.get(), pace.group.get(), pace.paid);
  pace.paid = 0;
  pace.server.reset();
  pace.group.reset();
}

void Connection::pace_fired(void* self) {
  Connection& connection = *static_cast<Work*>(self)->owner;
  if (!connection.dirty_) connection.flush();
}

bool Connection::is_rationed() const { return work_ && work_->pace && work_->pace->timer.armed(); }

}  // namespace sluice::wire
