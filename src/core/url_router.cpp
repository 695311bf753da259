// core/url_router.cpp - look-ups, and the one that is remembered.
#include "core/url_router.hpp"

#include "core/connection.hpp"

namespace sluice::core {

void UrlRouter::refresh(const UrlNamespace& urls) {
  auto* next = new UrlPicture(urls.snapshot());
  if (now_) now_->release();
  now_ = next;
  fixed_ = false;
}

const UrlSnapshot::Target& UrlRouter::look_up(const Connection& from, const Endpoint& local,
                                              std::string_view host, std::string_view path) {
  const UrlSnapshot& urls = now_->snapshot();
  UrlRequest request;
  request.scheme = from.tls() ? UrlScheme::https : UrlScheme::http;
  request.host = host;
  request.local = local;
  request.path = path;
  target_ = urls.find(request);
  // A refusal is not remembered: what a queue or its group says may change.
  fixed_ = target_.refused == Errc::none && urls.tree->takes_everything(local);
  if (fixed_) fixed_local_ = local;
  return target_;
}

}  // namespace sluice::core
