// tests/api/tls_settings_test.cpp - https prefixes: what settings may say, which certificate a
// client gets, and how certificates change while the server runs.
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "api/harness.hpp"
#include "api/tls_client.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

constexpr long kYear = 365L * 86400;

class TlsSettings : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    server.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
      const TlsInfo* tls = request.tls();
      if (!tls) {
        response.content_text("in clear");
        return;
      }
      response.content_text(tls->version + "|" + tls->server_name + "|" + tls->client_subject +
                            "|" + (tls->resumed ? "resumed" : "new"));
    };
    server.bindings.add("https://localhost:0/");
  }

  Issued issue(const std::string& subject, const std::string& names = "DNS:localhost",
               long until = kYear) const {
    Wish wish;
    wish.subject = subject;
    wish.names = names;
    wish.until = until;
    return ca.issue(wish);
  }
  // Files NAME.pem and NAME.key.
  SslCertificate write(const std::string& name, const Issued& issued) const {
    SslCertificate files;
    // Each as a program would replace it: never half of it.
    files.private_key_file = replace(name + ".key", issued.key);
    files.certificate_file = replace(name + ".pem", issued.chain);
    return files;
  }
  std::string replace(const std::string& name, const std::string& text) const {
    const std::string fresh = folder.write(name + ".new", text);
    const std::string file = folder.path() + "/" + name;
    std::filesystem::rename(fresh, file);
    return file;
  }
  void use(const SslCertificate& files) {
    server.ssl_options.certificate_file = files.certificate_file;
    server.ssl_options.private_key_file = files.private_key_file;
  }
  Error refusal() {
    const Result<void> started = server.start();
    EXPECT_FALSE(started);
    return started ? Error() : started.error();
  }
  TlsClient connect(TlsClientOptions options = {}) const {
    if (options.ca.empty()) options.ca = ca.pem();
    return TlsClient(port, options);
  }
  std::string shown() const { return connect().shown(); }
  bool logged_words(LogLevel level, const std::string& words) {
    return log.wait_until(
        [&](const std::vector<LogLine>& lines) { return has(lines, level, words); });
  }
  static bool has(const std::vector<LogLine>& lines, LogLevel level, const std::string& words) {
    return std::any_of(lines.begin(), lines.end(), [&](const LogLine& line) {
      return line.level == level && line.message.find(words) != std::string::npos;
    });
  }
  std::size_t count_words(LogLevel level, const std::string& words) const {
    std::size_t count = 0;
    for (const LogLine& line : log.all()) count += has({line}, level, words) ? 1 : 0;
    return count;
  }

  const Authority ca;
  const TestFolder folder;
};

INSTANTIATE_TEST_SUITE_P(Setups, TlsSettings, engines(), name_of);

