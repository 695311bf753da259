// api/http_request.cpp - bodies of sluice/http_request.hpp.
#include <sluice/http_request.hpp>

#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/shard.hpp"
#include "core/step.hpp"
#include "core/url_tree.hpp"
#include "proto/http/field_rules.hpp"
#include "proto/http/range.hpp"
#include "proto/http/target.hpp"

namespace sluice {

Bytes RequestBody::bytes() const { return exchange_->body; }

std::uint64_t RequestBody::size() const {
  return exchange_->body_complete && exchange_->body_wanted_whole ? exchange_->body.size()
                                                                  : exchange_->body_received;
}

void RequestBody::on_data(std::function<void(Bytes, bool)> handler) {
  exchange_->on_data = std::move(handler);
}

namespace {

// On the exchange's shard: now, or when it gets there. The handler that asks keeps the exchange
// alive until then.
template <class Call>
void on_port(core::Exchange* exchange, Call call) {
  if (core::Shard::current() == &exchange->shard) {
    if (exchange->port) call(*exchange->port, *exchange);
    return;
  }
  exchange->shard.mailbox->post_always([exchange, call] {
    core::step(*exchange, [&] {
      if (exchange->port) call(*exchange->port, *exchange);
    });
  });
}

}  // namespace

void RequestBody::pause() {
  on_port(exchange_,
          [](core::ExchangePort& port, core::Exchange& exchange) { port.pause_body(exchange); });
}

void RequestBody::resume() {
  on_port(exchange_,
          [](core::ExchangePort& port, core::Exchange& exchange) { port.resume_body(exchange); });
}

const std::vector<FormField>& HttpRequest::fields() const {
  static const std::vector<FormField> kNone;
  return exchange_->form ? exchange_->form->fields : kNone;
}

const std::vector<UploadedFile>& HttpRequest::files() const {
  static const std::vector<UploadedFile> kNone;
  return exchange_->form ? exchange_->form->files : kNone;
}

std::optional<std::string_view> HttpRequest::field(std::string_view name) const {
  for (const FormField& field : fields()) {
    if (field.name == name) return field.value;
  }
  return std::nullopt;
}

std::uint64_t HttpRequest::url_context() const {
  return exchange_->url ? exchange_->url->context : 0;
}

std::string_view HttpRequest::method() const { return exchange_->head.method_text; }
std::string_view HttpRequest::document() const { return exchange_->document; }
std::string_view HttpRequest::raw_target() const { return exchange_->head.target; }
std::string_view HttpRequest::query() const { return exchange_->head.query; }

std::optional<std::string_view> HttpRequest::parameter(std::string_view name) const {
  std::string_view query = exchange_->head.query, key, value;
  while (http::next_parameter(query, key, value)) {
    auto decoded = http::decode_component(key, exchange_->arena);
    if (decoded && *decoded == name) return http::decode_component(value, exchange_->arena);
  }
  return std::nullopt;
}

std::vector<std::pair<std::string_view, std::string_view>> HttpRequest::parameters() const {
  std::vector<std::pair<std::string_view, std::string_view>> list;
  std::string_view query = exchange_->head.query, key, value;
  while (http::next_parameter(query, key, value)) {
    auto name = http::decode_component(key, exchange_->arena);
    auto decoded = http::decode_component(value, exchange_->arena);
    if (name && decoded) list.emplace_back(*name, *decoded);
  }
  return list;
}

std::string_view HttpRequest::param(std::string_view name) const {
  for (const auto& [key, value] : exchange_->params) {
    if (key == name) return value;
  }
  return {};
}

std::string_view HttpRequest::version() const {
  if (exchange_->head.major == 2) return "HTTP/2";
  return exchange_->head.minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
}
std::string_view HttpRequest::header(std::string_view name) const {
  return exchange_->head.find(name);
}

bool HttpRequest::has_header(std::string_view name) const {
  for (const http::Field& field : exchange_->head.fields) {
    if (http::same_name(field.name, name)) return true;
  }
  return false;
}

std::vector<std::pair<std::string_view, std::string_view>> HttpRequest::headers() const {
  std::vector<std::pair<std::string_view, std::string_view>> list;
  list.reserve(exchange_->head.fields.size());
  for (const http::Field& field : exchange_->head.fields)
    list.emplace_back(field.name, field.value);
  return list;
}

const Identity& HttpRequest::authentication() const { return exchange_->identity; }
const ApiKeyIdentity& HttpRequest::api_key() const { return exchange_->api_key; }

std::string_view HttpRequest::host() const { return exchange_->head.host; }

std::optional<std::string_view> HttpRequest::cookie(std::string_view name) const {
  for (const http::Field& field : exchange_->head.fields) {
    if (field.id != http::FieldId::cookie) continue;
    std::string_view cookies = field.value, key, value;
    while (http::next_cookie(cookies, key, value)) {
      if (key == name) return value;
    }
  }
  return std::nullopt;
}

std::string_view HttpRequest::content_type() const {
  return exchange_->head.find(http::FieldId::content_type);
}

std::optional<std::uint64_t> HttpRequest::content_length() const {
  if (exchange_->head.body != http::BodyKind::length) return std::nullopt;
  if (exchange_->codings && exchange_->codings->body) return std::nullopt;  // of other bytes
  return exchange_->head.content_length;
}

std::string_view HttpRequest::range() const { return exchange_->head.find(http::FieldId::range); }

std::vector<ContentRange> HttpRequest::ranges(std::uint64_t size) const {
  std::vector<http::ByteRange> parsed;
  std::vector<ContentRange> list;
  if (http::read_range(range(), size, parsed) != http::RangeVerdict::partial) return list;
  for (const http::ByteRange& range : parsed) list.push_back({range.first, range.last});
  return list;
}

RequestBody HttpRequest::body() const { return RequestBody(exchange_); }

std::string HttpRequest::remote_ip() const { return exchange_->connection->remote.ip(); }
std::uint16_t HttpRequest::remote_port() const { return exchange_->connection->remote.port; }
std::string HttpRequest::local_ip() const {
  return exchange_->connection->destination().local.ip();
}
std::uint16_t HttpRequest::local_port() const {
  return exchange_->connection->destination().local.port;
}
const TlsInfo* HttpRequest::tls() const { return exchange_->connection->tls(); }

}  // namespace sluice
