// front/wire/secure_client.cpp - see secure_client.hpp.
#include "front/wire/secure_client.hpp"

#include <new>
#include <utility>

#include "core/session.hpp"
#include "front/wire/connection.hpp"
#include "front/wire/loop.hpp"

namespace sluice::wire {
namespace {

Errc code_of(tls::Reason reason) {
  switch (reason) {
    case tls::Reason::http_request:
      return Errc::tls_expected;
    case tls::Reason::certificate_missing:
    case tls::Reason::certificate_refused:
      return Errc::tls_certificate_refused;
    case tls::Reason::bad_record:
      return Errc::tls_broken;
    case tls::Reason::out_of_memory:
      return Errc::out_of_memory;
    default:
      return Errc::tls_handshake_failed;
  }
}

}  // namespace

std::unique_ptr<SecureClient> SecureClient::make(Connection& connection,
                                                 std::shared_ptr<const tls::Context> context) {
  auto session = tls::Session::accept(std::move(context));
  if (!session) throw std::bad_alloc();
  return std::unique_ptr<SecureClient>(new SecureClient(connection, std::move(*session)));
}

SecureClient::SecureClient(Connection& connection, std::unique_ptr<tls::Session> session)
    : Secure(connection.loop(), connection, std::move(session)), connection_(connection) {}

void SecureClient::begin_event() { connection_.begin_event(); }
void SecureClient::plain(const io::Received& received) { connection_.receive_guarded(received); }
void SecureClient::end_event() { connection_.end_event(); }
bool SecureClient::wants_more() const { return !connection_.close_called_; }
void SecureClient::want_to_go_on() { loop().want_to_go_on(connection_); }
void SecureClient::broken() { connection_.close_called_ = true; }
void SecureClient::sent(std::uint64_t bytes) { connection_.on_sent(bytes); }
void SecureClient::closed(const Error& why) { connection_.on_closed(why); }

void SecureClient::opened() {
  auto info = std::make_unique<TlsInfo>();
  info->version = session().version();
  info->cipher = session().cipher();
  info->server_name = session().server_name();
  info->protocol = session().protocol();
  info->resumed = session().is_resumed();
  if (session().has_peer_certificate()) {
    auto shown = session().peer_certificate();
    if (!shown) throw std::bad_alloc();
    info->client_subject = std::move(shown->subject);
    info->client_issuer = std::move(shown->issuer);
    info->client_fingerprint = std::move(shown->fingerprint);
  }
  info_ = std::move(info);
  published_.store(info_.get(), std::memory_order_release);
  if (info_->protocol == "h2") connection_.begin_http2();
}

// Who is in the handshake, or speaks HTTP, is told and listened to until it ends; later the alert
// is sent and that was it.
void SecureClient::refused(const tls::Failure& failed) {
  if (connection_.closing_ || connection_.close_called_) return;
  const Error why(code_of(failed.reason), failed.detail);
  loop().session().reject(&connection_, why, loop().shard());
  if (failed.reason == tls::Reason::http_request) {
    speak_in_clear();
    connection_.guarded([&] { connection_.plain_error(Errc::tls_expected); });
  } else if (!info()) {
    connection_.guarded([&] { connection_.close_when_drained(true); });
  } else {
    break_off(why);
  }
}

// Whether something is missing the connection knows: all that HTTP and WebSocket send says where it
// ends (RFC 9112 section 9.8).
void SecureClient::ended(bool) {
  if (!info() && !connection_.closing_) return connection_.close_now(io::CloseMode::graceful);
  connection_.on_end();
}

}  // namespace sluice::wire
