// service/forward/forwarding.hpp - one request on its way to somebody else, and its answer back.
//
// RFC 9110 section 7.6. Layer: service. Thread: shard.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/forward.hpp>

#include "base/timer_wheel.hpp"
#include "core/body_sink.hpp"
#include "core/front.hpp"
#include "core/upstream.hpp"
#include "service/forward/forwards.hpp"

namespace sluice::service {

// Kept by its exchange as the sink of its body. Nothing of a body is read before somebody is there
// to take it, so that a request that found nobody goes to the next one.
class Forwarding final : public core::BodySink, public core::UpstreamEvents {
 public:
  Forwarding(Forwards& owner, core::Exchange& exchange, const ForwardRule* rule);
  ~Forwarding() override;

  // Asks the application, then begins. False: it stays here.
  bool judge(core::BodyPlan& plan);

  // core::BodySink
  void on_piece(core::Exchange& exchange, base::Block& block, std::span<std::byte> piece) override;
  void on_end(core::Exchange& exchange) override;
  bool on_writable(core::Exchange& exchange) override;
  void given_up() noexcept override;

  // core::UpstreamEvents
  void on_connected() override;
  void on_interim(const http::ResponseHead& head) override;
  void on_response(const http::ResponseHead& head) override;
  void on_piece(base::Block& block, std::span<std::byte> piece) override;
  void on_room() override;
  void on_end(std::string_view trailer_lines) override;
  void on_failed(const Error& why, bool answered) override;

 private:
  bool judge_on_pool(core::BodyPlan& plan);
  void ask_before();
  bool is_wanted() const;
  bool begin(core::BodyPlan& plan);
  void attempt();
  bool call_peer(const PeerRef& peer, bool fresh);
  void next_attempt(const PeerRef& peer, bool broken);
  std::string_view target(const UpstreamUrl& url, std::string& room) const;
  bool may_be_repeated() const;
  void take_body();
  static void waited_for_continue(void* self);
  void fill_answer(const http::ResponseHead& head);
  void upgrade(const http::ResponseHead& head);
  void answer();
  void finish();
  bool send(Bytes bytes);
  void judge_cache();
  void tell_after(const Error* why, void (Forwarding::*then)());
  void refuse();
  void fail(const Error& why);
  void let_go();

  Forwards& owner_;
  core::Exchange& exchange_;
  const ForwardRule* const rule_;
  std::unique_ptr<Forward> wish_;  // what the application was asked
  std::shared_ptr<UpstreamGroup> group_;
  ForwardTimeouts timeouts_;
  core::UpstreamCall* call_ = nullptr;
  PeerRef peer_;
  std::vector<PeerRef> tried_;
  base::Timer continue_timer_;
  Error failure_;
  bool upgrade_ = false;    // a WebSocket is asked for
  bool expect_ = false;     // the server says whether it wants the body
  bool connected_ = false;  // the server may have seen the request
  bool body_taken_ = false;
  bool streaming_ = false;               // the head of the answer has left
  bool asking_ = false;                  // an event runs on the pool
  bool ended_ = false, broken_ = false;  // the answer is complete, or never will be
  bool was_reused_ = false, fresh_ = false;
  bool peer_made_target_ = false;  // the path of its URL stands in the target
  std::string trailers_;
  std::string waiting_;  // of the answer, while it asks
};

}  // namespace sluice::service
