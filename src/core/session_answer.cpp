// core/session_answer.cpp - answers on their way out, and errors in their place.
#include "core/session.hpp"

#include <utility>

#include "core/answer_coder.hpp"
#include "core/body_decoder.hpp"
#include "core/body_sink.hpp"
#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/gate.hpp"
#include "core/late.hpp"
#include "core/response_cache.hpp"
#include "core/step.hpp"
#include "core/url_group.hpp"

namespace sluice::core {
namespace {

// Of a request queue or its group, which may say less than what they know.
bool answer_is_terse(Errc code) {
  return code == Errc::queue_full || code == Errc::queue_timeout || code == Errc::group_inactive ||
         code == Errc::too_many_connections;
}

}  // namespace

void ServerSession::respond(Exchange& exchange) {
  if (exchange.answered || !exchange.port) return;
  Answer& answer = exchange.answer;
  if (answer.status < 200 || answer.status > 599) answer.error = Errc::bad_setting;
  if (answer.error == Errc::deferred_full) return respond_error(exchange, answer.error);
  if (answer.error != Errc::none) spoil_answer(exchange);
  if (!answer.is_plain() && respond_with_extras(exchange)) return;
  exchange.answered = true;
  if (exchange.shard.settings().codings) [[unlikely]] {
    return respond_coded(exchange);
  }
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
  if (extras.changes) response_cache->changed(exchange);
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
  if (!extras.source && !extras.producer) {
    if ((extras.cache || extras.tap) && response_cache) response_cache->keep(exchange);
    return false;
  }
  body_source->respond_stream(exchange);
  return true;
}

void ServerSession::respond_error(Exchange& exchange, Errc code) {
  if (exchange.answered || !exchange.port) return;
  exchange.set_error(code);
  if (code == Errc::http_coding_not_supported) {
    exchange.add_field_unchecked("Accept-Encoding", http::kCodingsUnderstood);
  }
  if (code == Errc::ws_bad_version) exchange.add_field_unchecked("Sec-WebSocket-Version", "13");
  if (code == Errc::queue_full || code == Errc::deferred_full || code == Errc::queue_timeout) {
    exchange.add_field_unchecked("Retry-After", "1");
  }
  // Who sends what is malformed gets no answer to what follows it.
  if (exchange.answer.status == 400) exchange.answer.close_connection = true;
  if (answer_is_terse(code) && !limit_503(exchange, code)) return;
  // "Nothing is served here" is an answer like any other, not a rejected request.
  if (code != Errc::http_no_route && code != Errc::handler_threw) {
    reject(exchange.connection,
           {code, std::string(exchange.head.method_text) + " " + shown_target(exchange)},
           exchange.shard);
  }
  exchange.answered = true;
  exchange.port->respond(exchange);
}

std::string ServerSession::shown_target(const Exchange& exchange) const {
  const KeptGate* kept = exchange.gate ? exchange.gate : exchange.shard.gate();
  return kept ? kept->gate().shown(exchange.head.target) : std::string(exchange.head.target);
}

// What a 503 of a request queue says: see Verbosity503. False: nothing, the connection is reset.
bool ServerSession::limit_503(Exchange& exchange, Errc code) {
  const RequestQueue* queue = exchange.url_group ? exchange.url_group->queue.get() : nullptr;
  Verbosity503 verbosity = queue ? queue->verbosity() : Verbosity503::limited;
  exchange.answer.close_connection = true;
  if (verbosity == Verbosity503::basic) {
    exchange.port->break_off(exchange, code);
    return false;
  }
  if (verbosity == Verbosity503::limited) exchange.answer.text = "the service is unavailable\n";
  return true;
}

void ServerSession::abort_answer(Exchange& exchange) {
  if (exchange.codings) {
    if (exchange.codings->answer) exchange.codings->answer->detach();
    if (exchange.codings->body) exchange.codings->body->detach();
  }
  if (Late* late = exchange.late) {
    Hold<Late> hold(*late);
    late->aborted_on_shard();
  }
  // Its handler may keep what it answers by for long. Who waits while the server stops goes with
  // it.
  if (AnswerTap* tap = exchange.answer.tap(); tap && !exchange.shard.draining) tap->let_others_go();
  if (body_source) body_source->stream_aborted(exchange);
  if (exchange.sink && !exchange.handled) exchange.sink->given_up();
  exchange.on_data = nullptr;  // it may hold the writer that holds this exchange
}

void ServerSession::on_writable(Exchange& exchange) {
  if (exchange.codings && exchange.codings->answer) {
    Hold<Exchange> hold(exchange);
    exchange.codings->answer->on_writable();
    if (!exchange.port) return;
  }
  if (Late* late = exchange.late) {
    Hold<Late> hold(*late);
    late->writable_on_shard();
  } else if (exchange.sink && exchange.sink->on_writable(exchange)) {
    // it goes on by itself
  } else if (body_source) {
    body_source->stream_writable(exchange);
  }
}

}  // namespace sluice::core
