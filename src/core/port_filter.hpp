// core/port_filter.hpp - a port in front of another one, which does all that is not overridden.
//
// What makes or undoes a content coding stands between an exchange and its front this way.
// Lifetime: the port behind it may go at any time; exchange.port is null then, and nobody calls
// this. Layer: core. Thread: shard.
#pragma once

#include "core/exchange.hpp"
#include "core/front.hpp"

namespace sluice::core {

class PortFilter : public ExchangePort {
 public:
  void respond(Exchange& exchange) override { inner_->respond(exchange); }
  void begin_stream(Exchange& exchange) override { inner_->begin_stream(exchange); }
  bool write_stream(Exchange& exchange, Bytes bytes) override {
    return inner_->write_stream(exchange, bytes);
  }
  bool write_stream_shared(Exchange& exchange, const base::SharedBytes& bytes) override {
    return inner_->write_stream_shared(exchange, bytes);
  }
  void interim(Exchange& exchange, int status, std::string_view fields) override {
    inner_->interim(exchange, status, fields);
  }
  std::string_view trailers(const Exchange& exchange) override {
    return inner_->trailers(exchange);
  }
  void end_stream(Exchange& exchange, std::string_view trailer_lines) override {
    inner_->end_stream(exchange, trailer_lines);
  }
  void break_off(Exchange& exchange, const Error& why) override {
    inner_->break_off(exchange, why);
  }
  void pause_body(Exchange& exchange) override { inner_->pause_body(exchange); }
  void resume_body(Exchange& exchange) override { inner_->resume_body(exchange); }
  void decided(Exchange& exchange) override { inner_->decided(exchange); }
  Connection& stream_connection(Exchange& exchange) override {
    return inner_->stream_connection(exchange);
  }
  void pool_pause(Exchange& exchange) override { inner_->pool_pause(exchange); }
  void pool_resume(Exchange& exchange) override { inner_->pool_resume(exchange); }
  void upgrade(Exchange& exchange, std::string_view fields, StreamPtr events) override {
    inner_->upgrade(exchange, fields, std::move(events));
  }
  void wait_for_thread(Exchange& exchange) override { inner_->wait_for_thread(exchange); }

 protected:
  explicit PortFilter(ExchangePort& inner) : inner_(&inner) {}
  ~PortFilter() = default;

  ExchangePort* const inner_;
};

}  // namespace sluice::core