TEST_P(TlsSettings, ThatCannotBeMeantAreNamed) {
  const std::string pem = write("a", issue("a")).certificate_file;
  struct Case {
    std::string words;
    std::function<void()> set;
  };
  const std::string kThumb(40, 'a');
  SslOptions& ssl = server.ssl_options;
  const Case cases[] = {
      {"bindings[0]: \"https://localhost:0/\" has no certificate; set ssl_options.certificate_file",
       [] {}},
      {"ssl_options.certificate_file must name", [&] { ssl.private_key_file = pem; }},
      {"ssl_options.hash and a certificate_file",
       [&] {
         ssl.certificate_file = pem;
         ssl.hash = kThumb;
       }},
      {"ssl_options.hash needs ssl_options.store", [&] { ssl.hash = kThumb; }},
      {"ssl_options.hash is no thumbprint", [&] { ssl.hash = "12"; }},
      {"ssl_options.certificates[1].certificate_file must name",
       [&] {
         ssl.certificates = {{pem}, {}};
       }},
      {"ssl_options.client_ca_file must name",
       [&] {
         ssl.certificate_file = pem;
         ssl.client_certificates = ClientCertificates::required;
       }},
      {"ssl_options.client_certificates is none though",
       [&] {
         ssl.certificate_file = pem;
         ssl.client_ca_file = pem;
       }},
      {"bindings[0].ssl_options.certificate_file must name",
       [&] { server.bindings.list()[0].options.ssl_options.private_key_file = pem; }},
      {"binding_options.watch_interval must be",
       [&] { server.binding_options.watch_interval = 25h; }},
      {"binding_options.configure_ssl_certificate is false",
       [&] {
         ssl.certificate_file = pem;
         server.binding_options.configure_ssl_certificate = false;
       }},
      {"has another ssl_options.client_certificates than bindings[0], on the same port",
       [&] {
         const std::string at = ":" + std::to_string(free_port()) + "/";
         ssl.self_signed = true;
         server.bindings.clear();
         server.bindings.add("https://localhost" + at);
         PrefixOptions options;
         options.ssl_options.client_certificates = ClientCertificates::optional;
         options.ssl_options.client_ca_file = pem;
         server.bindings.add("https://localhost" + at + "x/", options);
       }},
  };
  const Settings usual = server;
  for (const Case& one : cases) {
    static_cast<Settings&>(server) = usual;
    one.set();
    const Error why = refusal();
    EXPECT_EQ(why.code, Errc::bad_setting) << one.words;
    EXPECT_NE(why.detail.find(one.words), std::string::npos) << why.detail;
  }
}

TEST_P(TlsSettings, FilesThatCannotBeUsedAreNamed) {
  const SslCertificate a = write("a", issue("a")), b = write("b", issue("b"));
  SslOptions& ssl = server.ssl_options;
  ssl.certificate_file = folder.path() + "/none.pem";
  EXPECT_EQ(
      refusal().detail.find("ssl_options.certificate_file: cannot read " + ssl.certificate_file),
      0u);
  use(a);
  ssl.private_key_file = b.private_key_file;
  EXPECT_EQ(refusal().detail.find("ssl_options.private_key_file: " + b.private_key_file), 0u);
  use(a);
  ssl.ocsp_file = b.certificate_file;
  EXPECT_EQ(refusal().detail.find("ssl_options.ocsp_file: "), 0u);
  ssl.ocsp_file.clear();
  ssl.client_certificates = ClientCertificates::optional;
  ssl.client_ca_file = b.private_key_file;
  EXPECT_EQ(refusal().detail.find("ssl_options.client_ca_file: "), 0u);
  ssl.client_ca_file = b.certificate_file;
  Running running = start();
  EXPECT_GT(port, 0);
}

TEST_P(TlsSettings, APortHasOneScheme) {
  use(write("a", issue("a")));
  const std::string at = ":" + std::to_string(free_port()) + "/";
  server.bindings.clear();
  server.bindings.add("https://localhost" + at);
  server.bindings.add("http://localhost" + at + "x/");
  EXPECT_EQ(refusal().code, Errc::scheme_conflict);
}

TEST_P(TlsSettings, WithoutHttpsAreAWarning) {
  use(write("a", issue("a")));
  server.bindings.clear();
  Running running = start();
  EXPECT_TRUE(logged_words(LogLevel::warning, "no prefix is https"));
  EXPECT_EQ(client().get("/").body, "in clear");
  EXPECT_FALSE(server.certificates_expire());
}

