// api/event_bytes.hpp - an event as it is sent, for one stream or many.
//
// Layer: api. Thread: any.
#pragma once

#include "base/shared_bytes.hpp"

namespace sluice {

struct Event;

// Nothing when it cannot be written down: Errc::bad_event.
base::SharedBytes event_bytes(const Event& event);

}  // namespace sluice
