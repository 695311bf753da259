// api/connection.cpp - bodies of sluice/connection.hpp.
#include <sluice/connection.hpp>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "core/connection.hpp"
#include "core/dispatcher.hpp"
#include "core/handshake_scope.hpp"
#include "core/raw_stream.hpp"
#include "core/sends.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "core/step.hpp"
#include "core/websocket.hpp"

namespace sluice {
namespace {

constexpr int kDashesAfter[] = {4, 6, 8, 10};  // bytes

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// On the pool: a handler that answers what it was given may always do so, which is bounded because
// reading stops. One that goes on and on has to wait when too much is queued.
bool pool_may_send(core::Connection& connection, std::size_t bytes) {
  std::size_t& sent = core::ThreadPool::sent_by_event();
  if (connection.send_full.load(std::memory_order_relaxed) && sent >= core::ThreadPool::kBytes) {
    return false;
  }
  sent += bytes;
  return true;
}

// Runs `call(WebSocket&)` on the connection's shard: at once there, as a post from elsewhere.
template <class Call>
SendStatus with_websocket(core::Connection* connection, std::size_t bytes, Call call) {
  if (!connection || !connection->is_open()) return SendStatus::gone;
  if (connection->on_own_shard()) {
    core::WebSocket* socket = connection->websocket();
    return socket ? call(*socket) : SendStatus::gone;
  }
  if (!connection->is_websocket()) return SendStatus::gone;
  return connection->mailbox().post(
      [handle = connection->handle(), call = std::move(call)]() mutable {
        core::Connection& target = *core::Connection::of(handle);
        core::step(target, [&] {
          if (core::WebSocket* socket = target.websocket()) call(*socket);
        });
      },
      bytes);
}

// From another thread, with `asynchronous`: its receipt waits for it on the way, so that it is told
// of also when the connection goes first.
SendStatus post_told(core::Connection& connection, ws::Opcode opcode, Bytes bytes,
                     std::size_t fragment_size, bool own, std::uint64_t tag) {
  auto receipt = std::make_shared<core::SendReceipt>(connection, bytes.size(), tag);
  core::PendingSends& pending = *connection.destination().home->pending_sends;
  if (!pending.add(connection, receipt)) return SendStatus::gone;
  SendStatus status = connection.mailbox().post(
      [handle = connection.handle(), receipt, opcode, copy = std::string(as_text(bytes)),
       fragment_size, own] {
        core::Connection& target = *core::Connection::of(handle);
        target.destination().home->pending_sends->remove(target, *receipt);
        Errc failed = Errc::out_of_memory;
        core::step(target, [&] {
          core::WebSocket* socket = target.websocket();
          SendStatus sent =
              socket ? socket->send_told(opcode, as_bytes(copy), fragment_size, own, own, receipt)
                     : SendStatus::gone;
          failed = sent == SendStatus::queued        ? Errc::none
                   : sent == SendStatus::would_block ? Errc::slow_reader
                                                     : Errc::gone;
        });
        if (failed != Errc::none) receipt->ended(failed);
      },
      bytes.size());
  if (status == SendStatus::queued || pending.remove(connection, *receipt)) return status;
  return SendStatus::queued;  // its result has been told: the connection's end was faster
}

SendStatus write_message(core::Connection* connection, ws::Opcode opcode, Bytes bytes,
                         std::size_t fragment_size, std::uint64_t tag) {
  if (!connection || !connection->is_open()) return SendStatus::gone;
  bool own = core::Dispatcher::running() == connection;
  if (connection->on_own_shard()) {
    core::WebSocket* socket = connection->websocket();
    return socket ? socket->send_tagged(opcode, bytes, fragment_size, own, tag) : SendStatus::gone;
  }
  if (own && !pool_may_send(*connection, bytes.size())) return SendStatus::would_block;
  if (!connection->is_websocket()) return SendStatus::gone;
  if (connection->destination().home->pending_sends) {
    return post_told(*connection, opcode, bytes, fragment_size, own, tag);
  }
  return with_websocket(
      connection, bytes.size(),
      [opcode, copy = std::string(as_text(bytes)), fragment_size, own](core::WebSocket& socket) {
        return socket.send(opcode, as_bytes(copy), fragment_size, own, own);
      });
}

// A thread that waits for its send.
class Wait final : public core::Receipt {
 public:
  void ended(const Error& why) noexcept override {
    std::lock_guard lock(mutex_);
    if (!ended_) why_ = why.code;
    ended_ = true;
    changed_.notify_all();
  }
  Result<void> wait(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, timeout, [this] { return ended_; })) return Errc::timed_out;
    return why_ == Errc::none ? Result<void>() : Result<void>(why_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  Errc why_ = Errc::none;
};

Result<void> write_and_wait_for(core::Connection* connection, ws::Opcode opcode, Bytes bytes,
                                std::chrono::milliseconds timeout) {
  if (core::Shard::current() || core::ThreadPool::on_pool_thread()) return Errc::would_deadlock;
  if (!connection || !connection->is_open() || !connection->is_websocket()) return Errc::gone;
  auto wait = std::make_shared<Wait>();
  SendStatus status = connection->mailbox().post(
      [handle = connection->handle(), wait, opcode, copy = std::string(as_text(bytes))] {
        core::Connection& target = *core::Connection::of(handle);
        bool queued = false;
        core::step(target, [&] {
          core::WebSocket* socket = target.websocket();
          queued = socket && socket->send_told(opcode, as_bytes(copy), 0, true, true, wait) ==
                                 SendStatus::queued;
        });
        if (!queued) wait->ended(Errc::gone);
      },
      bytes.size());
  if (status != SendStatus::queued) {
    return status == SendStatus::gone ? Errc::gone : Errc::mailbox_full;
  }
  return wait->wait(timeout);
}

}  // namespace

// --- ConnectionId --------------------------------------------------------------------------------

std::optional<ConnectionId> ConnectionId::parse(std::string_view text) {
  if (text.size() >= 2 && text.front() == '{' && text.back() == '}')
    text = text.substr(1, text.size() - 2);
  if (text.size() != 36) return std::nullopt;
  std::array<std::byte, 16> bytes;
  std::size_t at = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int dash : kDashesAfter) {
      if (i == std::size_t(dash) && text[at++] != '-') return std::nullopt;
    }
    int high = hex_value(text[at]), low = hex_value(text[at + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = std::byte(high << 4 | low);
    at += 2;
  }
  return ConnectionId(bytes);
}

std::string ConnectionId::to_string() const {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    for (int dash : kDashesAfter) {
      if (i == std::size_t(dash)) text.push_back('-');
    }
    text.push_back(kDigits[std::to_integer<unsigned>(bytes_[i]) >> 4]);
    text.push_back(kDigits[std::to_integer<unsigned>(bytes_[i]) & 15]);
  }
  return text;
}

