// core/session.cpp - from a request's head to its answer.
#include "core/session.hpp"

#include <algorithm>
#include <utility>

#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/late.hpp"
#include "core/step.hpp"
#include "core/websocket.hpp"
#include "proto/http/field_rules.hpp"
#include "proto/http/target.hpp"
#include "proto/ws/handshake.hpp"

namespace sluice::core {
namespace {

// A body that goes to disk is written in pieces of about this size.
constexpr std::size_t kFilePiece = 256 * 1024;

enum QueueState : int { waiting = 0, running = 1, expired = 2 };

// Nothing follows the head: no body, or one of length 0.
bool ends_with_head(const Exchange& exchange) {
  const http::RequestHead& head = exchange.head;
  return head.body == http::BodyKind::none ||
         (head.body == http::BodyKind::length && head.content_length == 0);
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = char(c + 32);
  }
  return lower;
}

}  // namespace

ServerSession::ServerSession(SessionSettings in_force, SessionEvents told, const Router& routes,
                             std::shared_ptr<const IdCipher> ids)
    : settings(std::move(in_force)),
      head_limits{settings.limits.head_bytes, settings.limits.field_bytes, settings.limits.fields,
                  settings.limits.target_segments},
      events(std::move(told)),
      router(routes),
      cipher(std::move(ids)),
      dispatcher(*this),
      deferred(std::make_shared<std::atomic<std::uint32_t>>(0)) {
  const WebSocketHandlers& own = events.websocket;
  server_takes_websockets_ = own.on_connect || own.on_message || own.on_binary ||
                             own.on_fragmented || own.on_disconnect || events.on_handshake;
}

ServerSession::~ServerSession() = default;

