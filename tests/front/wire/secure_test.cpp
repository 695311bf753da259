// tests/front/wire/secure_test.cpp - connections with TLS: the same as in clear, and what is not.
//
// Clients are OpenSSL's own (tests/tls/peer.hpp). Layer: tests.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "front/wire/harness.hpp"
#include "service/temp_dir.hpp"
#include "tls/peer.hpp"

namespace sluice::test {
namespace {

const Authority& authority() {
  static const Authority kOne;
  return kOne;
}

tls::Certificate certificate_for(const std::string& names) {
  const Issued issued = authority().issue({.names = names});
  auto made = tls::Certificate::from_pem(issued.chain, issued.key, "test", "test");
  must(bool(made));
  return *made;
}

std::shared_ptr<const tls::Context> context_for(
    const std::string& names = "DNS:localhost",
    tls::ClientCertificate clients = tls::ClientCertificate::none, const std::string& ca = {}) {
  static const auto kKeys = std::make_shared<tls::TicketKeys>(base::Instant());
  tls::ServerSettings settings;
  settings.certificates.push_back({certificate_for(names)});
  settings.client_certificate = clients;
  settings.client_ca_file = ca;
  settings.protocols = {"http/1.1"};
  settings.ticket_keys = kKeys;
  auto made = tls::Context::server(settings);
  must(bool(made));
  return *made;
}

std::string get(std::string_view target = "/") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

// A client and the wire between.
struct Client {
  Client(Rig& its, const PeerOptions& options = {}) : rig(its), wire(rig.connect()), tls(options) {}

  // Until nobody has anything to say.
  void run() {
    for (int quiet = 0; quiet < 2;) {
      const std::string out = tls.take();
      wire.send(out);
      rig.settle();
      const std::string in = wire.take_received();
      tls.give(in);
      quiet = out.empty() && in.empty() ? quiet + 1 : 0;
    }
  }
  HttpReply ask(std::string_view request) {
    run();
    tls.write(std::string(request));
    run();
    std::string_view left = tls.received;
    HttpReply reply = take_reply(left);
    tls.received = std::string(left);
    return reply;
  }

  Rig& rig;
  io::SimPeer wire;
  Peer tls;
};

struct SecureTest : testing::Test {
  SecureTest() {
    port = std::make_shared<wire::SecurePort>(context_for());
    rig.secure = port;
    rig.settings.handler_limit = 0ms;
    rig.events.on_log = [this](LogLevel, Errc code, std::string_view text) {
      logged.push_back(code);
      words += std::string(text) + "\n";
    };
  }
  PeerOptions trusting() const {
    PeerOptions options;
    options.ca = authority().pem();
    return options;
  }

