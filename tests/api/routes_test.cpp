// tests/api/routes_test.cpp - which handler takes a request.
//
// RFC 9110 sections 9.3.2, 15.5.5, 15.5.6. Layer: tests.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "api/harness.hpp"

namespace sluice::test {
namespace {

class Routes : public ServerTest {
 protected:
  // Answers its own name and the parameters that are asked for.
  void add(std::string_view method, std::string_view pattern, std::string_view params = {}) {
    const std::string name(pattern);
    const std::string param(params);
    ASSERT_TRUE(
        server.route(method, pattern,
                     [name, param](Connection, const HttpRequest& request, HttpResponse& response) {
                       std::string text = name;
                       if (!param.empty()) text += " " + std::string(request.param(param));
                       response.content_text(std::move(text));
                     }));
  }
};

TEST_P(Routes, TakeWhatFitsBest) {
  add("GET", "/");
  add("GET", "/items");
  add("GET", "/items/{id}", "id");
  add("GET", "/items/new");
  add("GET", "/items/{id}/parts/{part}", "part");
  add("GET", "/items/new/parts/all");
  add("GET", "/files/{path...}", "path");
  add("GET", "/files/special/{name}", "name");
  server.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    response.content_text("no route");
    EXPECT_EQ(request.param("id"), "");
  };
  Running running = start();
  HttpClient http = client();
  const std::pair<std::string_view, std::string_view> expected[] = {
      {"/", "/"},
      {"/?x", "/"},
      {"/items", "/items"},
      {"/items/", "no route"},
      {"/items/7", "/items/{id} 7"},
      {"/items/a%20b", "/items/{id} a b"},
      {"/items/a%2Fb", "/items/{id} a%2Fb"},
      {"/items/new", "/items/new"},
      {"/items/newer", "/items/{id} newer"},
      {"/items/x/../new", "/items/new"},
      {"/items/7/parts/8", "/items/{id}/parts/{part} 8"},
      {"/items/new/parts/9", "/items/{id}/parts/{part} 9"},
      {"/items/new/parts/all", "/items/new/parts/all"},
      {"/items/7/parts", "no route"},
      {"/files/", "/files/{path...} "},
      {"/files/a/b/c", "/files/{path...} a/b/c"},
      {"/files/special/x", "/files/special/{name} x"},
      {"/files/special/x/y", "/files/{path...} special/x/y"},
      {"/other", "no route"},
      {"/Items", "no route"},
  };
  for (const auto& [path, answer] : expected) {
    HttpReply reply = http.get(path);
    ASSERT_TRUE(reply.complete) << path;
    EXPECT_EQ(reply.body, answer) << path;
  }
}

TEST_P(Routes, Answer405WithAllow) {
  add("GET", "/thing");
  add("POST", "/thing");
  add("DELETE", "/other");
  Running running = start();
  HttpClient http = client();
  HttpReply reply = http.request("PUT", "/thing");
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(reply.field("Allow"), "GET, POST, HEAD");
  EXPECT_TRUE(told_error(Errc::http_method_not_allowed));
  EXPECT_TRUE(logged(Errc::http_method_not_allowed));
  reply = http.request("GET", "/other");
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(reply.field("Allow"), "DELETE");
  EXPECT_EQ(http.request("HEAD", "/other").status, 405);
  EXPECT_EQ(http.request("BREW", "/nowhere").status, 404);
  EXPECT_EQ(http.request("POST", "/thing").status, 200);
  // With a body that nobody reads the connection ends, and not before the answer.
  reply = http.request("PUT", "/thing", "", "body");
  EXPECT_EQ(reply.status, 405);
  EXPECT_TRUE(http.at_end());
}

TEST_P(Routes, AnswerHeadByGet) {
  add("GET", "/a");
  add("GET", "/b");
  add("HEAD", "/b", "own");
  Running running = start();
  HttpClient http = client();
  HttpReply reply = http.request("HEAD", "/a");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("Content-Length"), "2");
  reply = http.request("HEAD", "/b");
  EXPECT_EQ(reply.field("Content-Length"), "3");
  EXPECT_EQ(http.get("/b").body, "/b");
}

