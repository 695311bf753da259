// tests/api/auth_harness.hpp - a server behind authentication that says who came in.
//
// Layer: tests.
#pragma once

#include <string>
#include <string_view>

#include "api/ws_harness.hpp"
#include "crypto/base64.hpp"

namespace sluice::test {

// "password", by openssl passwd.
inline constexpr const char* kHash = "$5$saltsalt$gOjOtoMpVhru2uyjeJSEc/JaLQWOXMNmlOnj6T4AtC.";
// Nobody's, and it takes a while to find out.
inline constexpr const char* kSlowHash =
    "$6$rounds=2000000$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/"
    "jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

inline std::string basic(std::string_view user, std::string_view password) {
  const std::string pair = std::string(user) + ":" + std::string(password);
  return "Authorization: Basic " + crypto::base64(as_bytes(pair)) + "\r\n";
}
inline std::string bearer(std::string_view token) {
  return "Authorization: Bearer " + std::string(token) + "\r\n";
}

// Answers each request with "SCHEME USER DOCUMENT".
class AuthTest : public WsTest {
 protected:
  void SetUp() override {
    WsTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    settings.enabled = true;
    settings.failures.free = 1000;  // where failures are not what it is about
    settings.failures.refuse_after = 1000;
    server.on_http_request = [this](Connection, const HttpRequest& request,
                                    HttpResponse& response) {
      targets.tell(std::string(request.raw_target()));
      response.content_text(who(request.authentication()) + " " + std::string(request.document()));
    };
    server.on_connect = [this](Connection connection) {
      events.tell(who(connection.authentication()) + " " + std::string(connection.url()));
      connections.put(connection);
    };
  }

  static std::string who(const Identity& identity) {
    return std::string(to_string(identity.scheme)) + " " + identity.user;
  }
  // The body, or the status of what was refused.
  std::string answer(std::string_view target, std::string_view fields = {}) {
    HttpClient http = client();
    return shown(http.get(target, fields));
  }
  static std::string shown(const HttpReply& reply) {
    return reply.status == 200 ? reply.body : std::to_string(reply.status);
  }
  // What came of an upgrade: "101", or the status of what was refused.
  int upgrade(std::string_view target, std::string_view fields = {}) {
    WsClient socket = ws(target, fields);
    const int status = socket.reply().status;
    EXPECT_TRUE(status != 101 || socket.close_and_wait());
    return status;
  }
  // start() fails with words that name `setting`.
  void refused_setting(std::string_view setting) {
    const Result<void> started = server.start();
    EXPECT_FALSE(started) << setting;
    EXPECT_EQ(started.error().code, Errc::bad_setting);
    EXPECT_NE(started.error().message().find(setting), std::string::npos)
        << started.error().message();
  }
  // No line of the log, and no target that a handler saw, has `secret` in it.
  void expect_hidden(std::string_view secret) {
    for (const LogLine& line : log.all()) {
      EXPECT_EQ(line.message.find(secret), std::string::npos) << line.message;
    }
    for (const std::string& target : targets.all()) {
      EXPECT_EQ(target.find(secret), std::string::npos) << target;
    }
  }

  // The application decides about passwords when the test does: each reply goes to `replies`.
  void decide_later() {
    server.on_authentication_async = [this](Connection, std::string_view, std::string_view,
                                            AuthenticationReply reply) {
      replies.put(std::move(reply));
    };
  }

  Authentication& settings = server.authentication;
  Handover<AuthenticationReply> replies;
  Told<std::string> targets;
};

}  // namespace sluice::test
