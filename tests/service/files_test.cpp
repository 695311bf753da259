// tests/service/files_test.cpp - what paths lead to: files, directories, links, and what must not
// be served.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <string>

#include "harness.hpp"
#include "temp_dir.hpp"

namespace sluice::test {
namespace {

std::string escape_all(std::string_view name) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const char c : name) {
    out += '%';
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

TEST(Files, AFileWithItsFields) {
  TempDir dir;
  dir.write("a.txt", "hello");
  Harness harness;
  ASSERT_TRUE(harness.files("/f/", dir.path(), {.cache_control = "max-age=60"}));
  for (int round = 0; round < 2; ++round) {  // looked up, remembered
    Outcome got = harness.get("/f/a.txt");
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.body, "hello");
    EXPECT_EQ(got.length, 5u);
    EXPECT_EQ(got.type, "text/plain; charset=utf-8");
    EXPECT_EQ(got.field("Accept-Ranges"), "bytes");
    EXPECT_EQ(got.field("Cache-Control"), "max-age=60");
    EXPECT_EQ(got.field("Last-Modified").size(), 29u);
    EXPECT_EQ(got.field("ETag").front(), '"');
    EXPECT_EQ(got.field("ETag").back(), '"');
    EXPECT_FALSE(got.has("Vary"));
    EXPECT_TRUE(got.in_memory);
  }
  EXPECT_EQ(harness.submitted(), 1u);
}

TEST(Files, SmallOnesAreSentFromMemoryLargerOnesFromTheDescriptor) {
  TempDir dir;
  dir.write("small", std::string(service::kInMemory, 's'));
  dir.write("large", std::string(service::kInMemory + 1, 'l'));
  dir.write("empty", "");
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  Outcome small = harness.get("/small"), large = harness.get("/large"),
          empty = harness.get("/empty");
  EXPECT_TRUE(small.in_memory);
  EXPECT_EQ(small.body, std::string(service::kInMemory, 's'));
  EXPECT_FALSE(large.in_memory);
  EXPECT_EQ(large.body, std::string(service::kInMemory + 1, 'l'));
  EXPECT_EQ(empty.status, 200);
  EXPECT_EQ(empty.length, 0u);
  EXPECT_EQ(empty.body, "");
}

TEST(Files, ThereIsNoWayOutOfTheRoot) {
  TempDir dir;
  dir.write("secret.txt", "secret");
  dir.write("root/a.txt", "a");
  dir.write("root/sub/b.txt", "b");
  dir.write("root2/x.txt", "secret");  // the root's name is a prefix of this one
  Harness harness;
  ASSERT_TRUE(harness.files("/f/", dir / "root"));
  const char* targets[] = {"/f/../secret.txt",
                           "/f/..%2fsecret.txt",
                           "/f/%2e%2e/secret.txt",
                           "/f/%2e%2e%2fsecret.txt",
                           "/f/.%2e/secret.txt",
                           "/f/sub/../../secret.txt",
                           "/f/sub/%2e%2e/%2e%2e/secret.txt",
                           "/f/..%5csecret.txt",
                           "/f/..\\secret.txt",
                           "/f/%5c..%5csecret.txt",
                           "/f//../secret.txt",
                           "/f/%252e%252e/secret.txt",
                           "/f/%252e%252e%252fsecret.txt",
                           "/f/..%252fsecret.txt",
                           "/f/..%c0%afsecret.txt",
                           "/f/%c0%ae%c0%ae/secret.txt",
                           "/f/..%00/secret.txt",
                           "/f/a.txt%00.html",
                           "/f//etc/passwd",
                           "/f/%2fetc/passwd",
                           "/f/%2Fetc%2Fpasswd",
                           "/f/../root2/x.txt",
                           "/f/..%2froot2%2fx.txt",
                           "/f/.../secret.txt",
                           "/f/..;/secret.txt",
                           "/f/%u002e%u002e/secret.txt",
                           "/f/a.txt/../../secret.txt",
                           "/f/a.txt/..%2f..%2fsecret.txt",
                           "/f/sub/..%2f..%2fsecret.txt",
                           "/f/./../secret.txt",
                           "/../secret.txt",
                           "/f/..",
                           "/f/%2e%2e"};
  for (const char* target : targets) {
    Outcome got = harness.get(target);
    EXPECT_TRUE(got.status == 404 || got.status == 400) << target << " " << got.status;
    EXPECT_EQ(got.body.find("secret\0"), std::string::npos) << target;
    EXPECT_NE(got.body, "secret") << target;
  }
  // What stays inside is an ordinary path.
  EXPECT_EQ(harness.get("/f/sub/../a.txt").body, "a");
  EXPECT_EQ(harness.get("/f/sub/%2e%2e/a.txt").body, "a");
  EXPECT_EQ(harness.get("/f/./sub/./b.txt").body, "b");
}

TEST(Files, SymlinksInsideAreFollowedThoseOutAreRefusedUnlessAllowed) {
  TempDir dir;
  dir.write("out/secret.txt", "secret");
  dir.write("root/a.txt", "a");
  dir.write("root/sub/b.txt", "b");
  dir.write("root2/x.txt", "secret");
  dir.link("a.txt", "root/in");
  dir.link(dir / "root/sub/b.txt", "root/absolute_in");
  dir.link("../root/sub", "root/around");
  dir.link("../out/secret.txt", "root/out_file");
  dir.link("../out", "root/out_dir");
  dir.link("/etc/passwd", "root/absolute_out");
  dir.link("/", "root/slash");
  dir.link("../root2", "root/neighbour");
  dir.link("out_file", "root/chain");
  dir.link("loop", "root/loop");
  dir.link("nowhere", "root/dangling");
  struct Case {
    const char* target;
    int strict, open;
    const char* body;
  };
  const Case cases[] = {
      {"/in", 200, 200, "a"},
      {"/absolute_in", 200, 200, "b"},
      {"/around/b.txt", 200, 200, "b"},
      {"/out_file", 403, 200, "secret"},
      {"/out_dir/secret.txt", 403, 200, "secret"},
      {"/neighbour/x.txt", 403, 200, "secret"},
      {"/chain", 403, 200, "secret"},
      {"/loop", 404, 404, nullptr},
      {"/dangling", 404, 404, nullptr},
      {"/absolute_out", 403, 200, nullptr},
      {"/slash/etc/passwd", 403, 200, nullptr},
      {"/slash/", 403, 404, nullptr},
      {"/out_dir", 403, 301, nullptr},
  };
  Harness strict, open;
  ASSERT_TRUE(strict.files("/", dir / "root"));
  ASSERT_TRUE(open.files("/", dir / "root", {.follow_symlinks_out = true}));
  for (const Case& c : cases) {
    Outcome got = strict.get(c.target);
    EXPECT_EQ(got.status, c.strict) << c.target;
    if (c.strict == 200) {
      EXPECT_EQ(got.body, c.body) << c.target;
    }
    got = open.get(c.target);
    EXPECT_EQ(got.status, c.open) << c.target;
    if (c.open == 200 && c.body) {
      EXPECT_EQ(got.body, c.body) << c.target;
    }
  }
}

TEST(Files, TheRootItselfMayBeASymlinkAndBeSwitched) {
  TempDir dir;
  dir.write("one/v.txt", "one");
  dir.write("two/v.txt", "two");
  dir.link("one", "current");
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir / "current"));
  EXPECT_EQ(harness.get("/v.txt").body, "one");
  dir.link("two", "next");
  std::filesystem::rename(dir / "next", dir / "current");
  harness.pass(std::chrono::seconds(1));
  EXPECT_EQ(harness.get("/v.txt").body, "two");
}

