// fuzz/tls/tls_open_fuzz.cpp - whatever a client sends behind its handshake, sealed as it should be
// or not at all: the verdict and the plain bytes do not depend on how it was cut, and a session
// that has not failed can answer.
//
// The first byte chooses the version (lowest bit) and the cut. Behind it stand pieces: a type, a
// size (2 bytes), the body. A type from 20 to 23 is sealed as a record of that type; of another
// type, the body is sent as it is. Layer: fuzz.
#include <openssl/ssl.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "../../tests/tls/sealer.hpp"
#include "http/expect.hpp"
#include "tls/self_signed.hpp"
#include "tls/session.hpp"

using namespace sluice;

namespace {

class Kept final : public tls::Out {
 public:
  bool put(Bytes cipher) noexcept override {
    bytes.append(reinterpret_cast<const char*>(cipher.data()), cipher.size());
    return true;
  }
  std::string bytes;
};

const std::shared_ptr<const tls::Context>& context() {
  static const std::shared_ptr<const tls::Context> made = [] {
    const Result<tls::Certificate> certificate = tls::self_signed();
    EXPECT_THAT(certificate);
    return *tls::Context::server({.certificates = {{*certificate}}});
  }();
  return made;
}

// OpenSSL's client, its handshake with `session` done.
class Client {
 public:
  Client(int version, tls::Session& session) : session_(session) {
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(ssl_.get()), -1);
    SSL_set_connect_state(ssl_.get());
    sealer = std::make_unique<test::Sealer>(ssl_.get());
    for (int flights = 0; flights < 3; ++flights) {
      SSL_do_handshake(ssl_.get());
      std::string up(std::size_t(BIO_pending(SSL_get_wbio(ssl_.get()))), '\0');
      if (!up.empty()) BIO_read(SSL_get_wbio(ssl_.get()), up.data(), int(up.size()));
      give(up);
      BIO_write(SSL_get_rbio(ssl_.get()), out.bytes.data(), int(out.bytes.size()));
      out.bytes.clear();
    }
    EXPECT_THAT(session_.is_open());
  }

  void give(std::string_view text) {
    std::vector<std::byte> block(text.size());
    std::copy_n(reinterpret_cast<const std::byte*>(text.data()), text.size(), block.begin());
    std::span<std::byte> cipher(block);
    for (;;) {
      std::vector<std::byte> room(session_.needs_room() ? tls::kRecordBytes : 0);
      const std::span<std::byte> got = session_.receive(cipher, room, out);
      if (got.empty()) break;
      plain.append(reinterpret_cast<const char*>(got.data()), got.size());
    }
    EXPECT_THAT(cipher.empty() || session_.has_failed());
  }

  Kept out;
  std::string plain;
  std::unique_ptr<test::Sealer> sealer;

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  tls::Session& session_;
  std::unique_ptr<SSL_CTX, Free> context_{SSL_CTX_new(TLS_client_method())};
  std::unique_ptr<SSL, Free> ssl_;
};

std::string wire_of(test::Sealer& sealer, std::string_view pieces) {
  std::string wire;
  while (pieces.size() >= 3) {
    const char type = pieces[0];
    const std::size_t said = std::size_t(std::uint8_t(pieces[1])) << 8 | std::uint8_t(pieces[2]);
    const std::string body(pieces.substr(3, said));
    pieces.remove_prefix(3 + body.size());
    wire += type >= 20 && type <= 23 ? sealer.record(type, body) : body;
  }
  return wire;
}

struct Outcome {
  tls::Reason reason;
  bool closed;
  std::string plain;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome(int version, std::string_view pieces, std::size_t cut) {
  const auto session = std::move(tls::Session::accept(context())).value();
  Client client(version, *session);
  const std::string wire = wire_of(*client.sealer, pieces);
  cut = wire.empty() ? 0 : cut % wire.size();
  client.give(std::string_view(wire).substr(0, cut));
  client.give(std::string_view(wire).substr(cut));
  // An answer of ours is never longer than what asked for it, but for a few alerts.
  EXPECT_THAT(client.out.bytes.size() <= 64 + 33 * 64);
  const Outcome found{session->failure().reason, session->peer_has_closed(), client.plain};
  EXPECT_THAT(session->has_failed() == (found.reason != tls::Reason::none));
  if (!session->has_failed()) {
    const Bytes answer[] = {as_bytes("answer")};
    EXPECT_THAT(session->is_open() && session->can_send());
    EXPECT_THAT(session->send(answer, base::Instant(), client.out));
    session->end_of_input();
    session->close(client.out);
    EXPECT_THAT(!session->has_failed());
  }
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view pieces = http::text_of(data + 1, size - 1);
  const int version = (data[0] & 1) != 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
  const Outcome whole = outcome(version, pieces, 0);
  EXPECT_THAT(outcome(version, pieces, std::size_t(data[0] >> 1) * 7 + 1) == whole);
  return 0;
}
