// tests/core/exchange_test.cpp - answers: which fields may be set, what is forgotten between two
// requests; and the block that a shard writes to.
//
// Layer: tests.
#include "core/exchange.hpp"

#include <gtest/gtest.h>

#include <string>

#include "core/harness.hpp"

namespace sluice::test {
namespace {

TEST(Exchange, FieldsAreChecked) {
  Bench bench;
  struct Case {
    const char *name, *value;
    Errc verdict;
  };
  const Case cases[] = {
      {"X-Fine", "value", Errc::none},
      {"X-Fine", "", Errc::none},
      {"X-Fine", "with\ttab and \xe4", Errc::none},
      {"", "value", Errc::http_bad_field_name},
      {"X Y", "value", Errc::http_bad_field_name},
      {"X:", "value", Errc::http_bad_field_name},
      {"X-Split", "a\r\nSet-Cookie: b", Errc::http_response_splitting},
      {"X-Split", "a\nb", Errc::http_response_splitting},
      {"X-Split", "a\rb", Errc::http_response_splitting},
      {"Content-Length", "5", Errc::http_framing_field},
      {"content-length", "5", Errc::http_framing_field},
      {"Transfer-Encoding", "chunked", Errc::http_framing_field},
      {"Connection", "close", Errc::http_framing_field},
  };
  for (const Case& each : cases) {
    core::Exchange* exchange = bench.shard->take_exchange();
    exchange->add_field(each.name, each.value);
    EXPECT_EQ(exchange->answer.error, each.verdict) << each.name << ": " << each.value;
    EXPECT_EQ(exchange->answer.fields.empty(), each.verdict != Errc::none);
    exchange->release();
  }
}

TEST(Exchange, TheFirstErrorCounts) {
  Bench bench;
  core::Exchange* exchange = bench.shard->take_exchange();
  exchange->add_field("X", std::string_view("a\0b", 3));
  exchange->add_field("Connection", "close");
  exchange->add_field("X-Fine", "1");
  EXPECT_EQ(exchange->answer.error, Errc::http_response_splitting);
  EXPECT_EQ(exchange->answer.fields, "X-Fine: 1\r\n");
  exchange->release();
}

TEST(Exchange, SomeFieldsHaveAPlaceOfTheirOwn) {
  Bench bench;
  core::Exchange* exchange = bench.shard->take_exchange();
  exchange->add_field("content-type", "text/html");
  EXPECT_TRUE(exchange->answer.has_type);
  EXPECT_EQ(exchange->answer.type, "text/html");
  exchange->add_field("Content-Type", "text/plain");
  EXPECT_EQ(exchange->answer.type, "text/plain") << "there is only one";
  exchange->add_field("date", "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_TRUE(exchange->answer.has_date);
  EXPECT_EQ(exchange->answer.fields, "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  exchange->release();
}

TEST(Exchange, AnErrorAnswersWithItsSentence) {
  Bench bench;
  core::Exchange* exchange = bench.shard->take_exchange();
  exchange->add_field("X-Old", "1");
  exchange->set_error(Errc::http_body_too_large);
  EXPECT_EQ(exchange->answer.status, 413);
  EXPECT_EQ(exchange->answer.text, "the body is too large\n");
  EXPECT_EQ(exchange->answer.fields, "") << "what was set before is forgotten";
  exchange->set_error(Errc::address_in_use);
  EXPECT_EQ(exchange->answer.status, 500) << "what has no status of its own";
  exchange->release();
}

// Pooled: the next request must not see a trace of this one.
TEST(Exchange, ForgetsEverythingButItsMemory) {
  Bench bench;
  core::Exchange* exchange = bench.shard->take_exchange();
  exchange->set_error(Errc::http_body_too_large);
  exchange->add_field("X", "1");
  exchange->answer.set_extras().trailers = "T: 1\r\n";
  exchange->answer.set_extras().range_first = 1;
  exchange->answer.set_extras().parts.push_back({});
  exchange->body_text = "body";
  exchange->body_received = 4;
  exchange->body_wanted_whole = false;
  exchange->answered = exchange->head_only = exchange->streaming = true;
  exchange->on_data = [](Bytes, bool) {};
  exchange->body_block = bench.blocks.take(100);
  exchange->document = "/old";
  exchange->params.emplace_back("a", "b");
  exchange->release();
  EXPECT_EQ(bench.blocks.blocks_in_use(), 0u);

  core::Exchange* next = bench.shard->take_exchange();
  EXPECT_EQ(next, exchange) << "the same one, used again";
  EXPECT_EQ(next->answer.status, 200);
  EXPECT_TRUE(next->answer.fields.empty() && next->answer.text.empty() &&
              next->answer.type.empty());
  EXPECT_TRUE(next->answer.extras().trailers.empty() && next->answer.extras().parts.empty());
  EXPECT_FALSE(next->answer.extras().range_first || next->answer.has_type);
  EXPECT_TRUE(next->body_text.empty() && next->body_received == 0 && next->body_wanted_whole);
  EXPECT_FALSE(next->answered || next->head_only || next->streaming || next->on_data);
  EXPECT_TRUE(next->document.empty() && next->params.empty());
  next->release();
}

// One huge answer does not stay in memory.
TEST(Exchange, KeepsNoHugeBuffers) {
  Bench bench;
  core::Exchange* exchange = bench.shard->take_exchange();
  exchange->answer.text.assign(10 << 20, 'x');
  exchange->body_text.assign(10 << 20, 'x');
  exchange->release();
  exchange = bench.shard->take_exchange();
  EXPECT_LE(exchange->answer.text.capacity(), 64u << 10);
  EXPECT_LE(exchange->body_text.capacity(), 64u << 10);
  exchange->release();
}

TEST(Exchange, BodySizeIsTheSumOfItsParts) {
  core::Answer answer;
  EXPECT_EQ(answer.body_size(), 0u);
  answer.text = "12345";
  EXPECT_EQ(answer.body_size(), 5u);
  answer.set_extras().parts.push_back({{}, as_bytes(std::string_view("123")), {}, 0, 0});
  answer.set_extras().parts.push_back(
      {{}, {}, std::make_shared<core::OpenFile>(-1), 10, 1'000'000'000'000});
  EXPECT_EQ(answer.body_size(), 1'000'000'000'003u);
}

// --- Scratch -------------------------------------------------------------------------------------

TEST(Scratch, WritesSideBySide) {
  base::BlockPool pool;
  core::Scratch scratch(pool);
  std::byte* first = scratch.reserve(100);
  ASSERT_NE(first, nullptr);
  scratch.commit(10);
  EXPECT_EQ(scratch.reserve(50), first + 10) << "what was not filled is used again";
  scratch.commit(50);
  EXPECT_EQ(scratch.reserve(1), first + 60);
  EXPECT_EQ(pool.blocks_in_use(), 1u);
  scratch.release();
  EXPECT_EQ(pool.blocks_in_use(), 0u);
}

TEST(Scratch, RewindsWhenNobodyElseHoldsTheBlock) {
  base::BlockPool pool;
  core::Scratch scratch(pool);
  std::byte* first = scratch.reserve(100);
  scratch.commit(100);
  base::BlockRef held = base::BlockRef::share(scratch.block());
  scratch.rewind();
  EXPECT_EQ(scratch.reserve(1), first + 100) << "somebody still sends from it";
  held.reset();
  scratch.rewind();
  EXPECT_EQ(scratch.reserve(1), first);
  scratch.release();
}

TEST(Scratch, TakesAnotherBlockWhenThisOneIsFull) {
  base::BlockPool pool;
  core::Scratch scratch(pool);
  base::BlockRef held;
  std::size_t written = 0;
  while (!held || &scratch.block() == held.get()) {
    std::byte* at = scratch.reserve(core::Scratch::kLargest);
    ASSERT_NE(at, nullptr);
    if (!held) held = base::BlockRef::share(scratch.block());
    scratch.commit(1000);
    written += 1000;
    ASSERT_LT(written, 20'000u);
  }
  EXPECT_EQ(pool.blocks_in_use(), 2u);
  held.reset();
  EXPECT_EQ(pool.blocks_in_use(), 1u);
  scratch.release();
}

}  // namespace
}  // namespace sluice::test
