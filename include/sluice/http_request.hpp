// sluice/http_request.hpp - one request, as a handler sees it.
//
// Views live until the handler returns; after response.defer() or response.stream() until the
// answer is complete. Thread: the handler's. Layer: public.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/api_keys.hpp>
#include <sluice/authentication.hpp>
#include <sluice/bytes.hpp>
#include <sluice/export.hpp>
#include <sluice/tls_info.hpp>
#include <sluice/upload.hpp>

namespace sluice {

namespace core {
class Exchange;
}

// Inclusive, clamped to the representation.
struct ContentRange {
  std::uint64_t first = 0, last = 0;
  friend bool operator==(const ContentRange&, const ContentRange&) = default;
};

// The body of a request. With BodyMode::whole it is complete when the handler runs.
class SLUICE_API RequestBody {
 public:
  // Complete bodies only; empty in a streaming handler. A large body lives in an unlinked temporary
  // file, mapped here.
  Bytes bytes() const;
  std::string_view text() const { return as_text(bytes()); }
  std::uint64_t size() const;  // so far, when streaming

  // BodyMode::stream: called with each piece and once with last = true (the piece may be empty).
  // The view lives for the call. Set it in the handler, before returning.
  void on_data(std::function<void(Bytes piece, bool last)> handler);
  // Stops and starts reading from the client (back-pressure). From the handler, or from any thread
  // through Connection::post.
  void pause();
  void resume();

 private:
  friend class core::Exchange;
  friend class HttpRequest;
  explicit RequestBody(core::Exchange* exchange) : exchange_(exchange) {}
  core::Exchange* exchange_;
};

class SLUICE_API HttpRequest {
 public:
  std::string_view method() const;
  // The routing path: decoded once, dot segments removed, %2F, %5C and %25 kept encoded. Routes,
  // files and all checks use this.
  std::string_view document() const;
  // As it was sent, but for credentials (authentication.session, .url, an API key in the query):
  // those are `***`.
  std::string_view raw_target() const;
  std::string_view query() const;  // raw, without the question mark
  // The first parameter of that name, decoded; nullopt when absent or malformed.
  std::optional<std::string_view> parameter(std::string_view name) const;
  std::vector<std::pair<std::string_view, std::string_view>> parameters() const;
  // What `{name}` of the route matched; empty when there is none.
  std::string_view param(std::string_view name) const;
  std::string_view version() const;  // "HTTP/1.1", "HTTP/1.0", "HTTP/2"

  // The first field of that name, without regard to case; empty when absent.
  std::string_view header(std::string_view name) const;
  bool has_header(std::string_view name) const;
  std::vector<std::pair<std::string_view, std::string_view>> headers() const;
  std::string_view host() const;
  // PrefixOptions::context of the URL prefix that the request belongs to.
  std::uint64_t url_context() const;
  // Who asks; nobody in particular without authentication.
  const Identity& authentication() const;
  // The valid API key that it came with; empty without one, or where none is asked for.
  const ApiKeyIdentity& api_key() const;
  std::optional<std::string_view> cookie(std::string_view name) const;
  std::string_view content_type() const;
  std::optional<std::uint64_t> content_length() const;

  // The Range field as it was sent, and what it asks of a representation of `size` bytes (empty:
  // all of it, or nothing it can have).
  std::string_view range() const;
  std::vector<ContentRange> ranges(std::uint64_t size) const;

  RequestBody body() const;
  // Of a form (multipart/form-data) with BodyMode::whole, in their order; else empty. A form that
  // breaks its rules, or the limits of uploads, was refused before the handler.
  const std::vector<FormField>& fields() const;
  const std::vector<UploadedFile>& files() const;
  // The first field of that name.
  std::optional<std::string_view> field(std::string_view name) const;

  std::string remote_ip() const;
  std::uint16_t remote_port() const;
  std::string local_ip() const;
  std::uint16_t local_port() const;
  // Of a connection that speaks TLS; else null.
  const TlsInfo* tls() const;

  HttpRequest(const HttpRequest&) = delete;
  HttpRequest& operator=(const HttpRequest&) = delete;

 private:
  friend class core::Exchange;
  explicit HttpRequest(core::Exchange* exchange) : exchange_(exchange) {}
  core::Exchange* exchange_;
};

}  // namespace sluice
