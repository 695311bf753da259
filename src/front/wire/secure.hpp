// front/wire/secure.hpp - TLS between a connection and its engine.
//
// Towards the engine it is the socket; towards the connection it does what an engine does, by the
// same contract (io/engine.hpp), so that a connection in clear knows nothing of it and one with TLS
// knows it at the few places where it calls the engine. Plain bytes stay in the connection's queue
// until the record that holds them has left: budgets, deadlines and the peer's pace count as they
// do in clear. Layer: front/wire. Thread: shard; info() any.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/tls_info.hpp>

#include "base/block.hpp"
#include "front/wire/out_queue.hpp"
#include "io/activity.hpp"
#include "io/engine.hpp"
#include "tls/session.hpp"

namespace sluice::wire {

class Connection;
class Loop;

class Secure final : public io::Socket, private tls::Out {
 public:
  // What a connection's `kept` points to: the send that is under way, as an engine would have it.
  struct UnderWay : io::Activity {
    explicit UnderWay(Secure& secure) : owner(secure) {}
    Secure& owner;
  };

  // std::bad_alloc; the connection has it from then on.
  static std::unique_ptr<Secure> make(Connection& connection,
                                      std::shared_ptr<const tls::Context> context);
  ~Secure();

  UnderWay& under_way() { return under_way_; }
  const TlsInfo* info() const { return published_.load(std::memory_order_acquire); }
  // Whether `bytes` may be sent through it: the handshake is done.
  bool is_open() const { return session_ && session_->is_open(); }

  // --- What an engine does for the connection ---
  void adopt(int descriptor);
  // Takes at most kMostAtOnce bytes of them.
  std::size_t send(std::span<const iovec> parts);
  std::size_t send_file(int file, std::uint64_t offset, std::size_t length);
  void pause();
  void resume();
  void shutdown_send();
  void close(io::CloseMode mode);

  // What was received while nobody read; from a turn of its own.
  void go_on();

  // io::Socket
  void on_received(const io::Received& received) override;
  void on_end() override;
  void on_sent(std::uint64_t bytes) override;
  void on_closed(const Error& why) override;
  void on_detached(int descriptor, Bytes unread) override;

 private:
  // Plain bytes that are sealed for one send: with a slow peer they stand in memory twice.
  static constexpr std::size_t kMostAtOnce = 64 * 1024;
  static constexpr std::size_t kMostParts = 64;

  // Received, and waiting for the connection to read again.
  struct Held {
    base::BlockRef block;
    std::span<std::byte> bytes;
  };

  Secure(Connection& connection, std::unique_ptr<tls::Session> session);
  Loop& loop() const;
  bool put(Bytes cipher) noexcept override;
  void deliver(base::Block& block, std::span<std::byte> cipher);
  bool take_plain(base::Block& block, std::span<std::byte>& cipher);
  void look_at_session();
  void publish();
  void refuse();
  std::size_t leave(std::size_t plain);
  std::size_t send_in_clear(std::span<const iovec> parts);
  std::size_t push();
  void after_push();
  void break_off(const Error& why);

  Connection& connection_;
  std::unique_ptr<tls::Session> session_;
  UnderWay under_way_{*this};
  OutQueue cipher_;      // what has been sealed and has not left
  base::BlockRef room_;  // what is being sealed into
  std::size_t room_used_ = 0;
  std::vector<Held> held_;
  std::unique_ptr<TlsInfo> info_;
  std::atomic<const TlsInfo*> published_{nullptr};
  Error why_;  // what on_closed is told instead of the engine's reason
  bool paused_ = false, delivering_ = false, told_end_ = false;
  bool shut_ = false;      // FIN behind what waits
  bool closed_ = false;    // close() has been called
  bool in_clear_ = false;  // the client speaks HTTP: it is answered so
};

}  // namespace sluice::wire
