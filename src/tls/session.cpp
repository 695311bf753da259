// tls/session.cpp - see session.hpp; by libssl.
//
// RFC 8446, RFC 5246. libssl reads through a BIO that stands on the caller's bytes, and takes no
// more of them than the record that it works on. Layer: tls. Thread: shard.
#include "tls/session.hpp"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <limits>
#include <new>

#include "base/check.hpp"
#include "tls/context_parts.hpp"
#include "tls/libcrypto.hpp"

namespace sluice::tls {
namespace {

constexpr std::string_view kWords[] = {
    "none",
    "http_request",
    "not_tls",
    "hello_too_large",
    "no_common_version",
    "no_common_cipher",
    "no_common_protocol",
    "certificate_missing",
    "certificate_refused",
    "peer_refused",
    "bad_record",
    "truncated",
    "out_of_memory",
    "broken",
};
static_assert(std::size(kWords) == static_cast<std::size_t>(Reason::broken) + 1);

Reason reason_of(int libssl) {
  if (libssl >= SSL_AD_REASON_OFFSET) return Reason::peer_refused;
  switch (libssl) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_HTTP_REQUEST:
      return Reason::not_tls;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_INAPPROPRIATE_FALLBACK:
      return Reason::no_common_version;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
      return Reason::no_common_cipher;
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return Reason::no_common_protocol;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return Reason::certificate_missing;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_WRONG_CURVE:  // TLS 1.2: the peer's key is on a curve that is not ours
      return Reason::certificate_refused;
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_DATA_LENGTH_TOO_LONG:
    case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_LENGTH_TOO_LONG:
    case SSL_R_LENGTH_TOO_SHORT:
    case SSL_R_UNEXPECTED_RECORD:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_RECORD_TOO_SMALL:
    case SSL_R_NOT_ON_RECORD_BOUNDARY:
      return Reason::bad_record;
    default:
      return Reason::broken;
  }
}

constexpr std::string_view kHelloTooLarge = "a ClientHello of more than 16384 bytes";
constexpr std::string_view kMessageInParts = "a handshake message in parts";

// Of all sessions, as long as the program runs.
std::atomic<BIO_METHOD*> method = nullptr;

// Says whom the certificate must be for. False: that can be nobody, or memory is out.
bool expect_host(SSL* ssl, const std::string& host) {
  if (is_address(host)) {
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  }
  const HostName name(host);
  if (!name.is_valid() || name.is_wildcard()) return false;
  const std::string text(name.view());
  // Without the second, a name in the subject would do where subjectAltName has no host name.
  SSL_set_hostflags(ssl,
                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return SSL_set1_host(ssl, text.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, text.c_str()) == 1;
}

}  // namespace

std::string_view word(Reason reason) { return kWords[static_cast<std::size_t>(reason)]; }

// --- the BIO -------------------------------------------------------------------------------------

bool Session::prepare() {
  if (method.load(std::memory_order_acquire) != nullptr) return true;
  BIO_METHOD* made = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "sluice");
  if (made == nullptr) return false;
  BIO_meth_set_read_ex(made, bio_read);
  BIO_meth_set_write_ex(made, bio_write);
  BIO_meth_set_ctrl(made, bio_control);
  BIO_METHOD* none = nullptr;
  if (!method.compare_exchange_strong(none, made, std::memory_order_acq_rel)) BIO_meth_free(made);
  return true;
}

int Session::bio_read(bio_st* bio, char* to, std::size_t size, std::size_t* done) {
  auto& self = *static_cast<Session*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self.is_flooded() || self.is_split()) return 0;
  if (self.first_taken_ < self.first_.size()) {  // it has passed the framing already
    *done = std::min(size, self.first_.size() - self.first_taken_);
    std::memcpy(to, self.first_.data() + self.first_taken_, *done);
    self.first_taken_ += *done;
    if (self.first_taken_ == self.first_.size()) std::vector<std::byte>().swap(self.first_);
    return 1;
  }
  const std::size_t here = std::min(size, self.in_.size());
  if (here == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  const bool in_clear = SSL_version(self.ssl_) == TLS1_3_VERSION;
  if (!self.framing_.pass(self.in_.first(here), in_clear) && self.context_->parts().is_server) {
    self.hello_too_large_ = true;
    return 0;
  }
  std::memcpy(to, self.in_.data(), here);
  self.in_ = self.in_.subspan(here);
  *done = here;
  return 1;
}

