// bench/guard/served.hpp - the server that is measured: routes and handlers, put together as
// sluice::Server does it, every limit and timeout at its default.
//
// Layer: bench. Thread: handlers on the shard; take_replies() anywhere. Lifetime: never destroyed,
// as the programs end by _exit() while it runs.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/urls.hpp"
#include "base/task.hpp"
#include "core/session.hpp"
#include "front/wire/loop.hpp"
#include "service/admission/admission.hpp"
#include "service/cache/response_cache.hpp"
#include "service/files/file_service.hpp"

namespace sluice::guard {

class Served {
 public:
  // `submit`: where files are looked up.
  Served(std::uint32_t shards, service::FileService::Submit submit);
  // From here on only the user `joe` comes in, by basic authentication, whose password is
  // `password`. Before the first add().
  void authenticate();
  // Of a server that listens on all addresses. Before the first request.
  void bind(std::uint16_t port);
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  wire::Loop& add(std::unique_ptr<io::Engine> engine);
  // The replies that handlers have kept, since the last call.
  std::deque<Reply> take_replies();
  // Nothing stays behind in /tmp.
  void remove_folder() const;

 private:
  void add_routes();
  void add_websockets();
  const std::string folder_;
  core::Router router_;
  std::unique_ptr<service::FileService> files_;
  const std::shared_ptr<service::Admission> admission_ = std::make_shared<service::Admission>();
  std::shared_ptr<core::ServerSession> session_;
  std::unique_ptr<service::ResponseCache> cache_;
  std::unique_ptr<api::Urls> urls_;
  std::vector<std::shared_ptr<wire::Loop>> loops_;
  std::mutex mutex_;
  std::deque<Reply> replies_;
};

}  // namespace sluice::guard
