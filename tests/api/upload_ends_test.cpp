// tests/api/upload_ends_test.cpp - uploads that do not end well, and what their clients are told.
//
// Layer: tests.
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/upload_harness.hpp"
#include "support/small_disk.hpp"

namespace sluice::test {
namespace {

class UploadEnds : public Uploading {
 protected:
  static std::string head(std::string_view fields, std::string_view target = "/") {
    return "POST " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n" + std::string(fields) +
           "\r\n";
  }
  static std::string chunk(std::string_view bytes) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    return size + std::string(bytes) + "\r\n";
  }
  static std::string chunked_form(std::string_view target = "/") {
    return head("Content-Type: multipart/form-data; boundary=B\r\nTransfer-Encoding: chunked\r\n",
                target);
  }
  bool left_nothing() const {
    return eventually([&] { return stored().empty(); });
  }
  Names contents() const {
    Names all;
    for (const std::string& name : stored()) all.insert(text_of(dir / name));
    return all;
  }

  const std::string good = part("name=f; filename=good", "1");
};

TEST_P(UploadEnds, ABrokenChunkLeavesNothing) {
  Running running = start();
  HttpClient http = client();
  // The second chunk ends the first file and begins another.
  ASSERT_TRUE(http.send(chunked_form() + chunk(good) + chunk(part("name=f; filename=bad", large))));
  EXPECT_TRUE(eventually([&] { return stored().contains("good"); }));
  ASSERT_TRUE(http.send("no size\r\n"));
  EXPECT_EQ(http.read().status, 400);
  EXPECT_TRUE(left_nothing());
}

TEST_P(UploadEnds, MoreThanARouteTakesLeavesNothing) {
  RouteOptions options;
  options.body_bytes = 1000;
  ASSERT_TRUE(server.route("POST", "/small", server.on_http_request, options));
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send(chunked_form("/small") + chunk(good + "--B\r\n")));
  EXPECT_TRUE(eventually([&] { return stored().contains("good"); }));
  ASSERT_TRUE(http.send(chunk(std::string(1000, 'x'))));
  EXPECT_EQ(http.read().status, 413);
  EXPECT_TRUE(left_nothing());
}

TEST_P(UploadEnds, AClientThatGoesWhileAnEventRunsLeavesNothing) {
  Gate gate;
  server.on_http_upload_before_save_file = [&](Connection, std::string& name, std::string&) {
    told.tell(name);
    if (name == "second") gate.wait();
  };
  Running running = start();
  {
    HttpClient http = client();
    ASSERT_TRUE(http.send(request(good + part("name=f; filename=second", large) + "--B--")));
    ASSERT_TRUE(told.wait_for(2));
    EXPECT_EQ(stored(), Names{"good"});
    http.reset();
  }
  gate.open();
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  EXPECT_TRUE(left_nothing());
  EXPECT_EQ(told.count("handler"), 0u);
}

// Whenever it goes: what no handler was shown is not there.
TEST_P(UploadEnds, AClientThatGoesLeavesAllOrNothing) {
  Running running = start();
  const std::string whole = request(good + part("name=f; filename=large", large) + "--B--");
  for (std::size_t i = 0; i < 40; ++i) {
    HttpClient http = client();
    // All of it, nearly all, or as much as begins a write.
    const std::size_t sizes[] = {whole.size(), whole.size() - 2, 400'000 + i * 10'000};
    ASSERT_TRUE(http.send(std::string_view(whole).substr(0, sizes[i % 3])));
    http.reset();
  }
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  EXPECT_TRUE(eventually([&] { return stored().size() == 2 * told.count("handler"); }))
      << stored().size() << " files, " << told.count("handler") << " handlers";
}

