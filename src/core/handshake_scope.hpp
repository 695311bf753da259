// core/handshake_scope.hpp - the request of a handshake, for as long as its handlers run.
//
// An upgraded connection remembers none of its fields (unless options.keep_headers): on_handshake
// and on_connect read them from the request itself, or from a copy that their event has on the
// thread pool. Layer: core. Thread: any; each has its own.
#pragma once

#include <sluice/headers.hpp>

#include "proto/http/head.hpp"

namespace sluice::core {

class Connection;

inline Headers copy_of(const http::RequestHead& head) {
  std::vector<std::pair<std::string, std::string>> list;
  list.reserve(head.fields.size());
  for (const http::Field& field : head.fields) list.emplace_back(field.name, field.value);
  return Headers(std::move(list));
}

class HandshakeScope {
 public:
  HandshakeScope(const Connection& connection, const http::RequestHead& head)
      : connection_(&connection), head_(&head) {
    current_ = this;
  }
  HandshakeScope(const Connection& connection, const Headers& fields)
      : connection_(&connection), fields_(&fields) {
    current_ = this;
  }
  ~HandshakeScope() { current_ = before_; }
  HandshakeScope(const HandshakeScope&) = delete;
  HandshakeScope& operator=(const HandshakeScope&) = delete;

  // None where the handshake of `connection` is not under way on this thread.
  static Headers fields_of(const Connection& connection) {
    if (!current_ || current_->connection_ != &connection) return {};
    return current_->head_ ? copy_of(*current_->head_) : *current_->fields_;
  }

 private:
  inline static thread_local constinit const HandshakeScope* current_ = nullptr;
  const HandshakeScope* const before_ = current_;
  const Connection* const connection_;
  const http::RequestHead* const head_ = nullptr;
  const Headers* const fields_ = nullptr;
};

}  // namespace sluice::core
