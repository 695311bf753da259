// front/wire/secure.hpp - TLS between a connection and its engine.
//
// Towards the engine it is the socket; towards its user (a client's connection, or one of ours to
// another server) it does what an engine does, by the same contract (io/engine.hpp), so that a user
// in clear knows nothing of it and one with TLS knows it at the few places where it calls the
// engine. Plain bytes stay in the user's queue until the record that holds them has left: budgets,
// deadlines and the peer's pace count as they do in clear. Layer: front/wire. Thread: shard.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <sluice/error.hpp>

#include "base/block.hpp"
#include "front/wire/out_queue.hpp"
#include "io/activity.hpp"
#include "io/engine.hpp"
#include "tls/session.hpp"

namespace sluice::wire {

class Loop;

class Secure : public io::Socket, private tls::Out {
 public:
  // What the user's `kept` points to: the send that is under way, as an engine would have it.
  struct UnderWay : io::Activity {
    explicit UnderWay(Secure& secure) : owner(secure) {}
    Secure& owner;
  };
  virtual ~Secure();

  // For the user's `kept`, from its making on.
  std::uintptr_t as_kept() {
    return reinterpret_cast<std::uintptr_t>(static_cast<io::Activity*>(&under_way_));
  }
  static Secure& of(const io::Socket& user) {
    return static_cast<UnderWay*>(user.activity())->owner;
  }

  // --- What an engine does for the user ---
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
  void on_received(const io::Received& received) final;
  void on_end() final;
  void on_sent(std::uint64_t bytes) final;
  void on_closed(const Error& why) final;
  void on_detached(int descriptor, Bytes unread) final;

 protected:
  Secure(Loop& loop, io::Socket& user, std::unique_ptr<tls::Session> session);
  Loop& loop() const { return loop_; }
  const tls::Session& session() const { return *session_; }
  bool is_delivering() const { return delivering_; }

  // --- What the user is told ---
  // All that one receive brings stands between begin and end; plain() in between, once or more.
  virtual void begin_event() = 0;
  virtual void plain(const io::Received& received) = 0;
  virtual void end_event() = 0;
  virtual bool wants_more() const = 0;  // it has not been closed meanwhile
  // The handshake is done; std::bad_alloc.
  virtual void opened() = 0;
  // The session has failed. The alert has been put.
  virtual void refused(const tls::Failure& why) = 0;
  virtual void want_to_go_on() = 0;  // go_on() in a turn of its own
  // It is broken off from inside: on_closed follows, and nothing else is told.
  virtual void broken() = 0;
  virtual void sent(std::uint64_t bytes) = 0;
  // `truncated`: without a word from the peer that this is the end.
  virtual void ended(bool truncated) = 0;
  // The last call: it may be the end of this.
  virtual void closed(const Error& why) = 0;

  // From here on bytes go out as they are, and none comes in.
  void speak_in_clear() { in_clear_ = true; }
  void break_off(const Error& why);

 private:
  // Plain bytes that are sealed for one send: with a slow peer they stand in memory twice. Three
  // records, which fit into a block of 64 KiB.
  static constexpr std::size_t kMostAtOnce = 3 * tls::kRecordBytes;
  static constexpr std::size_t kRoom = 64 * 1024 - 64;
  static constexpr std::size_t kMostParts = 64;

  // Received, and waiting for the connection to read again.
  struct Held {
    base::BlockRef block;
    std::span<std::byte> bytes;
  };

  bool put(Bytes cipher) noexcept final;
  void deliver(base::Block& block, std::span<std::byte> cipher);
  bool take_plain(base::Block& block, std::span<std::byte>& cipher);
  void look_at_session();
  std::size_t leave(std::size_t plain);
  std::size_t send_in_clear(std::span<const iovec> parts);
  std::size_t push();
  void after_push();

  Loop& loop_;
  io::Socket& user_;
  std::unique_ptr<tls::Session> session_;
  UnderWay under_way_{*this};
  OutQueue cipher_;      // what has been sealed and has not left
  base::BlockRef room_;  // what is being sealed into
  std::size_t room_used_ = 0;
  std::vector<Held> held_;
  Error why_;  // what on_closed is told instead of the engine's reason
  bool paused_ = false, delivering_ = false, opened_ = false, told_end_ = false,
       told_failure_ = false;
  bool waits_ = false;   // what the user sends waits for a handshake message
  bool shut_ = false;    // FIN behind what waits
  bool closed_ = false;  // close() has been called
  bool in_clear_ = false;
};

}  // namespace sluice::wire
