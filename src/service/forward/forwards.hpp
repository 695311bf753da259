// service/forward/forwards.hpp - which requests go to somebody else, and to whom.
//
// Rules of Server::forward, and on_before_forward_http. Layer: service. Thread: made and ended by
// the server; each member as it says.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/connection.hpp>
#include <sluice/forward.hpp>
#include <sluice/http_request.hpp>
#include <sluice/http_response.hpp>
#include <sluice/result.hpp>

#include "core/session.hpp"
#include "service/api_keys/network.hpp"
#include "service/forward/names.hpp"
#include "service/forward/peers.hpp"

namespace sluice::service {

struct ForwardEvents {
  std::function<void(Connection, const HttpRequest&, Forward&)> before;
  std::function<void(Connection, const HttpRequest&, HttpResponse&, const Error*)> after;
};

// TLS towards `host` by these settings. Errors: bad_setting, in words. Thread: any; `reads` is
// false on a shard, where no file may be read.
using SecureUpstreams = std::function<Result<std::shared_ptr<const core::UpstreamSecurity>>(
    const ForwardTls& tls, const std::string& host, bool reads)>;

// A rule, judged.
struct ForwardRule {
  std::string prefix;
  ForwardOptions options;
  std::vector<api_keys::Network> trusted;
  std::shared_ptr<UpstreamGroup> group;
};

class Forwarding;

class Forwards final : public core::Forwarder {
 public:
  struct Setting {
    std::string prefix;
    ForwardOptions options;
  };
  // Of core::Route::forward, which counts them. Errors: bad_setting, naming the rule.
  static Result<std::unique_ptr<Forwards>> create(const std::vector<Setting>& settings,
                                                  ForwardEvents events, Names::Lookup lookup,
                                                  SecureUpstreams secure);
  // What is wrong with one, before it is used.
  static Result<void> check(std::string_view prefix, const ForwardOptions& options);

  // Shard.
  bool take(core::Exchange& exchange, core::BodyPlan& plan) override;

  // Any thread. Those of a URL that the application named. Errors: bad_setting.
  Result<std::shared_ptr<UpstreamGroup>> group_of(const std::string& url, const ForwardTls& tls);
  const ForwardEvents& events() const { return events_; }

 private:
  Forwards(ForwardEvents events, Names::Lookup lookup, SecureUpstreams secure)
      : events_(std::move(events)), names_(std::move(lookup)), secure_(std::move(secure)) {}
  const ForwardRule* rule_of(core::Exchange& exchange) const;

  // The application may name so many URLs until those named before are forgotten.
  static constexpr std::size_t kNamed = 1000;
  const ForwardEvents events_;
  Names names_;
  const SecureUpstreams secure_;
  std::vector<ForwardRule> rules_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<UpstreamGroup>, std::less<>> named_;
};

}  // namespace sluice::service
