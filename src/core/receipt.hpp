// core/receipt.hpp - who wants to know what became of one send waits behind its last byte.
//
// Layer: core. Thread: the connection's shard.
#pragma once

#include <sluice/error.hpp>

namespace sluice::core {

class Receipt {
 public:
  virtual ~Receipt() = default;
  // The kernel has all of the send's bytes (no error), or never will have. Called while a queue
  // changes: must not come back to the connection. Only the first call counts.
  virtual void ended(const Error& why) noexcept = 0;
};

}  // namespace sluice::core