TEST_P(TlsSettings, ServeHttps) {
  use(write("a", issue("a", "DNS:localhost,IP:127.0.0.1")));
  EXPECT_FALSE(server.certificates_expire());
  Running running = start();
  EXPECT_EQ(server.bound_prefixes().front(), "https://localhost:" + std::to_string(port) + "/");
  EXPECT_TRUE(logged_words(LogLevel::info, "certificates for localhost, 127.0.0.1"));
  const auto expire = server.certificates_expire();
  ASSERT_TRUE(expire);
  EXPECT_GT(*expire, std::chrono::system_clock::now() + 360 * 24h);
  TlsClient one = connect();
  ASSERT_TRUE(one.open()) << one.error();
  EXPECT_EQ(one.get("/").body, "TLSv1.3|localhost||new");
  EXPECT_EQ(one.get("/").status, 200);
  TlsClientOptions older;
  older.most = TLS1_2_VERSION;
  EXPECT_EQ(connect(older).get("/").body, "TLSv1.2|localhost||new");
  EXPECT_EQ(client().get("/").status, 400) << "in clear";
}

TEST_P(TlsSettings, MayAskForTheNewestVersion) {
  use(write("a", issue("a")));
  server.ssl_options.minimum_version = TlsVersion::tls13;
  Running running = start();
  TlsClientOptions older;
  older.most = TLS1_2_VERSION;
  EXPECT_FALSE(connect(older).open());
  EXPECT_EQ(connect().get("/").status, 200);
}

TEST_P(TlsSettings, EachPrefixMayHaveItsCertificate) {
  use(write("a", issue("a", "DNS:localhost,DNS:a.test")));
  server.ssl_options.certificates = {write("b", issue("b", "DNS:b.test,DNS:*.c.test"))};
  PrefixOptions own;
  own.ssl_options.certificates = {write("d", issue("d", "DNS:d.test"))};
  const std::string at = ":" + std::to_string(free_port()) + "/";
  server.bindings.clear();
  server.bindings.add("https://*" + at);
  server.bindings.add("https://d.test" + at, own);
  server.bindings.add("http://127.0.0.1:0/");
  server.bindings.add("https://127.0.0.1:0/", own);
  Running running = start();
  const auto shown = [this](const std::string& name) {
    TlsClientOptions options;
    options.server_name = name;
    TlsClient one = connect(options);
    EXPECT_EQ(one.get("/", {}, name).status, one.open() ? 200 : 0) << name << one.error();
    return one.open() ? one.shown() : one.error();
  };
  EXPECT_EQ(shown("a.test"), "a");
  EXPECT_EQ(shown("b.test"), "b");
  EXPECT_EQ(shown("x.c.test"), "b");
  EXPECT_EQ(shown("d.test"), "d");
  EXPECT_EQ(shown("unknown.test"), "certificate verify failed") << "the first is shown";
  const std::vector<std::string> bound = server.bound_prefixes();
  const auto port_of = [&](std::size_t i) {
    const std::size_t colon = bound[i].rfind(':');
    return std::uint16_t(std::stoi(bound[i].substr(colon + 1)));
  };
  EXPECT_EQ(HttpClient(port_of(2)).get("/").body, "in clear");
  TlsClientOptions named;
  named.ca = ca.pem();
  named.server_name = "d.test";
  EXPECT_EQ(TlsClient(port_of(3), named).shown(), "d");
}

TEST_P(TlsSettings, MayNameACertificateOfTheStore) {
  const Issued issued = issue("stored");
  const tls::CertificateFacts facts = certificate_of(issued).facts();
  folder.write(facts.sha1 + ".crt", issued.chain);
  folder.write(facts.sha1 + ".key", issued.key);
  server.binding_options.configure_ssl_certificate = false;
  server.ssl_options.store = folder.path();
  for (const std::string& hash : {facts.sha1, facts.sha256}) {
    server.ssl_options.hash = hash;
    // Files are not looked at.
    server.ssl_options.certificates = {{"/nowhere.pem"}};
    Running running = start();
    EXPECT_EQ(shown(), "stored");
    EXPECT_TRUE(logged_words(LogLevel::warning, "files of certificates are not used"));
  }
  server.ssl_options.hash = std::string(40, '0');
  EXPECT_EQ(refusal().detail.find("ssl_options.hash: no certificate in " + folder.path()), 0u);
}