TEST(Files, NoDeviceNoFifoNoSocket) {
  TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo((dir / "packed.txt.gz").c_str(), 0600), 0);
  dir.write("packed.txt", "plain");
  dir.link("/dev/zero", "zero");
  dir.link("/dev/tty", "tty");
  int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string socket_path = dir / "socket";
  ASSERT_LT(socket_path.size(), sizeof address.sun_path);
  socket_path.copy(address.sun_path, socket_path.size());
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path(), {.listing = true, .follow_symlinks_out = true}));
  for (const char* target : {"/fifo", "/zero", "/tty", "/socket"}) {
    EXPECT_EQ(harness.get(target).status, 403) << target;
  }
  // A sibling of the wrong kind is none.
  Outcome packed = harness.get("/packed.txt", "Accept-Encoding: gzip\r\n");
  EXPECT_EQ(packed.body, "plain");
  EXPECT_FALSE(packed.has("Content-Encoding"));
  // None of them is listed.
  Outcome list = harness.get("/");
  EXPECT_EQ(list.status, 200);
  for (const char* name : {"fifo", "zero", "tty", "socket", "packed.txt.gz"}) {
    EXPECT_EQ(list.body.find(std::string("href=\"") + name), std::string::npos) << name;
  }
  ::close(listener);
}

