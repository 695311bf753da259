// tests/tls/memory/memory_test.cpp - what a session costs while nothing happens, and what becomes
// of it when there is no memory.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <algorithm>

#include "support/new_hook.hpp"
#include "tls/memory/hook.hpp"
#include "tls/peer.hpp"

namespace sluice::test {
namespace {

using tls::Reason;

class TlsMemory : public ::testing::TestWithParam<int> {
 protected:
  const Authority authority_;
  const TestFolder folder_;
  const Issued shown_ = authority_.issue({.subject = "somebody", .for_clients = true});

  std::shared_ptr<const tls::Context> context(bool asks_for_certificate) const {
    tls::ServerSettings settings{.certificates = {{certificate_of(authority_.issue())}},
                                 .protocols = {"h2", "http/1.1"},
                                 .ticket_keys = std::make_shared<tls::TicketKeys>(later(0))};
    if (asks_for_certificate) {
      settings.client_certificate = tls::ClientCertificate::required;
      settings.client_ca_file = folder_.write("ca.pem", authority_.pem());
    }
    return server_context(settings);
  }
  PeerOptions options(bool shows) const {
    return {
        .most = GetParam(), .protocols = "\x08http/1.1", .certificate = shows ? &shown_ : nullptr};
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, TlsMemory, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                           return version.param == TLS1_3_VERSION ? "tls13" : "tls12";
                         });

// One connection; only the session's own doing is watched.
class Watched {
 public:
  Watched(const std::shared_ptr<const tls::Context>& context, const PeerOptions& options)
      : peer(options) {
    out.bytes.reserve(1 << 16);
    out.sizes.reserve(1 << 10);
    const memory::Watch watch;
    Result<std::unique_ptr<tls::Session>> made = tls::Session::accept(context);
    if (made) session = std::move(*made);
  }
  ~Watched() {
    const memory::Watch watch;
    session.reset();
  }
  std::string feed(std::string bytes) {
    std::span<std::byte> cipher(reinterpret_cast<std::byte*>(bytes.data()), bytes.size());
    std::string plain;
    for (;;) {
      std::span<std::byte> got;
      {
        const memory::Watch watch;
        got = session->receive(cipher, session->needs_room() ? std::span(room) : std::span(room, 0),
                               out);
      }
      if (got.empty()) return plain;
      plain += as_text(got);
    }
  }
  bool send(std::string_view text) {
    const memory::Watch watch;
    return send_text(*session, text, out);
  }
  void run() {
    for (;;) {
      const std::string up = peer.take();
      received += feed(up);
      const std::string down(out.bytes);
      out.bytes.clear();  // keeps its memory
      out.sizes.clear();
      if (up.empty() && down.empty()) return;
      peer.give(down);
    }
  }

