// tests/api/coding/kept_test.cpp - coded forms of files and of the response cache; TLS.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "api/coding/coding_harness.hpp"
#include "api/tls_client.hpp"

namespace sluice::test {
namespace {

class CodedForms : public CodingTest {
 protected:
  void SetUp() override {
    CodingTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    folder = testing::TempDir() + "coded-forms-" + std::to_string(::getpid()) + "-" +
             std::to_string(static_cast<int>(GetParam().engine));
    std::filesystem::create_directories(folder);
  }
  void TearDown() override {
    if (!folder.empty()) std::filesystem::remove_all(folder);
  }
  void write(const std::string& name, std::string_view text) const {
    std::ofstream(folder + "/" + name, std::ios::binary) << text;
  }
  std::string folder;
};

INSTANTIATE_TEST_SUITE_P(Setups, CodedForms, engines(), name_of);

TEST_P(CodedForms, OfFilesInMemory) {
  write("a.txt", lines(12'000));
  write("b.txt", lines(40'000));  // sent from the disk
  write("c.txt", lines(12'000));
  write("c.txt.gz", coded(lines(12'000), "gzip"));
  write("d.png", lines(12'000));
  ASSERT_TRUE(server.files("/", folder));
  Running running = start();
  std::string tag;
  for (int i = 0; i < 3; ++i) {
    const HttpReply reply = get("/a.txt", "gzip, br");
    EXPECT_EQ(reply.field("Content-Encoding"), "br");
    EXPECT_EQ(undone(reply.body, "br"), lines(12'000));
    EXPECT_EQ(reply.field("Content-Length"), std::to_string(reply.body.size()));
    EXPECT_FALSE(reply.has("Accept-Ranges"));
    EXPECT_EQ(reply.field("Vary"), "Accept-Encoding");
    tag = reply.field("ETag");
    EXPECT_TRUE(tag.starts_with("W/"));
    const HttpReply head = ask("HEAD", "/a.txt", "br");
    EXPECT_EQ(head.field("Content-Encoding"), "br");
    // Where that shard has made it: else nobody knows it yet.
    if (head.has("Content-Length")) {
      EXPECT_EQ(head.field("Content-Length"), reply.field("Content-Length"));
    }
  }
  const HttpReply same = get("/a.txt", "br", "If-None-Match: " + tag + "\r\n");
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.field("ETag"), tag);
  EXPECT_EQ(same.field("Vary"), "Accept-Encoding");
  const HttpReply plain = get("/a.txt", "");
  EXPECT_EQ(plain.body, lines(12'000));
  EXPECT_EQ(plain.field("Accept-Ranges"), "bytes");
  EXPECT_FALSE(plain.field("ETag").starts_with("W/"));
  const HttpReply part = get("/a.txt", "br", "Range: bytes=5-9\r\n");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, lines(12'000).substr(5, 5));
  EXPECT_FALSE(get("/b.txt", "br").has("Content-Encoding"));
  EXPECT_FALSE(get("/d.png", "br").has("Content-Encoding"));
  // A sibling goes first; what it cannot do is made.
  EXPECT_EQ(get("/c.txt", "br, gzip").field("Content-Encoding"), "gzip");
  EXPECT_EQ(get("/c.txt", "br").field("Content-Encoding"), "br");
}

TEST_P(CodedForms, OfAFileThatChanges) {
  write("a.txt", lines(12'000));
  ASSERT_TRUE(server.files("/", folder));
  Running running = start();
  EXPECT_EQ(undone(get("/a.txt", "gzip").body, "gzip"), lines(12'000));
  write("a.txt", lines(9'000) + "other");
  EXPECT_TRUE(eventually(
      [&] { return undone(get("/a.txt", "gzip").body, "gzip") == lines(9'000) + "other"; }));
}

TEST_P(CodedForms, OfTheResponseCache) {
  std::atomic<int> runs{0};
  answer = [&](const HttpRequest& request, HttpResponse& response) {
    const std::size_t size = request.document() == "/long" ? 200'000 : 4'000;
    response.content_type("text/plain")
        .content_text(std::to_string(++runs) + lines(size))
        .cache(Cache::until_invalidated);
  };
  Running running = start();
  for (const std::string target : {"/short", "/long"}) {
    const int run = runs + 1;
    const std::string text = std::to_string(run) + lines(target == "/long" ? 200'000 : 4'000);
    for (int i = 0; i < 3; ++i) {
      for (const std::string_view name : {"gzip", "br", "zstd"}) {
        const HttpReply reply = get(target, name);
        EXPECT_EQ(reply.field("Content-Encoding"), name);
        EXPECT_TRUE(undone(reply.body, name) == text) << target << " " << name << " " << i;
        EXPECT_TRUE(reply.field("ETag").starts_with("W/"));
        EXPECT_EQ(reply.count("Vary"), 1u);
        // Once it has been made its length is known.
        if (i == 2) {
          EXPECT_TRUE(reply.has("Content-Length")) << target;
        }
      }
    }
    EXPECT_EQ(runs, run);
    const HttpReply plain = get(target, "");
    EXPECT_TRUE(plain.body == text);
    const std::string tag(plain.field("ETag"));
    const HttpReply same = get(target, "gzip", "If-None-Match: W/" + tag + "\r\n");
    EXPECT_EQ(same.status, 304);
    EXPECT_EQ(same.field("ETag"), "W/" + tag);
    EXPECT_EQ(same.field("Vary"), "Accept-Encoding");
    EXPECT_EQ(get(target, "gzip", "Range: bytes=0-9\r\n").body, text.substr(0, 10));
    EXPECT_EQ(server.flush_cache(target), 1u);
    EXPECT_EQ(undone(get(target, "gzip").body, "gzip")->substr(0, 2),
              std::to_string(run + 1) + "l");
  }
}

TEST_P(CodedForms, OfTheResponseCacheAreNoneWhereTheHandlerSaysNo) {
  answer = [&](const HttpRequest&, HttpResponse& response) {
    response.content_type("text/plain")
        .content_text(lines(4'000))
        .content_coding(false)
        .cache(Cache::until_invalidated);
  };
  Running running = start();
  for (int i = 0; i < 3; ++i) {
    const HttpReply reply = get("/", "gzip");
    EXPECT_FALSE(reply.has("Content-Encoding"));
    EXPECT_EQ(reply.body, lines(4'000));
    const std::string tag(reply.field("ETag"));
    EXPECT_EQ(get("/", "gzip", "If-None-Match: " + tag + "\r\n").field("ETag"), tag);
  }
}

TEST_P(CodedForms, WithoutRoomAreMadeEachTime) {
  server.content_coding.variant_bytes = 0;
  answer = [&](const HttpRequest&, HttpResponse& response) {
    response.content_type("text/plain")
        .content_text(lines(200'000))
        .cache(Cache::until_invalidated);
  };
  Running running = start();
  for (int i = 0; i < 3; ++i) {
    const HttpReply reply = get("/", "gzip");
    EXPECT_TRUE(undone(reply.body, "gzip") == lines(200'000));
    EXPECT_FALSE(reply.has("Content-Length"));
  }
}

TEST_P(CodedForms, OverTlsNotBesideSecrets) {
  server.bindings.add("https://localhost:0/");
  server.ssl_options.self_signed = true;
  answer = [](const HttpRequest& request, HttpResponse& response) {
    response.content_type("text/plain").content_text(lines(4'000));
    if (request.document() == "/cookie") response.header("Set-Cookie", "a=b");
  };
  Running running = start();
  const std::string kAccepts = "Accept-Encoding: gzip\r\n";
  const auto asked = [&](std::string_view target, const std::string& fields) {
    TlsClient http(port);
    return http.get(target, fields).head;
  };
  const auto is_coded = [](const std::string& head) {
    EXPECT_NE(head.find("Vary: Accept-Encoding"), std::string::npos) << head;
    return head.find("Content-Encoding: gzip") != std::string::npos;
  };
  EXPECT_TRUE(is_coded(asked("/", kAccepts)));
  EXPECT_TRUE(is_coded(asked("/", kAccepts + "Cookie: a=b\r\n")));
  EXPECT_FALSE(is_coded(asked("/", kAccepts + "Authorization: Basic YTpi\r\n")));
  EXPECT_FALSE(is_coded(asked("/cookie", kAccepts)));
  Settings next = server;
  next.content_coding.secrets_over_tls = true;
  ASSERT_TRUE(server.apply(next));
  EXPECT_TRUE(is_coded(asked("/cookie", kAccepts)));
}

}  // namespace
}  // namespace sluice::test