TEST(Files, HiddenOnesAreServedWhenAllowed) {
  TempDir dir;
  dir.write(".env", "key");
  dir.write(".git/config", "key");
  dir.write("a/.b/c", "key");
  Harness closed, open;
  ASSERT_TRUE(closed.files("/", dir.path(), {.listing = true}));
  ASSERT_TRUE(open.files("/", dir.path(), {.listing = true, .hidden_files = true}));
  for (const char* target : {"/.env", "/%2eenv", "/.git/config", "/.git/", "/.git", "/a/.b/c"}) {
    EXPECT_EQ(closed.get(target).status, 404) << target;
  }
  EXPECT_EQ(closed.get("/").body.find(".env"), std::string::npos);
  EXPECT_EQ(open.get("/.env").body, "key");
  EXPECT_EQ(open.get("/.git/config").body, "key");
  EXPECT_EQ(open.get("/a/.b/c").body, "key");
  EXPECT_NE(open.get("/").body.find("href=\".env\""), std::string::npos);
}

// Every octet that a file name may have; controls are refused by the routing path itself.
TEST(Files, NamesWithEveryOctet) {
  TempDir dir;
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path(), {.hidden_files = true}));
  for (int octet = 1; octet < 256; ++octet) {
    if (octet == '/') continue;
    const std::string name = "n" + std::string(1, static_cast<char>(octet)) + "x";
    dir.write(name, name);
    Outcome got = harness.get("/" + escape_all(name));
    const bool can_be_named = octet >= 0x20 && octet < 0x7f;
    EXPECT_EQ(got.status, can_be_named ? 200 : 400) << octet;
    if (can_be_named) {
      EXPECT_EQ(got.body, name) << octet;
    }
  }
  for (const char* name : {"%", "%41", "%2F", "%25", "\\", "a\\b", "caf\xC3\xA9", "\xE2\x82\xAC",
                           "\xF0\x9F\x98\x80", " ", "~", "a?b#c", "&;=+", "...", "%%%", "-"}) {
    dir.write(name, name);
    EXPECT_EQ(harness.get("/" + escape_all(name)).body, name) << name;
  }
  EXPECT_EQ(harness.get("/a%5cb").body, "a\\b");
  EXPECT_EQ(harness.get("/a\\b").body, "a\\b");
  EXPECT_EQ(harness.get("/%2541").body, "%41");
  // Longer than a name may be.
  EXPECT_EQ(harness.get("/" + std::string(256, 'a')).status, 404);
  EXPECT_EQ(harness.get("/" + std::string(5000, 'a')).status, 404);
}

TEST(Files, DirectoriesRedirectIndexAndList) {
  TempDir dir;
  dir.write("index.html", "home");
  dir.write("with/index.html", "inner");
  dir.write("without/a.txt", "a");
  dir.write("odd %\xC3\xA9\\?#&<\"/a.txt", "a");
  Harness plain, listing, none;
  ASSERT_TRUE(plain.files("/f/", dir.path()));
  ASSERT_TRUE(listing.files("/f/", dir.path(), {.listing = true}));
  ASSERT_TRUE(none.files("/f/", dir.path(), {.index = ""}));
  EXPECT_EQ(plain.get("/f/").body, "home");
  EXPECT_EQ(plain.get("/f/").type, "text/html; charset=utf-8");
  EXPECT_EQ(plain.get("/f/with/").body, "inner");
  EXPECT_EQ(plain.get("/f/without/").status, 404);
  EXPECT_EQ(none.get("/f/with/").status, 404);
  EXPECT_EQ(plain.get("/f/index.html/").status, 404);
  EXPECT_EQ(plain.get("/f/index.html/x").status, 404);
  struct Case {
    const char *target, *location;
  };
  const Case redirects[] = {
      {"/f/with", "/f/with/"},
      {"/f/with?a=1&b=%20", "/f/with/?a=1&b=%20"},
      {"/f/with/../with", "/f/with/"},
      {"/f/odd%20%25%c3%a9%5c%3f%23%26%3c%22", "/f/odd%20%25%C3%A9%5C%3F%23&%3C%22/"},
      {"http://other.example/f/with", "/f/with/"},
  };
  for (const Case& c : redirects) {
    Outcome got = plain.get(c.target);
    EXPECT_EQ(got.status, 301) << c.target;
    EXPECT_EQ(got.field("Location"), c.location) << c.target;
  }
  Outcome list = listing.get("/f/without/");
  EXPECT_EQ(list.status, 200);
  EXPECT_EQ(list.type, "text/html; charset=utf-8");
  EXPECT_NE(list.body.find("<a href=\"a.txt\">a.txt</a>"), std::string::npos) << list.body;
  EXPECT_NE(list.body.find("<a href=\"../\">"), std::string::npos);
  Outcome head = listing.request("HEAD", "/f/without/");
  EXPECT_EQ(head.length, list.body.size());
  EXPECT_EQ(head.body, "");
}