ServerSession::Admission ServerSession::on_accepted(Connection& connection) {
  std::uint64_t open = settings.limits.connections ? open_connections.fetch_add(1) + 1 : 0;
  if (settings.limits.connections && open > *settings.limits.connections) {
    reject(&connection,
           {Errc::too_many_connections, "limits.connections is " + std::to_string(open - 1)},
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

void ServerSession::on_closed(Connection&) {
  if (settings.limits.connections) open_connections.fetch_sub(1);
}

bool ServerSession::serves_host(const Exchange& exchange) const {
  std::string_view host = exchange.head.host;
  // The port of the field is not compared: that of the socket has decided.
  if (std::size_t colon = host.rfind(':'); colon != std::string_view::npos && host.back() != ']') {
    host = host.substr(0, colon);
  }
  std::string wanted = lower_case(host);
  std::uint16_t port = exchange.connection->destination().local.port;
  return std::any_of(hosts.begin(), hosts.end(), [&](const ServedHost& served) {
    return served.port == port && (served.name.empty() || served.name == wanted);
  });
}

BodyPlan ServerSession::on_head(Exchange& exchange) {
  constexpr BodyPlan kAnswered{BodyPlan::Kind::answered, 0};
  const http::RequestHead& head = exchange.head;
  exchange.shard.counters.requests.add();
  exchange.head_only = head.method == http::Method::head;
  if (head.method == http::Method::connect || head.method == http::Method::trace) {
    respond_error(exchange, Errc::http_method_not_implemented);
    return kAnswered;
  }
  if (!hosts.empty() && !serves_host(exchange)) {
    respond_error(exchange, Errc::host_not_served);
    return kAnswered;
  }
  if (head.form == http::TargetForm::asterisk) {
    exchange.document = "*";
  } else {
    auto path = http::routing_path(head.path, settings.limits.target_segments, exchange.arena);
    if (!path.is_done()) {
      respond_error(exchange, path.is_bad() ? path.error() : Errc::http_bad_target);
      return kAnswered;
    }
    exchange.document = path.value();
  }
  if (head.upgrade && ws::is_upgrade(head) && try_upgrade(exchange)) return kAnswered;
  if (!router.empty()) {
    Router::Match match = router.find(head.method_text, exchange.document, exchange.params);
    exchange.route = match.route;
    if (!match.route && match.path_known) {
      refuse_method(exchange, match.allow);
      return kAnswered;
    }
  }
  const RouteOptions* options =
      exchange.route ? &exchange.route->options : router.body_mode(exchange.document);
  BodyPlan plan;
  plan.limit = settings.limits.body_bytes;
  if (options) {
    if (options->body_bytes) plan.limit = *options->body_bytes;
    exchange.body_wanted_whole = options->body_mode == BodyMode::whole;
  }
  exchange.body_limit = plan.limit;
  if (head.body == http::BodyKind::length && head.content_length > plan.limit) {
    respond_error(exchange, Errc::http_body_too_large);
    return kAnswered;
  }
  if (!exchange.body_wanted_whole && !exchange.body_complete) {
    run_handler(exchange);
    if (exchange.answered && !exchange.on_data) plan.kind = BodyPlan::Kind::answered;
  }
  return plan;
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

void ServerSession::on_body(Exchange& exchange, base::Block& block, std::span<std::byte> piece) {
  exchange.body_received += piece.size();
  if (exchange.body_received > exchange.body_limit) {
    if (!exchange.answered && !exchange.late) {
      respond_error(exchange, Errc::http_body_too_large);
    } else {
      exchange.port->break_off(exchange, Errc::http_body_too_large);
    }
    return;
  }
  if (!exchange.body_wanted_whole) {
    run_on_data(exchange, &block, piece, false);
    return;
  }
  bool all_of_it =
      exchange.head.body == http::BodyKind::length && piece.size() == exchange.head.content_length;
  if (all_of_it) {
    exchange.body_block = base::BlockRef::share(block);
    exchange.body = piece;
    return;
  }
  exchange.body_text.append(as_text(piece));
  bool large =
      exchange.body_file != nullptr || exchange.body_received > settings.limits.body_memory_bytes;
  if (large && exchange.body_text.size() >= (exchange.body_file ? kFilePiece : 1)) {
    flush_to_file(exchange, false);
  }
}

void ServerSession::on_body_end(Exchange& exchange) {
  exchange.body_complete = true;
  if (!exchange.body_wanted_whole) {
    // A body that ended with the head: on_data is told when the handler has set it.
    if (ends_with_head(exchange)) {
      run_handler(exchange);
    } else {
      run_on_data(exchange, nullptr, {}, true);
    }
    return;
  }
  if (exchange.body_file) {
    flush_to_file(exchange, true);
    return;
  }
  if (exchange.body.empty()) exchange.body = as_bytes(exchange.body_text);
  run_handler(exchange);
}

// Writes what was collected on the file pool; reading waits meanwhile.
void ServerSession::flush_to_file(Exchange& exchange, bool last) {
  struct Work {
    std::unique_ptr<BodyFile> file;
    std::string text;
    Bytes mapped;
    Error error;
  };
  auto work = std::make_shared<Work>();
  work->file = std::move(exchange.body_file);
  work->text.swap(exchange.body_text);
  Hold<Exchange> hold(exchange);
  if (!last) exchange.port->pause_body(exchange);
  bool taken = body_source->run_blocking(
      exchange.shard,
      [work, last] {
        if (!work->file) {
          auto made = BodyFile::make();
          if (!made) {
            work->error = made.error();
            return;
          }
          work->file = std::move(*made);
        }
        if (auto written = work->file->write(as_bytes(work->text)); !written) {
          work->error = written.error();
          return;
        }
        if (!last) return;
        auto mapped = work->file->map();
        if (mapped) {
          work->mapped = *mapped;
        } else {
          work->error = mapped.error();
        }
      },
      [this, work, last, &exchange] {
        exchange.body_file = std::move(work->file);
        step(exchange, [&] {
          if (!exchange.port) return;
          if (work->error) {
            log(LogLevel::error, work->error.code,
                "a request body cannot be stored: " + work->error.message());
            respond_error(exchange, Errc::io_failed);
          } else if (last) {
            exchange.body = work->mapped;
            run_handler(exchange);
          } else {
            exchange.port->resume_body(exchange);
          }
        });
        exchange.release();
      });
  if (taken) return hold.leave();
  respond_error(exchange, Errc::queue_full);
}

void ServerSession::run_on_data(Exchange& exchange, base::Block* block,
                                std::span<const std::byte> piece, bool last) {
  if (!exchange.on_data) {
    if (last) after_body(exchange);
    return;
  }
  Connection& connection = *exchange.connection;
  if (!dispatcher.uses_pool()) {
    bool fine = dispatcher.call(connection, "on_data", [&] { exchange.on_data(piece, last); });
    if (!fine) {
      exchange.on_data = nullptr;
      if (exchange.port && !exchange.answered && !exchange.late) {
        respond_error(exchange, Errc::handler_threw);
      }
    }
    if (last && exchange.port) after_body(exchange);
    return;
  }
  base::Block* pinned = piece.empty() ? nullptr : block;
  if (pinned) pinned->retain();
  exchange.retain();
  ++exchange.on_pool;
  PoolQueue::Event event;
  event.bytes = piece.size();
  auto threw = std::make_shared<bool>(false);
  event.work = [this, &exchange, &connection, piece, last, threw] {
    *threw = !dispatcher.call(connection, "on_data", [&] { exchange.on_data(piece, last); });
  };
  event.done = [this, &exchange, pinned, last, threw] {
    if (pinned) pinned->release();
    step(exchange, [&] {
      left_pool(exchange);
      if (*threw && exchange.port && !exchange.answered && !exchange.late) {
        respond_error(exchange, Errc::handler_threw);
      }
      if (last && exchange.port) after_body(exchange);
    });
    exchange.release();
  };
  dispatcher.submit(connection, std::move(event));
}

void ServerSession::after_body(Exchange& exchange) {
  exchange.on_data = nullptr;  // what it holds goes with it, a BodyWriter perhaps
  if (exchange.answer_after_body && !exchange.answered && !exchange.late) respond(exchange);
}

void ServerSession::run_handler(Exchange& exchange) {
  if (exchange.answered) return;
  Connection& connection = *exchange.connection;
  if (exchange.route && exchange.route->native) {
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
      handler(connection.handle(), exchange.request(), exchange.response());
    });
    after_handler(exchange, !fine);
  } else {
    run_on_pool(exchange, handler, name);
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
  auto threw = std::make_shared<bool>(false);
  PoolQueue::Event event;
  event.request = true;
  event.work = [this, &exchange, &connection, &handler, name, state, threw] {
    int expected = waiting;
    if (!state->compare_exchange_strong(expected, running)) return;
    *threw = !dispatcher.call(connection, name, [&] {
      handler(connection.handle(), exchange.request(), exchange.response());
    });
  };
  event.done = [this, &exchange, state, threw] {
    step(exchange, [&] {
      left_pool(exchange);
      if (state->load() != running || !exchange.port) return;
      after_handler(exchange, *threw);
      if (exchange.port && !exchange.body_complete) exchange.port->resume_body(exchange);
    });
    exchange.release();
  };
  if (dispatcher.submit(connection, std::move(event))) return;
  --exchange.on_pool;
  respond_error(exchange, Errc::queue_full);
  exchange.release();
}

// What happened to the exchange while a handler on the pool had it is done now.
void ServerSession::left_pool(Exchange& exchange) {
  if (--exchange.on_pool == 0 && exchange.abort_after_pool) abort_answer(exchange);
}

void ServerSession::on_queue_timeout(Exchange& exchange) {
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
  if (!exchange.body_wanted_whole && ends_with_head(exchange) && exchange.on_data) {
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

void ServerSession::respond(Exchange& exchange) {
  if (exchange.answered || !exchange.port) return;
  Answer& answer = exchange.answer;
  if (answer.status < 200 || answer.status > 599) answer.error = Errc::bad_setting;
  if (answer.error == Errc::deferred_full) return respond_error(exchange, answer.error);
  if (answer.error != Errc::none) spoil_answer(exchange);
  if (!answer.is_plain() && respond_with_extras(exchange)) return;
  exchange.answered = true;
  exchange.port->respond(exchange);
}

// What the application has said cannot be sent: a 500 instead.
void ServerSession::spoil_answer(Exchange& exchange) {
  Errc code = exchange.answer.error;
  exchange.set_error(code);
  exchange.answer.status = 500;
  reject(exchange.connection,
         {code, "the application's answer to " + std::string(exchange.document)}, exchange.shard);
}

// True: the answer comes from a file or a stream.
bool ServerSession::respond_with_extras(Exchange& exchange) {
  Answer& answer = exchange.answer;
  const AnswerExtras& extras = answer.extras();
  if (!extras.file.empty()) {
    body_source->respond_file(exchange);
    return true;
  }
  if (extras.range_first && extras.range_last && extras.range_size && !answer.has_range) {
    answer.has_range = true;
    answer.status = 206;
    exchange.add_field_unchecked("Content-Range", "bytes " + std::to_string(*extras.range_first) +
                                                      "-" + std::to_string(*extras.range_last) +
                                                      "/" + std::to_string(*extras.range_size));
  }
  if (!extras.source) return false;
  body_source->respond_stream(exchange);
  return true;
}

void ServerSession::respond_error(Exchange& exchange, Errc code) {
  if (exchange.answered || !exchange.port) return;
  exchange.set_error(code);
  if (code == Errc::ws_bad_version) exchange.add_field_unchecked("Sec-WebSocket-Version", "13");
  if (code == Errc::queue_full || code == Errc::deferred_full || code == Errc::queue_timeout) {
    exchange.add_field_unchecked("Retry-After", "1");
  }
  // Who sends what is malformed gets no answer to what follows it.
  if (exchange.answer.status == 400) exchange.answer.close_connection = true;
  // "Nothing is served here" is an answer like any other, not a rejected request.
  if (code != Errc::http_no_route && code != Errc::handler_threw) {
    reject(exchange.connection,
           {code, std::string(exchange.head.method_text) + " " + std::string(exchange.head.target)},
           exchange.shard);
  }
  exchange.answered = true;
  exchange.port->respond(exchange);
}

void ServerSession::on_abort(Exchange& exchange) {
  exchange.port = nullptr;
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

void ServerSession::abort_answer(Exchange& exchange) {
  if (Late* late = exchange.late) {
    Hold<Late> hold(*late);
    late->aborted_on_shard();
  }
  if (body_source) body_source->stream_aborted(exchange);
  exchange.on_data = nullptr;  // it may hold the writer that holds this exchange
}

void ServerSession::on_writable(Exchange& exchange) {
  if (Late* late = exchange.late) {
    Hold<Late> hold(*late);
    late->writable_on_shard();
  } else if (body_source) {
    body_source->stream_writable(exchange);
  }
}

void ServerSession::reject(Connection* connection, const Error& why, Shard& shard) {
  shard.counters.rejected.add();
  const ErrorInfo& row = info(why.code);
  if (events.on_log) log(LogLevel::info, why.code, std::string(row.reason) + ": " + why.message());
  if (connection) failed_event(*connection, why);
}

void ServerSession::failed_event(Connection& connection, const Error& why) {
  if (!events.on_error) return;
  if (!dispatcher.uses_pool()) {
    dispatcher.call(connection, "on_error", [&] { events.on_error(connection.handle(), why); });
    return;
  }
  PoolQueue::Event event;
  connection.retain();
  event.work = [this, &connection, why] {
    dispatcher.call(connection, "on_error", [&] { events.on_error(connection.handle(), why); });
  };
  event.done = [&connection] { connection.release(); };
  if (!dispatcher.submit(connection, std::move(event))) connection.release();
}

void ServerSession::threw(Connection& connection, const std::exception_ptr& what) {
  try {
    std::string text = "a handler threw an exception";
    try {
      std::rethrow_exception(what);
    } catch (const std::exception& error) {
      text.append(": ").append(error.what());
    } catch (...) {
    }
    log(LogLevel::error, Errc::handler_threw, text);
  } catch (const std::bad_alloc&) {
    log(LogLevel::error, Errc::handler_threw, "a handler threw an exception");
  }
  if (!events.on_exception) return;
  try {
    events.on_exception(connection.handle(), what);
  } catch (...) {
    log(LogLevel::error, Errc::handler_threw, "on_exception threw an exception itself");
  }
}

void ServerSession::log(LogLevel level, Errc code, std::string_view message) const {
  if (events.on_log) events.on_log(level, code, message);
}

// --- Upgrades ------------------------------------------------------------------------------------

// False: nobody here takes WebSockets, so the request is a plain one (RFC 9110 section 7.8).
bool ServerSession::try_upgrade(Exchange& exchange) {
  const WebSocketHandlers* handlers = router.find_websocket(exchange.document, exchange.params);
  if (!handlers) {
    if (!server_takes_websockets_) return false;
    exchange.params.clear();
    // A path with a route is that route's; the server's own events get the others.
    if (router.find("GET", exchange.document, exchange.params).route) {
      exchange.params.clear();
      return false;
    }
    handlers = &events.websocket;
  }
  const SecurityOptions& security = settings.security;
  ws::HandshakeRules rules{security.enforce_websocket_version, security.validate_websocket_key,
                           security.origins_allowed};
  if (Errc verdict = ws::judge(exchange.head, rules); verdict != Errc::none) {
    respond_error(exchange, verdict);
    return true;
  }
  if (exchange.shard.draining) {
    respond_error(exchange, Errc::server_stopping);
    return true;
  }
  upgrade(exchange, *handlers);
  return true;
}

void ServerSession::upgrade(Exchange& exchange, const WebSocketHandlers& handlers) {
  Connection& connection = *exchange.connection;
  // The list may come in several fields (RFC 6455 section 11.3.4).
  std::string_view protocol;
  for (const http::Field& field : exchange.head.fields) {
    if (field.id != http::FieldId::sec_websocket_protocol || !protocol.empty()) continue;
    protocol = ws::choose_protocol(field.value, settings.protocols);
  }
  connection.set_destination(exchange.shard.destinations.of(connection.destination().local,
                                                            exchange.document, protocol, handlers));
  Headers extra;
  if (events.on_handshake) {
    bool fine = dispatcher.call(connection, "on_handshake",
                                [&] { events.on_handshake(connection.handle(), extra); });
    if (!fine) {
      // Its destination is that of the WebSocket that did not come: there is no second one.
      exchange.head.keep_alive = false;
      respond_error(exchange, Errc::handler_threw);
      return;
    }
    if (!exchange.port) return;
  }
  auto accept = ws::accept_value(exchange.head.find(http::FieldId::sec_websocket_key));
  std::string& fields = exchange.answer.fields;
  fields.assign("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
  fields.append(accept.data(), accept.size()).append("\r\n");
  if (!protocol.empty()) exchange.add_field_unchecked("Sec-WebSocket-Protocol", protocol);
  for (const auto& [name, value] : extra.list()) exchange.add_field_unchecked(name, value);
  StreamPtr socket = WebSocket::make(connection);
  auto& opened = static_cast<WebSocket&>(*socket);
  exchange.answered = true;
  exchange.port->upgrade(exchange, fields, std::move(socket));
  opened.attach();
  opened.opened();
}

}  // namespace sluice::core