// --- The handle ----------------------------------------------------------------------------------

Connection::Connection(const Connection& other) : connection_(other.connection_) {
  if (connection_) connection_->retain();
}

Connection::Connection(Connection&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)) {}

Connection& Connection::operator=(Connection other) noexcept {
  std::swap(connection_, other.connection_);
  return *this;
}

Connection::~Connection() {
  if (connection_) connection_->release();
}

ConnectionId Connection::id() const { return connection_ ? connection_->id() : ConnectionId(); }
std::string Connection::ip() const {
  return connection_ ? connection_->remote.ip() : std::string();
}
std::uint16_t Connection::port() const {
  return connection_ ? connection_->remote.port : std::uint16_t{0};
}
std::string Connection::local_ip() const {
  return connection_ ? connection_->destination().local.ip() : std::string();
}
std::uint16_t Connection::local_port() const {
  return connection_ ? connection_->destination().local.port : std::uint16_t{0};
}

const TlsInfo* Connection::tls() const { return connection_ ? connection_->tls() : nullptr; }

std::string_view Connection::protocol() const {
  return connection_ ? std::string_view(connection_->destination().protocol) : std::string_view();
}

std::string_view Connection::url() const {
  return connection_ ? std::string_view(connection_->destination().url) : std::string_view();
}

Headers Connection::headers() const {
  if (!connection_) return {};
  const std::unique_ptr<const Headers>& kept = connection_->destination().fields;
  return kept ? *kept : core::HandshakeScope::fields_of(*connection_);
}

Identity Connection::authentication() const {
  const Identity* identity = connection_ ? connection_->identity() : nullptr;
  return identity ? *identity : Identity();
}

bool Connection::is_open() const { return connection_ && connection_->is_open(); }
bool Connection::is_websocket() const { return is_open() && connection_->is_websocket(); }

SendStatus Connection::write_data(std::string_view text) {
  if (connection_ && connection_->on_own_shard()) {
    bool own = core::Dispatcher::running() == connection_;
    core::WebSocket* socket = connection_->websocket();
    if (!connection_->is_open() || !socket) return SendStatus::gone;
    return socket->send(ws::Opcode::text, as_bytes(text), 0, own);
  }
  return write_message(connection_, ws::Opcode::text, as_bytes(text), 0, 0);
}

SendStatus Connection::write_data(Bytes bytes, std::size_t fragment_size) {
  if (connection_ && connection_->on_own_shard()) {
    bool own = core::Dispatcher::running() == connection_;
    core::WebSocket* socket = connection_->websocket();
    if (!connection_->is_open() || !socket) return SendStatus::gone;
    return socket->send(ws::Opcode::binary, bytes, fragment_size, own);
  }
  return write_message(connection_, ws::Opcode::binary, bytes, fragment_size, 0);
}