TEST_P(TlsSettings, OfClientsReachTheRequest) {
  use(write("a", issue("a")));
  Authority clients("Clients");
  server.ssl_options.client_ca_file = folder.write("clients.pem", clients.pem());
  server.ssl_options.client_certificates = ClientCertificates::required;
  Wish wish;
  wish.subject = "device 7";
  wish.for_clients = true;
  const Issued device = clients.issue(wish), stranger = ca.issue(wish);
  TlsClientOptions known, unknown;
  known.certificate = &device;
  unknown.certificate = &stranger;
  {
    Running running = start();
    EXPECT_EQ(connect(known).get("/").body, "TLSv1.3|localhost|CN=device 7,O=Sluice|new");
    EXPECT_EQ(connect(unknown).get("/").status, 0);
    EXPECT_EQ(connect().get("/").status, 0);
    EXPECT_TRUE(told_error(Errc::tls_certificate_refused));
  }
  server.ssl_options.client_certificates = ClientCertificates::optional;
  Running running = start();
  EXPECT_EQ(connect(known).get("/").body, "TLSv1.3|localhost|CN=device 7,O=Sluice|new");
  EXPECT_EQ(connect(unknown).get("/").status, 0);
  EXPECT_EQ(connect().get("/").body, "TLSv1.3|localhost||new");
}

TEST_P(TlsSettings, OfDevelopmentMakeACertificateThatStays) {
  server.ssl_options.self_signed = true;
  server.bindings.clear();
  server.bindings.add("https://dev.test:0/");
  const auto fingerprint = [this] {
    TlsClientOptions options;
    options.server_name = "dev.test";
    TlsClient one(port, options);
    EXPECT_EQ(one.get("/", {}, "dev.test").status, 200);
    return one.shown() + std::to_string(server.certificates_expire()->time_since_epoch().count());
  };
  Running running = start();
  EXPECT_TRUE(logged_words(LogLevel::info, "localhost, dev.test"));
  const std::string before = fingerprint();
  EXPECT_EQ(before.find("sluice development"), 0u);
  ASSERT_TRUE(server.apply(Settings(server)));
  EXPECT_EQ(fingerprint(), before);
  ASSERT_TRUE(server.restart());
  EXPECT_EQ(fingerprint(), before);
}

TEST_P(TlsSettings, ApplyTakesNewCertificatesAndDisturbsNobody) {
  use(write("a", issue("old")));
  server.binding_options.watch_interval = 0ms;
  Running running = start();
  TlsClient before = connect();
  EXPECT_EQ(before.get("/").status, 200);
  write("a", issue("new"));
  EXPECT_EQ(shown(), "old") << "nobody watches";
  ASSERT_TRUE(server.apply(Settings(server)));
  EXPECT_EQ(shown(), "new");
  EXPECT_EQ(before.get("/").status, 200);
  EXPECT_EQ(before.shown(), "old");

  // Of a prefix.
  Settings next = server;
  next.bindings.list()[0].options.ssl_options.certificates = {write("b", issue("other"))};
  ASSERT_TRUE(server.apply(next));
  EXPECT_EQ(shown(), "other");

  // Nothing of what is wrong.
  Settings wrong = server;
  wrong.limits.body_bytes = 1;
  wrong.bindings.list()[0].options.ssl_options.certificates[0].certificate_file = "/nowhere.pem";
  const Result<void> refused = server.apply(wrong);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::bad_setting);
  EXPECT_EQ(refused.error().detail.find("bindings[0].ssl_options.certificates[0].certificate_file: "
                                        "cannot read /nowhere.pem"),
            0u);
  EXPECT_NE(server.limits.body_bytes, 1u);
  EXPECT_EQ(shown(), "other");
  EXPECT_EQ(before.get("/").status, 200);

  // What is asked of clients.
  next = server;
  next.ssl_options.client_certificates = ClientCertificates::required;
  next.ssl_options.client_ca_file = folder.write("ca.pem", ca.pem());
  ASSERT_TRUE(server.apply(next));
  EXPECT_EQ(connect().get("/").status, 0);
  EXPECT_EQ(before.get("/").status, 200);
}

