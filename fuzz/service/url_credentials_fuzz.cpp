// fuzz/service/url_credentials_fuzz.cpp - credentials in a URL: what is taken is what stands there,
// and what is shown has none of it.
//
// The first byte says which forms are switched on, the rest is a path. Layer: fuzz.
#include <chrono>
#include <memory>
#include <string>

#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "crypto/password.hpp"
#include "http/expect.hpp"
#include "proto/auth/credentials.hpp"
#include "proto/http/target.hpp"
#include "service/auth/url_credentials.hpp"

using namespace sluice;
using namespace sluice::service;
using Kind = UrlCredentials::Kind;

namespace {

constexpr std::size_t kMostSegments = 255;
constexpr std::string_view kBefore = "http://host:80", kAfter = "?q=/&r";

// Refers to the bodies of the public headers, which lie in a library in front of core's.
[[maybe_unused]] const Connection nobody;

// A shard whose exchanges nobody answers. It lives as long as the process.
struct World {
  core::Router router;
  core::ServerSession session{{}, {}, router, std::make_shared<core::IdCipher>()};
  base::BlockPool blocks;
  core::Shard shard{session, 0, blocks, base::Instant(std::chrono::hours(1))};
};

struct Taken {
  UrlCredentials found;
  std::string document, path;
  bool routed = false;
};

Taken take(std::string_view path, UrlForms forms) {
  static World& world = *new World;
  core::Exchange& exchange = *world.shard.take_exchange();
  const std::string target = std::string(kBefore).append(path).append(kAfter);
  exchange.head.target = target;
  exchange.head.path = exchange.head.target.substr(kBefore.size(), path.size());
  Taken taken;
  if (auto routed = http::routing_path(exchange.head.path, kMostSegments, exchange.arena);
      routed.is_done()) {
    taken.routed = true;
    exchange.document = routed.value();
    taken.found = take_url_credentials(exchange, forms, kMostSegments);
    taken.document = exchange.document;
    taken.path = exchange.head.path;
    // Around the path everything is as it was.
    EXPECT_THAT(exchange.head.target == std::string(kBefore).append(taken.path).append(kAfter));
    EXPECT_THAT(http::is_inside(exchange.head.path, exchange.head.target));
  }
  exchange.release();
  return taken;
}

// Segments of the original path, one after the other.
struct Segments {
  std::string_view rest;
  std::string_view next() {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view segment = rest.substr(0, end);
    rest.remove_prefix(end);
    return segment;
  }
};

// What `path` says, if it is of that form: the segments behind the prefix are hidden, all else
// stays.
void check_accepted(std::string_view path, const Taken& taken, std::string_view prefix,
                    std::size_t count) {
  EXPECT_THAT(path.starts_with(prefix));
  Segments segments{path.substr(prefix.size())};
  std::string shown(prefix);
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) segments.rest.remove_prefix(1);
    // Escapes only make it longer.
    const std::string_view segment = segments.next();
    const std::size_t size = i + 1 == count ? taken.found.secret.size() : taken.found.user.size();
    EXPECT_THAT(size > 0 && size <= segment.size());
    if (segment.find('%') == std::string_view::npos) {
      EXPECT_THAT(segment == (i + 1 == count ? taken.found.secret.view() : taken.found.user));
    }
    shown += i == 0 ? "***" : "/***";
  }
  EXPECT_THAT(taken.path == shown.append(segments.rest));
  if (count == 2) {
    EXPECT_THAT(auth::is_user_name(taken.found.user));
    EXPECT_THAT(taken.found.secret.size() <= crypto::kMostPasswordBytes);
  }
  if (taken.found.kind == Kind::ask) {
    EXPECT_THAT(segments.rest.empty() && taken.document == "/sgc/req/auth/session");
    return;
  }
  base::Arena arena;
  const auto routed = http::routing_path(segments.rest, kMostSegments, arena);
  EXPECT_THAT(taken.document == (segments.rest.empty() ? "/" : routed.value()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const UrlForms forms{(data[0] & 1) != 0, (data[0] & 2) != 0};
  const std::string_view path = http::text_of(data + 1, size - 1);

  const std::string hidden = hide_url_credentials(path, forms);
  EXPECT_THAT(hide_url_credentials(hidden, forms) == hidden);
  EXPECT_THAT(hide_url_credentials(path, {}) == path);

  const Taken taken = take(path, forms);
  if (!taken.routed) return 0;
  switch (taken.found.kind) {
    case Kind::none:
      EXPECT_THAT(taken.path == hidden);
      break;
    case Kind::ask:
      EXPECT_THAT(forms.session);
      check_accepted(path, taken, "/sgc/req/auth/session/", 2);
      break;
    case Kind::session:
      EXPECT_THAT(forms.session);
      check_accepted(path, taken, "/sgc/auth/session/", 1);
      break;
    case Kind::url:
      EXPECT_THAT(forms.url);
      check_accepted(path, taken, "/sgc/auth/url/", 2);
      break;
    case Kind::malformed:
      EXPECT_THAT(taken.found.secret.empty() || taken.document == "/");
      EXPECT_THAT(taken.document == "/");
      break;
  }
  // Who reads what is shown learns nothing more. (What was hidden in another path may look like a
  // form that is not as it should be.)
  if (taken.found.kind == Kind::none && taken.path != path) return 0;
  const Taken again = take(taken.path, forms);
  EXPECT_THAT(again.routed && again.path == taken.path);
  return 0;
}