  Rig rig;
  std::shared_ptr<wire::SecurePort> port;
  std::vector<Errc> logged;
  std::string words;
};

TEST_F(SecureTest, RequestsAreAnsweredAndKnowWhatWasAgreedOn) {
  TlsInfo seen;
  rig.events.on_http_request = [&](sluice::Connection connection, const HttpRequest& request,
                                   HttpResponse& response) {
    ASSERT_TRUE(request.tls());
    EXPECT_EQ(request.tls(), connection.tls());
    seen = *request.tls();
    response.content_text("hello");
  };
  rig.start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    PeerOptions options = trusting();
    options.most = options.least = version;
    options.protocols = "\x08http/1.1";
    Client client(rig, options);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(client.ask(get()).body, "hello");
    EXPECT_EQ(seen.version, version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
    EXPECT_EQ(seen.cipher.substr(0, 4), "TLS_");
    EXPECT_EQ(seen.server_name, "localhost");
    EXPECT_EQ(seen.protocol, "http/1.1");
    EXPECT_FALSE(seen.resumed);
    EXPECT_EQ(seen.client_subject, "");
  }
  // Nobody knows before the handshake.
  Client silent(rig);
  rig.settle();
  EXPECT_EQ(rig.newest().tls(), nullptr);
}

TEST_F(SecureTest, ItDoesNotMatterHowBytesCome) {
  rig.events.on_http_request = [](sluice::Connection, const HttpRequest& request,
                                  HttpResponse& response) {
    response.content_text(request.body().text());
  };
  rig.start();
  const std::string text(40'000, 'x');
  const std::string request =
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" +
      text;
  for (const std::size_t most : {1u, 5u, 6u, 100u, 5'000u, 16'384u}) {
    rig.network.deliver_at_most(most);
    Client client(rig, trusting());
    if (most == 1) {
      EXPECT_EQ(client.ask(get()).status, 200);
    } else {
      EXPECT_EQ(client.ask(request).body, text) << most;
    }
  }
}

TEST_F(SecureTest, ManyRequestsInOneRecordLeaveInOneSend) {
  rig.events.on_http_request = [](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text("hello");
  };
  rig.start();
  Client client(rig, trusting());
  ASSERT_EQ(client.ask(get()).status, 200);
  std::string many;
  for (int i = 0; i < 16; ++i) many += get();
  const std::size_t before = rig.engine().sends;
  client.tls.write(many.substr(0, 300));
  client.tls.write(many.substr(300));  // in two records
  client.run();
  EXPECT_EQ(rig.engine().sends, before + 1);
  std::string_view left = client.tls.received;
  for (int i = 0; i < 16; ++i) EXPECT_EQ(take_reply(left).body, "hello");
}

// Who takes little at a time gets all of it, and what waits is counted as in clear.
TEST_F(SecureTest, LongAnswersGoAtThePeersPace) {
  const std::string text(600'000, 'y');
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(text);
  };
  rig.start();
  Client client(rig, trusting());
  client.run();
  client.wire.set_window(10'000);
  client.tls.write(get());
  client.run();
  EXPECT_GT(rig.shard().queued_bytes, 580'000u);
  for (int i = 0; i < 200; ++i) {
    client.wire.open_window(3'333);
    client.run();
  }
  std::string_view left = client.tls.received;
  EXPECT_EQ(take_reply(left).body, text);
  EXPECT_EQ(rig.shard().queued_bytes, 0u);
}

TEST_F(SecureTest, WhoTakesNothingIsBrokenOff) {
  rig.settings.options.write_timeout = 10s;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(std::string(600'000, 'y'));
  };
  rig.start();
  Client slow(rig, trusting()), stopped(rig, trusting());
  for (Client* client : {&slow, &stopped}) {
    client->run();
    client->wire.set_window(10'000);
    client->tls.write(get());
    client->run();
  }
  for (int i = 0; i < 30; ++i) {
    slow.wire.open_window(2'000);  // a record takes some time
    rig.pass(1s);
  }
  EXPECT_FALSE(slow.wire.saw_reset());
  EXPECT_TRUE(stopped.wire.saw_reset());
}

TEST_F(SecureTest, FilesAreSent) {
  TempDir dir;
  const std::string text(300'000, 'f');
  std::ofstream(dir.path() / "a.txt") << text;
  rig.directories = {{"/", dir.path().string()}};
  rig.start();
  Client client(rig, trusting());
  EXPECT_EQ(client.ask(get("/a.txt")).body, text);
  EXPECT_EQ(client.ask("GET /a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=5-9\r\n\r\n").body, "fffff");
  EXPECT_EQ(rig.engine().file_sends, 0u);
}

TEST_F(SecureTest, WebSocketsGoThrough) {
  rig.events.websocket.on_message = [](sluice::Connection connection, std::string_view text) {
    connection.write_data(text);
  };
  rig.start();
  Client client(rig, trusting());
  client.run();
  client.tls.write(WsClient::handshake("/"));
  client.run();
  ASSERT_EQ(client.tls.received.substr(0, 12), "HTTP/1.1 101");
  client.tls.received.clear();
  const std::string text(50'000, 'w');
  client.tls.write(WsClient::frame(WsClient::kText, text, true, true));
  client.run();
  EXPECT_EQ(client.tls.received, WsClient::frame(WsClient::kText, text, true, false));
  client.tls.received.clear();
  rig.on(0,
         [&] { rig.session->broadcast(ws::Opcode::text, as_bytes(std::string_view("all")), {}); });
  client.run();
  EXPECT_EQ(client.tls.received, WsClient::frame(WsClient::kText, "all", true, false));
}

// --- How it ends ---------------------------------------------------------------------------------

TEST_F(SecureTest, TheEndIsSaid) {
  rig.events.on_http_request = [](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text("hello");
  };
  rig.start();
  Client asked(rig, trusting());
  EXPECT_EQ(asked.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").body, "hello");
  EXPECT_TRUE(asked.tls.ended);
  EXPECT_TRUE(asked.wire.saw_end());
  // The client says it.
  Client polite(rig, trusting());
  EXPECT_EQ(polite.ask(get()).status, 200);
  SSL_shutdown(polite.tls.ssl());
  polite.run();
  EXPECT_TRUE(polite.tls.ended);
  EXPECT_TRUE(polite.wire.saw_end());
  // Or just goes.
  Client rude(rig, trusting());
  EXPECT_EQ(rude.ask(get()).status, 200);
  rude.wire.end();
  rude.run();
  EXPECT_TRUE(rude.wire.saw_end());
  EXPECT_EQ(rig.loop().connections(), 0u);
}

TEST_F(SecureTest, AnAnswerFollowsTheClientsEnd) {
  std::optional<Reply> reply;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    reply = response.defer();
  };
  rig.start();
  Client client(rig, trusting());
  client.run();
  client.tls.write(get());
  SSL_shutdown(client.tls.ssl());
  client.run();
  ASSERT_TRUE(reply);
  rig.on(0, [&] {
    EXPECT_EQ(reply->content_text("late").send(), Errc::none);
    reply.reset();
  });
  client.run();
  EXPECT_NE(client.tls.received.find("late"), std::string::npos);
  EXPECT_TRUE(client.tls.ended);
  EXPECT_EQ(rig.loop().connections(), 0u);
}

// A client that ends its side without close_notify is answered all the same.
TEST_F(SecureTest, AnAnswerFollowsTheEndOfTheStream) {
  rig.events.on_http_request = [](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text("hello");
  };
  rig.start();
  Client client(rig, trusting());
  client.run();
  client.tls.write(get());
  client.wire.send(client.tls.take());
  client.wire.end();
  client.run();
  EXPECT_NE(client.tls.received.find("hello"), std::string::npos);
  EXPECT_TRUE(client.tls.ended);
  EXPECT_EQ(rig.loop().connections(), 0u);
}

TEST_F(SecureTest, ABodyThatIsCutOffIsNoWholeOne) {
  std::size_t asked = 0;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest&, HttpResponse&) {
    ++asked;
  };
  rig.start();
  Client client(rig, trusting());
  client.run();
  client.tls.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
  client.run();
  client.wire.end();
  client.run();
  EXPECT_EQ(asked, 0u);
  EXPECT_EQ(rig.errors, std::vector<Errc>{Errc::http_body_truncated});
  EXPECT_EQ(rig.loop().connections(), 0u);
}

TEST_F(SecureTest, HttpInClearGetsAReadableAnswer) {
  rig.start();
  for (const std::size_t most : {1u, 10'000u}) {
    rig.network.deliver_at_most(most);
    io::SimPeer peer = rig.connect();
    peer.send(get());
    rig.settle();
    std::string_view text = peer.received();
    const HttpReply reply = take_reply(text);
    EXPECT_EQ(reply.status, 400);
    EXPECT_NE(reply.body.find("https://"), std::string::npos) << reply.body;
    EXPECT_TRUE(peer.saw_end());
    peer.send(get());  // nobody reads it
    peer.end();
    rig.settle();
    EXPECT_EQ(text, "");
  }
  EXPECT_EQ(rig.errors, std::vector<Errc>(2, Errc::tls_expected));
  EXPECT_EQ(rig.loop().connections(), 0u);
}

TEST_F(SecureTest, WhatIsNoTlsIsRefused) {
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send(std::string("\x00\x01garbage and more", 18));
  rig.settle();
  EXPECT_TRUE(peer.saw_end());
  peer.end();
  rig.settle();
  EXPECT_EQ(rig.errors, std::vector<Errc>{Errc::tls_handshake_failed});
  // Nothing in common: the client is told by an alert.
  PeerOptions options = trusting();
  options.protocols = "\x03xyz";
  Client client(rig, options);
  client.run();
  EXPECT_NE(client.tls.error.find("no application protocol"), std::string::npos)
      << client.tls.error;
  client.wire.end();
  rig.settle();
  EXPECT_EQ(rig.errors.back(), Errc::tls_handshake_failed);
  EXPECT_EQ(rig.loop().connections(), 0u);
}

TEST_F(SecureTest, ADamagedRecordEndsIt) {
  std::size_t asked = 0;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest&, HttpResponse&) {
    ++asked;
  };
  rig.start();
  Client client(rig, trusting());
  client.run();
  client.tls.write(get());
  std::string bytes = client.tls.take();
  bytes[bytes.size() - 3] ^= 1;
  client.wire.send(bytes);
  rig.settle();
  client.tls.give(client.wire.take_received());
  EXPECT_NE(client.tls.error, "");  // the alert
  EXPECT_EQ(asked, 0u);
  EXPECT_EQ(rig.errors, std::vector<Errc>{Errc::tls_broken});
  EXPECT_EQ(rig.loop().connections(), 0u);
}

TEST_F(SecureTest, HandshakesHaveUntilTheHeadsDeadline) {
  rig.settings.timeouts.header_wait = 5s;
  rig.start();
  io::SimPeer silent = rig.connect();
  Client half(rig, trusting());
  half.wire.send(half.tls.take().substr(0, 50));
  Client done(rig, trusting());
  rig.pass(3s);
  done.run();
  rig.pass(3s);
  EXPECT_TRUE(silent.saw_end());
  EXPECT_TRUE(half.wire.saw_end());
  done.run();
  EXPECT_TRUE(done.tls.ended);
  EXPECT_EQ(rig.loop().connections(), 0u);
  EXPECT_EQ(rig.count_errors(Errc::header_timeout), 3u);
}

TEST_F(SecureTest, TooManyAreTurnedAway) {
  rig.settings.limits.connections = 1;
  rig.start();
  Client first(rig, trusting());
  Client second(rig, trusting());
  EXPECT_EQ(first.ask(get()).status, 404);
  EXPECT_EQ(rig.loop().connections(), 1u);
  EXPECT_EQ(rig.errors, std::vector<Errc>{Errc::too_many_connections});
}

TEST_F(SecureTest, TheDrainSaysGoodBye) {
  rig.start();
  Client idle(rig, trusting()), young(rig, trusting());
  EXPECT_EQ(idle.ask(get()).status, 404);
  young.wire.send(young.tls.take().substr(0, 50));
  rig.settle();
  rig.on(0, [&] { rig.loop().drain(1001, {}); });
  idle.run();
  EXPECT_TRUE(idle.tls.ended);
  rig.pass(2s);
  EXPECT_EQ(rig.loop().connections(), 0u);
}

// --- Who does not read ---------------------------------------------------------------------------

TEST_F(SecureTest, WhatComesWhileNobodyReadsWaits) {
  std::optional<RequestBody> body;
  std::string got;
  bool complete = false;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest& request, HttpResponse&) {
    body = request.body();
    body->on_data([&](Bytes piece, bool last) {
      got.append(as_text(piece));
      complete = last;
      body->pause();
    });
  };
  ASSERT_TRUE(rig.router.add_body_mode("/", {BodyMode::stream, {}}));
  rig.start();
  for (const std::size_t most : {16'384u, 5'000u}) {
    rig.network.deliver_at_most(most);
    got.clear();
    complete = false;
    std::string sent;
    for (int i = 0; sent.size() < 300'000; ++i) sent += std::to_string(i) + ",";
    Client client(rig, trusting());
    client.run();
    client.tls.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                     std::to_string(sent.size()) + "\r\n\r\n" + sent);
    const std::uint64_t before = rig.engine().counters().received_bytes;
    client.run();
    EXPECT_LT(got.size(), 40'000u);
    EXPECT_LT(rig.engine().counters().received_bytes - before, 100'000u) << "it is not stored here";
    for (int i = 0; i < 400 && !complete; ++i) {
      const std::size_t had = got.size();
      rig.on(0, [&] { body->resume(); });
      client.run();
      ASSERT_TRUE(got.size() > had || complete);
    }
    EXPECT_EQ(got, sent);
    std::string_view left = client.tls.received;
    EXPECT_EQ(take_reply(left).status, 200);
  }
}

// A frame per record, and the application stops reading in the first.
TEST_F(SecureTest, APausedWebSocketReadsOnWhereItStopped) {
  std::string told;
  std::optional<sluice::Connection> one;
  rig.settings.dispatch = Dispatch::inline_;
  rig.events.websocket.on_message = [&](sluice::Connection connection, std::string_view text) {
    told += text;
    one = connection;
    if (told.size() == 1) core::Connection::of(connection)->pool_pause();
  };
  rig.start();
  Client client(rig, trusting());
  client.run();
  client.tls.write(WsClient::handshake("/"));
  client.run();
  for (const char* each : {"a", "b", "c"}) {
    client.tls.write(WsClient::frame(WsClient::kText, each, true, true));
  }
  client.run();
  client.tls.write(WsClient::frame(WsClient::kText, "d", true, true));
  client.run();
  const std::string before = told;
  EXPECT_LT(before.size(), 4u);
  rig.on(0, [&] { core::Connection::of(*one)->pool_resume(); });
  client.run();
  EXPECT_EQ(told, "abcd");
  one.reset();
}

TEST_F(SecureTest, NewConnectionsGetTheNewCertificate) {
  rig.events.on_http_request = [](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text("hello");
  };
  rig.start();
  Client before(rig, trusting());
  EXPECT_EQ(before.ask(get()).body, "hello");
  port->set(context_for("DNS:other"));
  Client after(rig, trusting());
  EXPECT_EQ(before.ask(get()).body, "hello");
  EXPECT_EQ(after.ask(get()).body, "hello");
}

}  // namespace
}  // namespace sluice::test
