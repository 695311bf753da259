// tests/core/deflate_pool_test.cpp - what one WebSocket's context refers to, and what it does not.
//
// RFC 7692. Layer: tests.
#include "core/deflate_pool.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sluice::core {
namespace {

constexpr coding::DeflateOptions kFast{12, 1, 1}, kSmall{12, 9, 9};

std::string text() {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "item " + std::to_string(i * i % 97) + ", ";
  return text;
}

std::string packed(coding::Deflater& deflater) {
  const std::string message = text();
  std::string out(message.size() + ws::kDeflateTail, '\0');
  out.resize(
      ws::deflate_message(deflater, as_bytes(message), std::as_writable_bytes(std::span(out)))
          .size());
  return out;
}
std::string alone(const coding::DeflateOptions& options) {
  return packed(*coding::Deflater::make(options));
}

TEST(DeflateContexts, RefersToWhatWentBeforeUntilThatIsStale) {
  DeflateContexts contexts;
  EXPECT_EQ(packed(*contexts.deflater_for(kSmall)), alone(kSmall));
  EXPECT_LT(packed(*contexts.deflater_for(kSmall)).size() * 2, alone(kSmall).size());
  contexts.stale = true;
  EXPECT_EQ(packed(*contexts.deflater_for(kSmall)), alone(kSmall));
  EXPECT_FALSE(contexts.stale);
  EXPECT_LT(packed(*contexts.deflater_for(kSmall)).size() * 2, alone(kSmall).size());
}

TEST(DeflateContexts, OtherOptionsBeginAnew) {
  ASSERT_NE(alone(kFast), alone(kSmall));
  DeflateContexts contexts;
  EXPECT_EQ(packed(*contexts.deflater_for(kFast)), alone(kFast));
  EXPECT_EQ(packed(*contexts.deflater_for(kSmall)), alone(kSmall));
  EXPECT_LT(packed(*contexts.deflater_for(kSmall)).size() * 2, alone(kSmall).size());
}

}  // namespace
}  // namespace sluice::core