SendStatus Connection::write_data(std::string_view text, SendTag tag) {
  return write_message(connection_, ws::Opcode::text, as_bytes(text), 0, tag.value);
}

SendStatus Connection::write_data(Bytes bytes, SendTag tag, std::size_t fragment_size) {
  return write_message(connection_, ws::Opcode::binary, bytes, fragment_size, tag.value);
}

Result<void> Connection::write_and_wait(std::string_view text, std::chrono::milliseconds timeout) {
  return write_and_wait_for(connection_, ws::Opcode::text, as_bytes(text), timeout);
}

Result<void> Connection::write_and_wait(Bytes bytes, std::chrono::milliseconds timeout) {
  return write_and_wait_for(connection_, ws::Opcode::binary, bytes, timeout);
}

SendStatus Connection::ping(std::string_view payload) {
  return with_websocket(
      connection_, payload.size(),
      [copy = std::string(payload)](core::WebSocket& socket) { return socket.ping(copy); });
}

SendStatus Connection::close(std::uint16_t code, std::string_view reason) {
  return with_websocket(connection_, reason.size(),
                        [code, copy = std::string(reason)](core::WebSocket& socket) {
                          return socket.close(code, copy);
                        });
}

SendStatus Connection::disconnect() {
  if (!connection_) return SendStatus::gone;
  return connection_->run_on_shard(
      [handle = *this] {
        core::Connection* target = core::Connection::of(handle);
        if (target->is_open()) target->disconnect(Errc::none);
      },
      0);
}

SendStatus Connection::write_raw(Bytes bytes, bool last) {
  if (!connection_ || !connection_->is_open()) return SendStatus::gone;
  if (connection_->on_own_shard()) {
    core::RawStream* stream = core::RawStream::of(*connection_);
    return stream ? stream->send(bytes, last) : SendStatus::gone;
  }
  if (core::ThreadPool::on_pool_thread() && !pool_may_send(*connection_, bytes.size())) {
    return SendStatus::would_block;
  }
  return connection_->mailbox().post(
      [handle = *this, copy = std::string(as_text(bytes)), last] {
        core::Connection& target = *core::Connection::of(handle);
        core::step(target, [&] {
          core::RawStream* stream = core::RawStream::of(target);
          if (!stream || stream->send(as_bytes(copy), last) != SendStatus::would_block) return;
          // It was told that it is queued: so it is sent, or the connection ends.
          target.disconnect(Errc::slow_reader);
        });
      },
      bytes.size());
}

SendStatus Connection::subscribe(std::string_view channel) {
  return with_websocket(connection_, channel.size(),
                        [name = std::string(channel)](core::WebSocket& socket) {
                          socket.shard().channels.subscribe(socket, name);
                          return SendStatus::queued;
                        });
}

SendStatus Connection::unsubscribe(std::string_view channel) {
  return with_websocket(connection_, channel.size(),
                        [name = std::string(channel)](core::WebSocket& socket) {
                          socket.shard().channels.unsubscribe(socket, name);
                          return SendStatus::queued;
                        });
}

bool Connection::subscribed(std::string_view channel) const {
  if (!connection_ || !connection_->on_own_shard()) return false;
  core::WebSocket* socket = connection_->websocket();
  return socket && socket->shard().channels.subscribed(*socket, channel);
}

SendStatus Connection::post(std::function<void()> call) {
  if (!connection_ || !connection_->is_open()) return SendStatus::gone;
  return connection_->mailbox().post([handle = *this, call = std::move(call)] {
    core::Connection* target = core::Connection::of(handle);
    if (!target->is_open()) return;
    target->shard().session.dispatcher.call(*target, "post", call);
  });
}

std::any& Connection::data() {
  static thread_local std::any nobody;
  if (!connection_) {
    nobody.reset();
    return nobody;
  }
  return connection_->data();
}

std::uint64_t Connection::bytes_received() const {
  return connection_ ? connection_->bytes_received.load(std::memory_order_relaxed) : 0;
}

std::uint64_t Connection::bytes_sent() const {
  return connection_ ? connection_->bytes_sent.load(std::memory_order_relaxed) : 0;
}

std::chrono::system_clock::time_point Connection::created_at() const {
  return connection_ ? connection_->created_at() : std::chrono::system_clock::time_point();
}

std::chrono::system_clock::time_point Connection::last_message_at() const {
  return connection_ ? connection_->last_message_at() : std::chrono::system_clock::time_point();
}

}  // namespace sluice
