// front/wire/times.hpp - how long a request, and its connection behind it, may take.
//
// Layer: front/wire. Thread: shard.
#pragma once

#include <chrono>

#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/url_group.hpp"

namespace sluice::wire {

struct Times {
  std::chrono::milliseconds entity_body, request_queue, idle_connection;
};

// Those of the request's URL group, if it has one.
inline Times times_of(const core::Exchange& exchange) {
  if (const core::UrlGroupView* group = exchange.url_group) {
    const core::UrlSettings& own = group->settings;
    return {own.entity_body, own.request_queue, own.idle_connection};
  }
  const Timeouts& all = exchange.shard.settings().timeouts;
  return {all.entity_body, all.request_queue, all.idle_connection};
}

}  // namespace sluice::wire
