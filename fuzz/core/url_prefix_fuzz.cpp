// fuzz/core/url_prefix_fuzz.cpp - whatever comes in, a URL prefix keeps its promises.
//
// Its text is canonical, its parts are within their limits, a request for it finds it, and an error
// is one line that names the prefix. Layer: fuzz.
#include <algorithm>
#include <cstring>
#include <string>

#include "base/arena.hpp"
#include "core/url_prefix.hpp"
#include "core/url_tree.hpp"
#include "http/expect.hpp"
#include "proto/http/target.hpp"

using namespace sluice;
using namespace sluice::core;

namespace {

void check_parts(const UrlPrefix& prefix) {
  EXPECT_THAT(prefix.port != 0);
  EXPECT_THAT(prefix.path.starts_with('/') && prefix.path.ends_with('/'));
  EXPECT_THAT(prefix.path.find("//") == std::string::npos);
  EXPECT_THAT(prefix.path.find("/./") == std::string::npos);
  EXPECT_THAT(prefix.path.find("/../") == std::string::npos);
  EXPECT_THAT(std::count(prefix.path.begin(), prefix.path.end(), '/') <=
              std::ptrdiff_t(kMaxUrlPrefixSegments) + 1);
  switch (prefix.kind) {
    case UrlHost::strong:
    case UrlHost::weak:
      EXPECT_THAT(prefix.host.empty());
      break;
    case UrlHost::address:
      EXPECT_THAT(prefix.host.size() == 4 || prefix.host.size() == 16);
      break;
    case UrlHost::name:
    case UrlHost::subdomains:
      EXPECT_THAT(!prefix.host.empty() && prefix.host.size() <= 253);
      EXPECT_THAT(http::is_authority(prefix.host));
      for (char c : prefix.host) EXPECT_THAT(!(c >= 'A' && c <= 'Z'));
      break;
  }
}

// A request to the prefix itself finds it, with and without its last slash.
void check_found(const UrlPrefix& prefix) {
  const UrlTree tree({{prefix, false, 0, 7}});
  UrlRequest request;
  std::string host = prefix.kind == UrlHost::name         ? prefix.host
                     : prefix.kind == UrlHost::subdomains ? "a." + prefix.host
                                                          : "anything";
  for (char& c : host) c = c >= 'a' && c <= 'z' ? char(c - 32) : c;
  host += ":80";
  request.host = host;
  request.scheme = prefix.scheme;
  request.local.port = prefix.port;
  if (prefix.kind == UrlHost::address) {
    request.local.family = prefix.host.size() == 4 ? Endpoint::Family::ip4 : Endpoint::Family::ip6;
    std::memcpy(request.local.address.data(), prefix.host.data(), prefix.host.size());
  }
  for (std::string path : {prefix.path, prefix.path + "x", prefix.path + "/",
                           prefix.path.substr(0, prefix.path.size() - 1)}) {
    request.path = path;
    const UrlMatch match = tree.find(request);
    EXPECT_THAT(match.kind == UrlMatch::Kind::registered && match.entry->context == 7);
  }
  request.path = "/";
  EXPECT_THAT((tree.find(request).entry != nullptr) == (prefix.path == "/"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = http::text_of(data, size);
  const Result<UrlPrefix> parsed = parse_url_prefix(text);
  if (!parsed) {
    EXPECT_THAT(parsed.error().code == Errc::bad_prefix);
    EXPECT_THAT(parsed.error().detail.size() < 400);
    for (char c : parsed.error().detail) EXPECT_THAT(static_cast<unsigned char>(c) >= 0x20);
    return 0;
  }
  EXPECT_THAT(text.size() <= kMaxUrlPrefixBytes);
  check_parts(*parsed);
  // Escaping may make the text longer than what may be written.
  const std::string canonical = parsed->text();
  const Result<UrlPrefix> again = parse_url_prefix(canonical);
  EXPECT_THAT(again || canonical.size() > kMaxUrlPrefixBytes);
  if (again) EXPECT_THAT(*again == *parsed && again->text() == canonical);
  // The path is what requests are matched by.
  base::Arena arena;
  const std::string target = canonical.substr(canonical.find('/', 8));
  auto path = http::routing_path(target, 255, arena);
  EXPECT_THAT(path.is_done() && path.value() == parsed->path);
  check_found(*parsed);
  return 0;
}
