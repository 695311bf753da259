// api/urls.hpp - the prefixes of a server, their groups, and the request queue behind them.
//
// Layer: api. Thread: whoever starts the server or changes its settings.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>
#include <sluice/settings.hpp>

#include "api/listen.hpp"
#include "core/request_queue.hpp"
#include "core/url_group.hpp"
#include "core/url_namespace.hpp"

namespace sluice::api {

// What http.sys accepts, in bytes per second.
inline constexpr std::uint64_t kLeastBandwidth = 1024;
inline constexpr std::uint64_t kMostMessageBytes = 0xffff'0000u;
// Of limits.streams.
inline constexpr std::uint32_t kMostStreams = 10000;

using UrlGroupMap = std::map<std::string, UrlGroupOptions, std::less<>>;

// What a server says for all its groups.
core::UrlProperties url_properties(const Limits& limits, const Timeouts& timeouts);
// Errors: bad_setting, naming the group and the member.
Result<void> check_groups(const UrlGroupMap& groups, const Limits& limits);

// Of one start.
class Urls {
 public:
  // Errors: bad_setting, naming the group and the member.
  static Result<std::unique_ptr<Urls>> make(const core::UrlProperties& properties,
                                            const UrlGroupMap& groups, std::uint32_t queue_length,
                                            const RequestQueueOptions& queue);

  // All of them or none. Errors: bad_prefix (a group that does not exist), already_exists.
  Result<void> add(const std::vector<Prefix>& prefixes);
  // All of it or, with an error, nothing. Whoever is not named in `groups` has the server's own.
  // Precondition: check_groups() found nothing.
  Result<void> set(const core::UrlProperties& properties, const UrlGroupMap& groups,
                   std::uint32_t queue_length, Verbosity503 verbosity);
  // False: there is no such group.
  bool set_active(std::string_view group, bool active);

  const std::shared_ptr<core::UrlNamespace>& urls() const { return urls_; }
  const std::shared_ptr<core::RequestQueue>& queue() const { return queue_; }

 private:
  Urls();
  Result<core::UrlGroup*> open(const std::string& name);

  std::shared_ptr<core::UrlNamespace> urls_;
  std::shared_ptr<core::UrlSession> session_;
  std::shared_ptr<core::RequestQueue> queue_;
  std::map<std::string, std::unique_ptr<core::UrlGroup>, std::less<>> groups_;  // "": the server's
};

}  // namespace sluice::api
