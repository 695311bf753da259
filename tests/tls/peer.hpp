// tests/tls/peer.hpp - the other end of a session: OpenSSL's own client or server, in memory.
//
// Layer: tests.
#pragma once

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tls/authority.hpp"
#include "tls/session.hpp"

namespace sluice::test {

// Keeps what a session sends.
class Kept final : public tls::Out {
 public:
  bool put(Bytes cipher) noexcept override {
    if (refuses) return false;
    if (strays) ERR_raise(ERR_LIB_USER, 1);
    bytes.append(as_text(cipher));
    sizes.push_back(cipher.size());
    return true;
  }
  std::string take() { return std::exchange(bytes, {}); }

  std::string bytes;
  std::vector<std::size_t> sizes;
  bool refuses = false;
  bool strays = false;  // leaves something in the queue of errors
};

// What a client of OpenSSL's is made with.
struct PeerOptions {
  int most = TLS1_3_VERSION, least = TLS1_2_VERSION;
  std::string server_name = "localhost";
  std::string protocols = {};  // ALPN on the wire: "\2h2"
  std::string ca = {};         // PEM; empty: the server is not verified
  const Issued* certificate = nullptr;
  std::string ciphers12 = {};
  std::string signatures = {};
  bool asks_for_staple = false;
  SSL_SESSION* session = nullptr;
  std::string early_data = {};  // sent in front of the handshake; `session` must allow it
};

class Peer {
 public:
  explicit Peer(const PeerOptions& options) : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX* context = context_.get();
    SSL_CTX_set_min_proto_version(context, options.least);
    SSL_CTX_set_max_proto_version(context, options.most);
    SSL_CTX_set_app_data(context, this);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, [](SSL* ssl, SSL_SESSION* session) {
      auto* self = static_cast<Peer*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
      self->session_.reset(session);
      ++self->tickets_;
      return 1;
    });
    if (!options.ciphers12.empty()) {
      must(SSL_CTX_set_cipher_list(context, options.ciphers12.c_str()) == 1);
    }
    if (!options.signatures.empty()) {
      must(SSL_CTX_set1_sigalgs_list(context, options.signatures.c_str()) == 1);
    }
    if (!options.ca.empty()) trust(options.ca);
    if (options.certificate != nullptr) show(*options.certificate);
    ssl_.reset(SSL_new(context));
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(ssl_.get()), -1);
    SSL_set_connect_state(ssl_.get());
    if (!options.server_name.empty()) {
      SSL_set_tlsext_host_name(ssl_.get(), options.server_name.c_str());
    }
    if (!options.protocols.empty()) {
      SSL_set_alpn_protos(ssl_.get(),
                          reinterpret_cast<const unsigned char*>(options.protocols.data()),
                          unsigned(options.protocols.size()));
    }
    if (options.asks_for_staple) SSL_set_tlsext_status_type(ssl_.get(), TLSEXT_STATUSTYPE_ocsp);
    if (options.session != nullptr) SSL_set_session(ssl_.get(), options.session);
    if (!options.early_data.empty()) {
      std::size_t sent = 0;
      must(SSL_write_early_data(ssl(), options.early_data.data(), options.early_data.size(),
                                &sent) == 1);
    }
    step();
  }

  // As if it had ended well: OpenSSL would spoil the session otherwise.
  ~Peer() { SSL_set_shutdown(ssl(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  SSL* ssl() const { return ssl_.get(); }
  // What it wants to send.
  std::string take() {
    std::string bytes(std::size_t(BIO_pending(SSL_get_wbio(ssl()))), '\0');
    if (!bytes.empty()) BIO_read(SSL_get_wbio(ssl()), bytes.data(), int(bytes.size()));
    return bytes;
  }
  // Gives it bytes, and reads what they say.
  void give(const std::string& bytes) {
    if (!bytes.empty()) BIO_write(SSL_get_rbio(ssl()), bytes.data(), int(bytes.size()));
    step();
  }
  void step() {
    ERR_clear_error();
    if (!SSL_is_init_finished(ssl())) {
      const int verdict = SSL_do_handshake(ssl());
      if (verdict != 1) return note(verdict);
    }
    char buffer[20000];
    for (;;) {
      const int got = SSL_read(ssl(), buffer, sizeof buffer);
      if (got <= 0) return note(got);
      received.append(buffer, std::size_t(got));
    }
  }
  void write(const std::string& text) {
    ERR_clear_error();
    must(SSL_write(ssl(), text.data(), int(text.size())) == int(text.size()));
  }
  bool is_open() const { return SSL_is_init_finished(ssl()) && error.empty(); }
  // What it would resume with: the last ticket that came.
  SSL_SESSION* session() const {
    return SSL_version(ssl()) == TLS1_2_VERSION ? SSL_get_session(ssl()) : session_.get();
  }
  int tickets() const { return tickets_; }
  // Of the certificate that the server showed.
  std::string server_subject() const {
    const X509* shown = SSL_get0_peer_certificate(ssl());
    if (shown == nullptr) return {};
    char text[256] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, text, sizeof text);
    return text;
  }

  std::string received;
  std::string error;   // what OpenSSL says when it fails
  bool ended = false;  // close_notify came

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  };

  void trust(const std::string& pem) {
    const std::unique_ptr<BIO, Free> bio(BIO_new_mem_buf(pem.data(), int(pem.size())));
    const X509Ptr ca(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    must(X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), ca.get()) == 1);
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
  }
  void show(const Issued& issued) {
    const std::unique_ptr<BIO, Free> certificate(
        BIO_new_mem_buf(issued.certificate.data(), int(issued.certificate.size())));
    const std::unique_ptr<BIO, Free> key(
        BIO_new_mem_buf(issued.key.data(), int(issued.key.size())));
    const X509Ptr x509(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr));
    const KeyPtr pkey(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
    must(SSL_CTX_use_certificate(context_.get(), x509.get()) == 1);
    must(SSL_CTX_use_PrivateKey(context_.get(), pkey.get()) == 1);
  }
  void note(int verdict) {
    const int what = SSL_get_error(ssl(), verdict);
    if (what == SSL_ERROR_ZERO_RETURN) ended = true;
    if (what != SSL_ERROR_SSL || !error.empty()) return;
    const char* words = ERR_reason_error_string(ERR_peek_last_error());
    error = words != nullptr ? words : "failed";
    ERR_clear_error();
  }

  std::unique_ptr<SSL_CTX, FreeSsl> context_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  std::unique_ptr<SSL_SESSION, FreeSsl> session_;
  int tickets_ = 0;
};

