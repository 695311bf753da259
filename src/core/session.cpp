// core/session.cpp - from a request's head to its answer.
#include "core/session.hpp"

#include <algorithm>
#include <utility>

#include "core/bandwidth.hpp"
#include "core/body_sink.hpp"
#include "core/connection.hpp"
#include "core/event_stream.hpp"
#include "core/exchange.hpp"
#include "core/gate.hpp"
#include "core/late.hpp"
#include "core/response_cache.hpp"
#include "core/step.hpp"
#include "core/url_group.hpp"
#include "proto/http/target.hpp"
#include "proto/ws/handshake.hpp"

namespace sluice::core {
namespace {

enum QueueState : int { waiting = 0, running = 1, expired = 2 };

}  // namespace

ServerSession::ServerSession(SessionSettings in_force, SessionEvents told, const Router& routes,
                             std::shared_ptr<const IdCipher> ids)
    : settings(std::move(in_force)),
      events(std::move(told)),
      router(routes),
      cipher(std::move(ids)),
      dispatcher(*this),
      deferred(std::make_shared<std::atomic<std::uint32_t>>(0)),
      deferred_limit(settings.limits.deferred),
      send_queue_bytes(settings.limits.send_queue_bytes),
      in_force_(std::make_shared<const SessionSettings>(completed(settings, nullptr))) {
  const WebSocketHandlers& own = events.websocket;
  server_takes_websockets_ = own.on_connect || own.on_message || own.on_binary ||
                             own.on_fragmented || own.on_disconnect || events.on_handshake;
}

ServerSession::~ServerSession() = default;

std::shared_ptr<const SessionSettings> ServerSession::in_force() const {
  std::lock_guard lock(in_force_mutex_);
  return in_force_;
}

// What follows from the others. The limit that was there is changed, so that nothing is forgiven.
SessionSettings ServerSession::completed(SessionSettings next,
                                         std::shared_ptr<Bandwidth> before) const {
  if (const auto& limit = next.limits.bandwidth) {
    next.bandwidth = before ? std::move(before) : std::make_shared<Bandwidth>(*limit);
    next.bandwidth->set_rate(*limit);
  }
  const std::pair<QueueLevel, Marks> levels[] = {
      {next.queue.text, kText}, {next.queue.binary, kBinary}, {next.queue.ping, kPing}};
  for (const auto& [level, kind] : levels) {
    if (level != QueueLevel::all) next.few_wait |= kind;
    if (level == QueueLevel::last) next.last_waits |= kind;
  }
  return next;
}

std::shared_ptr<Gate> ServerSession::gate() const {
  std::lock_guard lock(in_force_mutex_);
  return gate_;
}

void ServerSession::set_gate(std::shared_ptr<Gate> gate) {
  std::lock_guard lock(in_force_mutex_);
  gate_ = std::move(gate);
}

void ServerSession::apply(SessionSettings next, std::shared_ptr<Gate> gate) {
  auto made =
      std::make_shared<const SessionSettings>(completed(std::move(next), in_force()->bandwidth));
  deferred_limit.store(made->limits.deferred, std::memory_order_relaxed);
  send_queue_bytes.store(made->limits.send_queue_bytes, std::memory_order_relaxed);
  {
    std::lock_guard lock(in_force_mutex_);
    in_force_ = std::move(made);
    gate_ = std::move(gate);
  }
  for (Shard* shard : shards) bring_up_to_date(*shard);
}

void ServerSession::bring_up_to_date(Shard& shard) const {
  std::lock_guard lock(in_force_mutex_);
  shard.mailbox->post_always([&shard, settings = in_force_, kept = keep(gate_)]() mutable {
    shard.set_settings(std::move(settings));
    shard.set_gate(std::move(kept));
  });
}

// The one that has just been accepted included. Shards count for themselves, so that they share no
// line that they write for each connection; of two that accept at the same time at least one sees
// the other's, so that there are never more than the limit.
std::uint64_t ServerSession::open_connections() const {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  std::uint64_t sum = 0;
  for (const Shard* shard : shards) sum += shard->counters.connections.get();
  return sum;
}

ServerSession::Admission ServerSession::on_accepted(Connection& connection) {
  const std::optional<std::uint64_t>& most = connection.shard().settings().limits.connections;
  if (most && open_connections() > *most) {
    reject(&connection,
           {Errc::too_many_connections, "limits.connections is " + std::to_string(*most)},
           connection.shard());
    return Admission::busy;
  }
  bool accept = true;
  if (events.on_tcp_connect) {
    dispatcher.call(connection, "on_tcp_connect",
                    [&] { events.on_tcp_connect(connection.handle(), accept); });
  }
  return accept ? Admission::accept : Admission::refuse;
}

bool ServerSession::on_unknown_protocol(Connection& connection, Bytes first) {
  bool accept = false;
  bool fine = dispatcher.call(connection, "on_unknown_protocol", [&] {
    events.on_unknown_protocol(connection.handle(), first, accept);
  });
  return fine && accept;
}

void ServerSession::on_closed(Connection& connection) { connection.leave_groups(); }

// Which URL prefix it belongs to. False: it was answered.
bool ServerSession::find_url(Exchange& exchange) {
  Shard& shard = exchange.shard;
  const UrlSnapshot::Target& target =
      shard.urls.find(*urls, *exchange.connection, exchange.connection->destination().local,
                      exchange.head.host, exchange.document);
  exchange.urls = &shard.urls.picture();
  exchange.urls->retain();
  exchange.url = target.entry;
  exchange.url_group = target.group;
  Connection& connection = *exchange.connection;
  if (target.group && (target.group->bandwidth || connection.is_paced())) {
    connection.charge(target.group->bandwidth);
  }
  if (target.refused == Errc::none) return true;
  respond_error(exchange, target.refused);
  return false;
}

BodyPlan ServerSession::on_head(Exchange& exchange) {
  constexpr BodyPlan kAnswered{BodyPlan::Kind::answered, 0};
  const http::RequestHead& head = exchange.head;
  exchange.shard.counters.requests.add();
  exchange.gate = exchange.shard.gate();
  if (exchange.gate) exchange.gate->retain();
  exchange.head_only = head.method == http::Method::head;
  if (head.method == http::Method::connect || head.method == http::Method::trace) {
    respond_error(exchange, Errc::http_method_not_implemented);
    return kAnswered;
  }
  if (head.form == http::TargetForm::asterisk) {
    exchange.document = "*";
  } else {
    auto path = http::routing_path(head.path, exchange.shard.settings().limits.target_segments,
                                   exchange.arena);
    if (!path.is_done()) {
      respond_error(exchange, path.is_bad() ? path.error() : Errc::http_bad_target);
      return kAnswered;
    }
    exchange.document = path.value();
  }
  if (exchange.gate) exchange.gate->gate().on_path(exchange);
  if (urls && !find_url(exchange)) return kAnswered;
  if (exchange.gate) {
    switch (exchange.gate->gate().admit(exchange)) {
      case Gate::Verdict::pass:
        break;
      case Gate::Verdict::answered:
        return kAnswered;
      case Gate::Verdict::later:
        exchange.undecided = true;
        return {BodyPlan::Kind::later, 0};
    }
  }
  return decide(exchange);
}

void ServerSession::go_on(Exchange& exchange) {
  if (!exchange.port || exchange.answered) return;
  Hold<Exchange> hold(exchange);
  exchange.undecided = false;
  BodyPlan plan = decide(exchange);
  if (exchange.port && plan.kind == BodyPlan::Kind::read) exchange.port->decided(exchange);
}

// What becomes of a request that may pass.
BodyPlan ServerSession::decide(Exchange& exchange) {
  constexpr BodyPlan kAnswered{BodyPlan::Kind::answered, 0};
  const http::RequestHead& head = exchange.head;
  const UrlSettings* group = exchange.url_group ? &exchange.url_group->settings : nullptr;
  if (group && exchange.head_size > group->head_bytes) {
    respond_error(exchange, Errc::http_head_too_large);
    return kAnswered;
  }
  if (group && group->connections != kNoLimit &&
      !exchange.connection->enter_group(*exchange.url_group)) {
    respond_error(exchange, Errc::too_many_connections);
    return kAnswered;
  }
  if (group && !exchange.url_group->queue->active()) {
    return wait_in_queue(exchange, *exchange.url_group->queue);
  }
  BodyPlan plan;
  if (ResponseCache* cache = cache_in_use.load(std::memory_order_acquire)) [[unlikely]] {
    if (is_cached(exchange, *cache, plan)) return plan;
  }
  if (forwarder && !exchange.forward_judged && forwarder->take(exchange, plan)) return plan;
  if (head.upgrade && ws::is_upgrade(head) && try_upgrade(exchange)) return kAnswered;
  if (!head.protocol.empty()) [[unlikely]] {  // a 200 would say that it is a WebSocket now
    respond_error(exchange, Errc::http_no_route);
    return kAnswered;
  }
  if (!exchange.ends_with_head() && !is_body_wanted(exchange, plan)) return plan;
  if (!exchange.route && !router.empty()) {
    Router::Match match = router.find(head.method_text, exchange.document, exchange.params);
    exchange.route = match.route;
    if (!match.route && match.path_known) {
      refuse_method(exchange, match.allow);
      return kAnswered;
    }
  }
  // An empty body is a file, too, where a route takes files.
  const bool is_taken = exchange.route && exchange.route->sink;
  if (is_taken && !is_body_wanted(exchange, plan)) return plan;
  const RouteOptions* options =
      exchange.route ? &exchange.route->options : router.body_mode(exchange.document);
  plan.limit = group ? group->body_bytes : exchange.shard.settings().limits.body_bytes;
  if (options) {
    if (options->body_bytes) plan.limit = *options->body_bytes;
    exchange.body_wanted_whole = options->body_mode == BodyMode::whole;
  }
  http::CodingList codings;
  if (exchange.shard.settings().decodes_bodies && !exchange.ends_with_head()) [[unlikely]] {
    if (!read_codings(exchange, codings)) return kAnswered;
  }
  if (exchange.body_wanted_whole && !exchange.sink) {
    if (exchange.route && exchange.route->sink) {
      exchange.sink = exchange.route->sink(exchange);
    } else if (body_sinks && !exchange.ends_with_head()) {
      exchange.sink = body_sinks->open(exchange);
    }
    if (exchange.answered) return kAnswered;
    // limits.body_bytes is for what is kept in memory; what the group says itself holds.
    if (exchange.sink && !(options && options->body_bytes)) {
      plan.limit =
          exchange.url_group ? exchange.url_group->body_bytes.value_or(kNoLimit) : kNoLimit;
    }
  }
  exchange.body_limit = plan.limit;
  if (head.body == http::BodyKind::length && head.content_length > plan.limit) {
    respond_error(exchange, Errc::http_body_too_large);
    return kAnswered;
  }
  if (codings.size > 0 && !decode_body(exchange, codings)) return kAnswered;
  if (!exchange.body_wanted_whole && !exchange.body_complete) {
    run_handler(exchange);
    if (exchange.answered && !exchange.on_data) plan.kind = BodyPlan::Kind::answered;
  }
  return plan;
}

// False: its handler's turn.
bool ServerSession::is_cached(Exchange& exchange, ResponseCache& cache, BodyPlan& plan) {
  switch (cache.look_up(exchange)) {
    case ResponseCache::Found::nothing:
      return false;
    case ResponseCache::Found::answered:
      plan.kind = BodyPlan::Kind::answered;
      return true;
    case ResponseCache::Found::later:
      exchange.undecided = true;
      plan.kind = BodyPlan::Kind::later;
      return true;
  }
  return false;
}

// Asks the application. False: it said no, or says so later.
bool ServerSession::is_body_wanted(Exchange& exchange, BodyPlan& plan) {
  if (!events.on_before_body || exchange.body_judged) return true;
  exchange.body_judged = true;
  Connection& connection = *exchange.connection;
  static constexpr std::string_view kName = "on_http_upload_before_create_post_stream";
  if (!dispatcher.uses_pool()) {
    bool accept = true;
    const bool fine = dispatcher.call(connection, kName, [&] {
      events.on_before_body(connection.handle(), exchange.request(), accept);
    });
    if (fine && accept) return true;
    respond_error(exchange, fine ? Errc::http_body_too_large : Errc::handler_threw);
    plan.kind = BodyPlan::Kind::answered;
    return false;
  }
  struct Outcome {
    bool accept = true, threw = false;
  };
  auto outcome = std::make_shared<Outcome>();
  Hold<Exchange> hold(exchange);
  PoolQueue::Event event;
  event.work = [this, &exchange, &connection, outcome] {
    outcome->threw = !dispatcher.call(connection, kName, [&] {
      events.on_before_body(connection.handle(), exchange.request(), outcome->accept);
    });
  };
  event.done = [this, &exchange, outcome] {
    step(exchange, [&] {
      if (!exchange.port) return;
      if (!outcome->threw && outcome->accept) return go_on(exchange);
      respond_error(exchange, outcome->threw ? Errc::handler_threw : Errc::http_body_too_large);
    });
    exchange.release();
  };
  if (dispatcher.submit(exchange, std::move(event))) {
    hold.leave();
    exchange.undecided = true;
    plan.kind = BodyPlan::Kind::later;
  } else {
    respond_error(exchange, Errc::queue_full);
    plan.kind = BodyPlan::Kind::answered;
  }
  return false;
}

// --- Queues --------------------------------------------------------------------------------------

BodyPlan ServerSession::wait_in_queue(Exchange& exchange, RequestQueue& queue) {
  switch (queue.admit(true)) {
    case RequestQueue::Admission::run:
      return decide(exchange);  // it has just become active
    case RequestQueue::Admission::full:
      respond_error(exchange, Errc::queue_full);
      return {BodyPlan::Kind::answered, 0};
    case RequestQueue::Admission::queued:
      break;
  }
  exchange.shard.in_queue.push_back(&exchange);
  exchange.retain();
  exchange.in_queue = exchange.undecided = true;
  return {BodyPlan::Kind::later, 0};
}

// It waits no more. Whoever calls keeps a use of it.
void ServerSession::leave_queue(Exchange& exchange) {
  std::vector<Exchange*>& waiting = exchange.shard.in_queue;
  waiting.erase(std::remove(waiting.begin(), waiting.end(), &exchange), waiting.end());
  exchange.in_queue = false;
  exchange.url_group->queue->leave();
  exchange.release();
}

void ServerSession::look_at_queue(Shard& shard) {
  const std::vector<Exchange*> waiting = shard.in_queue;
  for (Exchange* exchange : waiting) {
    if (!exchange->in_queue || !exchange->url_group->queue->active()) continue;
    step(*exchange, [&] {
      leave_queue(*exchange);
      go_on(*exchange);
    });
  }
}

void ServerSession::on_drain(Shard& shard, base::Duration window) {
  EventStream::drain_all(shard, window);
  const std::vector<Exchange*> waiting = shard.in_queue;
  for (Exchange* exchange : waiting) {
    if (!exchange->in_queue) continue;
    step(*exchange, [&] {
      leave_queue(*exchange);
      respond_error(*exchange, Errc::server_stopping);
    });
  }
}

void ServerSession::refuse_method(Exchange& exchange, std::string_view allow) {
  exchange.set_error(Errc::http_method_not_allowed);
  exchange.add_field_unchecked("Allow", allow);
  reject(exchange.connection,
         {Errc::http_method_not_allowed,
          std::string(exchange.head.method_text) + " " + std::string(exchange.document)},
         exchange.shard);
  respond(exchange);
}

void ServerSession::run_handler(Exchange& exchange) {
  if (exchange.answered) return;
  Connection& connection = *exchange.connection;
  if (exchange.route && exchange.route->native) {
    exchange.handled = true;
    exchange.route->native(exchange);
    return;
  }
  const RequestHandler& handler = exchange.route ? exchange.route->handler : events.on_http_request;
  if (!handler) {
    if (exchange.head.form == http::TargetForm::asterisk) {
      respond(exchange);  // OPTIONS *: only whether anybody is here (RFC 9110, section 9.3.7)
    } else {
      respond_error(exchange, Errc::http_no_route);
    }
    return;
  }
  std::string_view name =
      exchange.route ? std::string_view(exchange.route->name) : "on_http_request";
  if (!dispatcher.uses_pool()) {
    exchange.in_handler = true;
    Hold<Exchange> hold(exchange);
    bool fine = dispatcher.call(connection, name, [&] {
      tell_fields(exchange);
      exchange.handled = true;
      handler(connection.handle(), exchange.request(), exchange.response());
    });
    after_handler(exchange, !fine);
  } else {
    run_on_pool(exchange, handler, name);
  }
}

// Where the handler runs, and before it.
void ServerSession::tell_fields(Exchange& exchange) const {
  if (!exchange.form || !events.on_form_field) return;
  for (const FormField& field : exchange.form->fields) {
    events.on_form_field(exchange.connection->handle(), field.name, field.value);
  }
}

void ServerSession::run_on_pool(Exchange& exchange, const RequestHandler& handler,
                                std::string_view name) {
  Connection& connection = *exchange.connection;
  if (!exchange.body_complete) exchange.port->pause_body(exchange);
  exchange.retain();
  ++exchange.on_pool;
  auto state = std::make_shared<std::atomic<int>>(waiting);
  exchange.queue_state = state;
  struct Outcome {
    bool began = false, threw = false;
  };
  auto outcome = std::make_shared<Outcome>();
  PoolQueue::Event event;
  if (exchange.url_group) event.queue = exchange.url_group->queue.get();
  event.work = [this, &exchange, &connection, &handler, name, state, outcome] {
    int expected = waiting;
    if (!state->compare_exchange_strong(expected, running)) return;
    outcome->threw = !dispatcher.call(connection, name, [&] {
      tell_fields(exchange);
      outcome->began = true;
      handler(connection.handle(), exchange.request(), exchange.response());
    });
  };
  event.done = [this, &exchange, state, outcome] {
    exchange.handled = outcome->began;
    step(exchange, [&] {
      left_pool(exchange);
      if (state->load() != running || !exchange.port) return;
      // A Reply on another thread may have been faster: its body is being read already.
      if (!exchange.stream_state) after_handler(exchange, outcome->threw);
      if (exchange.port && !exchange.body_complete) exchange.port->resume_body(exchange);
    });
    exchange.release();
  };
  if (dispatcher.submit(exchange, std::move(event))) {
    if (exchange.port) exchange.port->wait_for_thread(exchange);
    return;
  }
  --exchange.on_pool;
  respond_error(exchange, Errc::queue_full);
  exchange.release();
}

// What happened to the exchange while a handler on the pool had it is done now.
void ServerSession::left_pool(Exchange& exchange) {
  if (--exchange.on_pool == 0 && exchange.abort_after_pool) abort_answer(exchange);
}

void ServerSession::on_queue_timeout(Exchange& exchange) {
  if (exchange.undecided) {
    Hold<Exchange> hold(exchange);
    if (exchange.in_queue) leave_queue(exchange);
    if (exchange.in_cache) response_cache->given_up(exchange);
    exchange.undecided = false;
    if (exchange.gate_state) exchange.gate_state->given_up(exchange);
    respond_error(exchange, Errc::queue_timeout);
    return;
  }
  if (!exchange.queue_state) return;
  int expected = waiting;
  if (exchange.queue_state->compare_exchange_strong(expected, expired)) {
    respond_error(exchange, Errc::queue_timeout);
  }
}

void ServerSession::after_handler(Exchange& exchange, bool handler_threw) {
  exchange.in_handler = false;
  if (!exchange.port) return;
  if (handler_threw && !exchange.late && !exchange.answered) {
    respond_error(exchange, Errc::handler_threw);
    return;
  }
  if (!exchange.body_wanted_whole && exchange.ends_with_head() && exchange.on_data) {
    exchange.answer_after_body = !exchange.late;
    run_on_data(exchange, nullptr, {}, true);
    if (!exchange.late || !exchange.port) return;
  }
  if (exchange.late) {
    exchange.late->handler_returned();
    return;
  }
  if (exchange.answered) return;
  if (!exchange.body_complete && exchange.on_data) {
    exchange.answer_after_body = true;
    return;
  }
  respond(exchange);
}

void ServerSession::on_abort(Exchange& exchange) {
  exchange.port = nullptr;
  if (exchange.in_queue) {
    Hold<Exchange> hold(exchange);
    leave_queue(exchange);
  }
  if (exchange.in_cache) {
    Hold<Exchange> hold(exchange);
    response_cache->given_up(exchange);
  }
  if (exchange.gate_state) {
    Hold<Exchange> hold(exchange);
    exchange.gate_state->given_up(exchange);
  }
  if (exchange.queue_state) {
    int expected = waiting;
    exchange.queue_state->compare_exchange_strong(expected, expired);
  }
  if (exchange.on_pool > 0) {
    exchange.abort_after_pool = true;
  } else {
    abort_answer(exchange);
  }
}

}  // namespace sluice::core