int Session::bio_write(bio_st* bio, const char* from, std::size_t size, std::size_t* done) {
  auto& self = *static_cast<Session*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self.is_flooded()) return 0;
  if (self.no_memory_ || !self.out_->put({reinterpret_cast<const std::byte*>(from), size})) {
    self.no_memory_ = true;
    return 0;
  }
  *done = size;
  return 1;
}

long Session::bio_control(bio_st*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// Behind the handshake: what the peer sends besides data, which libssl may answer.
void Session::on_message(int is_ours, int, int type, const void*, std::size_t, ssl_st*,
                         void* session) {
  auto& self = *static_cast<Session*>(session);
  if (is_ours != 0 || type != SSL3_RT_HANDSHAKE || self.phase_ != Phase::open) return;
  if (!self.is_flooded()) ++self.messages_;
}

// At the head of a record: whether a message of the client's goes on in it. Until it is whole
// libssl would seal nothing. A KeyUpdate has 5 bytes, which nobody sends in two records; a client
// of TLS 1.2 that renegotiates is not heard anyway.
bool Session::is_split() {
  if (phase_ == Phase::open && context_->parts().is_server && !framing_.is_inside()) {
    in_parts_ = in_parts_ || SSL_in_init(ssl_) != 0;
  }
  return in_parts_;
}

// The caller's bytes, for as long as a call lasts.
struct Session::Call {
  Call(Session& session, std::span<std::byte> in, Out& out) : session_(session) {
    session.in_ = in;
    session.out_ = &out;
  }
  ~Call() {
    session_.in_ = {};
    session_.out_ = nullptr;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  Session& session_;
};

// --- making --------------------------------------------------------------------------------------

Session::Session(std::shared_ptr<const Context> context) : context_(std::move(context)) {
  asked_.parts = &context_->parts();
}

bool Session::make_ssl() {
  const Quietly quietly;
  ssl_ = SSL_new(context_->parts().contexts.front().get());
  BIO* bio = ssl_ != nullptr ? BIO_new(method.load(std::memory_order_acquire)) : nullptr;
  if (bio == nullptr) return false;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_msg_callback(ssl_, on_message);
  SSL_set_msg_callback_arg(ssl_, this);
  // For the callbacks of context.cpp.
  return SSL_set_app_data(ssl_, &asked_) == 1;
}

Result<std::unique_ptr<Session>> Session::accept(std::shared_ptr<const Context> context) {
  SLUICE_CHECK(context->parts().is_server);
  std::unique_ptr<Session> made(new (std::nothrow) Session(std::move(context)));
  if (!made) return Errc::out_of_memory;
  return made;
}

Result<std::unique_ptr<Session>> Session::connect(std::shared_ptr<const Context> context,
                                                  const std::string& host) try {
  SLUICE_CHECK(!context->parts().is_server);
  std::unique_ptr<Session> made(new Session(std::move(context)));
  if (!made->make_ssl()) return Errc::out_of_memory;
  const Quietly quietly;
  SSL_set_connect_state(made->ssl_);
  if (!expect_host(made->ssl_, host)) {
    return Error{Errc::invalid_argument, "'" + host + "' is neither a host name nor an address"};
  }
  return made;
} catch (const std::bad_alloc&) {
  return Errc::out_of_memory;
}

Session::~Session() { SSL_free(ssl_); }

// --- the way it goes -----------------------------------------------------------------------------

void Session::begin(Out& out) {
  if (context_->parts().is_server || phase_ != Phase::handshake || started_) return;
  started_ = true;
  const Call call(*this, {}, out);
  shake_hands();
}

// Whether libssl can be asked: it has been, or a whole record is there.
bool Session::is_first_whole(std::span<std::byte>& cipher) {
  if (ssl_ != nullptr) return true;
  if (cipher.empty()) return false;
  if (!started_) {
    started_ = true;
    // All methods of HTTP begin with a letter; records begin with a type, 20 to 24.
    const char first = static_cast<char>(cipher.front());
    if (first >= 'A' && first <= 'Z') {
      fail(Reason::http_request, "a request in clear on a port for TLS");
      return false;
    }
    if (first != SSL3_RT_HANDSHAKE) {
      fail(Reason::not_tls, "the first byte is not that of a handshake");
      return false;
    }
  }
  if (!keep_first(cipher)) return false;
  if (!make_ssl()) {
    fail(Reason::out_of_memory, "libssl got no memory");
    return false;
  }
  SSL_set_accept_state(ssl_);
  return true;
}

// True: the first record is whole, in `cipher` or in first_. False: its rest has to come, or it has
// failed.
bool Session::keep_first(std::span<std::byte>& cipher) {
  constexpr std::size_t kHead = Framing::kRecordHead;
  const auto size_of = [](std::span<const std::byte> head) {
    return std::to_integer<std::size_t>(head[3]) << 8 | std::to_integer<std::size_t>(head[4]);
  };
  // The rule: no copy.
  if (first_.empty() && cipher.size() >= kHead && cipher.size() - kHead >= size_of(cipher)) {
    return true;
  }
  while (!cipher.empty()) {
    const std::span<std::byte> here = cipher.first(std::min(cipher.size(), framing_.missing()));
    cipher = cipher.subspan(here.size());
    if (!framing_.pass(here, true)) {
      fail(Reason::hello_too_large, kHelloTooLarge);
      return false;
    }
    try {
      first_.insert(first_.end(), here.begin(), here.end());
    } catch (const std::bad_alloc&) {
      fail(Reason::out_of_memory, "no room for a client's first record");
      return false;
    }
    // Of another major version, libssl has to see the head to refuse it.
    if (!framing_.is_inside() || (first_.size() == kHead && first_[1] != std::byte{3})) return true;
    if (first_.size() >= kHead && size_of(first_) > kRecordBytes) {
      fail(Reason::bad_record, "a record of more than 16384 bytes");
      return false;
    }
  }
  return false;
}

bool Session::shake_hands() {
  ERR_clear_error();
  const int verdict = SSL_do_handshake(ssl_);
  if (verdict == 1) {
    phase_ = Phase::open;
    return true;
  }
  judge(verdict);
  return false;
}

bool Session::needs_room() const {
  return phase_ == Phase::open && (framing_.is_inside() || SSL_pending(ssl_) > 0);
}

std::span<std::byte> Session::receive(std::span<std::byte>& cipher, std::span<std::byte> room,
                                      Out& out) {
  if (phase_ == Phase::failed) return {};
  if (peer_closed_) {
    cipher = {};
    return {};
  }
  if (!is_first_whole(cipher)) return {};
  const bool in_place = room.empty();
  if (in_place && needs_room()) {
    fail(Reason::out_of_memory, "no room for a record that came in parts");
    return {};
  }
  const std::span<std::byte> to = in_place ? cipher : room;
  std::size_t made = 0;
  const Call call(*this, cipher, out);
  if (phase_ == Phase::open || shake_hands()) made = read(to);
  cipher = peer_closed_ ? std::span<std::byte>() : in_;
  look_at_messages();
  return to.first(made);
}

std::size_t Session::read(std::span<std::byte> to) {
  std::size_t made = 0;
  while (made < to.size()) {
    std::size_t got = 0;
    ERR_clear_error();
    // In place: of what libssl has taken, which is always more than what it gives.
    const int verdict = SSL_read_ex(ssl_, to.data() + made, to.size() - made, &got);
    if (verdict != 1) {
      judge(verdict);
      break;
    }
    made += got;
    messages_ = 0;
  }
  return made;
}

void Session::look_at_messages() {
  if (phase_ != Phase::open) return;
  if (SSL_in_init(ssl_) != 0) {
    if (peer_closed_) fail(Reason::bad_record, kMessageInParts);  // its rest never comes
  } else if (owes_close_) {
    owes_close_ = false;
    shut_down();
  }
}

bool Session::send(std::span<const Bytes> parts, base::Instant now, Out& out) {
  if (closed_ || phase_ != Phase::open) return false;
  if (!can_send()) {
    fail(Reason::bad_record, kMessageInParts);
    return false;
  }
  if (last_sent_ == base::Instant::min() || now - last_sent_ >= kPause) {
    small_left_ = kSmallRecords;
  }
  last_sent_ = now;
  const Call call(*this, {}, out);
  std::size_t used = 0;  // of the first part
  while (!parts.empty()) {
    const Bytes here = parts.front().subspan(used);
    const std::size_t size = small_left_ != 0 ? kSmallRecord : kRecordBytes;
    if (here.empty()) {
      parts = parts.subspan(1);
      used = 0;
    } else if (here.size() >= size || parts.size() == 1) {
      // Whole records of one part go together: libssl keeps its buffer between them.
      const std::size_t whole = small_left_ != 0    ? std::min(here.size(), size)
                                : parts.size() == 1 ? here.size()
                                                    : here.size() / size * size;
      if (!seal(here.first(whole))) return false;
      used += whole;
    } else if (!seal_gathered(parts, used, size)) {
      return false;
    }
  }
  return true;
}

// One record of several parts: a head and a small body, many small frames.
bool Session::seal_gathered(std::span<const Bytes>& parts, std::size_t& used, std::size_t size) {
  std::array<std::byte, kRecordBytes> record;
  std::size_t have = 0;
  while (!parts.empty() && have < size) {
    const Bytes here = parts.front().subspan(used);
    const std::size_t taken = std::min(here.size(), size - have);
    std::copy_n(here.begin(), taken, record.begin() + static_cast<std::ptrdiff_t>(have));
    have += taken;
    used += taken;
    if (taken == here.size()) {
      parts = parts.subspan(1);
      used = 0;
    }
  }
  return have == 0 || seal(Bytes(record).first(have));
}

bool Session::seal(Bytes plain) {
  const std::size_t records = (plain.size() + kRecordBytes - 1) / kRecordBytes;
  if (sealed_ + records > context_->parts().records_per_key && is_key_worn()) return false;
  sealed_ += static_cast<std::uint32_t>(records);
  if (small_left_ != 0) --small_left_;
  std::size_t done = 0;
  ERR_clear_error();
  const int verdict = SSL_write_ex(ssl_, plain.data(), plain.size(), &done);
  if (verdict == 1) return true;
  judge(verdict);
  // Whatever libssl waits for: the bytes are not sent.
  if (phase_ == Phase::open) fail(Reason::broken, "libssl did not seal what it was given");
  return false;
}

// A new key in front of the next record; TLS 1.2 has no such thing, and counts on. True: it failed.
bool Session::is_key_worn() {
  sealed_ = 0;
  if (SSL_version(ssl_) != TLS1_3_VERSION) return false;
  ERR_clear_error();
  if (SSL_key_update(ssl_, SSL_KEY_UPDATE_NOT_REQUESTED) == 1) return false;
  judge(0);
  if (phase_ == Phase::open) fail(Reason::broken, "libssl did not change the key");
  return true;
}

bool Session::can_send() const { return phase_ == Phase::open && SSL_in_init(ssl_) == 0; }

void Session::close(Out& out) {
  if (phase_ != Phase::open || closed_) return;
  closed_ = true;
  if (!can_send()) {
    owes_close_ = true;
    return;
  }
  const Call call(*this, {}, out);
  shut_down();
}

void Session::shut_down() {
  ERR_clear_error();
  const int verdict = SSL_shutdown(ssl_);
  if (verdict < 0) judge(verdict);
}

void Session::end_of_input() {
  if (phase_ == Phase::failed || peer_closed_) return;
  if (phase_ == Phase::handshake) {
    fail(Reason::truncated, "the stream ended inside the handshake");
  } else if (!can_send()) {
    fail(Reason::truncated, "the stream ended inside a handshake message");
  } else {
    truncated_ = true;
  }
}

// --- failures ------------------------------------------------------------------------------------

void Session::judge(int verdict) {
  const int what = SSL_get_error(ssl_, verdict);
  if (no_memory_) return fail(Reason::out_of_memory, "no room for what has to be sent");
  if (asked_.no_memory) return fail(Reason::out_of_memory, "no room for the name asked for");
  if (hello_too_large_) return fail(Reason::hello_too_large, kHelloTooLarge);
  if (in_parts_) return fail(Reason::bad_record, kMessageInParts);
  if (is_flooded()) {
    return fail(Reason::bad_record, "more than 32 handshake messages with no data between");
  }
  if (what == SSL_ERROR_WANT_READ) return;
  if (what == SSL_ERROR_ZERO_RETURN) {
    peer_closed_ = true;
    if (phase_ == Phase::handshake) fail(Reason::truncated, "closed inside the handshake");
    return;
  }
  int reason = 0;
  const char* said = nullptr;
  for (unsigned long error = ERR_get_error(); error != 0; error = ERR_get_error()) {
    if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) {
      ERR_clear_error();
      return fail(Reason::out_of_memory, "libssl got no memory");
    }
    if (said == nullptr) said = ERR_reason_error_string(error);
    if (reason == 0 && ERR_GET_LIB(error) == ERR_LIB_SSL) {
      reason = ERR_GET_REASON(error);
      if (const char* words = ERR_reason_error_string(error)) said = words;
    }
  }
  Reason found = reason_of(reason);
  // The version in the head of a record: behind the handshake that is damage.
  if (found == Reason::not_tls && phase_ == Phase::open) found = Reason::bad_record;
  if (found == Reason::peer_refused) {
    said = SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET);
  }
  if (found == Reason::certificate_refused && reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    said = X509_verify_cert_error_string(SSL_get_verify_result(ssl_));
  }
  fail(found, said != nullptr ? said : "the session cannot go on");
}

