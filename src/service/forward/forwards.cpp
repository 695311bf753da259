// service/forward/forwards.cpp - see forwards.hpp.
#include "service/forward/forwards.hpp"

#include <utility>

#include "core/exchange.hpp"
#include "core/router.hpp"
#include "proto/ws/handshake.hpp"
#include "service/forward/forwarding.hpp"
#include "service/forward/upstream_url.hpp"

namespace sluice::service {
namespace {

Error bad(std::string_view prefix, const std::string& why) {
  return {Errc::bad_setting, "forward \"" + std::string(prefix) + "\": " + why};
}

Result<std::vector<UpstreamUrl>> parse_all(std::string_view prefix,
                                           const std::vector<std::string>& texts) {
  if (texts.empty()) return bad(prefix, "upstreams is empty");
  std::vector<UpstreamUrl> out;
  for (const std::string& text : texts) {
    auto url = UpstreamUrl::parse(text);
    if (!url) return bad(prefix, url.error().detail);
    if (!url->path.empty() && url->path.back() != '/') url->path.push_back('/');
    out.push_back(std::move(*url));
  }
  return out;
}

// Those behind https:// get what they are spoken to with.
Result<void> secure_all(std::vector<UpstreamUrl>& urls, const ForwardTls& tls,
                        const SecureUpstreams& secure, bool reads) {
  for (UpstreamUrl& url : urls) {
    if (!url.secure) continue;
    auto made = secure(tls, tls.server_name.empty() ? url.host : tls.server_name, reads);
    if (!made) return made.error();
    url.security = std::move(*made);
  }
  return {};
}

Result<std::vector<api_keys::Network>> parse_networks(std::string_view prefix,
                                                      const std::vector<std::string>& texts) {
  std::vector<api_keys::Network> out;
  for (const std::string& text : texts) {
    auto network = api_keys::Network::parse(text);
    if (!network) return bad(prefix, "trusted: " + network.error().message());
    out.push_back(*network);
  }
  return out;
}

}  // namespace

Result<void> Forwards::check(std::string_view prefix, const ForwardOptions& options) {
  if (auto urls = parse_all(prefix, options.upstreams); !urls) return urls.error();
  if (auto networks = parse_networks(prefix, options.trusted); !networks) return networks.error();
  const ForwardTimeouts& times = options.timeouts;
  if (times.connect.count() < 0 || times.response.count() < 0 || times.idle.count() < 0 ||
      options.fail_time.count() < 0) {
    return bad(prefix, "no time may be negative");
  }
  return {};
}

Result<std::unique_ptr<Forwards>> Forwards::create(const std::vector<Setting>& settings,
                                                   ForwardEvents events, Names::Lookup lookup,
                                                   SecureUpstreams secure) {
  std::unique_ptr<Forwards> out(
      new Forwards(std::move(events), std::move(lookup), std::move(secure)));
  for (const Setting& setting : settings) {
    auto urls = parse_all(setting.prefix, setting.options.upstreams);
    if (!urls) return urls.error();
    if (auto done = secure_all(*urls, setting.options.tls, out->secure_, true); !done) {
      return bad(setting.prefix, done.error().detail);
    }
    auto networks = parse_networks(setting.prefix, setting.options.trusted);
    if (!networks) return networks.error();
    out->rules_.push_back(
        {setting.prefix, setting.options, std::move(*networks),
         std::make_shared<UpstreamGroup>(std::move(*urls), setting.options, out->names_)});
  }
  return out;
}

Result<std::shared_ptr<UpstreamGroup>> Forwards::group_of(const std::string& url,
                                                          const ForwardTls& tls) {
  std::string name = url;
  if (tls != ForwardTls{}) {
    name.append("\n").append(tls.verify ? "1" : "0").append(tls.ca_file).append("\n");
    name.append(tls.server_name);
  }
  std::lock_guard lock(mutex_);
  if (auto known = named_.find(name); known != named_.end()) return known->second;
  auto parsed = parse_all("on_before_forward_http", {url});
  if (!parsed) return parsed.error();
  if (auto done = secure_all(*parsed, tls, secure_, false); !done) {
    return bad("on_before_forward_http", done.error().detail);
  }
  if (named_.size() >= kNamed) named_.clear();
  auto made = std::make_shared<UpstreamGroup>(std::move(*parsed), ForwardOptions{}, names_);
  named_.emplace(std::move(name), made);
  return made;
}

// A WebSocket's or any other longer pattern of its own goes first.
const ForwardRule* Forwards::rule_of(core::Exchange& exchange) const {
  const core::Router& router = exchange.shard.session.router;
  if (rules_.empty()) return nullptr;
  const http::RequestHead& head = exchange.head;
  const bool upgrade = head.upgrade && ws::is_upgrade(head);
  if (upgrade && router.find_websocket(exchange.document, exchange.params)) {
    exchange.params.clear();
    return nullptr;
  }
  const core::Router::Match match =
      router.find(head.method_text, exchange.document, exchange.params);
  if (match.route && match.route->forward >= 0) {
    exchange.params.clear();
    return &rules_[std::size_t(match.route->forward)];
  }
  if (match.route && !upgrade) {
    exchange.route = match.route;
  } else {
    exchange.params.clear();
  }
  return nullptr;
}

bool Forwards::take(core::Exchange& exchange, core::BodyPlan& plan) {
  exchange.forward_judged = true;
  const ForwardRule* rule = rule_of(exchange);
  if (!rule && !events_.before) return false;
  auto made = std::make_unique<Forwarding>(*this, exchange, rule);
  Forwarding& here = *made;
  exchange.sink = std::move(made);
  if (here.judge(plan)) return true;
  exchange.sink.reset();
  return false;
}

}  // namespace sluice::service
