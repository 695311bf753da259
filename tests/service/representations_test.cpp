// tests/service/representations_test.cpp - ranges, preconditions, HEAD and codings of files.
//
// RFC 9110 sections 12.5.3, 13 and 14.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "harness.hpp"
#include "temp_dir.hpp"

namespace sluice::test {
namespace {

constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz";

// Both ways to send a file: from memory and from its descriptor.
class Representations : public ::testing::TestWithParam<bool> {
 protected:
  Representations() {
    content_ = kAlphabet;
    if (!GetParam()) content_ += std::string(service::kInMemory, '.');
    size_ = content_.size();
    dir_.write("f.txt", content_);
    EXPECT_TRUE(harness_.files("/", dir_.path()));
  }
  std::string size() const { return std::to_string(size_); }
  std::string range_of(std::uint64_t first, std::uint64_t last) const {
    return "bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" + size();
  }

  TempDir dir_;
  Harness harness_;
  std::string content_;
  std::size_t size_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Sent, Representations, ::testing::Bool(), [](const auto& sent) {
  return sent.param ? "FromMemory" : "FromDescriptor";
});

TEST_P(Representations, SingleRanges) {
  struct Case {
    std::string field;
    std::size_t first, last;
  };
  const Case cases[] = {
      {"bytes=0-4", 0, 4},
      {"bytes=0-0", 0, 0},
      {"bytes=5-", 5, size_ - 1},
      {"bytes=-3", size_ - 3, size_ - 1},
      {"bytes=20-99999999", 20, size_ - 1},
      {"bytes=-99999999", 0, size_ - 1},
      {"BYTES=1-2", 1, 2},
      {"bytes=1-99999999999999999999999", 1, size_ - 1},
      {"bytes=99999999-,1-2", 1, 2},
      {"bytes= 1-2 , ", 1, 2},
      {"bytes=" + std::to_string(size_ - 1) + "-", size_ - 1, size_ - 1},
  };
  for (const Case& c : cases) {
    Outcome got = harness_.get("/f.txt", "Range: " + c.field + "\r\n");
    EXPECT_EQ(got.status, 206) << c.field;
    EXPECT_EQ(got.field("Content-Range"), range_of(c.first, c.last)) << c.field;
    EXPECT_EQ(got.body, content_.substr(c.first, c.last - c.first + 1)) << c.field;
    EXPECT_EQ(got.length, c.last - c.first + 1) << c.field;
    EXPECT_EQ(got.type, "text/plain; charset=utf-8");
    EXPECT_TRUE(got.has("ETag"));
  }
}

TEST_P(Representations, RangesThatAreIgnored) {
  for (const char* field : {"lines=0-4", "bytes=4-1", "bytes=a-b", "bytes=", "bytes", "bytes=--1",
                            "bytes=1-2-3", "bytes=0-,0-"}) {
    Outcome got = harness_.get("/f.txt", std::string("Range: ") + field + "\r\n");
    EXPECT_EQ(got.status, 200) << field;
    EXPECT_EQ(got.body, content_) << field;
    EXPECT_FALSE(got.has("Content-Range")) << field;
  }
  EXPECT_EQ(harness_.get("/f.txt", "Range: bytes=0-1\r\nRange: bytes=2-3\r\n").status, 200);
}

TEST_P(Representations, UnsatisfiableRanges) {
  for (const std::string& field :
       {"bytes=" + size() + "-", std::string("bytes=-0"), "bytes=" + size() + "-,-0"}) {
    Outcome got = harness_.get("/f.txt", "Range: " + field + "\r\n");
    EXPECT_EQ(got.status, 416) << field;
    EXPECT_EQ(got.field("Content-Range"), "bytes */" + size()) << field;
    EXPECT_NE(got.body, content_);
  }
  dir_.write("empty", "");
  Outcome empty = harness_.get("/empty", "Range: bytes=0-\r\n");
  EXPECT_EQ(empty.status, 416);
  EXPECT_EQ(empty.field("Content-Range"), "bytes */0");
}

TEST_P(Representations, SeveralRangesAreMultipart) {
  Outcome got = harness_.get("/f.txt", "Range: bytes=0-1,-2,10-12\r\n");
  EXPECT_EQ(got.status, 206);
  EXPECT_FALSE(got.has("Content-Range"));
  const std::string prefix = "multipart/byteranges; boundary=";
  ASSERT_TRUE(got.type.starts_with(prefix)) << got.type;
  const std::string boundary = got.type.substr(prefix.size());
  EXPECT_EQ(boundary.size(), 30u);
  std::string want;
  const std::pair<std::size_t, std::size_t> ranges[] = {{0, 1}, {size_ - 2, size_ - 1}, {10, 12}};
  for (const auto& [first, last] : ranges) {
    want +=
        (want.empty() ? "--" : "\r\n--") + boundary +
        "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: " + range_of(first, last) +
        "\r\n\r\n" + content_.substr(first, last - first + 1);
  }
  want += "\r\n--" + boundary + "--\r\n";
  EXPECT_EQ(got.body, want);
  EXPECT_EQ(got.length, want.size());
  EXPECT_NE(harness_.get("/f.txt", "Range: bytes=0-1,-2\r\n").type, got.type) << "a new boundary";
}

TEST_P(Representations, ManyRangesAreBounded) {
  std::string some = "Range: bytes=0-0", too_many;
  for (int i = 1; i < 64; ++i) some += ",0-0";
  too_many = some + ",0-0\r\n";
  // 64 times one byte is more than the alphabet has.
  EXPECT_EQ(harness_.get("/f.txt", some + "\r\n").status, GetParam() ? 200 : 206);
  Outcome got = harness_.get("/f.txt", too_many);
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, content_);
}

TEST_P(Representations, IfRange) {
  const Outcome whole = harness_.get("/f.txt");
  const std::string etag = whole.field("ETag"), date = whole.field("Last-Modified");
  const auto status = [&](const std::string& value) {
    return harness_.get("/f.txt", "Range: bytes=0-4\r\nIf-Range: " + value + "\r\n").status;
  };
  EXPECT_EQ(status(etag), 206);
  EXPECT_EQ(status(date), 206);
  EXPECT_EQ(status("\"other\""), 200);
  EXPECT_EQ(status("W/" + etag), 200) << "weak never matches";
  EXPECT_EQ(status("Sun, 06 Nov 1994 08:49:37 GMT"), 200);
  EXPECT_EQ(status("Sun, 06 Nov 2094 08:49:37 GMT"), 200) << "exact, not later";
  EXPECT_EQ(status("nonsense"), 200);
  // Without a range it means nothing; with one out of bounds it decides first.
  EXPECT_EQ(harness_.get("/f.txt", "If-Range: " + etag + "\r\n").status, 200);
  EXPECT_EQ(
      harness_.get("/f.txt", "Range: bytes=" + size() + "-\r\nIf-Range: \"other\"\r\n").status,
      200);
}

TEST_P(Representations, PreconditionsInTheirOrder) {
  const Outcome whole = harness_.get("/f.txt");
  const std::string etag = whole.field("ETag"), date = whole.field("Last-Modified");
  const std::string before = "Sun, 06 Nov 1994 08:49:37 GMT",
                    after = "Sun, 06 Nov 2094 08:49:37 GMT";
  struct Case {
    std::string fields;
    int status;
  };
  const Case cases[] = {
      {"If-None-Match: " + etag + "\r\n", 304},
      {"If-None-Match: W/" + etag + "\r\n", 304},
      {"If-None-Match: *\r\n", 304},
      {"If-None-Match: \"a\", " + etag + "\r\n", 304},
      {"If-None-Match: \"a\"\r\n", 200},
      {"If-Modified-Since: " + date + "\r\n", 304},
      {"If-Modified-Since: " + after + "\r\n", 304},
      {"If-Modified-Since: " + before + "\r\n", 200},
      {"If-Modified-Since: nonsense\r\n", 200},
      {"If-Match: " + etag + "\r\n", 200},
      {"If-Match: *\r\n", 200},
      {"If-Match: \"a\"\r\n", 412},
      {"If-Match: W/" + etag + "\r\n", 412},
      {"If-Unmodified-Since: " + before + "\r\n", 412},
      {"If-Unmodified-Since: " + date + "\r\n", 200},
      // Precedence.
      {"If-None-Match: \"a\"\r\nIf-Modified-Since: " + after + "\r\n", 200},
      {"If-Match: " + etag + "\r\nIf-Unmodified-Since: " + before + "\r\n", 200},
      {"If-Match: \"a\"\r\nIf-None-Match: " + etag + "\r\n", 412},
      {"If-Match: " + etag + "\r\nIf-None-Match: " + etag + "\r\n", 304},
      {"Range: bytes=0-4\r\nIf-None-Match: " + etag + "\r\n", 304},
      {"Range: bytes=0-4\r\nIf-Match: \"a\"\r\n", 412},
      {"Range: bytes=0-4\r\nIf-Match: " + etag + "\r\n", 206},
  };
  for (const Case& c : cases) {
    for (const char* method : {"GET", "HEAD"}) {
      Outcome got = harness_.request(method, "/f.txt", c.fields);
      const int want = c.status == 206 && method[0] == 'H' ? 200 : c.status;
      EXPECT_EQ(got.status, want) << method << " " << c.fields;
      if (want == 304) {
        EXPECT_EQ(got.body, "");
        EXPECT_EQ(got.field("ETag"), etag);
        EXPECT_EQ(got.type, "");
        EXPECT_FALSE(got.has("Accept-Ranges"));
      }
    }
  }
}

TEST_P(Representations, HeadSaysWhatGetWould) {
  for (const char* fields : {"", "Range: bytes=0-4\r\n", "Accept-Encoding: gzip\r\n"}) {
    Outcome head = harness_.request("HEAD", "/f.txt", fields), get = harness_.get("/f.txt");
    EXPECT_EQ(head.status, 200) << "only GET has ranges";
    EXPECT_EQ(head.fields, get.fields);
    EXPECT_EQ(head.type, get.type);
    EXPECT_EQ(head.length, get.length);
    EXPECT_EQ(head.body, "");
  }
  EXPECT_EQ(harness_.request("HEAD", "/missing").status, 404);
}

// --- Codings -------------------------------------------------------------------------------------

TEST(Codings, TheBestOneThatExistsIsSent) {
  TempDir dir;
  dir.write("f.html", "identity");
  dir.write("f.html.gz", "gzip content");
  dir.write("f.html.br", "br content");
  dir.write("g.html", "identity");
  dir.write("g.html.gz", "gzip content");
  dir.write("plain.html", "identity");
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  struct Case {
    const char* accept;  // null: no field
    const char *f, *g;
  };
  const Case cases[] = {
      {nullptr, "", ""},
      {"", "", ""},
      {"gzip", "gzip", "gzip"},
      {"br", "br", ""},
      {"gzip, br", "br", "gzip"},
      {"gzip;q=1, br;q=0.5", "gzip", "gzip"},
      {"gzip;q=0, br;q=0", "", ""},
      {"gzip;q=0.5", "gzip", "gzip"},
      {"gzip;q=0.5, identity", "", ""},
      {"identity;q=0.5, gzip;q=0.5", "gzip", "gzip"},
      {"identity;q=1, br;q=0.9, gzip;q=0.8", "", ""},
      {"*", "br", "gzip"},
      {"*;q=0", "", ""},
      {"br;q=0, *", "gzip", "gzip"},
      {"deflate, zstd", "", ""},
      {"GZIP", "gzip", "gzip"},
      {"x-gzip", "gzip", "gzip"},
      {"gzip;q=nonsense", "", ""},
  };
  for (const Case& c : cases) {
    const std::string field = c.accept ? "Accept-Encoding: " + std::string(c.accept) + "\r\n" : "";
    Outcome f = harness.get("/f.html", field), g = harness.get("/g.html", field);
    EXPECT_EQ(f.field("Content-Encoding"), c.f) << field;
    EXPECT_EQ(g.field("Content-Encoding"), c.g) << field;
    EXPECT_EQ(f.body, *c.f ? std::string(c.f) + " content" : "identity") << field;
    EXPECT_EQ(f.type, "text/html; charset=utf-8");
    EXPECT_EQ(f.field("Vary"), "Accept-Encoding");
    EXPECT_EQ(g.field("Vary"), "Accept-Encoding");
  }
  EXPECT_EQ(harness.get("/f.html", "Accept-Encoding: gzip;q=0\r\nAccept-Encoding: br\r\n")
                .field("Content-Encoding"),
            "br")
      << "two lines are one list";
  Outcome plain = harness.get("/plain.html", "Accept-Encoding: gzip, br\r\n");
  EXPECT_FALSE(plain.has("Vary"));
  EXPECT_FALSE(plain.has("Content-Encoding"));
  // Asked for by its own name it is a file like any other.
  Outcome own = harness.get("/f.html.gz");
  EXPECT_EQ(own.body, "gzip content");
  EXPECT_FALSE(own.has("Content-Encoding"));
}

TEST(Codings, EachHasValidatorsAndRangesOfItsOwn) {
  TempDir dir;
  dir.write("f.js", "0123456789");
  dir.write("f.js.gz", "abcdef");
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  const std::string gzip = "Accept-Encoding: gzip\r\n";
  Outcome packed = harness.get("/f.js", gzip), plain = harness.get("/f.js");
  EXPECT_NE(packed.field("ETag"), plain.field("ETag"));
  Outcome part = harness.get("/f.js", gzip + "Range: bytes=1-2\r\n");
  EXPECT_EQ(part.body, "bc");
  EXPECT_EQ(part.field("Content-Range"), "bytes 1-2/6");
  EXPECT_EQ(part.field("Content-Encoding"), "gzip");
  EXPECT_EQ(harness.get("/f.js", gzip + "If-None-Match: " + packed.field("ETag") + "\r\n").status,
            304);
  EXPECT_EQ(harness.get("/f.js", gzip + "If-None-Match: " + plain.field("ETag") + "\r\n").status,
            200);
  EXPECT_EQ(harness.get("/f.js", "If-None-Match: " + packed.field("ETag") + "\r\n").status, 200);
  Outcome unchanged = harness.get("/f.js", "If-None-Match: " + plain.field("ETag") + "\r\n");
  EXPECT_EQ(unchanged.field("Vary"), "Accept-Encoding");
  EXPECT_EQ(
      harness.get("/f.js", "Range: bytes=0-1\r\nIf-Range: " + packed.field("ETag") + "\r\n").status,
      200);
}

TEST(Codings, ASiblingThatComesOrGoesIsNoticed) {
  TempDir dir;
  dir.write("f.js", "plain");
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  const char* gzip = "Accept-Encoding: gzip\r\n";
  EXPECT_EQ(harness.get("/f.js", gzip).body, "plain");
  dir.write("f.js.gz", "packed");
  harness.pass(std::chrono::seconds(1));
  EXPECT_EQ(harness.get("/f.js", gzip).body, "packed");
  EXPECT_EQ(harness.get("/f.js").field("Vary"), "Accept-Encoding");
  std::filesystem::remove(dir / "f.js.gz");
  harness.pass(std::chrono::seconds(1));
  EXPECT_EQ(harness.get("/f.js", gzip).body, "plain");
  EXPECT_FALSE(harness.get("/f.js").has("Vary"));
}

TEST(Codings, SiblingsMayBeTurnedOffAndDoNotLeadOut) {
  TempDir dir;
  dir.write("secret", "secret");
  dir.write("root/f.js", "plain");
  dir.write("root/h.js", "plain");
  dir.write("root/h.js.br", "packed");
  dir.link("../secret", "root/f.js.gz");
  Harness harness, off;
  ASSERT_TRUE(harness.files("/", dir / "root"));
  ASSERT_TRUE(off.files("/", dir / "root", {.precompressed = false}));
  EXPECT_EQ(harness.get("/f.js", "Accept-Encoding: gzip\r\n").body, "plain");
  EXPECT_EQ(harness.get("/h.js", "Accept-Encoding: br\r\n").body, "packed");
  EXPECT_EQ(off.get("/h.js", "Accept-Encoding: br\r\n").body, "plain");
}

// --- Large files ---------------------------------------------------------------------------------

TEST(LargeFiles, RangesOfASparseFileOf5GiB) {
  TempDir dir;
  const std::string path = dir.write("big.bin", "");
  constexpr std::uint64_t kSize = std::uint64_t{5} << 30;
  int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(::ftruncate(fd, static_cast<off_t>(kSize)), 0);
  ASSERT_EQ(::pwrite(fd, "needle", 6, static_cast<off_t>(kSize - 6)), 6);
  ASSERT_EQ(::pwrite(fd, "middle", 6, static_cast<off_t>(kSize / 2)), 6);
  ::close(fd);
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  EXPECT_EQ(harness.request("HEAD", "/big.bin").length, kSize);
  Outcome tail = harness.get("/big.bin", "Range: bytes=-6\r\n");
  EXPECT_EQ(tail.body, "needle");
  EXPECT_EQ(tail.field("Content-Range"), "bytes 5368709114-5368709119/5368709120");
  const std::string from = std::to_string(kSize / 2);
  EXPECT_EQ(
      harness.get("/big.bin", "Range: bytes=" + from + "-" + std::to_string(kSize / 2 + 5) + "\r\n")
          .body,
      "middle");
  Outcome two = harness.get(
      "/big.bin", "Range: bytes=" + from + "-" + std::to_string(kSize / 2 + 5) + ",-6\r\n");
  EXPECT_NE(two.body.find("\r\n\r\nmiddle\r\n--"), std::string::npos);
  EXPECT_NE(two.body.find("\r\n\r\nneedle\r\n--"), std::string::npos);
  EXPECT_EQ(two.length, two.body.size());
}

}  // namespace
}  // namespace sluice::test
