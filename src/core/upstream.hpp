// core/upstream.hpp - requests to somebody else: what forwarding asks of a front.
//
// A front implements it with sockets of its own (front/wire), the Windows one with WinHTTP. It
// frames the request, reads the answer and keeps connections for the next one; which server is
// asked, and what is said to it, is the business of whoever calls. Layer: core. Thread: the shard,
// all of it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <sluice/bytes.hpp>
#include <sluice/result.hpp>

#include "base/block.hpp"
#include "base/clock.hpp"
#include "core/endpoint.hpp"
#include "proto/http/head.hpp"

namespace sluice::core {

// How connections to a server are secured: the front's own. Layer: core. Thread: any.
class UpstreamSecurity {
 public:
  virtual ~UpstreamSecurity() = default;
};

// Where a server listens.
struct UpstreamAddress {
  Endpoint endpoint;  // family none: `path`
  std::string path;   // of a local stream socket; `@name` is an abstract one
  std::shared_ptr<const UpstreamSecurity> security = {};  // null: it is spoken to in clear
  std::string text() const;  // "127.0.0.1:8080", "[::1]:80", "unix:/run/app"

  friend bool operator==(const UpstreamAddress&, const UpstreamAddress&) = default;
};

// Zero: no limit.
struct UpstreamTimes {
  base::Duration connect{};
  base::Duration response{};  // from the last byte that it was sent to the head of its answer
  base::Duration idle{};      // between two pieces of its answer, or of the request to it
};

// What is sent. The views are needed for the call only.
struct UpstreamRequest {
  http::Method method = http::Method::get;
  std::string_view method_text, target, host;
  std::string_view fields;                     // complete lines, without framing and Connection
  http::BodyKind body = http::BodyKind::none;  // none, length or chunked
  std::uint64_t content_length = 0;
  bool upgrade = false;  // `Connection: Upgrade`: a 101 is expected
};

// Told what becomes of one request; lives until on_end, on_failed or UpstreamCall::cancel. The call
// has gone when on_end or on_failed is told. What is told may call any method of the call.
class UpstreamEvents {
 public:
  // It takes bytes: from here on they may have reached it. First of all.
  virtual void on_connected() = 0;
  // A 1xx that is not the answer.
  virtual void on_interim(const http::ResponseHead& head) = 0;
  // The head of the answer. 101 only where an upgrade was asked for: bytes follow, both ways.
  virtual void on_response(const http::ResponseHead& head) = 0;
  virtual void on_piece(base::Block& block, std::span<std::byte> piece) = 0;
  // write() was false, and there is room again.
  virtual void on_room() = 0;
  // The answer is complete. Of an upgraded one: it has ended its side.
  virtual void on_end(std::string_view trailer_lines) = 0;
  // `answered`: on_response was told before.
  virtual void on_failed(const Error& why, bool answered) = 0;

 protected:
  ~UpstreamEvents() = default;
};

class UpstreamCall {
 public:
  // More of the body, or of what follows an upgrade. Copies. False: there is no room for more
  // (these bytes were taken), on_room follows.
  virtual bool write(Bytes bytes) = 0;
  // The body is complete. Of an upgraded one: nothing more will be sent.
  virtual void end(std::string_view trailer_lines) = 0;
  virtual void pause() = 0;  // of the answer; what is here already may still be told
  virtual void resume() = 0;
  // Somebody else is told from here on.
  virtual void hand_to(UpstreamEvents& events) = 0;
  // Nobody is told of anything any more.
  virtual void cancel() = 0;
  // It goes over a connection that had served others: that may have been closed meanwhile.
  virtual bool is_reused() const = 0;

 protected:
  ~UpstreamCall() = default;
};

// Those of one shard.
class Upstreams {
 public:
  virtual ~Upstreams() = default;
  // `fresh`: over no connection that had served others. Nothing is told before this returns.
  // Errors: upstream_unreachable, shard_lost, too_many_files, out_of_memory.
  virtual Result<UpstreamCall*> call(const UpstreamAddress& address, const UpstreamRequest& request,
                                     const UpstreamTimes& times, UpstreamEvents& events,
                                     bool fresh) = 0;
};

}  // namespace sluice::core
