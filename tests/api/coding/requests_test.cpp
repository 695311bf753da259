// tests/api/coding/requests_test.cpp - bodies of requests that came with a content coding.
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>

#include "api/coding/coding_harness.hpp"

namespace sluice::test {
namespace {

class CodedRequests : public CodingTest {
 protected:
  void SetUp() override {
    CodingTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    server.content_coding.enabled = false;
    server.content_coding.decode_requests = true;
    answer = [this](const HttpRequest& request, HttpResponse& response) {
      ran.tell(true);
      response.header("X-Coding", request.header("Content-Encoding"))
          .header("X-Length", request.content_length() ? "yes" : "no")
          .content_text(as_text(request.body().bytes()));
    };
  }
  HttpReply post(std::string_view target, std::string_view coding, std::string_view body) const {
    HttpClient http = client();
    return http.request("POST", target, "Content-Encoding: " + std::string(coding) + "\r\n", body);
  }
  Told<bool> ran;
};

INSTANTIATE_TEST_SUITE_P(Setups, CodedRequests, engines_and_dispatches(), name_of);

TEST_P(CodedRequests, AreUndoneBeforeTheirHandler) {
  Running running = start();
  const std::string text = lines(50'000);
  for (const std::string_view name : {"gzip", "br", "zstd"}) {
    const HttpReply reply = post("/", name, coded(text, name));
    EXPECT_EQ(reply.status, 200) << name;
    EXPECT_TRUE(reply.body == text) << name;
    EXPECT_EQ(reply.field("X-Coding"), "");
    EXPECT_EQ(reply.field("X-Length"), "no");
  }
  const HttpReply twice = post("/", "gzip, zstd", coded(coded(text, "gzip"), "zstd"));
  EXPECT_TRUE(twice.body == text);
  EXPECT_EQ(post("/", "identity", "as it is").body, "as it is");
  EXPECT_EQ(post("/", "gzip", coded("", "gzip")).body, "");
}

TEST_P(CodedRequests, ComeInChunksAndPieces) {
  server.limits.body_memory_bytes = 20'000;  // a file takes the rest
  Running running = start();
  const std::string text = pattern(300'000);
  const std::string body = coded(text, "gzip");
  HttpClient http = client();
  for (const std::size_t size : {std::size_t{1000}, std::size_t{70'001}}) {
    std::string request =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nTransfer-Encoding: "
        "chunked\r\n\r\n";
    ASSERT_TRUE(http.send(request));
    for (std::size_t at = 0; at < body.size(); at += size) {
      const std::string piece = body.substr(at, size);
      char head[20];
      std::snprintf(head, sizeof head, "%zx\r\n", piece.size());
      ASSERT_TRUE(http.send(head + piece + "\r\n"));
    }
    ASSERT_TRUE(http.send("0\r\n\r\n"));
    const HttpReply reply = http.read();
    EXPECT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.body == text) << size;
  }
}

TEST_P(CodedRequests, WithoutTheSettingStayAsTheyAre) {
  server.content_coding.decode_requests = false;
  Running running = start();
  const std::string body = coded("text", "gzip");
  const HttpReply reply = post("/", "gzip", body);
  EXPECT_TRUE(reply.body == body);
  EXPECT_EQ(reply.field("X-Coding"), "gzip");
  EXPECT_EQ(post("/", "lzma", "x").status, 200);
}

TEST_P(CodedRequests, ThatAreUnknownAreTold) {
  Running running = start();
  for (const std::string_view name : {"lzma", "gzip, lzma", "gzip, gzip, gzip"}) {
    const HttpReply reply = post("/", name, "x");
    EXPECT_EQ(reply.status, 415) << name;
    EXPECT_EQ(reply.field("Accept-Encoding"), "gzip, deflate, br, zstd");
  }
  EXPECT_EQ(ran.size(), 0u);
}

TEST_P(CodedRequests, ThatAreDamagedAreRefused) {
  Running running = start();
  const std::string whole = coded(lines(50'000), "gzip");
  std::string damaged = whole;
  damaged[damaged.size() - 6] ^= 1;
  EXPECT_EQ(post("/", "gzip", damaged).status, 400);
  EXPECT_EQ(post("/", "gzip", whole.substr(0, whole.size() - 1)).status, 400);
  EXPECT_EQ(post("/", "gzip", whole + "x").status, 400);
  EXPECT_EQ(post("/", "br", whole).status, 400);
  EXPECT_EQ(ran.size(), 0u);
}

TEST_P(CodedRequests, HaveTheLimitOfWhatComesOut) {
  server.limits.body_bytes = 100'000;
  Running running = start();
  EXPECT_EQ(post("/", "gzip", coded(lines(100'000), "gzip")).status, 200);
  EXPECT_EQ(post("/", "gzip", coded(lines(100'001), "gzip")).status, 413);
  EXPECT_EQ(ran.size(), 1u);
}

TEST_P(CodedRequests, OfZerosEndAtTheRatio) {
  Running running = start();
  EXPECT_EQ(post("/", "gzip", coded(std::string(20'000'000, '\0'), "gzip")).status, 413);
  EXPECT_EQ(post("/", "zstd", coded(std::string(20'000'000, '\0'), "zstd")).status, 413);
  EXPECT_EQ(ran.size(), 0u);
}

// The handler runs behind the head, and may make the body wait.
TEST_P(CodedRequests, AreStreamed) {
  const std::string text = lines(3'000'000);
  struct Seen {
    std::mutex mutex;
    std::string body;
  } seen;
  ASSERT_TRUE(server.route("POST", "/stream",
                           [&](Connection, const HttpRequest& request, HttpResponse& response) {
                             response.content_type("text/plain");
                             auto writer = std::make_shared<BodyWriter>(response.stream());
                             RequestBody body = request.body();
                             body.on_data([&seen, writer, body](Bytes piece, bool last) mutable {
                               std::lock_guard lock(seen.mutex);
                               seen.body.append(as_text(piece));
                               if (last) {
                                 writer->write(std::to_string(seen.body.size()));
                                 writer->end();
                                 return;
                               }
                               body.pause();
                               body.resume();
                             });
                           },
                           {.body_mode = BodyMode::stream, .body_bytes = {}}));
  Running running = start();
  const HttpReply reply = post("/stream", "gzip", coded(text, "gzip"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, std::to_string(text.size()));
  std::lock_guard lock(seen.mutex);
  EXPECT_TRUE(seen.body == text);
}

TEST_P(CodedRequests, AreStoredAsUploadsUndone) {
  const std::string folder = testing::TempDir() + "coded-upload-" + std::to_string(::getpid()) +
                             "-" + std::to_string(static_cast<int>(GetParam().engine)) +
                             std::to_string(on_pool());
  std::filesystem::create_directories(folder);
  ASSERT_TRUE(server.uploads("/up/", folder, {}));
  const std::string text = lines(5'000'000);
  {
    Running running = start();
    HttpClient http = client();
    const HttpReply reply =
        http.request("PUT", "/up/a.txt", "Content-Encoding: zstd\r\n", coded(text, "zstd"));
    EXPECT_EQ(reply.status, 201) << reply.body;
    std::string stored;
    std::error_code unused;
    EXPECT_EQ(std::filesystem::file_size(folder + "/a.txt", unused), text.size());
    // Damaged ones leave nothing.
    EXPECT_EQ(
        http.request("PUT", "/up/b.txt", "Content-Encoding: zstd\r\n", coded(text, "zstd") + "x")
            .status,
        400);
  }
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(folder + "/b.txt"); }));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace sluice::test
