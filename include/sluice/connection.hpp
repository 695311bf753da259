// sluice/connection.hpp - a handle to one connection.
//
// A small value. Keeping it keeps no socket open: after the connection has gone, id, ip, port,
// protocol and url stay readable and everything else answers SendStatus::gone (or an empty value).
// Thread: any, unless a method says otherwise. Layer: public.
#pragma once

#include <any>
#include <array>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <sluice/authentication.hpp>
#include <sluice/bytes.hpp>
#include <sluice/export.hpp>
#include <sluice/headers.hpp>
#include <sluice/result.hpp>
#include <sluice/tls_info.hpp>

namespace sluice {

namespace core {
class Connection;
}

// The connection's GUID: an encrypted address under a key of this process. Unguessable, but never a
// credential.
class SLUICE_API ConnectionId {
 public:
  ConnectionId() = default;
  explicit ConnectionId(const std::array<std::byte, 16>& bytes) : bytes_(bytes) {}
  // "3F2504E0-4F89-11D3-9A0C-0305E82C3301", with or without braces, either case.
  static std::optional<ConnectionId> parse(std::string_view text);
  std::string to_string() const;
  const std::array<std::byte, 16>& bytes() const { return bytes_; }
  friend auto operator<=>(const ConnectionId&, const ConnectionId&) = default;

 private:
  std::array<std::byte, 16> bytes_{};
};

// What became of a send at the call. What fails later is told by on_error.
enum class SendStatus : std::uint8_t {
  queued,
  would_block,  // the byte budget or a mailbox is full: nothing was queued
  gone,         // there is no such connection any more
};

// What the application calls a send by; told again in its SendResult. 0 where none is given.
struct SendTag {
  std::uint64_t value = 0;
};

// How a send ended; see Server::on_asynchronous.
struct SendResult {
  std::size_t bytes = 0;  // of the message
  // None: the kernel has all of it. Else why it never will: Errc::slow_reader where
  // options.slow_reader dropped it, Errc::gone or the socket's error when the connection went.
  Error error = {};
  std::uint64_t tag = 0;
};

class SLUICE_API Connection {
 public:
  Connection() = default;  // no connection: everything answers gone
  Connection(const Connection& other);
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection other) noexcept;
  ~Connection();

  // Readable while the handle is kept, also after the connection has gone. Views live as long as a
  // handle.
  ConnectionId id() const;
  std::string ip() const;  // "127.0.0.1", "::1"; empty for a local stream
  std::uint16_t port() const;
  std::string_view protocol() const;  // sub-protocol, or empty
  // Path of the WebSocket, with `?` and its query where options.keep_headers; empty for plain HTTP.
  std::string_view url() const;
  // The fields of the handshake's request: in on_handshake and on_connect (on the handler's
  // thread) always, anywhere and later with options.keep_headers; else none.
  Headers headers() const;

  // Who opened the WebSocket, and by which scheme. Of plain HTTP each request has its own:
  // HttpRequest::authentication.
  Identity authentication() const;

  std::string local_ip() const;
  std::uint16_t local_port() const;
  // What TLS has agreed on; null without TLS, and before its handshake is done. Lives as long as a
  // handle.
  const TlsInfo* tls() const;

  bool is_open() const;
  bool is_websocket() const;

  // Sends a text message (the text must be UTF-8) or a binary one, in fragments of `fragment_size`
  // bytes if that is not 0. The bytes are copied or shared before the call returns. All sends of
  // one thread arrive in call order.
  SendStatus write_data(std::string_view text);
  SendStatus write_data(Bytes bytes, std::size_t fragment_size = 0);
  SendStatus write_data(std::string_view text, SendTag tag);
  SendStatus write_data(Bytes bytes, SendTag tag, std::size_t fragment_size = 0);
  // The same, and returns when the kernel has all of it. It is queued whatever else waits (the
  // caller's waiting bounds that) and never dropped for slowness. Errc::would_deadlock on a thread
  // of a server, Errc::timed_out (it may still go out), Errc::gone or the socket's error when the
  // connection went, Errc::mailbox_full.
  Result<void> write_and_wait(std::string_view text, std::chrono::milliseconds timeout);
  Result<void> write_and_wait(Bytes bytes, std::chrono::milliseconds timeout);
  // At most 125 bytes of payload go out.
  SendStatus ping(std::string_view payload = {});
  // Begins the closing handshake. `code` as RFC 6455 section 7.4 permits, else 1000; `reason` is
  // cut at 123 bytes.
  SendStatus close(std::uint16_t code = 1000, std::string_view reason = {});
  // Ends the connection at once, without a Close frame.
  SendStatus disconnect();

  // Bytes of a connection that on_unknown_protocol accepted; they are copied. would_block: more
  // than limits.send_queue_bytes wait. `last`: the connection ends behind them.
  SendStatus write_raw(Bytes bytes, bool last = false);

  SendStatus subscribe(std::string_view channel);
  SendStatus unsubscribe(std::string_view channel);
  // On its own shard (in a handler): the truth. On other threads: false.
  bool subscribed(std::string_view channel) const;

  // Runs `call` on the connection's shard; not at all if the connection has gone by then.
  SendStatus post(std::function<void()> call);

  // The application's own. Only to be touched in handlers of this connection.
  std::any& data();

  std::uint64_t bytes_received() const;
  std::uint64_t bytes_sent() const;
  std::chrono::system_clock::time_point created_at() const;
  std::chrono::system_clock::time_point last_message_at() const;

  explicit operator bool() const { return connection_ != nullptr; }
  friend bool operator==(const Connection& a, const Connection& b) {
    return a.connection_ == b.connection_;
  }

 private:
  friend class core::Connection;
  explicit Connection(core::Connection* shared) noexcept : connection_(shared) {}
  core::Connection* connection_ = nullptr;
};

}  // namespace sluice
