// front/wire/upstream.hpp - HTTP/1.1 to somebody else, over sockets of this shard.
//
// RFC 9112, as a client. Connections that have served a request wait for the next one to the same
// address. Layer: front/wire. Thread: shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/block.hpp"
#include "base/timer_wheel.hpp"
#include "core/upstream.hpp"
#include "front/wire/out_queue.hpp"
#include "io/engine.hpp"
#include "proto/http1/chunked_decoder.hpp"

namespace sluice::wire {

class Loop;
class SecureUpstream;
class UpstreamConnection;

class UpstreamPool final : public core::Upstreams {
 public:
  explicit UpstreamPool(Loop& loop);
  ~UpstreamPool() override;

  Result<core::UpstreamCall*> call(const core::UpstreamAddress& address,
                                   const core::UpstreamRequest& request,
                                   const core::UpstreamTimes& times, core::UpstreamEvents& events,
                                   bool fresh) override;

  // Sends what was written in this turn. Called once a turn.
  void flush();
  bool wants_flush() const { return !dirty_.empty(); }
  // Connections that wait for a request are closed, now and from here on.
  void drain();
  // All that nobody waits for any more.
  void close_all();
  // Its engine has failed.
  void abandon(io::Engine& engine);
  bool empty() const { return all_.empty(); }

 private:
  friend class UpstreamConnection;
  // Of the head of an answer.
  static constexpr http::HeadLimits kHeadLimits{65536, 65536, 256, 255};
  // So many connections to one address wait for the next request; the oldest goes for another.
  static constexpr std::size_t kIdle = 1000;
  // So many 1xx in front of one answer.
  static constexpr std::uint8_t kInterims = 64;
  // So many addresses are known until those without a connection are forgotten.
  static constexpr std::size_t kHosts = 256;
  struct Host {
    core::UpstreamAddress address;
    std::size_t connections = 0;
    std::vector<UpstreamConnection*> idle;  // the one that was used last is the last
  };
  Host& host(const core::UpstreamAddress& address);
  UpstreamConnection* take_idle(Host& there);
  Result<UpstreamConnection*> connect(Host& there);
  void gone(UpstreamConnection& connection);
  void forget_idle(UpstreamConnection& connection);
  bool keep(UpstreamConnection& connection);

  Loop& loop_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<UpstreamConnection*> all_;
  std::vector<UpstreamConnection*> dirty_;
  bool draining_ = false;
};

class UpstreamConnection final : public core::UpstreamCall, public io::Socket {
 public:
  UpstreamConnection(UpstreamPool& pool, UpstreamPool::Host& host);
  ~UpstreamConnection();

  // Before open(): it speaks TLS. std::bad_alloc.
  Result<void> secure_with(const core::UpstreamSecurity& security);
  void open(int descriptor);
  // False when memory is out.
  bool begin(const core::UpstreamRequest& request, const core::UpstreamTimes& times,
             core::UpstreamEvents& events, bool reused);
  void flush();
  void close(io::CloseMode mode);

  // core::UpstreamCall
  bool write(Bytes bytes) override;
  void end(std::string_view trailer_lines) override;
  void pause() override;
  void resume() override;
  void hand_to(core::UpstreamEvents& events) override { events_ = &events; }
  void cancel() override;
  bool is_reused() const override { return reused_; }

  // io::Socket
  void on_received(const io::Received& received) override;
  void on_end() override;
  void on_sent(std::uint64_t bytes) override;
  void on_closed(const Error& why) override;
  void on_detached(int descriptor, Bytes unread) override;

 private:
  friend class UpstreamPool;
  friend class SecureUpstream;
  // What comes next from the server.
  enum class State : std::uint8_t { idle, head, counted, chunked, until_close, tunnel };
  static constexpr std::size_t kRoom = 256 * 1024;  // that waits to be sent, at most

  // Without memory for a step the call ends; nothing leaves this class.
  template <class Work>
  void guarded(Work&& work);
  SecureUpstream& secure();
  io::Socket& socket();
  // The end of what comes. `truncated`: of TLS, without its word that this was all.
  void ended(bool truncated);
  // The session has failed.
  void refused(const std::string& why);
  void receive(const io::Received& received);
  void end_of_input();
  void send_queued();
  void closed(const Error& why);
  bool put(Bytes bytes);
  void mark_dirty();
  void sent(std::uint64_t bytes);
  std::size_t process(base::Block& block, std::span<std::byte> bytes);
  std::size_t read_head(std::span<std::byte> bytes);
  void begin_answer();
  void complete(std::string_view trailer_lines, bool rest);
  void fail(const Error& why);
  void keep_bytes(std::span<const std::byte> bytes);
  void set_timer();
  static void timer_fired(void* self);
  void time_is_over();

  UpstreamPool& pool_;
  UpstreamPool::Host& host_;
  std::uint8_t interims_ = 0;
  std::size_t place_ = 0;                   // in the pool's list
  core::UpstreamEvents* events_ = nullptr;  // null: idle, or nobody is told any more
  core::UpstreamTimes times_;
  State state_ = State::idle;
  http::Method method_ = http::Method::get;
  bool connected_ = false, told_connected_ = false, reused_ = false, upgrade_ = false,
       chunked_out_ = false;
  bool ended_out_ = false;   // the request is complete, as far as we have to say
  bool answered_ = false;    // on_response was told
  bool keep_alive_ = false;  // says the answer
  bool full_ = false;        // write() was false
  bool paused_ = false, closing_ = false, dirty_ = false, shut_ = false;
  bool secured_ = false, truncated_ = false;
  std::uint64_t left_ = 0;  // of a body with a length
  OutQueue out_;
  base::BlockRef in_;  // bytes of a head that is not complete
  std::uint32_t in_size_ = 0;
  base::Timer timer_;
  http::ResponseHead head_;
  http1::ChunkedDecoder chunks_;
};

}  // namespace sluice::wire
