// service/auth/url_credentials.hpp - credentials in a path: taken out of it, and hidden from logs.
//
// `/sgc/req/auth/session/USER/PASSWORD`, `/sgc/auth/session/TOKEN[/rest]` and
// `/sgc/auth/url/USER/PASSWORD[/rest]`. Layer: service. Thread: the exchange's shard, or any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "crypto/secret.hpp"

namespace sluice::core {
class Exchange;
}

namespace sluice::service {

struct UrlForms {
  bool session = false, url = false;  // which are switched on
};

struct UrlCredentials {
  enum class Kind : std::uint8_t {
    none,
    ask,        // for a session token
    session,    // `secret` is a token
    url,        // a name and a password
    malformed,  // the path is one of these, but not as it should be written
  };
  Kind kind = Kind::none;
  std::string user;
  crypto::Secret secret;
};

// Takes them out of the exchange's document, which becomes the rest of the path (`/` without one;
// that of a request for a token stays `/sgc/req/auth/session`), and writes `***` in their place in
// its path and target. Each segment is percent-decoded once. A path that leads here only once it is
// normalised (`/a/../sgc/...`) is malformed.
UrlCredentials take_url_credentials(core::Exchange& exchange, UrlForms forms,
                                    std::size_t max_segments);

// A target without what follows the beginning of one of these paths, wherever it stands.
std::string hide_url_credentials(std::string_view target, UrlForms forms);

}  // namespace sluice::service
