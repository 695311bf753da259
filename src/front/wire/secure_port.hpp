// front/wire/secure_port.hpp - what a port's new connections are secured with.
//
// One for each port that speaks TLS, shared by the listeners of all shards. Layer: front/wire.
// Thread: any.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "tls/context.hpp"

namespace sluice::wire {

class SecurePort {
 public:
  explicit SecurePort(std::shared_ptr<const tls::Context> context) : context_(std::move(context)) {}
  SecurePort(const SecurePort&) = delete;
  SecurePort& operator=(const SecurePort&) = delete;

  std::shared_ptr<const tls::Context> context() const {
    std::lock_guard lock(mutex_);
    return context_;
  }
  // For those that connect from now on; who is connected keeps what it has.
  void set(std::shared_ptr<const tls::Context> context) {
    std::lock_guard lock(mutex_);
    context_.swap(context);  // the old one goes with the argument, when the lock has
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const tls::Context> context_;
};

}  // namespace sluice::wire