TEST(Files, NoRedirectLeadsToAnotherHost) {
  TempDir dir;
  dir.make_dir("evil.example");
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  for (const char* target : {"//evil.example", "///evil.example", "/%2fevil.example",
                             "//evil.example/%2e%2e", "/./%2fevil.example"}) {
    Outcome got = harness.get(target);
    EXPECT_NE(got.field("Location").substr(0, 2), "//") << target;
    EXPECT_TRUE(got.status == 404 || got.status == 301) << target << got.status;
  }
  EXPECT_EQ(harness.get("/.//evil.example").status, 404);
}

TEST(Files, AListingShowsHostileNamesAsTextAndLinksThemExactly) {
  TempDir dir;
  const std::string script = "<script>alert(1)<%2Fscript>\"'&.txt";
  const std::string names[] = {script,        "a b",         "100%", "a:b",
                               "caf\xC3\xA9", "back\\slash", "?q#f", "zz"};
  for (const std::string& name : names) dir.write(name, name);
  dir.make_dir("dir <i>");
  dir.write("ctl\x01", "x");
  dir.write("bad\xFF", "x");
  dir.write("out", "x");
  dir.link("/etc", "etc");
  dir.link("zz", "good_link");
  dir.link("nowhere", "dangling");
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path(), {.listing = true}));
  const std::string page = harness.get("/").body;
  EXPECT_EQ(page.find("<script>"), std::string::npos);
  EXPECT_EQ(page.find("<i>"), std::string::npos);
  EXPECT_EQ(page.find("href=\"../\""), std::string::npos) << "the root has no parent";
  EXPECT_EQ(page.find("etc"), std::string::npos) << "leads out";
  EXPECT_EQ(page.find("dangling"), std::string::npos);
  EXPECT_NE(page.find("good_link"), std::string::npos);
  EXPECT_NE(page.find("<td>ctl\xEF\xBF\xBD</td>"), std::string::npos) << "shown, not linked";
  EXPECT_NE(page.find("<td>bad\xEF\xBF\xBD</td>"), std::string::npos);
  // Every link leads where it says.
  std::size_t links = 0;
  for (std::size_t at = page.find("href=\""); at != std::string::npos;
       at = page.find("href=\"", at)) {
    at += 6;
    const std::string link = page.substr(at, page.find('"', at) - at);
    ++links;
    Outcome got = harness.get("/" + link);
    if (link.ends_with("/")) {
      EXPECT_EQ(link, "dir%20%3Ci%3E/");
      EXPECT_EQ(links, 1u) << "directories first";
      EXPECT_EQ(got.status, 200);
      continue;
    }
    EXPECT_EQ(got.status, 200) << link;
    if (link != "good_link" && link != "out") {
      EXPECT_NE(std::find(std::begin(names), std::end(names), got.body), std::end(names)) << link;
    }
  }
  EXPECT_EQ(links, std::size(names) + 3);
}

TEST(Files, OtherMethodsAreNotAllowed) {
  TempDir dir;
  dir.write("a.txt", "a");
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "get"}) {
    Outcome got = harness.request(method, "/a.txt");
    EXPECT_EQ(got.status, 405) << method;
    EXPECT_NE(got.field("Allow").find("GET"), std::string::npos) << method;
    EXPECT_NE(got.field("Allow").find("HEAD"), std::string::npos) << method;
  }
}

TEST(Files, BadDirectoriesAreRefusedWithWords) {
  TempDir dir;
  dir.write("file", "x");
  Harness harness;
  auto missing = harness.files("/f/", dir / "missing");
  EXPECT_EQ(missing.error().code, Errc::not_found);
  EXPECT_NE(missing.error().detail.find(dir / "missing"), std::string::npos);
  EXPECT_NE(missing.error().detail.find("does not exist"), std::string::npos);
  auto file = harness.files("/f/", dir / "file");
  EXPECT_NE(file.error().detail.find("is not a directory"), std::string::npos);
  EXPECT_EQ(harness.files("/f/", "").error().code, Errc::not_found);
  EXPECT_EQ(harness.files("f/", dir.path()).error().code, Errc::bad_setting);
  EXPECT_EQ(harness.files("/f", dir.path()).error().code, Errc::bad_setting);
  EXPECT_EQ(harness.files("/f/", dir.path(), {.cache_control = "a\r\nX: y"}).error().code,
            Errc::bad_setting);
  EXPECT_EQ(harness.files("/f/", dir.path(), {.index = "../x"}).error().code, Errc::bad_setting);
}

