// tests/api/form_test.cpp - forms: their fields and files, in memory and in a file of the server's.
//
// RFC 7578. Layer: tests.
#include <string>
#include <string_view>
#include <vector>

#include "api/harness.hpp"
#include "service/temp_dir.hpp"

namespace sluice::test {
namespace {

class Forms : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    server.on_http_request = [this](Connection, const HttpRequest& request,
                                    HttpResponse& response) {
      std::string said = request.document() == "/events" ? "handler " : "";
      for (const FormField& field : request.fields()) {
        said.append(field.name).append("=").append(shown(field.value)).append(";");
      }
      for (const UploadedFile& file : request.files()) {
        EXPECT_EQ(file.size, file.content.size());
        said.append(file.name).append(":").append(file.file_name).append(":");
        said.append(file.content_type).append(":").append(shown(as_text(file.content))).append(";");
        if (file.size == large.size()) {
          EXPECT_TRUE(as_text(file.content) == large);
        }
      }
      told.tell(said);
      response.content_text(said);
    };
  }
  static std::string shown(std::string_view text) {
    return text.size() <= 20 ? std::string(text) : std::to_string(text.size()) + " bytes";
  }
  static std::string part(std::string_view disposition, std::string_view content,
                          std::string_view fields = {}) {
    return "--B\r\nContent-Disposition: form-data; " + std::string(disposition) + "\r\n" +
           std::string(fields) + "\r\n" + std::string(content) + "\r\n";
  }
  HttpReply post(std::string_view body, std::string_view type = "multipart/form-data; boundary=B",
                 std::string_view target = "/") {
    HttpClient http = client();
    EXPECT_TRUE(http.send("POST " + std::string(target) + " HTTP/1.1\r\nHost: a\r\nContent-Type: " +
                          std::string(type) + "\r\nContent-Length: " + std::to_string(body.size()) +
                          "\r\n\r\n" + std::string(body)));
    return http.read();
  }

  const std::string large = pattern(300'000);
  Told<std::string> told;
};

TEST_P(Forms, HaveFieldsAndFiles) {
  Running running = start();
  const HttpReply reply =
      post(part("name=\"a\"", "1") + part("name=\"empty\"", "") +
           part("name=\"f\"; filename=\"x.txt\"", "--\r\ntext", "Content-Type: text/plain\r\n") +
           part("name=\"a\"", "2") + part("name=\"none\"; filename=\"\"", "") + "--B--\r\n");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "a=1;empty=;a=2;f:x.txt:text/plain:--\r\ntext;none:::;");
  EXPECT_EQ(post("a=1", "application/x-www-form-urlencoded").body, "");
}

// Larger than what is kept in memory: the same.
TEST_P(Forms, MayBeLarge) {
  Running running = start();
  const HttpReply reply = post(part("name=\"a\"", "1") + part("name=\"f\"; filename=x", large) +
                               part("name=\"b\"", "2") + "--B--");
  EXPECT_EQ(reply.body, "a=1;b=2;f:x::300000 bytes;");
}

TEST_P(Forms, TellTheirFieldsBeforeTheHandler) {
  server.on_http_upload_read_input = [this](Connection, std::string_view name,
                                            std::string_view value) {
    told.tell(std::string(name) + " is " + std::string(value));
  };
  Running running = start();
  post(part("name=\"a\"", "1") + part("name=\"f\"; filename=x", "") + part("name=\"b\"", "2") +
           "--B--",
       "multipart/form-data; boundary=\"B\"", "/events");
  EXPECT_EQ(told.all(), (std::vector<std::string>{"a is 1", "b is 2", "handler a=1;b=2;f:x::;"}));
}

TEST_P(Forms, ThatBreakTheirRulesAreRefused) {
  server.limits.upload_parts = 3;
  server.limits.upload_field_bytes = 10;
  server.limits.upload_fields_bytes = 15;
  server.limits.upload_file_bytes = 400'000;
  Running running = start();
  const std::string field = part("name=a", "12345678"), end = "--B--";
  EXPECT_EQ(post(field + end).status, 200);
  EXPECT_EQ(post(field + field + end).status, 413);  // all fields
  EXPECT_EQ(post(part("name=a", "12345678901") + end).status, 413);
  std::string parts;
  for (int i = 0; i < 4; ++i) parts += part("name=f; filename=x", "");
  EXPECT_EQ(post(parts + end).status, 413);
  EXPECT_EQ(post(part("name=f; filename=x", large) + end).status, 200);
  EXPECT_EQ(post(part("name=f; filename=x", large + large) + end).status, 413);
  EXPECT_EQ(post(field).status, 400);  // it does not end
  EXPECT_EQ(post(field + end, "multipart/form-data").status, 400);
  EXPECT_EQ(post("--B\r\n\r\n1\r\n" + end).status, 400);
  EXPECT_TRUE(told_error(Errc::multipart_truncated));
  EXPECT_TRUE(told_error(Errc::multipart_bad_boundary));
  EXPECT_TRUE(told_error(Errc::multipart_bad_head));
  EXPECT_TRUE(told_error(Errc::upload_field_too_large));
  EXPECT_TRUE(told_error(Errc::upload_file_too_large));
  EXPECT_TRUE(told_error(Errc::multipart_too_many_parts));
}

// What is kept of parts beside their content: names, of files too, and types.
TEST_P(Forms, TheNamesOfPartsCount) {
  const TempDir dir;
  for (const bool to_disk : {false, true}) {
    SCOPED_TRACE(to_disk);
    if (to_disk) {
      server.http_upload_files.stream_type = UploadStream::file;
      server.http_upload_files.save_directory = dir.path().string();
      server.http_upload_files.existing = ExistingFile::replace;
      server.on_http_request = [](Connection, const HttpRequest&, HttpResponse&) {};
    }
    server.limits.upload_fields_bytes = 100;
    server.limits.upload_field_bytes = 10;
    server.limits.upload_parts = 3;
    Running running = start();
    const std::string end = "--B--", name40(40, 'n');
    // 40 + 10, 1 + 40 + 9.
    const std::string field = part("name=" + name40, "0123456789");
    EXPECT_EQ(post(field + field + end).status, 200);
    EXPECT_EQ(post(field + field + part("name=a", "") + end).status, 413);
    const std::string file = "name=f; filename=" + name40;
    const std::string nine = "Content-Type: text/html\r\n", ten = "Content-Type: text/plain\r\n";
    EXPECT_EQ(post(field + part(file, large, nine) + end).status, 200);
    EXPECT_EQ(post(field + part(file, large, ten) + end).status, 413);
    EXPECT_EQ(post(part("name=a", "0123456789") + end).status, 200);
    EXPECT_EQ(post(part("name=a", "0123456789x") + end).status, 413);
    const std::string one = part("name=a", "1");
    EXPECT_EQ(post(one + one + one + end).status, 200);
    EXPECT_EQ(post(one + one + one + one + end).status, 413);
  }
}

INSTANTIATE_TEST_SUITE_P(Api, Forms, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
