// tests/api/upload_rules_test.cpp - uploads that others must not suffer from, and what limits them.
//
// Layer: tests.
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "api/upload_harness.hpp"
#include "support/ws_client.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kText = "Content-Type: text/plain\r\n";

class UploadRules : public Uploading {
 protected:
  HttpReply send(std::string_view method, std::string_view target, std::string_view body,
                 std::string_view fields = {}) {
    return client().request(method, target, fields, body);
  }
  // The head does not say how much it is.
  HttpReply send_chunked(std::string_view target, std::string_view body) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", body.size());
    HttpClient http = client();
    EXPECT_TRUE(http.send("PUT " + std::string(target) +
                          " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + size +
                          std::string(body) + "\r\n0\r\n\r\n"));
    return http.read();
  }
  static std::string inode_of(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return {};
    return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
  }
  bool left_nothing() const {
    return eventually([&] { return stored().empty(); });
  }

  static constexpr std::string_view kGarbage = "--B\r\nnonsense\r\n\r\n";
  const std::string good = part("name=f; filename=good", "1");
};

// --- Files of others -----------------------------------------------------------------------------

// The number of a file that has gone is given to the next one.
TEST_P(UploadRules, AFormThatFailsLeavesTheFilesOfOthers) {
  Running running = start();
  HttpClient failing = client();
  const std::string whole = request(part("name=f; filename=x", "of the first") +
                                    part("name=f; filename=y", "2") + "--B--");
  ASSERT_TRUE(failing.send(std::string_view(whole).substr(0, whole.size() - 2)));
  ASSERT_TRUE(eventually([&] { return stored() == Names{"x", "y"}; }));
  const std::string before = inode_of(dir / "x");
  // The application moves it away, others bring files of that name.
  for (int i = 0; i < 20; ++i) {
    std::filesystem::remove(dir / "x");
    ASSERT_EQ(post(part("name=f; filename=x", "of another") + "--B--").status, 200);
    if (inode_of(dir / "x") == before) break;
  }
  failing.reset();
  EXPECT_TRUE(eventually([&] { return !stored().contains("y"); }));
  EXPECT_EQ(stored(), Names{"x"});
  EXPECT_EQ(text_of(dir / "x"), "of another");
}

TEST_P(UploadRules, AFormThatFailsLeavesWhatHasReplacedItsFile) {
  server.http_upload_files.existing = ExistingFile::replace;
  Running running = start();
  HttpClient failing = client();
  const std::string whole = request(part("name=f; filename=x", "of the first") +
                                    part("name=f; filename=y", "2") + "--B--");
  ASSERT_TRUE(failing.send(std::string_view(whole).substr(0, whole.size() - 2)));
  ASSERT_TRUE(eventually([&] { return stored() == Names{"x", "y"}; }));
  const std::string before = inode_of(dir / "x");
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(post(part("name=f; filename=x", "of another") + "--B--").status, 200);
    if (inode_of(dir / "x") == before) break;
  }
  failing.reset();
  EXPECT_TRUE(eventually([&] { return !stored().contains("y"); }));
  EXPECT_EQ(stored(), Names{"x"});
  EXPECT_EQ(text_of(dir / "x"), "of another");
}

// More files than the server holds on to.
TEST_P(UploadRules, AFormOfManyFilesThatFailsLeavesNothing) {
  Running running = start();
  std::string parts;
  for (int i = 0; i < 80; ++i) parts += part("name=f; filename=x" + std::to_string(i), "1");
  EXPECT_EQ(post(parts + std::string(kGarbage)).status, 400);
  EXPECT_TRUE(left_nothing());
}

// The second has replaced the first, which was its own.
TEST_P(UploadRules, TheSameNewNameTwiceLeavesNothing) {
  server.http_upload_files.existing = ExistingFile::replace;
  dir.write("old", "before");
  Running running = start();
  const std::string twice = part("name=f; filename=new", "1") + part("name=f; filename=new", "2");
  EXPECT_EQ(post(twice + std::string(kGarbage)).status, 400);
  EXPECT_TRUE(eventually([&] { return stored() == Names{"old"}; }));
  const std::string old = part("name=f; filename=old", "1") + part("name=f; filename=old", "2");
  EXPECT_EQ(post(old + std::string(kGarbage)).status, 400);
  EXPECT_EQ(stored(), Names{"old"});
  EXPECT_EQ(text_of(dir / "old"), "2");
}

// --- Who is asked, and what is refused -----------------------------------------------------------

