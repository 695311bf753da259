// tests/api/tls_client.hpp - a blocking client that speaks HTTP/1.1 over OpenSSL's own TLS.
//
// Layer: tests. Thread: one at a time.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "support/http_client.hpp"
#include "tls/authority.hpp"

namespace sluice::test {

struct TlsClientOptions {
  std::string ca = {};  // PEM; empty: the server is not verified
  std::string server_name = "localhost";
  const Issued* certificate = nullptr;
  SSL_SESSION* session = nullptr;
  int most = TLS1_3_VERSION;
};

class TlsClient {
 public:
  explicit TlsClient(std::uint16_t port, const TlsClientOptions& options = {},
                     const char* address = "127.0.0.1")
      : tcp_(port, address, std::chrono::milliseconds(20'000)),
        context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX* context = context_.get();
    SSL_CTX_set_max_proto_version(context, options.most);
    SSL_CTX_set_app_data(context, this);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, [](SSL* ssl, SSL_SESSION* session) {
      static_cast<TlsClient*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->session_.reset(session);
      return 1;
    });
    if (!options.ca.empty()) trust(options.ca);
    if (options.certificate != nullptr) show(*options.certificate);
    ssl_.reset(SSL_new(context));
    SSL_set_fd(ssl_.get(), tcp_.fd());
    if (!options.server_name.empty()) {
      SSL_set_tlsext_host_name(ssl_.get(), options.server_name.c_str());
      if (!options.ca.empty()) SSL_set1_host(ssl_.get(), options.server_name.c_str());
    }
    if (options.session != nullptr) SSL_set_session(ssl_.get(), options.session);
    timeval limit{20, 0};
    ::setsockopt(tcp_.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    open_ = tcp_.connected() && call([&] { return SSL_connect(ssl_.get()); }) == 1;
  }
  // As if it had ended well: OpenSSL would spoil the session otherwise.
  ~TlsClient() { SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool open() const { return open_; }
  const std::string& error() const { return error_; }
  bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  // With TLS 1.3 one has come when an answer has.
  SSL_SESSION* session() const {
    return SSL_version(ssl_.get()) == TLS1_2_VERSION ? SSL_get_session(ssl_.get()) : session_.get();
  }
  // The common name of the certificate that the server showed.
  std::string shown() const {
    const X509Ptr shown(SSL_get1_peer_certificate(ssl_.get()));
    if (!shown) return {};
    char text[256] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown.get()), NID_commonName, text,
                              sizeof text);
    return text;
  }

  struct Answer {
    int status = 0;
    std::string head, body;
  };
  // Status 0: nothing came.
  Answer get(std::string_view target, std::string_view fields = {},
             std::string_view host = "localhost") {
    Answer answer;
    const std::string request = "GET " + std::string(target) +
                                " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n" +
                                std::string(fields) + "\r\n";
    if (!open_ ||
        call([&] { return SSL_write(ssl_.get(), request.data(), int(request.size())); }) <= 0) {
      return answer;
    }
    std::string in;
    std::size_t end = std::string::npos;
    while ((end = in.find("\r\n\r\n")) == std::string::npos) {
      if (!read(in)) return answer;
    }
    answer.head = in.substr(0, end + 4);
    answer.body = in.substr(end + 4);
    std::size_t length = 0;
    constexpr std::string_view kLength = "Content-Length: ";
    if (const auto at = answer.head.find(kLength); at != std::string::npos) {
      const char* from = answer.head.data() + at + kLength.size();
      std::from_chars(from, answer.head.data() + answer.head.size(), length);
    }
    while (answer.body.size() < length) {
      if (!read(answer.body)) return answer;
    }
    std::from_chars(answer.head.data() + 9, answer.head.data() + 12, answer.status);
    return answer;
  }

 private:
  struct Let {
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
  bool read(std::string& in) {
    char buffer[16384];
    const int got = call([&] { return SSL_read(ssl_.get(), buffer, sizeof buffer); });
    if (got > 0) in.append(buffer, std::size_t(got));
    return got > 0;
  }
  // A call with a time limit is not begun again by the kernel when something interrupts it, and a
  // ring that this thread has made does: by what it has to do for it.
  template <class Call>
  int call(Call&& what) {
    int verdict = 0;
    do {
      errno = 0;
      verdict = what();
    } while (verdict <= 0 && errno == EINTR);
    if (verdict > 0) return verdict;
    const char* words = ERR_reason_error_string(ERR_peek_last_error());
    error_ = words != nullptr ? words : errno != 0 ? std::strerror(errno) : "the connection ended";
    ERR_clear_error();
    return verdict;
  }

  HttpClient tcp_;
  std::unique_ptr<SSL_CTX, Let> context_;
  std::unique_ptr<SSL_SESSION, Let> session_;
  std::unique_ptr<SSL, Let> ssl_;
  bool open_ = false;
  std::string error_;
};

}  // namespace sluice::test