TEST_P(TlsSettings, FilesThatChangeAreTakenAnew) {
  use(write("a", issue("old")));
  server.binding_options.watch_interval = 10ms;
  Running running = start();
  TlsClient before = connect();
  EXPECT_EQ(before.get("/").status, 200);
  const auto first = server.certificates_expire();

  write("a", issue("new", "DNS:localhost", 2 * kYear));
  EXPECT_TRUE(logged_words(LogLevel::info, "certificates have changed: localhost"));
  EXPECT_TRUE(eventually([this] { return shown() == "new"; }));
  EXPECT_GT(server.certificates_expire(), first);
  EXPECT_EQ(before.get("/").status, 200);
  EXPECT_EQ(before.shown(), "old");

  replace("a.pem", "no certificate");
  EXPECT_TRUE(logged_words(LogLevel::error, "ssl_options.certificate_file: "));
  EXPECT_EQ(shown(), "new");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(shown(), "new");  // it is looked at again meanwhile
  EXPECT_EQ(count_words(LogLevel::error, "ssl_options.certificate_file: "), 1u);
  write("a", issue("newest"));
  EXPECT_TRUE(eventually([this] { return shown() == "newest"; }));

  std::filesystem::remove(folder.path() + "/a.key");
  EXPECT_TRUE(logged_words(LogLevel::error, "ssl_options.private_key_file: cannot read"));
  EXPECT_EQ(shown(), "newest");
}

TEST_P(TlsSettings, AuthoritiesThatChangeAreTakenAnew) {
  use(write("a", issue("a")));
  Authority one("One"), other("Other");
  server.ssl_options.client_ca_file = replace("ca.pem", one.pem());
  server.ssl_options.client_certificates = ClientCertificates::required;
  server.binding_options.watch_interval = 10ms;
  Wish wish;
  wish.for_clients = true;
  const Issued device = other.issue(wish);
  TlsClientOptions known;
  known.certificate = &device;
  Running running = start();
  EXPECT_EQ(connect(known).get("/").status, 0);
  replace("ca.pem", other.pem());
  EXPECT_TRUE(eventually([&] { return connect(known).get("/").status == 200; }));
}

TEST_P(TlsSettings, SessionsAreResumedOnAllShardsAndAfterAChange) {
  use(write("a", issue("a")));
  Running running = start();
  for (const int version : {TLS1_3_VERSION, TLS1_2_VERSION}) {
    TlsClientOptions options;
    options.most = version;
    TlsClient first = connect(options);
    EXPECT_EQ(first.get("/").status, 200);
    ASSERT_NE(first.session(), nullptr);
    const auto resumes = [&] {
      // A copy: OpenSSL uses a session of TLS 1.3 once only.
      const std::unique_ptr<SSL_SESSION, void (*)(SSL_SESSION*)> copy(
          SSL_SESSION_dup(first.session()), SSL_SESSION_free);
      options.session = copy.get();
      TlsClient again = connect(options);
      const std::string body = again.get("/").body;
      return again.resumed() && body.ends_with("|resumed");
    };
    // Whichever shard takes it.
    for (int i = 0; i < 8; ++i) EXPECT_TRUE(resumes()) << version << " " << i;
    ASSERT_TRUE(server.apply(Settings(server)));
    EXPECT_TRUE(resumes());
    ASSERT_TRUE(server.restart());
    EXPECT_TRUE(resumes());
  }
}

