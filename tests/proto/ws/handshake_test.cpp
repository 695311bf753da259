// tests/proto/ws/handshake_test.cpp - which requests become a WebSocket, and what the others are
// told.
//
// RFC 6455 sections 1.3, 4.1, 4.2, 7.4. Layer: tests.
#include "proto/ws/handshake.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::ws {
namespace {

// A head with these lines as fields; the views point into them. `Host` fills RequestHead::host.
http::RequestHead head_of(const std::vector<std::string_view>& lines) {
  http::RequestHead head;
  head.method = http::Method::get;
  head.method_text = "GET";
  head.target = head.path = "/chat";
  for (const std::string_view line : lines) {
    const std::size_t colon = line.find(": ");
    http::Field field;
    field.name = line.substr(0, colon);
    field.value = line.substr(colon + 2);
    field.id = http::field_id(field.name);
    if (field.id == http::FieldId::host) head.host = field.value;
    head.fields.push_back(field);
  }
  return head;
}

using Lines = std::vector<std::string_view>;

const Lines kGood = {"Host: server.example.com",   "Upgrade: websocket",
                     "Connection: Upgrade",        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                     "Origin: http://example.com", "Sec-WebSocket-Protocol: chat, superchat",
                     "Sec-WebSocket-Version: 13"};

// kGood with the lines of one name replaced by others; no lines leave it out.
Lines with(std::string_view name, const Lines& instead) {
  Lines lines;
  bool put = false;
  for (const std::string_view line : kGood) {
    if (!line.starts_with(name)) {
      lines.push_back(line);
    } else if (!put) {
      lines.insert(lines.end(), instead.begin(), instead.end());
      put = true;
    }
  }
  if (!put) lines.insert(lines.end(), instead.begin(), instead.end());
  return lines;
}

struct Case {
  std::string_view name;
  Lines lines;
  Errc error = Errc::none;
};

TEST(Handshake, Judged) {
  const Case cases[] = {
      {"the sample of the standard", kGood},
      {"names in any case",
       {"host: a", "upgrade: websocket", "connection: upgrade",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "SEC-WEBSOCKET-VERSION: 13"}},
      {"values in any case", with("Upgrade", {"Upgrade: WebSocket"})},
      {"Connection in any case", with("Connection", {"Connection: uPGRADE"})},
      {"several tokens in Connection", with("Connection", {"Connection: keep-alive, Upgrade"})},
      {"several Connection fields",
       with("Connection", {"Connection: keep-alive", "Connection: Upgrade"})},
      {"several tokens in Upgrade", with("Upgrade", {"Upgrade: h2c, websocket"})},
      {"several Upgrade fields", with("Upgrade", {"Upgrade: h2c", "Upgrade: websocket"})},
      {"no Origin", with("Origin", {})},
      {"no protocol", with("Sec-WebSocket-Protocol", {})},

      {"no Host", with("Host", {}), Errc::ws_bad_handshake},
      {"empty Host", with("Host", {"Host: "}), Errc::ws_bad_handshake},
      {"no Upgrade", with("Upgrade", {}), Errc::ws_bad_handshake},
      {"another Upgrade", with("Upgrade", {"Upgrade: h2c"}), Errc::ws_bad_handshake},
      {"Upgrade that only begins like it", with("Upgrade", {"Upgrade: websockets"}),
       Errc::ws_bad_handshake},
      {"no Connection", with("Connection", {}), Errc::ws_bad_handshake},
      {"Connection without upgrade", with("Connection", {"Connection: keep-alive"}),
       Errc::ws_bad_handshake},
      {"Connection that only begins like it", with("Connection", {"Connection: upgraded"}),
       Errc::ws_bad_handshake},

      {"no version", with("Sec-WebSocket-Version", {}), Errc::ws_bad_version},
      {"version 8", with("Sec-WebSocket-Version", {"Sec-WebSocket-Version: 8"}),
       Errc::ws_bad_version},
      {"version 14", with("Sec-WebSocket-Version", {"Sec-WebSocket-Version: 14"}),
       Errc::ws_bad_version},
      {"version 013", with("Sec-WebSocket-Version", {"Sec-WebSocket-Version: 013"}),
       Errc::ws_bad_version},
      {"two versions in one", with("Sec-WebSocket-Version", {"Sec-WebSocket-Version: 13, 8"}),
       Errc::ws_bad_version},
      {"version twice",
       with("Sec-WebSocket-Version", {"Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"}),
       Errc::ws_bad_version},

      {"no key", with("Sec-WebSocket-Key", {}), Errc::ws_bad_key},
      {"empty key", with("Sec-WebSocket-Key", {"Sec-WebSocket-Key: "}), Errc::ws_bad_key},
      {"key twice",
       with("Sec-WebSocket-Key", {"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}),
       Errc::ws_bad_key},
      {"key of 15 bytes", with("Sec-WebSocket-Key", {"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"}),
       Errc::ws_bad_key},
      {"key of 17 bytes",
       with("Sec-WebSocket-Key", {"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWE="}),
       Errc::ws_bad_key},
      {"key of 19 bytes",
       with("Sec-WebSocket-Key", {"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWFiYw=="}),
       Errc::ws_bad_key},
      {"key without padding",
       with("Sec-WebSocket-Key", {"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"}), Errc::ws_bad_key},
      {"padding inside the key",
       with("Sec-WebSocket-Key", {"Sec-WebSocket-Key: dGhlIHNhbXBs=SBub25jZQ=="}),
       Errc::ws_bad_key},
      {"key of another alphabet",
       with("Sec-WebSocket-Key", {"Sec-WebSocket-Key: dGhlIHNhbXBs-SBub25jZQ=="}),
       Errc::ws_bad_key},
      {"three of padding",
       with("Sec-WebSocket-Key", {"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ==="}),
       Errc::ws_bad_key},
      {"a space in the key",
       with("Sec-WebSocket-Key", {"Sec-WebSocket-Key: dGhlIHNhbXBs SBub25jZQ=="}),
       Errc::ws_bad_key},

      {"version and key are bad",
       {"Host: a", "Upgrade: websocket", "Connection: upgrade"},
       Errc::ws_bad_version},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const http::RequestHead head = head_of(c.lines);
    EXPECT_EQ(judge(head, {}), c.error);
  }
}

TEST(Handshake, AnswersOnTheWire) {
  EXPECT_EQ(info(Errc::ws_bad_handshake).wire, 400);
  EXPECT_EQ(info(Errc::ws_bad_key).wire, 400);
  EXPECT_EQ(info(Errc::ws_bad_version).wire, 426);
  EXPECT_EQ(info(Errc::ws_origin_refused).wire, 403);
}

TEST(Handshake, OnlyGetOverHttp11IsAnUpgrade) {
  http::RequestHead head = head_of(kGood);
  EXPECT_TRUE(is_upgrade(head));
  for (const http::Method method : {http::Method::post, http::Method::head, http::Method::connect,
                                    http::Method::options, http::Method::other}) {
    head.method = method;
    EXPECT_FALSE(is_upgrade(head));
    EXPECT_EQ(judge(head, {}), Errc::ws_bad_handshake);
  }
  head = head_of(kGood);
  head.minor = 0;
  EXPECT_FALSE(is_upgrade(head));
  EXPECT_EQ(judge(head, {}), Errc::ws_bad_handshake);

  EXPECT_FALSE(is_upgrade(head_of(with("Connection", {}))));
  EXPECT_FALSE(is_upgrade(head_of(with("Upgrade", {"Upgrade: h2c"}))));
  EXPECT_TRUE(is_upgrade(head_of(with("Sec-WebSocket-Key", {}))));
}

TEST(Handshake, NoBody) {
  http::RequestHead head = head_of(kGood);
  head.body = http::BodyKind::length;
  EXPECT_EQ(judge(head, {}), Errc::none);
  head.content_length = 1;
  EXPECT_EQ(judge(head, {}), Errc::ws_bad_handshake);
  head.body = http::BodyKind::chunked;
  head.content_length = 0;
  EXPECT_EQ(judge(head, {}), Errc::ws_bad_handshake);
}

TEST(Handshake, RulesThatAreSwitchedOff) {
  HandshakeRules rules;
  rules.enforce_version = false;
  EXPECT_EQ(judge(head_of(with("Sec-WebSocket-Version", {})), rules), Errc::none);
  EXPECT_EQ(judge(head_of(with("Sec-WebSocket-Version", {"Sec-WebSocket-Version: 8"})), rules),
            Errc::none);
  EXPECT_EQ(judge(head_of(with("Sec-WebSocket-Key", {"Sec-WebSocket-Key: x"})), rules),
            Errc::ws_bad_key);
  rules.validate_key = false;
  EXPECT_EQ(judge(head_of(with("Sec-WebSocket-Key", {"Sec-WebSocket-Key: x"})), rules), Errc::none);
  EXPECT_EQ(judge(head_of(with("Sec-WebSocket-Key", {})), rules), Errc::ws_bad_key);
}

TEST(Handshake, Origins) {
  struct OriginCase {
    std::string_view rule, origin;
    bool allowed;
  };
  constexpr OriginCase kCases[] = {
      {"http://host:*", "http://host", true},
      {"http://host:*", "http://host:1", true},
      {"http://host:*", "http://host:65535", true},
      {"http://host:*", "HTTP://HOST:8080", true},
      {"http://host:*", "https://host", false},
      {"http://host:*", "http://host.evil.example", false},
      {"http://host:*", "http://evil.example:80", false},
      {"http://host:*", "http://xhost:80", false},
      {"http://host:*", "http://host:80.evil.example", false},
      {"http://host:*", "http://host:80@evil.example", false},
      {"http://host:*", "http://user@host:80", false},
      {"http://host", "http://host", true},
      {"http://host", "http://host:80", true},
      {"http://host:80", "http://host", true},
      {"http://host", "http://host:8080", false},
      {"https://host", "https://host:443", true},
      {"https://host", "https://host:80", false},
      {"https://host:8443", "https://host:8443", true},
      {"https://host:8443", "https://host", false},
      {"http://[::1]:*", "http://[::1]:8080", true},
      {"http://[::1]", "http://[::1]", true},
      {"http://[::1]", "http://[::1]:80", true},
      {"http://[::1]", "http://[::2]", false},
      {"http://127.0.0.1:5555", "http://127.0.0.1:5555", true},
      {"app://local", "app://local", true},
      {"app://local", "app://local:1", false},
      {"null", "null", true},
      {"http://host", "null", false},
      {"http://host:*", "null", false},
      {"http://host", "host", false},
      {"http://host", "", false},
      {"*", "http://anything.example", true},
      {"*", "null", true},
  };
  for (const OriginCase& c : kCases) {
    SCOPED_TRACE(std::string(c.rule) + " for " + std::string(c.origin));
    const std::string line = "Origin: " + std::string(c.origin);
    const std::vector<std::string> origins{"https://other.example", std::string(c.rule)};
    HandshakeRules rules;
    rules.origins = origins;
    EXPECT_EQ(judge(head_of(with("Origin", {line})), rules),
              c.allowed ? Errc::none : Errc::ws_origin_refused);
  }
}

TEST(Handshake, OneOriginIsNeededWhereOriginsAreListed) {
  const std::vector<std::string> origins{"http://example.com"};
  HandshakeRules rules;
  rules.origins = origins;
  EXPECT_EQ(judge(head_of(kGood), rules), Errc::none);
  EXPECT_EQ(judge(head_of(with("Origin", {})), rules), Errc::ws_origin_refused);
  EXPECT_EQ(
      judge(head_of(with("Origin", {"Origin: http://example.com", "Origin: http://example.com"})),
            rules),
      Errc::ws_origin_refused);
  EXPECT_EQ(
      judge(head_of(with("Origin", {"Origin: http://example.com http://evil.example"})), rules),
      Errc::ws_origin_refused);
}

TEST(Handshake, AcceptValue) {
  const auto text = [](std::string_view key) {
    const std::array<char, 28> value = accept_value(key);
    return std::string(value.begin(), value.end());
  };
  EXPECT_EQ(text("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(text("x3JJHMbDL1EzLkh9GBhXDw=="), "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
  EXPECT_EQ(text(""), "Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=");
  // Keys that are not validated may have any length.
  EXPECT_EQ(text(std::string(1000, 'k')).size(), 28u);
  EXPECT_NE(text(std::string(1000, 'k')), text(std::string(1001, 'k')));
  EXPECT_NE(text(std::string(24, 'k')), text(std::string(25, 'k')));
}

TEST(Handshake, ChooseProtocol) {
  const std::vector<std::string> supported{"superchat", "chat", "v2.json"};
  EXPECT_EQ(choose_protocol("chat, superchat", supported), "chat");
  EXPECT_EQ(choose_protocol("superchat,chat", supported), "superchat");
  EXPECT_EQ(choose_protocol("\t soap ,  v2.json\t", supported), "v2.json");
  EXPECT_EQ(choose_protocol(",, ,chat,", supported), "chat");
  EXPECT_EQ(choose_protocol("Chat", supported), "");
  EXPECT_EQ(choose_protocol("chatter, cha", supported), "");
  EXPECT_EQ(choose_protocol("", supported), "");
  EXPECT_EQ(choose_protocol(",", supported), "");
  EXPECT_EQ(choose_protocol("chat", {}), "");
  const std::vector<std::string> with_empty{""};
  EXPECT_EQ(choose_protocol("a,,b", with_empty), "");
  EXPECT_EQ(choose_protocol("chat", supported).data(), supported[1].data());
}

}  // namespace
}  // namespace sluice::ws
