// tests/support/quiet_connection.hpp - a connection without a socket; as a byte stream it takes
// everything and says nothing.
//
// Layer: tests.
#pragma once

#include <utility>

#include "core/connection.hpp"
#include "core/shard.hpp"

namespace sluice::test {

class QuietConnection : public core::Connection {
 public:
  explicit QuietConnection(core::Shard& shard) : core::Connection(shard.destinations.of({})) {}
  explicit QuietConnection(core::DestinationRef destination)
      : core::Connection(std::move(destination)) {}
  void disconnect(const Error&) override {}
  void pool_pause() override {}
  void pool_resume() override {}
  std::byte* reserve(std::size_t) override { return nullptr; }
  void commit(std::size_t, core::Marks) override {}
  void write(Bytes) override {}
  void write_block(base::Block&, Bytes, core::Marks) override {}
  void write_shared(const base::SharedBytes&, core::Marks) override {}
  void tell_when_sent(std::shared_ptr<core::Receipt>) override {}
  void cork() override {}
  void uncork() override {}
  std::size_t drop_oldest(std::size_t) override { return 0; }
  std::size_t drop(core::Marks) override { return 0; }
  bool is_held() const override { return false; }
  bool is_rationed() const override { return false; }
  std::size_t droppable(core::Marks) const override { return 0; }
  std::size_t queued() const override { return 0; }
  void pause_reading() override {}
  void resume_reading() override {}
  void set_deadline(std::uint64_t) override {}
  void finish(std::uint64_t, bool) override {}
  void abort(const Error&) override {}
};

}  // namespace sluice::test