TEST_P(UploadRules, TheApplicationIsAskedForAnEmptyBodyToo) {
  std::atomic<bool> wanted{false};
  server.on_http_upload_before_create_post_stream = [&](Connection, const HttpRequest&,
                                                        bool& accept) {
    told.tell("asked");
    accept = wanted;
  };
  dir.write("x", "before");
  ASSERT_TRUE(server.uploads("/put/", dir.path().string(), {.existing = ExistingFile::replace}));
  Running running = start();
  EXPECT_EQ(send("PUT", "/put/x", "").status, 413);
  EXPECT_EQ(text_of(dir / "x"), "before");
  EXPECT_EQ(told.all(), std::vector<std::string>{"asked"});
  wanted = true;
  EXPECT_EQ(send("PUT", "/put/x", "").status, 201);
  EXPECT_EQ(text_of(dir / "x"), "");
  EXPECT_EQ(send("GET", "/", "").status, 200);  // nobody stores it: nobody is asked
  EXPECT_EQ(told.count("asked"), 2u);
}

// What a group says itself, not what it has of the server.
TEST_P(UploadRules, TheLimitOfAGroupHolds) {
  const std::uint16_t bound = free_port();
  const std::string url = "http://127.0.0.1:" + std::to_string(bound);
  server.bindings.add(url + "/");
  server.bindings.add(url + "/small/", {.url_group = "small"});
  server.bindings.add(url + "/other/", {.url_group = "other"});
  server.url_groups["small"].body_bytes = 1000;
  server.url_groups["other"].connections = 100;
  server.limits.body_bytes = 500;
  ASSERT_TRUE(server.uploads("/small/up/", dir.path().string()));
  ASSERT_TRUE(server.uploads("/small/own/", dir.path().string(), {.body_bytes = 2000}));
  ASSERT_TRUE(server.uploads("/other/up/", dir.path().string()));
  Running running = start();
  port = bound;
  const std::string fits(1000, 'x'), over(1001, 'x');
  EXPECT_EQ(send("PUT", "/small/up/a", fits).status, 201);
  EXPECT_EQ(send("PUT", "/small/up/b", over).status, 413);
  EXPECT_EQ(send_chunked("/small/up/c", fits).status, 201);
  EXPECT_EQ(send_chunked("/small/up/d", over).status, 413);
  EXPECT_EQ(send("POST", "/small/", fits, kText).status, 200);
  EXPECT_EQ(send("POST", "/small/", over, kText).status, 413);
  EXPECT_EQ(send("PUT", "/small/own/e", over).status, 201);
  EXPECT_EQ(send("PUT", "/other/up/f", over).status, 201);
  EXPECT_EQ(send("POST", "/", over, kText).status, 200);
  for (const char* name : {"b", "d"}) EXPECT_FALSE(stored().contains(name)) << name;
}

