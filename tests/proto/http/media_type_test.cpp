// tests/proto/http/media_type_test.cpp - media types by file name, and Accept-Encoding.
//
// RFC 9110 sections 8.3, 12.4.2 and 12.5.3. Layer: tests.
#include "proto/http/media_type.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sluice::http {
namespace {

struct Named {
  std::string_view file, type;
};

TEST(MediaTypes, WhatTheWebNeedsIsBuiltIn) {
  const Named table[] = {
      {"index.html", "text/html; charset=utf-8"},
      {"index.htm", "text/html; charset=utf-8"},
      {"site.css", "text/css; charset=utf-8"},
      {"app.js", "text/javascript; charset=utf-8"},
      {"app.mjs", "text/javascript; charset=utf-8"},
      {"data.json", "application/json"},
      {"app.wasm", "application/wasm"},
      {"logo.svg", "image/svg+xml"},
      {"a.png", "image/png"},
      {"a.jpg", "image/jpeg"},
      {"a.jpeg", "image/jpeg"},
      {"a.gif", "image/gif"},
      {"a.webp", "image/webp"},
      {"a.avif", "image/avif"},
      {"favicon.ico", "image/vnd.microsoft.icon"},
      {"a.woff", "font/woff"},
      {"a.woff2", "font/woff2"},
      {"a.mp4", "video/mp4"},
      {"a.webm", "video/webm"},
      {"a.mp3", "audio/mpeg"},
      {"a.pdf", "application/pdf"},
      {"a.txt", "text/plain; charset=utf-8"},
      {"README.md", "text/markdown; charset=utf-8"},
      {"a.xml", "application/xml"},
      {"a.zip", "application/zip"},
      {"a.gz", "application/gzip"},
      {"a.tar", "application/x-tar"},
      {"site.webmanifest", "application/manifest+json"},
  };
  const MediaTypes types;
  for (const Named& row : table) EXPECT_EQ(types.of(row.file), row.type) << row.file;
}

TEST(MediaTypes, ByTheLastExtensionInAnyCase) {
  const MediaTypes types;
  EXPECT_EQ(types.of("PHOTO.JPG"), "image/jpeg");
  EXPECT_EQ(types.of("a.tar.gz"), "application/gzip");
  EXPECT_EQ(types.of("a.html.png"), "image/png");
  EXPECT_EQ(types.of("/srv/www/a.css"), "text/css; charset=utf-8");
  EXPECT_EQ(types.of(".txt"), "text/plain; charset=utf-8");
}

TEST(MediaTypes, UnknownIsOctets) {
  const MediaTypes types;
  for (std::string_view name :
       {"", "README", ".", "..", "a.", "a.unknown", "a.png.", "dir.html/file", "dir.html/",
        "a.html ", "a.\xC3\xA9", "a.an-extension-that-is-far-longer-than-any-real-one"}) {
    EXPECT_EQ(types.of(name), "application/octet-stream") << name;
  }
}

TEST(MediaTypes, ATableGoesOnTop) {
  MediaTypes types;
  types.add_table(
      "# a comment\n"
      "\n"
      "application/x-new\t\tnew  newer\r\n"
      "text/x-words words # the rest does not count: html\n"
      "Image/X-Mine PNG\n"
      "application/nothing\n"
      "text/last last");
  EXPECT_EQ(types.of("a.new"), "application/x-new");
  EXPECT_EQ(types.of("a.newer"), "application/x-new");
  EXPECT_EQ(types.of("a.words"), "text/x-words; charset=utf-8");
  EXPECT_EQ(types.of("a.html"), "text/html; charset=utf-8");
  EXPECT_EQ(types.of("a.png"), "image/x-mine");
  EXPECT_EQ(types.of("a.last"), "text/last; charset=utf-8");
  EXPECT_EQ(types.of("a.#"), "application/octet-stream");
}

TEST(MediaTypes, TheFirstLineOfATableCounts) {
  MediaTypes types;
  types.add_table("application/one ext\napplication/two ext\n");
  EXPECT_EQ(types.of("a.ext"), "application/one");
  types.add_table("application/three ext\n");
  EXPECT_EQ(types.of("a.ext"), "application/three");
}

TEST(MediaTypes, NothingThatIsNoMediaTypeGetsIn) {
  MediaTypes types;
  types.add_table(
      "html bad1\n"
      "/x bad2\n"
      "x/ bad3\n"
      "a/b/c bad4\n"
      "text/pl\x01in bad5\n"
      "text/\"x\" bad6\n"
      "text/html; bad7\n"
      "t\xC3\xA9xt/plain bad8\n");
  for (int i = 1; i <= 8; ++i) {
    EXPECT_EQ(types.of("a.bad" + std::to_string(i)), "application/octet-stream") << i;
  }
}

TEST(MediaTypes, ExtensionsUpTo32Octets) {
  MediaTypes types;
  const std::string fits(32, 'x'), over(33, 'x');
  types.add_table("application/fits " + fits + "\napplication/over " + over + "\n");
  EXPECT_EQ(types.of("a." + fits), "application/fits");
  EXPECT_EQ(types.of("a." + over), "application/octet-stream");
}

struct Quality {
  std::string_view field;
  int gzip, br, identity;
};

TEST(CodingQuality, Table) {
  const Quality table[] = {
      {"gzip", 1000, 0, 1000},
      {"gzip, deflate, br", 1000, 1000, 1000},
      {"GZip,BR", 1000, 1000, 1000},
      {"x-gzip", 1000, 0, 1000},
      {"gzip;q=0.5, br;q=1.0", 500, 1000, 1000},
      {"gzip;q=0", 0, 0, 1000},
      {"gzip;q=0.0, br;q=0.000", 0, 0, 1000},
      {"gzip;q=0.001", 1, 0, 1000},
      {"gzip;q=0.01", 10, 0, 1000},
      {"gzip;q=0.999", 999, 0, 1000},
      {"gzip;q=1", 1000, 0, 1000},
      {"gzip;q=1.", 1000, 0, 1000},
      {"gzip;q=0.", 0, 0, 1000},
      {"gzip;q=1.000", 1000, 0, 1000},
      {"gzip ; Q=0.25 ,\tbr\t;\tq=0.75", 250, 750, 1000},
      {"*", 1000, 1000, 1000},
      {"*;q=0.3", 300, 300, 300},
      {"*;q=0", 0, 0, 0},
      {"gzip;q=0, *", 0, 1000, 1000},
      {"*, gzip;q=0", 0, 1000, 1000},
      {"br, *;q=0", 0, 1000, 0},
      {"identity;q=0", 0, 0, 0},
      {"identity;q=0.5, gzip", 1000, 0, 500},
      {"identity, *;q=0", 0, 0, 1000},
      {"", 0, 0, 1000},
      {" , ,", 0, 0, 1000},
      {",gzip,,br,", 1000, 1000, 1000},
      {"gzip2, xgzip, gzi", 0, 0, 1000},
      {"gzip;q=0.2, gzip;q=0.9", 200, 0, 1000},
  };
  for (const Quality& row : table) {
    EXPECT_EQ(coding_quality(row.field, true, "gzip"), row.gzip) << row.field;
    EXPECT_EQ(coding_quality(row.field, true, "br"), row.br) << row.field;
    EXPECT_EQ(coding_quality(row.field, true, "identity"), row.identity) << row.field;
  }
}

TEST(CodingQuality, AMalformedMemberCountsForNothing) {
  for (std::string_view field :
       {"gzip;q=2", "gzip;q=1.001", "gzip;q=0.1234", "gzip;q=-1", "gzip;q=", "gzip;q", "gzip;q=.5",
        "gzip;q=a", "gzip;q= 1", "gzip;level=9", "gz ip", "gzip\x01", "\"gzip\"", "gzip=1"}) {
    EXPECT_EQ(coding_quality(field, true, "gzip"), 0) << field;
    EXPECT_EQ(coding_quality(std::string(field) + ", br;q=0.5", true, "br"), 500) << field;
  }
}

TEST(CodingQuality, WithoutTheField) {
  EXPECT_EQ(coding_quality({}, false, "identity"), 1000);
  EXPECT_EQ(coding_quality({}, false, "gzip"), 0);
  EXPECT_EQ(coding_quality({}, false, "br"), 0);
}

}  // namespace
}  // namespace sluice::http