void Session::fail(Reason reason, std::string_view detail) noexcept {
  phase_ = Phase::failed;
  failure_.reason = reason;
  try {
    failure_.detail = detail;
  } catch (const std::bad_alloc&) {  // the reason has to do
  }
}

// --- what was agreed on --------------------------------------------------------------------------

std::string_view Session::version() const { return SSL_get_version(ssl_); }

std::string_view Session::cipher() const {
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_);
  return cipher != nullptr ? SSL_CIPHER_standard_name(cipher) : std::string_view();
}

std::string_view Session::protocol() const {
  const unsigned char* text = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &text, &size);
  return {reinterpret_cast<const char*>(text), size};
}

bool Session::is_resumed() const { return SSL_session_reused(ssl_) == 1; }

bool Session::has_peer_certificate() const {
  return ssl_ != nullptr && SSL_get0_peer_certificate(ssl_) != nullptr;
}

Result<PeerCertificate> Session::peer_certificate() const try {
  const Quietly quietly;
  const X509* certificate = ssl_ != nullptr ? SSL_get0_peer_certificate(ssl_) : nullptr;
  if (certificate == nullptr) return Error{Errc::not_found, "the peer showed no certificate"};
  return PeerCertificate{text_of(X509_get_subject_name(certificate)),
                         text_of(X509_get_issuer_name(certificate)),
                         fingerprint_of(*certificate, EVP_sha256())};
} catch (const std::bad_alloc&) {
  return Errc::out_of_memory;
}

}  // namespace sluice::tls