// Else the rest of a file would take the place of the whole.
TEST_P(UploadRules, APieceOfAFileIsRefused) {
  dir.write("x", "before");
  ASSERT_TRUE(server.uploads("/put/", dir.path().string(), {.existing = ExistingFile::replace}));
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(
      http.send("PUT /put/x HTTP/1.1\r\nHost: a\r\nContent-Range: bytes 3-5/6\r\n"
                "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
  const HttpReply reply = http.read();
  EXPECT_EQ(reply.status, 400);
  EXPECT_TRUE(reply.interim.empty());
  EXPECT_EQ(text_of(dir / "x"), "before");
}

TEST_P(UploadRules, APrefixHasNoParameters) {
  for (const char* prefix : {"/u/{id}/", "/{a}/", "/x}/"}) {
    const Error why = server.uploads(prefix, dir.path().string()).error();
    EXPECT_EQ(why.code, Errc::invalid_argument) << prefix;
    EXPECT_NE(why.detail.find(prefix), std::string::npos) << why.detail;
  }
}

// --- Names ---------------------------------------------------------------------------------------

TEST_P(UploadRules, BodiesWithoutNamesGetNamesOfTheirOwn) {
  server.http_upload_files.existing = ExistingFile::refuse;
  Running running = start();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(post("1", "text/plain").status, 200);
  EXPECT_EQ(stored().size(), 3u);
  for (const std::string& name : stored()) EXPECT_TRUE(name.starts_with("upload-")) << name;
}

// As when it is read in memory: it has no name, and what it says is there.
TEST_P(UploadRules, AFileWithoutANameIsKept) {
  server.on_http_upload_before_save_file = [&](Connection, std::string& name, std::string&) {
    told.tell("before " + name.substr(0, 7));
  };
  server.on_http_request = [this](Connection, const HttpRequest& request, HttpResponse& response) {
    for (const UploadedFile& file : request.files()) {
      response.content_text(file.name + ":" + file.file_name + ":" + std::to_string(file.size) +
                            ":" + file.content_type);
      told.tell(file.path);
    }
  };
  Running running = start();
  for (const std::string& content : {std::string("1"), large}) {
    const HttpReply reply = post(
        "--B\r\nContent-Disposition: form-data; name=f; filename=\"\"\r\nContent-Type: "
        "image/png\r\n\r\n" +
        content + "\r\n--B--");
    EXPECT_EQ(reply.body, "f::" + std::to_string(content.size()) + ":image/png");
    const std::vector<std::string> all = told.all();
    ASSERT_GE(all.size(), 2u);
    EXPECT_EQ(all[all.size() - 2], "before upload-");
    EXPECT_TRUE(text_of(all.back()) == content);
  }
  EXPECT_EQ(post(part("name=f; filename=\"\"", "") + "--B--").body, "f::0:");
  EXPECT_EQ(stored().size(), 2u);
}

// --- Ends ----------------------------------------------------------------------------------------

TEST_P(UploadRules, WhatIsThrownInFrontOfTheHandlerLeavesNothing) {
  server.on_http_upload_read_input = [](Connection, std::string_view, std::string_view) {
    throw std::runtime_error("no");
  };
  Running running = start();
  EXPECT_EQ(post(good + part("name=a", "1") + "--B--").status, 500);
  EXPECT_TRUE(left_nothing());
  EXPECT_EQ(told.count("handler"), 0u);
  EXPECT_EQ(post(good + "--B--").status, 200);  // no field: it is not told
  EXPECT_EQ(stored(), Names{"good"});
}

// What the handler throws is another matter: it has seen them.
TEST_P(UploadRules, WhatTheHandlerThrowsLeavesItsFiles) {
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse&) {
    throw std::runtime_error("no");
  };
  Running running = start();
  EXPECT_EQ(post(good + "--B--").status, 500);
  EXPECT_EQ(stored(), Names{"good"});
}

// The time in the queue begins when the handler begins to wait, whatever the body has waited for.
TEST_P(UploadRules, TheHandlerOfAnUploadWaitsNoLongerThanOthers) {
  if (!on_pool()) return;  // it does not wait
  Gate event, message;
  server.shards = 1;
  server.thread_pool_size = 1;
  server.timeouts.request_queue = 100ms;
  server.on_http_upload_after_save_file = [&](Connection, std::string_view, std::string_view) {
    told.tell("event");
    event.wait();
  };
  server.on_message = [&](Connection, std::string_view) {
    told.tell("message");
    message.wait();
  };
  Running running = start();
  WsClient socket(port, "/", {}, kPatience);
  HttpClient http = client();
  ASSERT_TRUE(http.send(request(good + "--B--")));
  ASSERT_TRUE(told.wait_for(1));
  // The next that the only thread does is the message, and who came behind it has timed out.
  const std::uint64_t before = server.counters().bytes_received;
  const std::string frame = WsClient::frame(WsClient::kText, "x");
  ASSERT_TRUE(socket.send(frame));
  ASSERT_TRUE(
      eventually([&] { return server.counters().bytes_received == before + frame.size(); }));
  ASSERT_EQ(client().get("/").status, 503);
  event.open();
  ASSERT_TRUE(told.wait_for(2));
  EXPECT_EQ(told.all().back(), "message");
  EXPECT_EQ(http.read().status, 503);
  message.open();
  EXPECT_TRUE(left_nothing());
  EXPECT_EQ(told.count("handler"), 0u);
}

// --- What the system says ------------------------------------------------------------------------

// Signals are the application's: SIGXFSZ would end it.
TEST_P(UploadRules, AFileThatIsTooLargeForTheProcessIsNoSignal) {
  for (const bool to_disk : {true, false}) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const rlimit limit{1 << 20, 1 << 20};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      if (!to_disk) server.http_upload_files = {};
      {
        Running running = start();
        EXPECT_EQ(post(large, "text/plain").status, 507);
        EXPECT_EQ(post(part("name=f; filename=x", large) + "--B--").status, 507);
        EXPECT_TRUE(!to_disk || left_nothing());
        EXPECT_EQ(post("1", "text/plain").status, 200);
      }
      std::fflush(nullptr);
      ::_exit(HasFailure() ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status << " " << to_disk;
  }
}

TEST_P(UploadRules, HandlersRunWhereNoSignalComes) {
  server.on_http_request = [this](Connection, const HttpRequest&, HttpResponse&) {
    sigset_t blocked;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    for (const int one : {SIGTERM, SIGHUP, SIGXFSZ, SIGPIPE}) {
      EXPECT_EQ(::sigismember(&blocked, one), 1) << one;
    }
    told.tell("handler");
  };
  Running running = start();
  EXPECT_EQ(post(good + "--B--").status, 200);
  EXPECT_EQ(told.count("handler"), 1u);
}

// A body is in a file long before its handler sees it.
TEST_P(UploadRules, AFolderForBodiesThatIsMissingIsToldAsSuch) {
  server.http_upload_files = {};
  std::fflush(nullptr);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::setenv("TMPDIR", "/nonexistent/folder", 1);
    {
      Running running = start();
      EXPECT_EQ(post(large, "text/plain").status, 500);
    }
    std::fflush(nullptr);
    ::_exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

INSTANTIATE_TEST_SUITE_P(Api, UploadRules, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
