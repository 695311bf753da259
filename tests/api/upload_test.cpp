// tests/api/upload_test.cpp - files of clients go to the disk as they arrive, whole or not at all.
//
// Layer: tests.
#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "api/upload_harness.hpp"

namespace sluice::test {
namespace {

TEST_P(Uploading, FilesGoToTheDisk) {
  Running running = start();
  const HttpReply reply =
      post(part("name=a", "1") + part("name=f; filename=\"one.txt\"", "\r\n--A\r\n--") +
           part("name=f; filename=\"two.bin\"", large) + part("name=b", "2") +
           part("name=g; filename=\"\"", "") + part("name=g; filename=empty", "") + "--B--");
  EXPECT_EQ(reply.body, "a=1;b=2;f:one.txt:one.txt;f:two.bin:two.bin;g::;g:empty:empty;");
  EXPECT_EQ(stored(), (Names{"one.txt", "two.bin", "empty"}));
  EXPECT_EQ(text_of(dir / "one.txt"), "\r\n--A\r\n--");
  EXPECT_TRUE(text_of(dir / "two.bin") == large);
  EXPECT_EQ(post(part("name=f; filename=one.txt", "again") + "--B--").body,
            "f:one.txt:one (1).txt;");
}

// The size of the only file in `folder` that has no name yet; 0: there is none.
std::uint64_t size_of_unfinished(const std::filesystem::path& folder) {
  std::uint64_t size = 0;
  std::error_code gone;  // descriptors come and go meanwhile
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", gone)) {
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    struct stat status {};
    if (target.starts_with(folder.string() + "/") && ::stat(entry.path().c_str(), &status) == 0 &&
        S_ISREG(status.st_mode)) {
      size = std::uint64_t(status.st_size);
    }
  }
  return size;
}

// A write that ends within a page costs the next one more.
TEST_P(Uploading, WhatIsWrittenBeforeTheEndIsWholePages) {
  Running running = start();
  for (const bool form : {false, true}) {
    const std::string body = form ? part("name=f; filename=x", large) + "--B--" : large;
    const std::string whole =
        request(body, form ? "multipart/form-data; boundary=B" : "application/octet-stream");
    HttpClient http = client();
    std::uint64_t before = 0;
    std::size_t sent = 0;
    for (const std::size_t now : {900'001u, 900'007u}) {
      ASSERT_TRUE(http.send(std::string_view(whole).substr(sent, now)));
      sent += now;
      EXPECT_TRUE(eventually([&] { return size_of_unfinished(dir.path()) > before; }));
      before = size_of_unfinished(dir.path());
      EXPECT_EQ(before % 4096, 0u);
    }
    ASSERT_TRUE(http.send(std::string_view(whole).substr(sent)));
    EXPECT_EQ(http.read().status, 200);
    const Names names = stored();
    ASSERT_EQ(names.size(), 1u);
    EXPECT_TRUE(text_of(dir / *names.begin()) == large);
    std::filesystem::remove(dir / *names.begin());
  }
}

TEST_P(Uploading, ABodyThatIsNoFormIsOneFile) {
  Running running = start();
  const HttpReply reply = post(large, "application/octet-stream");
  ASSERT_EQ(stored().size(), 1u);
  const std::string name = *stored().begin();
  EXPECT_TRUE(name.starts_with("upload-")) << name;
  EXPECT_EQ(reply.body, ":" + name + ":" + name + ";");
  EXPECT_TRUE(text_of(dir / name) == large);
}

TEST_P(Uploading, EventsComeAroundEachFile) {
  const TempDir other;
  server.on_http_upload_before_save_file = [&](Connection, std::string& name, std::string& path) {
    told.tell("before " + name);
    EXPECT_EQ(path, dir.path().string());
    if (name == "moved") path = other.path().string();
    name = "my-" + name;
  };
  server.on_http_upload_after_save_file = [&](Connection, std::string_view name,
                                              std::string_view path) {
    EXPECT_TRUE(std::filesystem::exists(path));
    told.tell("after " + std::string(name));
  };
  server.on_http_upload_read_input = [&](Connection, std::string_view name, std::string_view) {
    told.tell("field " + std::string(name));
  };
  Running running = start();
  post(part("name=f; filename=here", large) + part("name=a", "1") +
       part("name=g; filename=moved", "2") + "--B--");
  EXPECT_EQ(told.all(), (std::vector<std::string>{"before here", "after f", "before moved",
                                                  "after g", "field a", "handler"}));
  EXPECT_EQ(stored(), Names{"my-here"});
  EXPECT_EQ(text_of(other / "my-moved"), "2");
}

TEST_P(Uploading, MayBeRefusedBeforeTheBodyIsRead) {
  server.on_http_upload_before_create_post_stream = [](Connection, const HttpRequest& request,
                                                       bool& accept) {
    accept = request.content_length().value_or(0) < 1000;
  };
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(
      http.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"
                "Expect: 100-continue\r\n\r\n"));
  EXPECT_EQ(http.read().status, 413);
  EXPECT_EQ(post("small", "text/plain").status, 200);
}

TEST_P(Uploading, NamesThatCannotBeUsedAreRefused) {
  Running running = start();
  for (const char* name : {"..", "con", "a/.."}) {
    EXPECT_EQ(post(part("name=f; filename=\"" + std::string(name) + "\"", "1") + "--B--").status,
              400);
  }
  EXPECT_EQ(post(part("name=f; filename=\"../../up\"", "1") + "--B--").status, 200);
  EXPECT_EQ(stored(), Names{"up"});
}

TEST_P(Uploading, WhatFailsLeavesNothing) {
  server.limits.upload_file_bytes = 4'000'000;
  Running running = start();
  const std::string good = part("name=f; filename=good", "1");
  EXPECT_EQ(post(good + part("name=f; filename=bad", large + large) + "--B--").status, 413);
  EXPECT_EQ(post(good + "--B\r\nnonsense\r\n\r\n").status, 400);
  EXPECT_EQ(post(good + part("name=f; filename=bad", large)).status, 400);  // it does not end
  {
    HttpClient http = client();
    const std::string whole = request(good + part("name=f; filename=bad", large) + "--B--");
    ASSERT_TRUE(http.send(std::string_view(whole).substr(0, whole.size() - 1000)));
  }
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  EXPECT_TRUE(eventually([&] { return stored().empty(); }));
  EXPECT_EQ(told.all().size(), 0u);
}

TEST_P(Uploading, SmallOnesMayStayInMemory) {
  server.http_upload_files.min_size = 1000;
  server.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    response.content_text(std::to_string(request.files().size()) + " " +
                          std::to_string(request.body().size()));
  };
  Running running = start();
  const std::string small = part("name=f; filename=x", "1") + "--B--";
  EXPECT_EQ(post(small).body, "1 " + std::to_string(small.size()));
  EXPECT_TRUE(stored().empty());
  EXPECT_EQ(post(part("name=f; filename=x", large) + "--B--").body, "1 0");
}

TEST_P(Uploading, NeedsItsFolder) {
  server.http_upload_files.save_directory.clear();
  EXPECT_EQ(server.start().error().code, Errc::bad_setting);
}

INSTANTIATE_TEST_SUITE_P(Api, Uploading, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
