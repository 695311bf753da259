// tests/api/upload_harness.hpp - a server that stores what it is sent in a folder.
//
// Layer: tests.
#pragma once

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>

#include "api/harness.hpp"
#include "service/temp_dir.hpp"

namespace sluice::test {

inline std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Uploading : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    server.http_upload_files.stream_type = UploadStream::file;
    server.http_upload_files.save_directory = dir.path().string();
    server.on_http_request = [this](Connection, const HttpRequest& request,
                                    HttpResponse& response) {
      std::string said;
      for (const FormField& field : request.fields()) {
        said.append(field.name).append("=").append(field.value).append(";");
      }
      for (const UploadedFile& file : request.files()) {
        EXPECT_TRUE(file.content.empty());
        if (!file.path.empty()) {
          EXPECT_EQ(file.size, text_of(file.path).size());
        }
        said.append(file.name).append(":").append(file.file_name).append(":");
        said.append(std::filesystem::path(file.path).filename().string()).append(";");
      }
      told.tell("handler");
      response.content_text(said);
    };
  }
  static std::string part(std::string_view disposition, std::string_view content) {
    return "--B\r\nContent-Disposition: form-data; " + std::string(disposition) + "\r\n\r\n" +
           std::string(content) + "\r\n";
  }
  static std::string request(std::string_view body,
                             std::string_view type = "multipart/form-data; boundary=B") {
    return "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: " + std::string(type) +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
  }
  HttpReply post(std::string_view body, std::string_view type = "multipart/form-data; boundary=B") {
    HttpClient http = client();
    http.send(request(body, type));
    return http.read();
  }
  std::set<std::string> stored() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }
  using Names = std::set<std::string>;

  const TempDir dir;
  const std::string large = pattern(3'000'000);
  Told<std::string> told;
};

}  // namespace sluice::test
