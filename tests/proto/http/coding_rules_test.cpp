// tests/proto/http/coding_rules_test.cpp - which answers are coded, and what shrinks.
//
// RFC 9110 sections 8.4 and 12.5.3, RFC 9111 section 5.2.2.6. Layer: tests.
#include "proto/http/coding_rules.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace sluice::http {
namespace {

using enum ContentCoding;
using Values = std::vector<std::string_view>;

TEST(CodingRules, WhatShrinks) {
  const auto defaults = compressible_types();
  for (const std::string_view yes :
       {"text/html", "text/html; charset=utf-8", "Text/CSS", " text/plain ;x=y", "text/x-anything",
        "application/json", "application/JavaScript", "application/problem+json",
        "application/ld+json;profile=\"a;b\"", "application/wasm", "application/xml",
        "application/rss+xml", "image/svg+xml", "application/geo+json", "font/ttf", "image/bmp",
        "application/vnd.apple.mpegurl", "application/x-ndjson"}) {
    EXPECT_TRUE(is_compressible(yes, defaults)) << yes;
  }
  for (const std::string_view no :
       {"", "text", "text/", "/html", "text/ht ml", "image/png", "image/jpeg", "video/mp4",
        "application/zip", "application/gzip", "application/octet-stream", "font/woff2",
        "application/pdf", "text/event-stream", "Text/Event-Stream; charset=utf-8",
        "application/jsonx", "application/+json", "multipart/byteranges", "*/*"}) {
    EXPECT_FALSE(is_compressible(no, defaults)) << no;
  }
  for (const std::string_view pattern : defaults) EXPECT_TRUE(is_type_pattern(pattern)) << pattern;
}

TEST(CodingRules, ListsOfOnesOwn) {
  EXPECT_FALSE(is_compressible("text/html", {}));
  EXPECT_TRUE(is_compressible("image/png", Values{"*/*"}));
  EXPECT_FALSE(is_compressible("image/png", Values{"*/*", "!image/*"}));
  EXPECT_FALSE(is_compressible("image/png", Values{"!image/*", "*/*"}));
  EXPECT_TRUE(is_compressible("text/event-stream", Values{"text/event-stream"}));
  EXPECT_TRUE(is_compressible("application/pdf", Values{"Application/PDF"}));
  EXPECT_TRUE(is_compressible("application/a+cbor", Values{"application/*+cbor"}));
  EXPECT_FALSE(is_compressible("model/a+cbor", Values{"application/*+cbor"}));
  EXPECT_FALSE(is_compressible("text/html", Values{"html", "text", "", "!"}));
  for (const std::string_view bad : {"", "!", "text", "text/", "/x", "te xt/html", "*/html", "*",
                                     "text/*x", "te*/x", "*/*+", "text/**", "text/a*b", "!!a/b/"}) {
    EXPECT_FALSE(is_type_pattern(bad)) << bad;
  }
  for (const std::string_view good : {"*/*", "!*/*", "text/*", "a/b", "*/*+json", "a/*+b"}) {
    EXPECT_TRUE(is_type_pattern(good)) << good;
  }
}

const Values kAll = {"gzip, deflate, br, zstd"};

AnswerFacts page() {
  AnswerFacts facts;
  facts.content_type = "text/html; charset=utf-8";
  facts.size = 20'000;
  facts.accept_encoding = kAll;
  return facts;
}

TEST(CodingRules, WhichAnswersAreCoded) {
  const static Values transform = {"private", "max-age=5, No-Transform"}, public_ = {"public"},
                      gzip_only = {"gzip"}, nothing = {""}, refuses = {"identity;q=0"};
  struct Case {
    const char* what;
    std::function<void(AnswerFacts&)> change;
    CodingVerdict verdict;
  };
  const CodingVerdict coded{zstd, NotCoded::coded, true};
  const auto not_for = [](NotCoded why) { return CodingVerdict{identity, why, false}; };
  const auto varies = [](NotCoded why) { return CodingVerdict{identity, why, true}; };
  const Case cases[] = {
      {"a page", [](auto&) {}, coded},
      {"gzip only", [](auto& f) { f.accept_encoding = gzip_only; }, {gzip, NotCoded::coded, true}},
      {"no field", [](auto& f) { f.accept_encoding = {}; }, varies(NotCoded::not_accepted)},
      {"an empty field", [](auto& f) { f.accept_encoding = nothing; },
       varies(NotCoded::not_accepted)},
      {"identity refused",
       [](auto& f) { f.accept_encoding = refuses; },
       {identity, NotCoded::not_accepted, true, false}},
      {"404", [](auto& f) { f.status = 404; }, coded},
      {"500", [](auto& f) { f.status = 500; }, coded},
      {"100", [](auto& f) { f.status = 100; }, not_for(NotCoded::status)},
      {"101", [](auto& f) { f.status = 101; }, not_for(NotCoded::status)},
      {"204", [](auto& f) { f.status = 204; }, not_for(NotCoded::status)},
      {"205", [](auto& f) { f.status = 205; }, not_for(NotCoded::status)},
      {"a part has the Vary of the whole", [](auto& f) { f.status = 206; },
       varies(NotCoded::status)},
      {"a small part, too",
       [](auto& f) { f.status = 206, f.size = 10, f.has_content_range = true; },
       varies(NotCoded::status)},
      {"a part of an image", [](auto& f) { f.status = 206, f.content_type = "image/png"; },
       not_for(NotCoded::status)},
      {"a part of what is coded", [](auto& f) { f.status = 206, f.has_content_encoding = true; },
       not_for(NotCoded::status)},
      {"304", [](auto& f) { f.status = 304; }, not_for(NotCoded::status)},
      {"CONNECT 200", [](auto& f) { f.connect = true; }, not_for(NotCoded::status)},
      {"CONNECT 404", [](auto& f) { f.connect = true, f.status = 404; }, coded},
      {"Content-Range", [](auto& f) { f.has_content_range = true; }, not_for(NotCoded::range)},
      {"416 with Content-Range", [](auto& f) { f.status = 416, f.has_content_range = true; },
       not_for(NotCoded::range)},
      {"coded already", [](auto& f) { f.has_content_encoding = true; }, not_for(NotCoded::already)},
      {"no-transform", [](auto& f) { f.cache_control = transform; },
       not_for(NotCoded::no_transform)},
      {"public", [](auto& f) { f.cache_control = public_; }, coded},
      {"a digest", [](auto& f) { f.has_digest = true; }, not_for(NotCoded::digest)},
      {"an image", [](auto& f) { f.content_type = "image/png"; }, not_for(NotCoded::type)},
      {"no type", [](auto& f) { f.content_type = {}; }, not_for(NotCoded::type)},
      {"an event stream", [](auto& f) { f.content_type = "text/event-stream"; },
       not_for(NotCoded::type)},
      {"streamed", [](auto& f) { f.size.reset(); }, coded},
      {"empty", [](auto& f) { f.size = 0; }, not_for(NotCoded::size)},
      {"one byte less", [](auto& f) { f.size = 1023; }, not_for(NotCoded::size)},
      {"as much as is needed", [](auto& f) { f.size = 1024; }, coded},
      {"TLS", [](auto& f) { f.over_tls = true; }, coded},
      {"a cookie in clear", [](auto& f) { f.sets_cookie = true; }, coded},
      {"authorization in clear", [](auto& f) { f.has_authorization = true; }, coded},
      {"a cookie over TLS", [](auto& f) { f.over_tls = f.sets_cookie = true; },
       varies(NotCoded::secret)},
      {"authorization over TLS", [](auto& f) { f.over_tls = f.has_authorization = true; },
       varies(NotCoded::secret)},
      {"a small secret", [](auto& f) { f.over_tls = f.sets_cookie = true, f.size = 10; },
       not_for(NotCoded::size)},
  };
  for (const Case& c : cases) {
    AnswerFacts facts = page();
    c.change(facts);
    const CodingVerdict verdict = coding_for(facts, {});
    EXPECT_EQ(coding_name(verdict.coding), coding_name(c.verdict.coding)) << c.what;
    EXPECT_EQ(int(verdict.why), int(c.verdict.why)) << c.what;
    EXPECT_EQ(verdict, c.verdict) << c.what;
  }
}

TEST(CodingRules, WhatTheOwnerSays) {
  const Values types = {"image/png"};
  const ContentCoding only[] = {gzip};
  CodingRules rules;
  rules.types = types;
  EXPECT_EQ(coding_for(page(), rules).why, NotCoded::type);
  rules = {};
  rules.offered = only;
  EXPECT_EQ(coding_for(page(), rules).coding, gzip);
  rules.offered = {};
  EXPECT_EQ(coding_for(page(), rules), (CodingVerdict{identity, NotCoded::not_accepted, false}));
  rules = {};
  rules.least_bytes = 20'001;
  EXPECT_EQ(coding_for(page(), rules).why, NotCoded::size);
  rules.least_bytes = 0;
  AnswerFacts small = page();
  small.size = 1;
  EXPECT_EQ(coding_for(small, rules).coding, zstd);
  small.size = 0;
  EXPECT_EQ(coding_for(small, rules), (CodingVerdict{identity, NotCoded::size, false}))
      << "nothing does not shrink";
  rules = {};
  rules.secrets = true;
  AnswerFacts secret = page();
  secret.over_tls = secret.sets_cookie = secret.has_authorization = true;
  EXPECT_EQ(coding_for(secret, rules).coding, zstd);
}

// Whatever the request says, Vary is the same: else a cache would keep one answer for all.
TEST(CodingRules, VaryDoesNotDependOnTheRequest) {
  const Values fields[] = {{}, {""}, {"gzip"}, {"*;q=0"}, {"br, identity;q=0"}};
  for (const char* type : {"text/css", "image/png"}) {
    for (const std::uint64_t size : {10u, 5000u}) {
      for (const bool authorized : {false, true}) {
        for (const Values& field : fields) {
          AnswerFacts facts = page();
          facts.content_type = type;
          facts.size = size;
          facts.over_tls = true;
          facts.has_authorization = authorized;
          facts.accept_encoding = field;
          EXPECT_EQ(coding_for(facts, {}).vary, size == 5000 && type == std::string("text/css"));
        }
      }
    }
  }
}

}  // namespace
}  // namespace sluice::http