TEST_P(UploadEnds, WhoseHandlerNeverBeginsLeavesNothing) {
  if (!on_pool()) return;  // it begins at once
  Gate gate;
  server.thread_pool_size = 1;
  server.timeouts.request_queue = std::chrono::milliseconds(100);
  ASSERT_TRUE(server.route("GET", "/wait", [&](Connection, const HttpRequest&, HttpResponse&) {
    told.tell("waits");
    gate.wait();
  }));
  Running running = start();
  HttpClient waiting = client();
  ASSERT_TRUE(waiting.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(told.wait_for(1));
  EXPECT_EQ(post(good + "--B--").status, 503);
  gate.open();
  EXPECT_EQ(waiting.read().status, 200);
  EXPECT_TRUE(left_nothing());
  EXPECT_EQ(told.count("handler"), 0u);
}

// A byte at a time: each receive that is kept would be one less for everybody else.
TEST_P(UploadEnds, SlowOnesKeepNothingThatOthersNeed) {
  server.shards = 1;
  server.read_buffer_size = 1024;
  server.fine_tune.high_perf_accepts_per_worker = 1;  // 256 receive blocks
  Running running = start();
  HttpClient slow = client();
  const std::string begin = head("Content-Type: text/plain\r\nContent-Length: 1000\r\n");
  ASSERT_TRUE(slow.send(begin));
  for (std::uint64_t sent = begin.size(); sent < begin.size() + 300; ++sent) {
    ASSERT_TRUE(eventually([&] { return server.counters().bytes_received == sent; })) << sent;
    ASSERT_TRUE(slow.send("x"));
  }
  EXPECT_EQ(server.counters().receive_buffers_exhausted, 0u);
  EXPECT_EQ(client().get("/").status, 200);
}

// What came in front of the pause was all: nothing else begins the time of the next piece.
TEST_P(UploadEnds, AClientThatStallsBehindAPauseIsTimedOut) {
  server.timeouts.entity_body = std::chrono::milliseconds(200);
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send(head("Content-Type: multipart/form-data; boundary=B\r\n"
                             "Content-Length: 100000\r\n") +
                        good + "--B\r\n"));
  EXPECT_TRUE(eventually([&] { return stored().contains("good"); }));
  EXPECT_EQ(http.read().status, 408);
  EXPECT_TRUE(left_nothing());
}

TEST_P(UploadEnds, WhatTheLengthForbidsIsNotAskedFor) {
  server.limits.upload_file_bytes = 1000;
  Running running = start();
  const std::string type = "Content-Type: text/plain\r\nExpect: 100-continue\r\nContent-Length: ";
  HttpClient http = client();
  ASSERT_TRUE(http.send(head(type + "1001\r\n")));
  const HttpReply refused = http.read();
  EXPECT_EQ(refused.status, 413);
  EXPECT_TRUE(refused.interim.empty());
  HttpClient other = client();
  ASSERT_TRUE(other.send(head(type + "1000\r\n")));
  EXPECT_TRUE(other.wait_for(12).starts_with("HTTP/1.1 100"));
  ASSERT_TRUE(other.send(std::string(1000, 'x')));
  EXPECT_EQ(other.read().status, 200);
  EXPECT_EQ(stored().size(), 1u);
}

// It reads its answer although it had much more to say.
TEST_P(UploadEnds, AnAnswerBeforeTheEndArrives) {
  server.limits.upload_file_bytes = 100'000;
  Running running = start();
  const std::string much = pattern(20'000'000);
  EXPECT_EQ(post(part("name=f; filename=x", much) + "--B--").status, 413);
  EXPECT_EQ(post(part("name=f; filename=\"..\"", much) + "--B--").status, 400);
  EXPECT_TRUE(left_nothing());
}

TEST_P(UploadEnds, RequestsBehindItWaitTheirTurn) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send(request(part("name=f; filename=x", large) + "--B--") +
                        request(part("name=f; filename=y", "1") + "--B--") +
                        "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(http.read().body, "f:x:x;");
  EXPECT_EQ(http.read().body, "f:y:y;");
  const HttpReply last = http.read();
  EXPECT_EQ(last.status, 200);
  EXPECT_EQ(last.body, "");
}

TEST_P(UploadEnds, TheTimeOfAnIdleConnectionBeginsBehindIt) {
  server.timeouts.idle_connection = std::chrono::milliseconds(100);
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send(request(good + "--B--")));
  EXPECT_EQ(http.read().status, 200);
  EXPECT_TRUE(http.at_end());
}

TEST_P(UploadEnds, NothingAtAllIsAnEmptyFile) {
  server.http_upload_files.min_size = 1000;  // of a body that says its length
  Running running = start();
  HttpClient http = client();
  const std::string type = "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n";
  ASSERT_TRUE(http.send(head(type) + "0\r\n\r\n" + head(type) + "1\r\nx\r\n0\r\n\r\n"));
  for (const std::string_view content : {"", "x"}) {
    EXPECT_EQ(http.read().status, 200);
    EXPECT_EQ(contents().count(std::string(content)), 1u);
  }
  EXPECT_EQ(stored().size(), 2u);
}

