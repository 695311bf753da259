// core/destination.hpp - where connections lead: what thousands of them have in common.
//
// Layer: core. Thread: a Destination is not changed once made, and is kept and let go on any; a
// shard's Destinations are its own.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/server.hpp>

#include "core/endpoint.hpp"
#include "proto/ws/permessage_deflate.hpp"

namespace sluice::core {

class DestinationRef;

struct Home;

struct Destination {
  Home* home = nullptr;  // which every connection that leads here keeps
  Endpoint local;
  std::string url, protocol;                    // of a WebSocket; empty before
  const WebSocketHandlers* handlers = nullptr;  // valid as long as the WebSocket is open
  std::unique_ptr<const Headers> fields;        // of the handshake, with options.keep_headers
  // Of a WebSocket; nothing: its messages are not compressed.
  std::optional<ws::DeflateParameters> deflate;

 private:
  friend class DestinationRef;
  mutable std::atomic<std::uint32_t> refs{0};
};

// One use of a destination.
class DestinationRef {
 public:
  DestinationRef() = default;
  explicit DestinationRef(const Destination* destination) : destination_(destination) {
    if (destination_) destination_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  DestinationRef(const DestinationRef& other) : DestinationRef(other.destination_) {}
  DestinationRef(DestinationRef&& other) noexcept
      : destination_(std::exchange(other.destination_, nullptr)) {}
  DestinationRef& operator=(DestinationRef other) noexcept {
    std::swap(destination_, other.destination_);
    return *this;
  }
  ~DestinationRef() { drop(destination_); }

  const Destination* get() const { return destination_; }
  const Destination* operator->() const { return destination_; }
  const Destination* leave() { return std::exchange(destination_, nullptr); }
  static bool is_last_use(const Destination& destination) {
    return destination.refs.load(std::memory_order_acquire) == 1;
  }
  // Gives back a use that leave() took out.
  static void drop(const Destination* destination) {
    if (destination && destination->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete destination;
    }
  }

 private:
  const Destination* destination_ = nullptr;
};

// Gives equal destinations one object. Paths come from clients, so that only as many are remembered
// as there are places; one that was forgotten is made anew.
class Destinations {
 public:
  explicit Destinations(Home* home) : home_(home) {}

  // Before anything was asked for. The first 256 are remembered as long as this lives.
  DestinationRef of(const Endpoint& local);
  DestinationRef of(const Endpoint& local, std::string_view url, std::string_view protocol,
                    const WebSocketHandlers& handlers,
                    const std::optional<ws::DeflateParameters>& deflate = {});
  // One WebSocket's own, which knows its handshake.
  DestinationRef with_fields(const Endpoint& local, std::string_view url, std::string_view protocol,
                             const WebSocketHandlers& handlers, Headers fields,
                             const std::optional<ws::DeflateParameters>& deflate = {}) const;

 private:
  static constexpr std::size_t kPlain = 256, kPlaces = 64;
  DestinationRef make(const Endpoint& local, std::string_view url, std::string_view protocol,
                      const WebSocketHandlers* handlers,
                      std::unique_ptr<const Headers> fields = nullptr,
                      const std::optional<ws::DeflateParameters>& deflate = {}) const;

  Home* const home_;
  std::vector<DestinationRef> plain_;  // by local address
  std::array<DestinationRef, kPlaces> places_;
};

}  // namespace sluice::core
