// service/forward/forwarding.cpp - see forwarding.hpp.
#include "service/forward/forwarding.hpp"

#include <algorithm>
#include <utility>

#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/response_cache.hpp"
#include "core/shard.hpp"
#include "core/step.hpp"
#include "core/url_group.hpp"
#include "proto/http/field_rules.hpp"
#include "proto/http/target.hpp"
#include "proto/ws/handshake.hpp"
#include "service/forward/fields.hpp"
#include "service/forward/tunnel.hpp"

namespace sluice::service {
namespace {

// How long a server may take to say whether it wants a body; then it gets it unasked.
constexpr base::Duration kContinue = std::chrono::seconds(1);
// With what stands around it, it fits into 16 KiB.
constexpr std::size_t kPiece = 16 * 1024 - 128;

bool is_query(std::string_view query) {
  return std::all_of(query.begin(), query.end(),
                     [](char c) { return c > ' ' && c != 0x7f && c != '#'; });
}

core::UpstreamTimes times_of(const ForwardTimeouts& from) {
  return {from.connect, from.response, from.idle};
}

bool is_idempotent(http::Method method) {
  return method == http::Method::get || method == http::Method::head ||
         method == http::Method::options || method == http::Method::put ||
         method == http::Method::delete_;
}

}  // namespace

Forwarding::Forwarding(Forwards& owner, core::Exchange& exchange, const ForwardRule* rule)
    : owner_(owner),
      exchange_(exchange),
      rule_(rule),
      continue_timer_(&Forwarding::waited_for_continue, this) {}

Forwarding::~Forwarding() { let_go(); }

// The server is asked no more.
void Forwarding::let_go() {
  exchange_.shard.timers.cancel(continue_timer_);
  if (core::UpstreamCall* call = std::exchange(call_, nullptr)) call->cancel();
  if (peer_) peer_->active.fetch_sub(1, std::memory_order_relaxed);
  peer_.reset();
}

// --- Whether it is forwarded ---------------------------------------------------------------------

bool Forwarding::judge(core::BodyPlan& plan) {
  if (!owner_.events().before) return begin(plan);
  wish_ = std::make_unique<Forward>();
  wish_->enabled = rule_ != nullptr;
  if (rule_) wish_->timeouts = rule_->options.timeouts;
  core::ServerSession& session = exchange_.shard.session;
  if (session.dispatcher.uses_pool()) return judge_on_pool(plan);
  const bool fine = session.dispatcher.call(*exchange_.connection, "on_before_forward_http",
                                            [this] { ask_before(); });
  if (fine && is_wanted()) return begin(plan);
  if (fine) return false;
  session.respond_error(exchange_, Errc::handler_threw);
  plan.kind = core::BodyPlan::Kind::answered;
  return true;
}

void Forwarding::ask_before() {
  owner_.events().before(exchange_.connection->handle(), exchange_.request(), *wish_);
}

bool Forwarding::is_wanted() const { return wish_->enabled || !wish_->url.empty(); }

bool Forwarding::judge_on_pool(core::BodyPlan& plan) {
  core::ServerSession& session = exchange_.shard.session;
  core::Exchange& exchange = exchange_;
  auto threw = std::make_shared<bool>(false);
  core::Hold<core::Exchange> hold(exchange);
  core::PoolQueue::Event event;
  event.work = [this, threw, &session] {
    *threw = !session.dispatcher.call(*exchange_.connection, "on_before_forward_http",
                                      [this] { ask_before(); });
  };
  event.done = [this, threw, &session, &exchange] {
    core::step(exchange, [&] {
      if (!exchange.port || exchange.sink.get() != this) return;
      if (*threw) return session.respond_error(exchange, Errc::handler_threw);
      if (!is_wanted()) {
        exchange.sink.reset();
        return session.go_on(exchange);
      }
      exchange.undecided = false;
      core::BodyPlan decided;
      begin(decided);
      if (exchange.port && decided.kind == core::BodyPlan::Kind::read) {
        exchange.port->decided(exchange);
      }
    });
    exchange.release();
  };
  if (session.dispatcher.submit(exchange, std::move(event))) {
    hold.leave();
    exchange.undecided = true;
    plan.kind = core::BodyPlan::Kind::later;
  } else {
    session.respond_error(exchange, Errc::queue_full);
    plan.kind = core::BodyPlan::Kind::answered;
  }
  return true;
}

// Always true: it is forwarded, or answered.
bool Forwarding::begin(core::BodyPlan& plan) {
  core::Hold<core::Exchange> hold(exchange_);
  const http::RequestHead& head = exchange_.head;
  core::ServerSession& session = exchange_.shard.session;
  plan.kind = core::BodyPlan::Kind::answered;
  timeouts_ = wish_ ? wish_->timeouts : rule_->options.timeouts;
  upgrade_ = head.upgrade && ws::is_upgrade(head) && exchange_.ends_with_head();
  if (upgrade_ && exchange_.shard.draining) {
    session.respond_error(exchange_, Errc::server_stopping);
    return true;
  }
  plan.limit = exchange_.url_group ? exchange_.url_group->settings.body_bytes
                                   : exchange_.shard.settings().limits.body_bytes;
  if (rule_ && rule_->options.body_bytes) plan.limit = *rule_->options.body_bytes;
  exchange_.body_limit = plan.limit;
  if (head.body == http::BodyKind::length && head.content_length > plan.limit) {
    session.respond_error(exchange_, Errc::http_body_too_large);
    return true;
  }
  if (wish_ && !wish_->url.empty()) {
    auto group = owner_.group_of(wish_->url, wish_->tls);
    if (!group) {
      fail({Errc::upstream_none, group.error().message()});
      return true;
    }
    group_ = std::move(*group);
  } else if (rule_) {
    group_ = rule_->group;
  } else {
    fail({Errc::upstream_none, "on_before_forward_http set no url"});
    return true;
  }
  if (wish_ &&
      ((!wish_->host.empty() && !http::is_authority(wish_->host)) || !is_query(wish_->query))) {
    fail({Errc::upstream_none, "what on_before_forward_http set cannot be sent"});
    return true;
  }
  expect_ = head.expect_continue && !exchange_.ends_with_head();
  attempt();
  if (!exchange_.port || exchange_.answered) return true;
  plan.kind = exchange_.ends_with_head() ? core::BodyPlan::Kind::read : core::BodyPlan::Kind::later;
  return true;
}

// --- To whom -------------------------------------------------------------------------------------

void Forwarding::attempt() {
  core::Exchange& exchange = exchange_;
  while (exchange.port) {
    std::function<void()> wait;
    std::shared_ptr<bool> waits;  // written and read on this shard only
    if (group_->has_names()) {
      waits = std::make_shared<bool>(false);
      wait = [this, &exchange, waits, mailbox = exchange.shard.mailbox] {
        mailbox->post_always([this, &exchange, waits] {
          if (!std::exchange(*waits, false)) return;  // somebody else was known at once
          core::step(exchange, [&] {
            if (exchange.port && exchange.sink.get() == this) attempt();
          });
          exchange.release();
        });
      };
    }
    UpstreamGroup::Choice choice = group_->choose(exchange.shard.now, tried_, wait);
    if (choice.later) {  // it runs on this shard, so not before this
      *waits = true;
      return exchange.retain();
    }
    if (!choice.peer) {
      if (failure_) return fail(failure_);
      return fail({Errc::upstream_unreachable,
                   choice.error ? choice.error.detail : "there is no upstream"});
    }
    if (call_peer(choice.peer, false)) return;
  }
}

// False: not this one.
bool Forwarding::call_peer(const PeerRef& peer, bool fresh) {
  const http::RequestHead& head = exchange_.head;
  const core::Connection& connection = *exchange_.connection;
  static const std::vector<api_keys::Network> kNobody;
  static thread_local std::string fields, path;
  fields.clear();
  const ForwardedBy by{connection.remote,
                       rule_ ? rule_->trusted : kNobody,
                       wish_ ? &wish_->headers : nullptr,
                       upgrade_,
                       expect_,
                       connection.tls() != nullptr};
  append_request_fields(head, by, fields);
  core::UpstreamRequest request;
  request.method = head.method;
  request.method_text = head.method_text;
  request.target = target(peer->url, path);
  peer_made_target_ = !peer->url.path.empty();
  const bool keep_host = !rule_ || rule_->options.keep_host;
  request.host = wish_ && !wish_->host.empty()     ? std::string_view(wish_->host)
                 : keep_host && !head.host.empty() ? head.host
                                                   : std::string_view(peer->url.authority);
  request.fields = fields;
  request.body = exchange_.ends_with_head() ? http::BodyKind::none : head.body;
  request.content_length = head.content_length;
  // A length of 0 is said, too: some servers insist on one.
  if (head.body == http::BodyKind::length) request.body = head.body;
  request.upgrade = upgrade_;
  connected_ = false;
  auto made =
      exchange_.shard.upstreams->call(peer->address, request, times_of(timeouts_), *this, fresh);
  if (!made) {
    failure_ = made.error();
    if (failure_.code == Errc::upstream_unreachable) group_->failed(*peer, exchange_.shard.now);
    tried_.push_back(peer);
    return false;
  }
  call_ = *made;
  peer_ = peer;
  peer_->active.fetch_add(1, std::memory_order_relaxed);
  was_reused_ = call_->is_reused();
  return true;
}

// As it came, unless somebody wants it otherwise.
std::string_view Forwarding::target(const UpstreamUrl& url, std::string& room) const {
  const http::RequestHead& head = exchange_.head;
  const bool wished = wish_ && (!wish_->document.empty() || !wish_->query.empty());
  if (url.path.empty() && !wished) {
    if (head.form == http::TargetForm::origin || head.form == http::TargetForm::asterisk) {
      return head.target;
    }
    room.assign(head.path);
  } else {
    std::string_view path = exchange_.document;
    if (wish_ && !wish_->document.empty()) {
      path = wish_->document;
    } else if (!url.path.empty() && rule_ && path.starts_with(rule_->prefix)) {
      path.remove_prefix(rule_->prefix.size() - 1);
    }
    room.assign(url.path.empty() ? "/" : url.path);  // it ends in a slash
    while (path.starts_with('/')) path.remove_prefix(1);
    http::append_path(path, room);
  }
  const std::string_view query =
      wish_ && !wish_->query.empty() ? std::string_view(wish_->query) : head.query;
  if (query.data() != nullptr && !query.empty()) room.append("?").append(query);
  return room;
}

// What the response cache knows the answer by must be what the server behind was asked. An event
// may have put into it who asks; and others may read dot segments and escapes in another way.
void Forwarding::judge_cache() {
  core::AnswerTap* tap = exchange_.answer.tap();
  if (!tap) return;
  const bool wished =
      wish_ && !(wish_->url.empty() && wish_->document.empty() && wish_->query.empty() &&
                 wish_->host.empty() && wish_->headers.list().empty());
  if (wished) return exchange_.answer.leave_cache();
  // The next client may spell it as it should be.
  if (!peer_made_target_ && !http::is_spelled_as(exchange_.head.path, exchange_.document)) {
    exchange_.answer.set_extras().tap.reset();
  }
}

// Without harm, where nobody knows what became of it (RFC 9110 section 9.2.2).
bool Forwarding::may_be_repeated() const {
  return is_idempotent(exchange_.head.method) && exchange_.ends_with_head() && !upgrade_;
}

void Forwarding::on_failed(const Error& why, bool answered) {
  core::Hold<core::Exchange> hold(exchange_);
  call_ = nullptr;
  const PeerRef peer = peer_;
  let_go();
  // That a kept connection has ended says nothing about its server.
  const bool stale = was_reused_ && !answered && why.code == Errc::upstream_broken;
  if (!stale && why.code != Errc::out_of_memory) group_->failed(*peer, exchange_.shard.now);
  if (!exchange_.port) return;
  core::step(exchange_, [&] {
    failure_ = {why.code, peer->address.text() + ": " + why.detail};
    if (asking_) {
      broken_ = true;
    } else if (streaming_) {
      exchange_.port->break_off(exchange_, failure_);
    } else {
      next_attempt(peer, why.code == Errc::upstream_broken);
    }
  });
}

// A connection that had waited may have been closed while the request was on its way to it: it is
// said once more. What nobody can have seen goes to the next one.
void Forwarding::next_attempt(const PeerRef& peer, bool broken) {
  if (broken && was_reused_ && !fresh_ && may_be_repeated()) {
    fresh_ = true;
    if (call_peer(peer, true)) return;
  } else if (connected_) {
    return fail(failure_);
  } else {
    tried_.push_back(peer);
  }
  attempt();
}

// --- The request ---------------------------------------------------------------------------------

void Forwarding::on_connected() {
  connected_ = true;
  if (exchange_.ends_with_head() || body_taken_) return;
  if (expect_) {
    exchange_.shard.timers.set(continue_timer_, exchange_.shard.now + kContinue);
  } else {
    take_body();
  }
}

void Forwarding::waited_for_continue(void* self) { static_cast<Forwarding*>(self)->take_body(); }

void Forwarding::take_body() {
  exchange_.shard.timers.cancel(continue_timer_);
  if (std::exchange(body_taken_, true)) return;
  core::step(exchange_, [this] {
    if (exchange_.port) exchange_.port->decided(exchange_);
  });
}

void Forwarding::on_piece(core::Exchange& exchange, base::Block&, std::span<std::byte> piece) {
  if (call_ && !call_->write(piece)) exchange.port->pause_body(exchange);
}

void Forwarding::on_room() {
  if (exchange_.port && !asking_) exchange_.port->resume_body(exchange_);
}

void Forwarding::on_end(core::Exchange& exchange) {
  if (call_) call_->end(exchange.port->trailers(exchange));
}

// --- The answer ----------------------------------------------------------------------------------

void Forwarding::on_interim(const http::ResponseHead& head) {
  if (!exchange_.port) return;
  if (head.status == 100) {
    if (connected_ && !exchange_.ends_with_head()) take_body();
    return;
  }
  core::step(exchange_, [&] {
    std::string fields;
    const ResponseFields rules(head);
    for (const http::Field& field : head.fields) {
      if (!rules.passes(field)) continue;
      fields.append(field.name).append(": ").append(field.value).append("\r\n");
    }
    exchange_.port->interim(exchange_, head.status, fields);
  });
}

void Forwarding::on_response(const http::ResponseHead& head) {
  core::Hold<core::Exchange> hold(exchange_);
  exchange_.shard.timers.cancel(continue_timer_);
  UpstreamGroup::succeeded(*peer_);
  if (!exchange_.port) return let_go();
  core::step(exchange_, [&] {
    if (head.status == 101) return upgrade(head);
    fill_answer(head);
    judge_cache();
    if (!owner_.events().after) return answer();
    tell_after(nullptr, &Forwarding::answer);
  });
}

void Forwarding::fill_answer(const http::ResponseHead& head) {
  core::Answer& answer = exchange_.answer;  // empty, but for what the response cache wants to know
  answer.status = head.status;
  const ResponseFields rules(head);
  for (const http::Field& field : head.fields) {
    if (!rules.passes(field)) continue;
    if (field.id == http::FieldId::content_type && !answer.has_type) {
      answer.type.assign(field.value);
      answer.has_type = true;
      continue;
    }
    if (http::same_name(field.name, "date")) answer.has_date = true;
    exchange_.add_field_unchecked(field.name, field.value);
  }
  const bool has_length = head.find(http::FieldId::content_length).data() != nullptr;
  if (head.body == http::BodyKind::length || (exchange_.head_only && has_length)) {
    answer.set_extras().stream_length = head.content_length;
  } else if (head.body == http::BodyKind::none && !exchange_.head_only) {
    answer.set_extras().stream_length = 0;
  }
}

// The head leaves.
void Forwarding::answer() {
  core::Answer& answer = exchange_.answer;
  const core::AnswerExtras& extras = answer.extras();
  if (exchange_.late) {  // the application answers by itself
    waiting_.clear();
    return let_go();
  }
  const bool replaced = !answer.text.empty() || answer.error != Errc::none || extras.source ||
                        extras.producer || !extras.file.empty() || answer.status < 200 ||
                        answer.status > 599;
  if (replaced) {
    waiting_.clear();
    let_go();
    answer.set_extras().stream_length.reset();
    exchange_.shard.session.respond(exchange_);
    return;
  }
  core::ServerSession& session = exchange_.shard.session;
  if (core::AnswerTap* tap = answer.tap()) tap->begin(exchange_);
  if (answer.changes()) session.response_cache->changed(exchange_);
  exchange_.answered = exchange_.streaming = streaming_ = true;
  exchange_.port->begin_stream(exchange_);
  const std::string waiting = std::exchange(waiting_, {});
  const bool room = send(as_bytes(std::string_view(waiting)));
  if (!exchange_.port) return;
  if (broken_) {
    exchange_.port->break_off(exchange_, failure_);
  } else if (ended_) {
    finish();
  } else if (call_ && room) {
    call_->resume();
  }
}

void Forwarding::on_piece(base::Block&, std::span<std::byte> piece) {
  core::Hold<core::Exchange> hold(exchange_);
  if (!exchange_.port) return let_go();
  core::step(exchange_, [&] {
    if (asking_) {
      waiting_.append(as_text(piece));
    } else if (!send(piece) && call_) {
      call_->pause();
    }
  });
}

// Copied: what waits for slow clients must not be all that the shard receives into. In pieces that
// fit into the blocks that they get.
bool Forwarding::send(Bytes bytes) {
  if (core::AnswerTap* tap = exchange_.answer.tap()) tap->piece(bytes);
  bool room = true;
  while (!bytes.empty() && exchange_.port) {
    const Bytes piece = bytes.first(std::min(bytes.size(), kPiece));
    room = exchange_.port->write_stream(exchange_, piece);
    bytes = bytes.subspan(piece.size());
  }
  if (!room) {
    if (core::AnswerTap* tap = exchange_.answer.tap()) tap->let_others_go();
  }
  return room;
}

bool Forwarding::on_writable(core::Exchange&) {
  if (!streaming_) return false;
  if (call_) call_->resume();
  return true;
}

void Forwarding::on_end(std::string_view trailer_lines) {
  core::Hold<core::Exchange> hold(exchange_);
  call_ = nullptr;
  let_go();
  ended_ = true;
  if (!exchange_.port) return;
  core::step(exchange_, [&] {
    if (http::has_token(exchange_.head.find(http::FieldId::te), "trailers")) {
      trailers_ = trailer_lines;
    }
    if (streaming_) finish();
  });
}

void Forwarding::finish() {
  core::AnswerTap* tap = exchange_.answer.tap();
  if (tap && trailers_.empty()) tap->end();
  exchange_.port->end_stream(exchange_, trailers_);
}

void Forwarding::upgrade(const http::ResponseHead& head) {
  if (exchange_.shard.draining) {
    let_go();
    return exchange_.shard.session.respond_error(exchange_, Errc::server_stopping);
  }
  if (!http::has_token(head.find(http::FieldId::upgrade), "websocket")) {
    const std::string who = peer_->address.text();
    let_go();
    return fail({Errc::upstream_bad_answer, who + ": 101 for another protocol"});
  }
  std::string fields = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
  const ResponseFields rules(head);
  for (const http::Field& field : head.fields) {
    if (!rules.passes(field) || http::same_name(field.name, "date")) continue;
    fields.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  core::Connection& connection = exchange_.port->stream_connection(exchange_);
  auto* tunnel = new Tunnel(connection, *call_, std::exchange(peer_, nullptr));
  core::StreamPtr stream(tunnel);
  std::exchange(call_, nullptr)->hand_to(*tunnel);
  exchange_.answered = true;
  exchange_.port->upgrade(exchange_, fields, std::move(stream));
}

// --- Events and errors ---------------------------------------------------------------------------

// Where handlers run; `then` on the shard, unless nobody waits any more.
void Forwarding::tell_after(const Error* why, void (Forwarding::*then)()) {
  core::ServerSession& session = exchange_.shard.session;
  core::Exchange& exchange = exchange_;
  static constexpr std::string_view kName = "on_after_forward_http";
  const auto call = [this, why] {
    owner_.events().after(exchange_.connection->handle(), exchange_.request(), exchange_.response(),
                          why);
  };
  if (!session.dispatcher.uses_pool()) {
    const bool fine = session.dispatcher.call(*exchange.connection, kName, call);
    if (!exchange.port) return;
    if (fine) return (this->*then)();
    let_go();
    return session.respond_error(exchange, Errc::handler_threw);
  }
  asking_ = true;
  if (call_) call_->pause();
  // What is read meanwhile could be answered by an error, in the place that the event writes to.
  if (!exchange.body_complete) exchange.port->pause_body(exchange);
  auto threw = std::make_shared<bool>(false);
  core::Hold<core::Exchange> hold(exchange);
  core::PoolQueue::Event event;
  event.work = [&exchange, &session, call, threw] {
    *threw = !session.dispatcher.call(*exchange.connection, kName, call);
  };
  event.done = [this, &exchange, &session, then, threw] {
    core::step(exchange, [&] {
      if (!exchange.port || exchange.sink.get() != this) return;
      asking_ = false;
      if (!exchange.body_complete) exchange.port->resume_body(exchange);
      if (!*threw) return (this->*then)();
      let_go();
      session.respond_error(exchange, Errc::handler_threw);
    });
    exchange.release();
  };
  if (session.dispatcher.submit(exchange, std::move(event))) return hold.leave();
  asking_ = false;
  let_go();
  session.respond_error(exchange, Errc::queue_full);
}

// There is no answer: 502 or 504.
void Forwarding::fail(const Error& why) {
  failure_ = why;
  exchange_.set_error(why.code);
  if (!owner_.events().after) return refuse();
  tell_after(&failure_, &Forwarding::refuse);
}

void Forwarding::refuse() {
  if (exchange_.late) return;  // the application answers by itself
  core::ServerSession& session = exchange_.shard.session;
  session.reject(exchange_.connection,
                 {failure_.code, std::string(exchange_.head.method_text) + " " +
                                     session.shown_target(exchange_) + ": " + failure_.detail},
                 exchange_.shard);
  session.respond(exchange_);
}

void Forwarding::given_up() noexcept { let_go(); }

}  // namespace sluice::service
