// tests/api/upload_folder_test.cpp - folders that take what clients send: server.uploads.
//
// Layer: tests.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "api/upload_harness.hpp"

namespace sluice::test {
namespace {

constexpr std::string_view kForm = "Content-Type: multipart/form-data; boundary=B\r\n";

class UploadFolder : public Uploading {
 protected:
  void SetUp() override {
    Uploading::SetUp();
    server.http_upload_files = {};
  }
  void take(const UploadOptions& options = {}) {
    ASSERT_TRUE(server.uploads("/up/", dir.path().string(), options));
  }
  HttpReply send(std::string_view method, std::string_view target, std::string_view body,
                 std::string_view fields = {}) {
    return client().request(method, target, fields, body);
  }
  static std::string told_as(std::string_view name, std::string_view file_name,
                             std::string_view stored_as, std::size_t size) {
    return "{\"name\": \"" + std::string(name) + "\", \"file_name\": \"" + std::string(file_name) +
           "\", \"stored\": \"" + std::string(stored_as) + "\", \"size\": " + std::to_string(size) +
           "}";
  }
  static std::string answer(const std::string& files) { return "{\"files\": [" + files + "]}\n"; }
};

TEST_P(UploadFolder, StoresTheFilesOfAForm) {
  take();
  Running running = start();
  const HttpReply reply =
      send("POST", "/up/",
           part("name=a", "1") + part("name=f; filename=\"../../one.txt\"", large) +
               part("name=\"g\\\"\"; filename=\"\xC3\xA9?\"", "2") +
               part("name=h; filename=\"\"", "") + part("name=f; filename=one.txt", "3") + "--B--",
           kForm);
  EXPECT_EQ(reply.status, 201);
  EXPECT_EQ(reply.field("content-type"), "application/json");
  EXPECT_EQ(reply.body, answer(told_as("f", "../../one.txt", "one.txt", large.size()) + ", " +
                               told_as("g\\\"", "\xC3\xA9?", "\xC3\xA9_", 1) + ", " +
                               told_as("f", "one.txt", "one (1).txt", 1)));
  EXPECT_EQ(stored(), (Names{"one.txt", "\xC3\xA9_", "one (1).txt"}));
  EXPECT_TRUE(text_of(dir / "one.txt") == large);
  EXPECT_EQ(told.size(), 0u);  // no handler
}

TEST_P(UploadFolder, StoresABodyUnderTheNameOfThePath) {
  take();
  Running running = start();
  EXPECT_EQ(send("PUT", "/up/a%20b.bin", large).body,
            answer(told_as("", "a b.bin", "a b.bin", large.size())));
  EXPECT_TRUE(text_of(dir / "a b.bin") == large);
  EXPECT_EQ(send("POST", "/up/a%20b.bin", "2").body,
            answer(told_as("", "a b.bin", "a b (1).bin", 1)));
  EXPECT_EQ(send("PUT", "/up/empty", "").body, answer(told_as("", "empty", "empty", 0)));
  EXPECT_EQ(std::filesystem::file_size(dir / "empty"), 0u);
}

TEST_P(UploadFolder, MakesUpTheNameThatIsMissing) {
  take();
  Running running = start();
  EXPECT_EQ(send("POST", "/up/", "1").status, 201);
  EXPECT_EQ(send("POST", "/up/", "2").status, 201);
  const Names names = stored();
  ASSERT_EQ(names.size(), 2u);
  for (const std::string& name : names) EXPECT_TRUE(name.starts_with("upload-")) << name;
}

TEST_P(UploadFolder, RefusesNamesBeforeTheBodyIsRead) {
  take();
  Running running = start();
  const std::string with_body =
      " HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n";
  for (const char* name :
       {"a/b", "con", "%2e%2e%5c", "a%2Fb", "a/", "%ff", "x%00", "a%0A", ".sluice-upload-1"}) {
    HttpClient http = client();
    ASSERT_TRUE(http.send("PUT /up/" + std::string(name) + with_body + "\r\n"));
    const HttpReply reply = http.read();
    EXPECT_EQ(reply.status, 400) << name;
    EXPECT_TRUE(reply.interim.empty()) << name;
  }
  EXPECT_TRUE(stored().empty());
}

TEST_P(UploadFolder, HasLimitsOfItsOwn) {
  server.limits.upload_file_bytes = 10;
  take({.file_bytes = 1000, .body_bytes = 2000});
  Running running = start();
  EXPECT_EQ(send("PUT", "/up/fits", std::string(1000, 'x')).status, 201);
  EXPECT_EQ(send("PUT", "/up/large", std::string(1001, 'x')).status, 413);
  const std::string file = part("name=f; filename=part", std::string(900, 'x'));
  EXPECT_EQ(send("POST", "/up/", file + "--B--", kForm).status, 201);
  EXPECT_EQ(send("POST", "/up/", file + file + file + "--B--", kForm).status, 413);
  HttpClient http = client();
  ASSERT_TRUE(
      http.send("PUT /up/chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3e9\r\n" +
                std::string(1001, 'x')));
  EXPECT_EQ(http.read().status, 413);
  EXPECT_TRUE(eventually([&] { return stored() == Names{"fits", "part"}; }));
}

TEST_P(UploadFolder, DoesWithThoseThatAreThereWhatItIsTold) {
  dir.write("a", "before");
  take({.existing = ExistingFile::replace});
  const TempDir other;
  other.write("a", "before");
  ASSERT_TRUE(server.uploads("/new/", other.path().string(), {.existing = ExistingFile::refuse}));
  Running running = start();
  EXPECT_EQ(send("PUT", "/up/a", "1").status, 201);
  EXPECT_EQ(text_of(dir / "a"), "1");
  EXPECT_EQ(send("PUT", "/new/a", "1").status, 409);
  EXPECT_EQ(text_of(other / "a"), "before");
  EXPECT_EQ(send("PUT", "/new/b", "1").status, 201);
}

TEST_P(UploadFolder, TellsTheEvents) {
  server.on_http_upload_before_save_file = [&](Connection, std::string& name, std::string&) {
    told.tell("before " + name);
    name = "my-" + name;
  };
  server.on_http_upload_after_save_file = [&](Connection, std::string_view name,
                                              std::string_view path) {
    told.tell("after " + std::string(name) + " " + std::string(path));
  };
  server.on_http_upload_read_input = [&](Connection, std::string_view name,
                                         std::string_view value) {
    told.tell(std::string(name) + "=" + std::string(value));
  };
  take();
  Running running = start();
  EXPECT_EQ(
      send("POST", "/up/",
           part("name=a", "1") + part("name=f; filename=x", "2") + part("name=b", "3") + "--B--",
           kForm)
          .body,
      answer(told_as("f", "x", "my-x", 1)));
  EXPECT_EQ(told.all(),
            (std::vector<std::string>{"before x", "after f " + (dir / "my-x"), "a=1", "b=3"}));
}

TEST_P(UploadFolder, AnswersNothingElse) {
  take();
  Running running = start();
  const HttpReply reply = client().get("/up/x");
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(reply.field("allow"), "POST, PUT");
  EXPECT_EQ(send("POST", "/up/", "x", "Content-Type: multipart/form-data\r\n").status, 400);
  EXPECT_EQ(send("POST", "/up/", part("name=f; filename=x", "1"), kForm).status, 400);
  EXPECT_TRUE(eventually([&] { return stored().empty(); }));
}

// What was stored a moment ago can be fetched from the same place.
TEST_P(UploadFolder, MayBeServedToo) {
  take();
  ASSERT_TRUE(server.files("/up/", dir.path().string()));
  Running running = start();
  EXPECT_EQ(send("PUT", "/up/x.txt", large).status, 201);
  EXPECT_TRUE(client().get("/up/x.txt").body == large);
}

TEST_P(UploadFolder, IsForThoseWhoMayComeIn) {
  server.authentication.enabled = server.authentication.basic.enabled = true;
  server.on_authentication = [](Connection, std::string_view, std::string_view password,
                                bool& authenticated) { authenticated = password == "secret"; };
  take();
  Running running = start();
  EXPECT_EQ(send("PUT", "/up/x", "1").status, 401);
  EXPECT_TRUE(stored().empty());
  EXPECT_EQ(send("PUT", "/up/x", "1", "Authorization: Basic YW5uOnNlY3JldA==\r\n").status, 201);
}

TEST_P(UploadFolder, MustBeThereAtTheStart) {
  EXPECT_EQ(server.uploads("/up", dir.path().string()).error().code, Errc::invalid_argument);
  ASSERT_TRUE(server.uploads("/up/", dir / "none"));
  const Error why = server.start().error();
  EXPECT_EQ(why.code, Errc::bad_setting);
  EXPECT_NE(why.detail.find("upload \"/up/\""), std::string::npos) << why.detail;
  dir.make_dir("none");
  Running running = start();
  EXPECT_EQ(server.uploads("/other/", dir.path().string()).error().code, Errc::already_running);
  EXPECT_EQ(send("PUT", "/up/x", "1").status, 201);
  ASSERT_TRUE(server.restart());
  EXPECT_EQ(send("PUT", "/up/y", "1").status, 201);
  EXPECT_TRUE(std::filesystem::exists(dir / "none/y"));
}

INSTANTIATE_TEST_SUITE_P(Api, UploadFolder, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