TEST_P(TlsSettings, ThatCannotBeUsedStopNoRestart) {
  use(write("a", issue("a")));
  Running running = start();
  TlsClient before = connect();
  EXPECT_EQ(before.get("/").status, 200);
  server.ssl_options.certificate_file = "/nowhere.pem";
  const Result<void> restarted = server.restart();
  ASSERT_FALSE(restarted);
  EXPECT_EQ(restarted.error().code, Errc::bad_setting);
  EXPECT_TRUE(server.active());
  EXPECT_EQ(before.get("/").status, 200);
  EXPECT_EQ(shown(), "a");
  use(write("b", issue("b")));
  ASSERT_TRUE(server.restart());
  EXPECT_EQ(shown(), "b");
}

TEST_P(TlsSettings, MayBeEditedBeforeTheyAreBound) {
  use(write("a", issue("a")));
  const SslCertificate b = write("b", issue("b"));
  server.on_before_binding = [b](std::vector<Binding>& list) {
    list[0].options.ssl_options.certificates = {b};
    list.push_back({"http://127.0.0.1:0/clear/", {}});
  };
  Running running = start();
  EXPECT_EQ(shown(), "b");
  ASSERT_TRUE(server.apply(Settings(server)));
  EXPECT_EQ(shown(), "b") << "it is not asked again";
}

TEST_P(TlsSettings, WarnOfWhatExpires) {
  use(write("a", issue("a", "DNS:localhost", 10 * 86400)));
  server.ssl_options.certificates = {write("b", issue("b", "DNS:b.test", -60))};
  Running running = start();
  EXPECT_TRUE(logged_words(LogLevel::warning, "a.pem expires on "));
  EXPECT_TRUE(logged_words(LogLevel::warning, "b.pem has expired: "));
  EXPECT_LT(*server.certificates_expire(), std::chrono::system_clock::now());
  EXPECT_EQ(shown(), "a");
}

TEST_P(TlsSettings, TheWatchdogKeepsThePortSecure) {
  use(write("a", issue("a")));
  server.watchdog.enabled = true;
  server.watchdog.interval = 20ms;
  server.watchdog.monitor.enabled = true;
  server.watchdog.monitor.timeout = 200ms;
  server.shards = 2;
  Gate gate;
  Told<int> held;
  auto usual = server.on_http_request;
  server.on_http_request = [&](Connection connection, const HttpRequest& request,
                               HttpResponse& response) {
    if (request.document() == "/hold") {
      held.tell(1);
      gate.wait();
    }
    usual(connection, request, response);
  };
  Running running = start();
  std::thread holder([this] { EXPECT_EQ(connect().get("/hold").status, 200); });
  ASSERT_TRUE(held.wait_for(1));
  EXPECT_TRUE(logged_words(LogLevel::warning, "has taken its listening sockets"));
  for (int i = 0; i < 8; ++i) EXPECT_EQ(connect().get("/").status, 200);
  write("a", issue("new"));
  ASSERT_TRUE(server.apply(Settings(server)));
  for (int i = 0; i < 8; ++i) EXPECT_EQ(shown(), "new");
  gate.open();
  holder.join();
}

TEST_P(TlsSettings, WhatIsForwardedSaysHttps) {
  Server behind;
  prepare(behind);
  behind.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    response.content_text(std::string(request.header("X-Forwarded-Proto")) + "|" +
                          std::string(request.header("Forwarded")));
  };
  ASSERT_TRUE(behind.start());
  Running running_behind(behind);
  use(write("a", issue("a")));
  ForwardOptions options;
  options.upstreams = {"http://127.0.0.1:" + std::to_string(behind.bound_port())};
  ASSERT_TRUE(server.forward("/", options));
  Running running = start();
  TlsClient one = connect();
  ASSERT_TRUE(one.open()) << one.error();
  const TlsClient::Answer answer = one.get("/");
  const std::string& body = answer.body;
  EXPECT_EQ(answer.status, 200) << answer.head << one.error();
  EXPECT_EQ(body.find("https|"), 0u) << body;
  EXPECT_NE(body.find(";proto=https;"), std::string::npos) << body;
}

}  // namespace
}  // namespace sluice::test
