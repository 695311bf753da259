// sluice/forward.hpp - a request on its way to somebody else.
//
// Layer: public.
#pragma once

#include <string>

#include <sluice/headers.hpp>
#include <sluice/settings.hpp>

namespace sluice {

// Given to on_before_forward_http; lives until it returns.
struct Forward {
  // Whether it is forwarded. Setting `url` is enough where no rule holds.
  bool enabled = false;
  // `http://HOST[:PORT]`, `https://HOST[:PORT]` or `unix:FILE`, as in ForwardOptions::upstreams;
  // empty: those of the rule.
  std::string url;
  // Of `url` behind https://; `ca_file` must be that of a rule, or empty. Without `url` nothing of
  // it counts: the rule's does.
  ForwardTls tls;
  // The path and the query to be sent. Empty, as they are at first: as they came.
  std::string document, query;
  // To be sent as Host. Empty: what the rule says, or the client's.
  std::string host;
  // Sent, and instead of those of the same name that came.
  Headers headers;
  ForwardTimeouts timeouts;
};

}  // namespace sluice