  std::unique_ptr<tls::Session> session;
  Peer peer;
  Kept out;
  std::string received;
  std::byte room[tls::kRecordBytes];
};

TEST_P(TlsMemory, AnIdleSessionIsSmall) {
  for (const bool certificate : {false, true}) {
    const auto server = context(certificate);
    // What is made once for all is made now.
    Watched first(server, options(certificate));
    first.run();
    const std::size_t before = memory::live;
    constexpr std::size_t kMany = 8;
    std::vector<std::unique_ptr<Watched>> many;
    std::size_t ours = 0;
    for (std::size_t i = 0; i < kMany; ++i) {
      many.push_back(std::make_unique<Watched>(server, options(certificate)));
      Watched& one = *many.back();
      one.run();
      ASSERT_TRUE(one.session->is_open());
      one.peer.write(std::string(5000, 'r'));
      one.run();
      EXPECT_EQ(one.received.size(), 5000u);
      ASSERT_TRUE(one.send(std::string(50'000, 'a')));
      one.run();
      ours += sizeof(tls::Session);
    }
    const std::size_t each = (memory::live - before + ours) / kMany;
    std::printf("an idle session, %s, %s: %zu bytes\n", many[0]->session->version().data(),
                certificate ? "with a client's certificate" : "no client's certificate", each);
    // libssl keeps the client's certificate, parsed, as long as the session lives.
    EXPECT_LE(each, certificate ? 20480u : 16384u);
    many.clear();
    EXPECT_EQ(memory::live, before);
  }
}

TEST_P(TlsMemory, ARequestLeavesNothingBehindAndAsksUsForNothing) {
  Watched one(context(false), options(false));
  one.run();
  ASSERT_TRUE(one.session->is_open());
  std::size_t before = 0;
  for (int i = 0; i < 20; ++i) {
    one.peer.write("GET / HTTP/1.1\r\n\r\n");
    std::string request = one.peer.take();
    std::span<std::byte> cipher(reinterpret_cast<std::byte*>(request.data()), request.size());
    const std::size_t news = count_news([&] {
      const memory::Watch watch;
      while (!one.session->receive(cipher, {}, one.out).empty()) {
      }
      const Bytes parts[] = {as_bytes("HTTP/1.1 200 OK\r\n"), as_bytes("\r\n"), as_bytes("body")};
      EXPECT_TRUE(one.session->send(parts, later(i), one.out));
    });
    EXPECT_EQ(news, 0u);
    if (i == 0) before = memory::live;
    EXPECT_EQ(memory::live, before);
    one.run();
  }
}

TEST_P(TlsMemory, HalfARecordHoldsOneBuffer) {
  Watched one(context(false), options(false));
  one.run();
  const std::size_t before = memory::live;
  one.peer.write(std::string(16384, 'x'));
  const std::string cipher = one.peer.take();
  one.feed(cipher.substr(0, 9000));
  EXPECT_GT(memory::live, before);
  EXPECT_LE(memory::live - before, 18'000u);
  EXPECT_EQ(one.feed(cipher.substr(9000)).size(), 16384u);
  EXPECT_EQ(memory::live, before);
}

TEST_P(TlsMemory, AClientHelloCannotClaimMuch) {
  Watched one(context(false), options(false));
  one.peer.take();
  const std::size_t before = memory::live;
  one.feed(std::string("\x16\x03\x01\x10\x00\x01\x00\x40\x00", 9));
  EXPECT_FALSE(one.session->has_failed());
  EXPECT_EQ(memory::live, before);
}

// libssl takes 64 KiB for a handshake, whatever has come of it.
TEST_P(TlsMemory, WhoHasNotSaidHelloCostsLittle) {
  const auto server = context(false);
  Watched first(server, options(false));
  first.run();
  const std::size_t before = memory::live;
  Watched one(server, options(false));
  const std::string hello = one.peer.take();
  one.feed(hello.substr(0, 1));
  EXPECT_EQ(memory::live, before);
  one.feed(hello.substr(1, hello.size() - 2));
  EXPECT_EQ(memory::live, before);
  one.feed(hello.substr(hello.size() - 1));
  EXPECT_FALSE(one.session->has_failed());
  std::printf("%zu bytes before and in a first record (and what has come of it), %zu behind it\n",
              sizeof(tls::Session), sizeof(tls::Session) + memory::live - before);
  EXPECT_LE(memory::live - before, 98'304u);
}

TEST_P(TlsMemory, EachAllocationOfAContextFails) {
  const tls::ServerSettings settings{.certificates = {{certificate_of(authority_.issue())}},
                                     .client_certificate = tls::ClientCertificate::optional,
                                     .client_ca_file = folder_.write("ca.pem", authority_.pem()),
                                     .ticket_keys = std::make_shared<tls::TicketKeys>(later(0))};
  std::size_t refused = 0;
  for (std::size_t n = 1;; n += n < 40 ? 1 : 131) {
    Result<std::shared_ptr<const tls::Context>> made = Errc::out_of_memory;
    {
      const memory::Watch watch;
      memory::fail_after = n;
      made = tls::Context::server(settings);
    }
    const bool through = memory::fail_after != 0;
    memory::fail_after = 0;
    if (!made) {
      ++refused;
    } else {  // whatever failed was not needed, or tried again
      PeerOptions with = options(false);
      Watched one(*made, with);
      one.run();
      ASSERT_TRUE(one.session->is_open()) << n;
      with.session = one.peer.session();
      ASSERT_NE(with.session, nullptr) << n;
      Watched two(*made, with);
      two.run();
      EXPECT_TRUE(two.session->is_resumed()) << n;
    }
    if (through) break;
    ASSERT_LT(n, 100'000u);
  }
  EXPECT_GT(refused, 10u);
}

// The first, the second, the third... allocation of a handshake and a request fails. There are
// thousands, so that each costs a handshake: of the later ones every 13th does.
TEST_P(TlsMemory, EachAllocationFails) {
  const auto server = context(true);
  {  // What libcrypto makes once for the whole program.
    Watched warm(server, options(true));
    warm.run();
  }
  std::size_t failed = 0, refused = 0;
  const std::size_t before = memory::live;
  for (std::size_t n = 1;; n += n < 300 ? 1 : 13) {
    bool through = false;
    {
      PeerOptions with = options(true);
      memory::fail_after = n;
      Watched one(server, with);
      if (!one.session) {
        ++refused;
      } else {
        one.run();
        if (one.session->is_open()) {
          one.peer.write("request");
          one.run();
          if (one.session->is_open() && one.send("answer")) {
            one.run();
            EXPECT_EQ(one.received, "request") << n;
            EXPECT_EQ(one.peer.received, "answer") << n;
          }
        }
        if (one.session->has_failed()) {
          ++failed;
          EXPECT_NE(one.session->failure().reason, Reason::none);
        } else {
          EXPECT_EQ(one.received, "request") << "neither failed nor done, allocation " << n;
        }
      }
      through = memory::fail_after != 0;  // there was no such allocation any more
      memory::fail_after = 0;
    }
    // The thread's queue of errors keeps its last words.
    ASSERT_LE(memory::live, before + 4096) << "allocation " << n;
    if (through) break;
    ASSERT_LT(n, 20'000u);
  }
  std::printf("%zu sessions were not made, %zu failed\n", refused, failed);
  EXPECT_EQ(refused, 0u) << "libssl has nothing to do yet";
  EXPECT_GT(failed, 50u);
}

TEST_P(TlsMemory, OursFailToo) {
  const auto server = context(false);
  Watched warm(server, options(false));
  warm.run();
  fail_after = 1;
  Result<std::unique_ptr<tls::Session>> made = tls::Session::accept(server);
  fail_after = 0;
  EXPECT_EQ(made.error().code, Errc::out_of_memory);

  Watched one(server, options(false));
  const std::string hello = one.peer.take();
  std::string part = hello.substr(0, 20);
  std::span<std::byte> cipher(reinterpret_cast<std::byte*>(part.data()), part.size());
  fail_after = 1;
  one.session->receive(cipher, {}, one.out);
  fail_after = 0;
  EXPECT_EQ(one.session->failure().reason, Reason::out_of_memory);
}

TEST_P(TlsMemory, TowardsOtherServersToo) {
  const auto client = tls::Context::client({.ca_file = folder_.write("ca.pem", authority_.pem())});
  ASSERT_TRUE(client);
  const std::string host = "a-name-that-is-longer-than-a-string-without-memory.test";
  for (std::size_t n = 1;; ++n) {
    fail_after = n;
    const Result<std::unique_ptr<tls::Session>> made = tls::Session::connect(*client, host);
    const bool through = fail_after != 0;
    fail_after = 0;
    if (through) {
      EXPECT_TRUE(made);
      break;
    }
    EXPECT_EQ(made.error().code, Errc::out_of_memory) << n;
  }
}

}  // namespace
}  // namespace sluice::test
