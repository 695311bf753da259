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

#include <sluice/bytes.hpp>
#include <sluice/export.hpp>

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
  std::string_view url() const;       // path of the WebSocket; empty for plain HTTP

  std::string local_ip() const;
  std::uint16_t local_port() const;

  bool is_open() const;
  bool is_websocket() const;

  // Sends a text message (the text must be UTF-8) or a binary one, in fragments of `fragment_size`
  // bytes if that is not 0. The bytes are copied or shared before the call returns. All sends of
  // one thread arrive in call order.
  SendStatus write_data(std::string_view text);
  SendStatus write_data(Bytes bytes, std::size_t fragment_size = 0);
  // At most 125 bytes of payload go out.
  SendStatus ping(std::string_view payload = {});
  // Begins the closing handshake. `code` as RFC 6455 section 7.4 permits, else 1000; `reason` is
  // cut at 123 bytes.
  SendStatus close(std::uint16_t code = 1000, std::string_view reason = {});
  // Ends the connection at once, without a Close frame.
  SendStatus disconnect();

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
