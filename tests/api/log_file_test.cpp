// tests/api/log_file_test.cpp - settings.log_file of a server that runs.
//
// Layer: tests.
#include <filesystem>
#include <fstream>
#include <string>

#include "api/ws_harness.hpp"
#include "service/temp_dir.hpp"

namespace sluice::test {
namespace {

class LogFiles : public WsTest {
 protected:
  void SetUp() override {
    WsTest::SetUp();
    server.log_file.file_name = path;
  }
  static std::string text_of(const std::string& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // A line that has all of this.
  static bool has(const std::string& file, std::string_view words) {
    return eventually([&] { return text_of(file).find(words) != std::string::npos; });
  }
  void send_what_is_refused() {
    HttpClient http = client();
    http.send("TRACE /refused HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(http.read().status, 501);
  }

  const TempDir dir;
  const std::string path = dir / "sluice.log";
};

TEST_P(LogFiles, GetWhatOnLogIsTold) {
  {
    Running running = start();
    send_what_is_refused();
    EXPECT_TRUE(has(path, "Z info "));
    EXPECT_TRUE(has(path, "TRACE /refused\n"));
  }
  EXPECT_TRUE(told_error(Errc::http_method_not_implemented));
}

TEST_P(LogFiles, MayBeRenamedWhileTheServerRuns) {
  Running running = start();
  send_what_is_refused();
  ASSERT_TRUE(has(path, "TRACE /refused\n"));
  const std::string old = dir / "sluice.log.1";
  std::filesystem::rename(path, old);
  ASSERT_TRUE(server.apply(server));
  ASSERT_TRUE(has(path, "other settings are in force"));
  send_what_is_refused();
  ASSERT_TRUE(has(path, "TRACE /refused\n"));
  Settings next = server;
  next.log_file.level = LogLevel::error;
  ASSERT_TRUE(server.apply(next));
  send_what_is_refused();
  next.log_file.file_name = dir / "other.log";
  next.log_file.level = LogLevel::info;
  ASSERT_TRUE(server.apply(next));
  ASSERT_TRUE(has(next.log_file.file_name, "other settings are in force"));
  const std::string lines = text_of(path);
  EXPECT_EQ(lines.find("TRACE"), lines.rfind("TRACE")) << lines;  // once, before the level changed
}

TEST_P(LogFiles, ThatCannotBeOpenedAreRefused) {
  server.log_file.file_name = dir / "none/sluice.log";
  Result<void> started = server.start();
  EXPECT_EQ(started.error().code, Errc::not_found);
  EXPECT_NE(started.error().message().find("none/sluice.log"), std::string::npos);
  server.log_file.file_name = path;
  Running running = start();
  Settings next = server;
  next.log_file.file_name = dir / "none/sluice.log";
  next.limits.body_bytes = 7;
  EXPECT_EQ(server.apply(next).error().code, Errc::not_found);
  EXPECT_NE(server.limits.body_bytes, 7u);  // all or nothing
  next = server;
  next.log_file.file_name.clear();
  EXPECT_EQ(server.apply(next).error().code, Errc::bad_setting);
}

INSTANTIATE_TEST_SUITE_P(Api, LogFiles, engines(), name_of);

}  // namespace
}  // namespace sluice::test