// Not by a real file: the superuser reads all of them.
TEST(Files, WhatTheSystemSaysBecomesAnAnswer) {
  struct Case {
    int number;
    Errc code;
    int status;
  };
  const Case cases[] = {
      {ENOENT, Errc::not_found, 404},
      {ENOTDIR, Errc::not_found, 404},
      {ELOOP, Errc::not_found, 404},
      {ENAMETOOLONG, Errc::not_found, 404},
      {EACCES, Errc::permission_denied, 403},
      {EPERM, Errc::permission_denied, 403},
      {ENXIO, Errc::not_regular_file, 403},
      {EMFILE, Errc::too_many_files, 503},
      {ENFILE, Errc::too_many_files, 503},
      {ENOMEM, Errc::out_of_memory, 503},
      {EIO, Errc::io_failed, 500},
  };
  Harness harness;
  service::Root root;
  root.directory = "/";
  for (const Case& c : cases) {
    const Error error = service::file_error(c.number, "name");
    EXPECT_EQ(error.code, c.code) << c.number;
    EXPECT_EQ(error.detail.find("name: "), 0u);
    core::Exchange* exchange = harness.shard().take_exchange();
    service::Found found;
    found.error = error.code;
    found.detail = error.detail;
    service::answer_found(*exchange, root, found);
    EXPECT_EQ(exchange->answer.status, c.status) << c.number;
    EXPECT_EQ(exchange->answer.text.find("name"), std::string::npos) << "for the operator only";
    exchange->release();
  }
}

// --- file_name: paths of the application ---------------------------------------------------------

TEST(FileName, AnswersAFileWithWhatTheApplicationSays) {
  TempDir dir;
  const std::string a = dir.write("a.txt", "hello");
  dir.write("a.txt.gz", "packed");
  dir.link(a, "link");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  Harness harness({}, [&](Connection, const HttpRequest& request, HttpResponse& response) {
    const std::string_view path = request.document();
    if (path == "/a") response.file_name(a);
    if (path == "/link") response.file_name(dir / "link");
    if (path == "/missing") response.file_name(dir / "missing");
    if (path == "/dir") response.file_name(dir.path().string());
    if (path == "/fifo") response.file_name(dir / "fifo");
    if (path == "/nul") response.file_name(std::string_view("/etc/passwd\0x", 13));
    if (path == "/type") {
      response.file_name(a)
          .content_type("application/x-own")
          .etag("\"own\"")
          .cache_control("no-store");
    }
    if (path == "/page") response.file_name(a).response_no(404);
    if (path == "/range") {
      response.file_name(a)
          .content_range_start(10)
          .content_range_end(14)
          .content_range_instance_length(20);
    }
    if (path == "/wrong") {
      response.file_name(a)
          .content_range_start(10)
          .content_range_end(15)
          .content_range_instance_length(20);
    }
  });
  Outcome got = harness.get("/a");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "hello");
  EXPECT_EQ(got.type, "text/plain; charset=utf-8");
  EXPECT_EQ(got.field("Vary"), "Accept-Encoding");
  EXPECT_EQ(harness.get("/a", "Range: bytes=1-2\r\n").body, "el");
  EXPECT_EQ(harness.get("/a", "Accept-Encoding: gzip\r\n").body, "packed");
  EXPECT_EQ(harness.get("/link").body, "hello");
  for (const char* target : {"/missing", "/dir", "/fifo", "/nul"}) {
    EXPECT_EQ(harness.get(target).status, 404) << target;
  }
  got = harness.get("/type");
  EXPECT_EQ(got.type, "application/x-own");
  EXPECT_EQ(got.field("ETag"), "\"own\"");
  EXPECT_EQ(got.fields.find("ETag", got.fields.find("ETag") + 1), std::string::npos) << got.fields;
  EXPECT_TRUE(got.has("Last-Modified"));
  EXPECT_EQ(harness.get("/type", "If-None-Match: \"own\"\r\n").status, 304);
  got = harness.get("/page", "Range: bytes=1-2\r\n");
  EXPECT_EQ(got.status, 404);
  EXPECT_EQ(got.body, "hello");
  got = harness.get("/range", "Range: bytes=10-14\r\n");
  EXPECT_EQ(got.status, 206);
  EXPECT_EQ(got.field("Content-Range"), "bytes 10-14/20");
  EXPECT_EQ(got.body, "hello");
  EXPECT_EQ(harness.get("/wrong").status, 500);
}

}  // namespace
}  // namespace sluice::test
