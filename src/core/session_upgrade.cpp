// core/session_upgrade.cpp - from a handshake to a WebSocket.
#include "core/session.hpp"

#include <utility>

#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/handshake_scope.hpp"
#include "core/url_group.hpp"
#include "core/websocket.hpp"
#include "proto/ws/handshake.hpp"

namespace sluice::core {

// False: nobody here takes WebSockets, so the request is a plain one (RFC 9110 section 7.8).
bool ServerSession::try_upgrade(Exchange& exchange) {
  const WebSocketHandlers* handlers = router.find_websocket(exchange.document, exchange.params);
  std::string_view protocol = choose_protocol(exchange.head);
  const WebSocketHandlers* of_protocol = handlers_of(protocol);
  if (!handlers) {
    if (!server_takes_websockets_ && !of_protocol) return false;
    exchange.params.clear();
    // A path with a route is that route's; the server's own events get the others.
    if (router.find("GET", exchange.document, exchange.params).route) {
      exchange.params.clear();
      return false;
    }
    handlers = &events.websocket;
  }
  const SecurityOptions& security = exchange.shard.settings().security;
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
  upgrade(exchange, of_protocol ? joined(*of_protocol, *handlers) : *handlers, protocol);
  return true;
}

// The list may come in several fields (RFC 6455 section 11.3.4).
std::string_view ServerSession::choose_protocol(const http::RequestHead& head) const {
  if (settings.protocols.empty()) return {};
  std::string_view chosen;
  for (const http::Field& field : head.fields) {
    if (field.id != http::FieldId::sec_websocket_protocol || !chosen.empty()) continue;
    chosen = ws::choose_protocol(field.value, settings.protocols);
  }
  return chosen;
}

// Nothing: messages go as they are.
std::optional<ws::DeflateParameters> ServerSession::choose_deflate(
    const http::RequestHead& head, const PerMessageDeflate& settings) {
  if (!settings.enabled) return std::nullopt;
  const ws::DeflateRules rules{
      std::uint8_t(settings.server_max_window_bits), std::uint8_t(settings.client_max_window_bits),
      settings.server_no_context_takeover, settings.client_no_context_takeover};
  for (const http::Field& field : head.fields) {
    if (field.id != http::FieldId::sec_websocket_extensions) continue;
    if (auto agreed = ws::negotiate_deflate(field.value, rules)) return agreed;
  }
  return std::nullopt;
}

const WebSocketHandlers* ServerSession::handlers_of(std::string_view protocol) const {
  for (const auto& [name, handlers] : events.protocols) {
    if (name == protocol) return &handlers;
  }
  return nullptr;
}

const WebSocketHandlers& ServerSession::joined(const WebSocketHandlers& protocol,
                                               const WebSocketHandlers& route) {
  if (&route == &events.websocket) return protocol;  // it falls back to those anyway
  std::lock_guard lock(joined_mutex_);
  auto [place, is_new] = joined_.try_emplace({&protocol, &route}, protocol);
  WebSocketHandlers& both = place->second;
  if (!is_new) return both;
  if (!both.on_connect) both.on_connect = route.on_connect;
  if (!both.on_message) both.on_message = route.on_message;
  if (!both.on_binary) both.on_binary = route.on_binary;
  if (!both.on_fragmented) both.on_fragmented = route.on_fragmented;
  if (!both.on_disconnect) both.on_disconnect = route.on_disconnect;
  return both;
}

void ServerSession::upgrade(Exchange& exchange, const WebSocketHandlers& handlers,
                            std::string_view protocol) {
  Connection& connection = exchange.port->stream_connection(exchange);
  Destinations& destinations = exchange.shard.destinations;
  const Endpoint& local = connection.destination().local;
  const std::optional<ws::DeflateParameters> deflate =
      choose_deflate(exchange.head, exchange.shard.settings().extensions.permessage_deflate);
  if (exchange.shard.settings().options.keep_headers) {
    std::string url(exchange.document);
    if (!exchange.head.query.empty()) url.append("?").append(exchange.head.query);
    connection.set_destination(
        destinations.with_fields(local, url, protocol, handlers, copy_of(exchange.head), deflate));
  } else {
    connection.set_destination(
        destinations.of(local, exchange.document, protocol, handlers, deflate));
  }
  if (exchange.identity) connection.set_identity(exchange.identity);
  Headers extra;
  if (events.on_handshake) {
    HandshakeScope request(connection, exchange.head);
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
  std::string& fields = exchange.answer.fields;
  fields.clear();
  if (exchange.head.protocol.empty()) {
    auto accept = ws::accept_value(exchange.head.find(http::FieldId::sec_websocket_key));
    fields.assign("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
    fields.append(accept.data(), accept.size()).append("\r\n");
  }
  if (!protocol.empty()) exchange.add_field_unchecked("Sec-WebSocket-Protocol", protocol);
  if (deflate) {
    exchange.add_field_unchecked("Sec-WebSocket-Extensions", ws::deflate_answer(*deflate));
    compresses.store(true, std::memory_order_relaxed);
  }
  for (const auto& [name, value] : extra.list()) exchange.add_field_unchecked(name, value);
  if (exchange.url_group && exchange.url_group->message_bytes > 0) {
    connection.limit_messages(exchange.url_group->message_bytes);
  }
  StreamPtr socket = WebSocket::make(connection);
  auto& opened = static_cast<WebSocket&>(*socket);
  exchange.answered = true;
  exchange.port->upgrade(exchange, fields, std::move(socket));
  opened.attach();
  opened.opened(exchange.head);
}

}  // namespace sluice::core
