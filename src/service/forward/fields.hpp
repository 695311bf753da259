// service/forward/fields.hpp - which fields go on to somebody else, and come back.
//
// RFC 9110 section 7.6, RFC 7239. Layer: service. Thread: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sluice/headers.hpp>

#include "core/endpoint.hpp"
#include "proto/http/head.hpp"
#include "service/api_keys/network.hpp"

namespace sluice::service {

struct ForwardedBy {
  const core::Endpoint& client;
  const std::vector<api_keys::Network>& trusted;
  const Headers* own = nullptr;  // sent instead of those of the same name
  bool upgrade = false;          // to a WebSocket
  bool expect = false;           // 100-continue is asked for
  bool secure = false;           // the client came by https
};

// Appends complete lines. Without those that are about this connection or its framing, those that
// Connection names, and what an untrusted client says about where it comes from; with ours.
void append_request_fields(const http::RequestHead& head, const ForwardedBy& by, std::string& out);

// The same for what comes back: `field` may go on.
class ResponseFields {
 public:
  explicit ResponseFields(const http::ResponseHead& head);
  bool passes(const http::Field& field) const;

 private:
  const http::ResponseHead& head_;  // lives longer
  bool has_options_;
};

}  // namespace sluice::service