// Feeds a session as a front does: cipher bytes where they were received, room where it is needed.
class Feeder {
 public:
  explicit Feeder(tls::Session& session) : session_(session) {}

  // The plain bytes. Memory is exactly as large as what came, so that a sanitizer sees more.
  std::string feed(std::string_view bytes) {
    std::vector<std::byte> block(bytes.size());
    std::copy_n(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(), block.begin());
    std::span<std::byte> cipher(block);
    std::string plain;
    for (;;) {
      std::vector<std::byte> room;
      if (session_.needs_room()) {
        room.resize(room_bytes);
        ++rooms;
      }
      const std::span<std::byte> got = session_.receive(cipher, room, out);
      if (got.empty()) break;
      plain += as_text(got);
    }
    left = cipher.size();
    received += plain;
    return plain;
  }

  Kept out;
  std::string received;
  std::size_t room_bytes = tls::kRecordBytes;
  int rooms = 0;
  std::size_t left = 0;  // bytes that the session did not take

 private:
  tls::Session& session_;
};

inline base::Instant later(int seconds) { return base::Instant() + std::chrono::seconds(seconds); }

inline bool send_text(tls::Session& session, std::string_view text, tls::Out& out,
                      base::Instant now = later(0)) {
  const Bytes parts[] = {as_bytes(text)};
  return session.send(parts, now, out);
}

inline std::shared_ptr<const tls::Context> server_context(const tls::ServerSettings& settings) {
  Result<std::shared_ptr<const tls::Context>> made = tls::Context::server(settings);
  EXPECT_TRUE(made) << made.error().message();
  must(made.has_value());
  return *made;
}

// A server and a client that talk to each other.
struct Talk {
  Talk(std::shared_ptr<const tls::Context> context, const PeerOptions& options)
      : session(std::move(tls::Session::accept(std::move(context))).value()),
        feeder(*session),
        peer(options) {}

  // Passes bytes to and fro until there are no more; `cut` bytes at a time go to the server.
  void run(std::size_t cut = ~std::size_t{0}) {
    for (;;) {
      const std::string up = peer.take();
      for (std::size_t at = 0; at < up.size(); at += std::min(cut, up.size() - at)) {
        feeder.feed(std::string_view(up).substr(at, cut));
      }
      const std::string down = feeder.out.take();
      if (up.empty() && down.empty()) return;
      peer.give(down);
    }
  }

  std::unique_ptr<tls::Session> session;
  Feeder feeder;
  Peer peer;
};

}  // namespace sluice::test
