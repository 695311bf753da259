// core/url_router.hpp - the URL prefixes as one shard sees them.
//
// Layer: core. Thread: the shard's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "core/endpoint.hpp"
#include "core/url_namespace.hpp"

namespace sluice::core {

class Connection;
struct UrlGroupView;

// A snapshot, kept by whoever has a use of it; counted without locked operations.
class UrlPicture {
 public:
  explicit UrlPicture(std::shared_ptr<const UrlSnapshot> snapshot)
      : snapshot_(std::move(snapshot)) {}
  const UrlSnapshot& snapshot() const { return *snapshot_; }
  void retain() { ++uses_; }
  void release() {
    if (--uses_ == 0) delete this;
  }

 private:
  const std::shared_ptr<const UrlSnapshot> snapshot_;
  std::size_t uses_ = 1;
};

class UrlRouter {
 public:
  UrlRouter() = default;
  ~UrlRouter() {
    if (now_) now_->release();
  }
  UrlRouter(const UrlRouter&) = delete;
  UrlRouter& operator=(const UrlRouter&) = delete;

  // `from` came in at `local`, with TLS or without it; `host` and `path` as UrlRequest has them.
  // What it points to lives as long as `picture()` is kept. May throw std::bad_alloc after a change
  // of `urls`.
  const UrlSnapshot::Target& find(const UrlNamespace& urls, const Connection& from,
                                  const Endpoint& local, std::string_view host,
                                  std::string_view path) {
    if (!now_ || now_->snapshot().generation != urls.generation()) refresh(urls);
    // Most ports have one prefix for everything: then neither host nor path is looked at again, nor
    // the scheme, of which a port has one.
    if (fixed_ && local == fixed_local_) return target_;
    return look_up(from, local, host, path);
  }
  UrlPicture& picture() { return *now_; }
  // Lets a picture go that is not the newest any more.
  void look_again(const UrlNamespace& urls) {
    if (now_ && now_->snapshot().generation != urls.generation()) refresh(urls);
  }

 private:
  void refresh(const UrlNamespace& urls);
  const UrlSnapshot::Target& look_up(const Connection& from, const Endpoint& local,
                                     std::string_view host, std::string_view path);

  UrlPicture* now_ = nullptr;
  UrlSnapshot::Target target_;
  Endpoint fixed_local_;
  bool fixed_ = false;
};

}  // namespace sluice::core