TEST_P(Routes, ThatMakeNoSenseAreRefused) {
  auto handler = [](Connection, const HttpRequest&, HttpResponse&) {};
  auto code = [&](std::string_view method, std::string_view pattern) {
    Result<void> added = server.route(method, pattern, handler);
    EXPECT_TRUE(added || added.error().message().find(pattern) != std::string::npos);
    return added.error().code;
  };
  EXPECT_EQ(code("GET", ""), Errc::invalid_argument);
  EXPECT_EQ(code("GET", "a"), Errc::invalid_argument);
  EXPECT_EQ(code("", "/a"), Errc::invalid_argument);
  EXPECT_EQ(code("GET", "/{"), Errc::invalid_argument);
  EXPECT_EQ(code("GET", "/{}"), Errc::invalid_argument);
  EXPECT_EQ(code("GET", "/{a b}"), Errc::invalid_argument);
  EXPECT_EQ(code("GET", "/x{a}"), Errc::invalid_argument);
  EXPECT_EQ(code("GET", "/{a...}/b"), Errc::invalid_argument);
  EXPECT_EQ(code("GET", "/a"), Errc::none);
  EXPECT_EQ(code("GET", "/a"), Errc::invalid_argument);
  EXPECT_EQ(code("PUT", "/a"), Errc::none);
  EXPECT_EQ(code("GET", "/p/{a}"), Errc::none);
  EXPECT_EQ(code("GET", "/p/{b}"), Errc::invalid_argument);
  EXPECT_EQ(server.route("GET", "/empty", nullptr).error().code, Errc::invalid_argument);
  EXPECT_EQ(server.files("/static", "/tmp").error().code, Errc::invalid_argument);
  EXPECT_TRUE(server.websocket("/ws", {}));
  EXPECT_EQ(server.websocket("/ws", {}).error().code, Errc::invalid_argument);
  EXPECT_EQ(server.body_mode("x", {}).error().code, Errc::invalid_argument);
}

TEST_P(Routes, ThatThrowAre500AndTheServerGoesOn) {
  Told<std::string> thrown;
  server.on_exception = [&](Connection connection, std::exception_ptr what) {
    EXPECT_TRUE(connection.is_open());
    try {
      std::rethrow_exception(what);
    } catch (const std::exception& error) {
      thrown.tell(error.what());
    }
  };
  ASSERT_TRUE(server.route("GET", "/throw", [](Connection, const HttpRequest&, HttpResponse& r) {
    r.content_text("secret").header("X-Secret", "1");
    throw std::runtime_error("thrown");
  }));
  add("GET", "/fine");
  Running running = start();
  HttpClient http = client();
  HttpReply reply = http.get("/throw");
  ASSERT_TRUE(reply.complete);
  EXPECT_EQ(reply.status, 500);
  EXPECT_FALSE(reply.has("X-Secret"));
  EXPECT_EQ(reply.body.find("secret"), std::string::npos);
  EXPECT_EQ(reply.body.find("thrown"), std::string::npos);
  EXPECT_EQ(http.get("/fine").body, "/fine");
  EXPECT_EQ(thrown.all(), std::vector<std::string>{"thrown"});
  EXPECT_TRUE(logged(Errc::handler_threw));
}

TEST_P(Routes, ServeFilesBelowAPrefix) {
  const std::string directory = std::string(SLUICE_TEST_SOURCE_DIR) + "/include/sluice";
  ASSERT_TRUE(server.files("/static/", directory));
  server.on_http_request = [directory](Connection, const HttpRequest&, HttpResponse& response) {
    response.file_name(directory + "/version.hpp");
  };
  Running running = start();
  HttpClient http = client();
  HttpReply one = http.get("/static/version.hpp");
  EXPECT_EQ(one.status, 200);
  EXPECT_NE(one.body.find("SLUICE_VERSION"), std::string::npos);
  HttpReply two = http.get("/by-name");
  EXPECT_EQ(two.body, one.body);
  HttpReply part = http.get("/by-name", "Range: bytes=0-9\r\n");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, one.body.substr(0, 10));
  EXPECT_EQ(http.get("/static/none").status, 404);
  EXPECT_EQ(http.request("HEAD", "/static/version.hpp").field("Content-Length"),
            std::to_string(one.body.size()));
  Server other;
  prepare(other);
  ASSERT_TRUE(other.files("/x/", "/no/such/directory"));
  EXPECT_FALSE(other.start());
}

INSTANTIATE_TEST_SUITE_P(Api, Routes, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