TEST_P(UploadEnds, WhatIsThereIsRefusedWithAConflict) {
  server.http_upload_files.existing = ExistingFile::refuse;
  dir.write("good", "before");
  Running running = start();
  EXPECT_EQ(post(part("name=f; filename=new", "1") + good + "--B--").status, 409);
  EXPECT_TRUE(eventually([&] { return stored() == Names{"good"}; }));
  EXPECT_EQ(text_of(dir / "good"), "before");
}

// A form that fails takes back what is new; what was there before cannot come back.
TEST_P(UploadEnds, WhatHasTakenAPlaceStays) {
  server.http_upload_files.existing = ExistingFile::replace;
  dir.write("good", "before");
  Running running = start();
  EXPECT_EQ(post(good + part("name=f; filename=new", "1") + "nonsense").status, 400);
  EXPECT_TRUE(eventually([&] { return stored() == Names{"good"}; }));
  EXPECT_EQ(text_of(dir / "good"), "1");
}

// Which folders there are is not the client's business.
TEST_P(UploadEnds, AFolderThatIsMissingIsTheServersFault) {
  server.on_http_upload_before_save_file = [](Connection, std::string&, std::string& path) {
    path += "/none";
  };
  Running running = start();
  const HttpReply reply = post(good + "--B--");
  EXPECT_EQ(reply.status, 500);
  EXPECT_EQ(reply.body.find(dir.path().string()), std::string::npos);
  EXPECT_TRUE(logged(Errc::not_found));
}

TEST_P(UploadEnds, ItsFolderMustBeThereAtTheStart) {
  server.http_upload_files.save_directory = dir / "none";
  const Error why = server.start().error();
  EXPECT_EQ(why.code, Errc::bad_setting);
  EXPECT_NE(why.detail.find("http_upload_files.save_directory"), std::string::npos);
}

TEST_P(UploadEnds, WhatAKilledProcessLeftGoesAtTheStart) {
  dir.write(".sluice-upload-0123456789abcdef", "half");
  dir.write("whole", "1");
  Running running = start();
  EXPECT_EQ(stored(), Names{"whole"});
}

INSTANTIATE_TEST_SUITE_P(Api, UploadEnds, engines_and_dispatches(), name_of);

// --- A disk that is full -------------------------------------------------------------------------

class FullDisk : public UploadEnds {
 protected:
  void SetUp() override {
    SKIP_WITHOUT(small_disk);
    UploadEnds::SetUp();
  }
  // Of the disk's folder.
  std::set<std::string> names_on(const SmallDisk& disk) const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(disk.path())) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }
};

TEST_P(FullDisk, Answers507AndLeavesNothing) {
  on_small_disk(10 << 20, [this](const SmallDisk& disk) {
    server.http_upload_files.save_directory = disk.path();
    Running running = start();
    const std::string much = pattern(12 << 20);
    const auto is_empty = [&] { return names_on(disk).empty(); };
    EXPECT_EQ(post(much, "text/plain").status, 507);
    EXPECT_TRUE(eventually(is_empty));
    EXPECT_EQ(post(good + part("name=f; filename=bad", much) + "--B--").status, 507);
    EXPECT_TRUE(eventually(is_empty));
    // Five at once, of which three fit.
    std::vector<std::unique_ptr<HttpClient>> clients;
    const std::string third = request(std::string_view(much).substr(0, 3 << 20), "text/plain");
    for (int i = 0; i < 5; ++i) {
      clients.push_back(std::make_unique<HttpClient>(port, "127.0.0.1", kPatience));
      ASSERT_TRUE(clients.back()->send(third));
    }
    std::size_t fitted = 0;
    for (auto& http : clients) {
      const int status = http->read().status;
      EXPECT_TRUE(status == 200 || status == 507) << status;
      fitted += status == 200;
    }
    EXPECT_LE(fitted, 3u);
    EXPECT_TRUE(eventually([&] { return names_on(disk).size() == fitted; }));
    for (const std::string& name : names_on(disk)) std::filesystem::remove(disk / name);
    EXPECT_EQ(post(std::string_view(much).substr(0, 9 << 20), "text/plain").status, 200);
    ASSERT_EQ(names_on(disk).size(), 1u);
    EXPECT_EQ(std::filesystem::file_size(disk / *names_on(disk).begin()), std::size_t{9} << 20);
  });
}

INSTANTIATE_TEST_SUITE_P(Api, FullDisk, engines(), name_of);

}  // namespace
}  // namespace sluice::test
