// tests/core/destination_test.cpp - equal destinations are one, and clients cannot make them pile
// up.
//
// Layer: tests.
#include "core/destination.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::test {
namespace {

core::Endpoint local(std::uint16_t port) {
  core::Endpoint endpoint;
  endpoint.family = core::Endpoint::Family::ip4;
  endpoint.address = {127, 0, 0, 1};
  endpoint.port = port;
  return endpoint;
}

TEST(Destinations, EqualOnesAreOne) {
  core::Destinations destinations;
  WebSocketHandlers handlers, others;
  core::DestinationRef plain = destinations.of(local(80));
  EXPECT_EQ(destinations.of(local(80)).get(), plain.get());
  EXPECT_NE(destinations.of(local(81)).get(), plain.get());
  core::DestinationRef chat = destinations.of(local(80), "/chat", "json", handlers);
  EXPECT_EQ(chat->url, "/chat");
  EXPECT_EQ(chat->protocol, "json");
  EXPECT_EQ(chat->local, local(80));
  EXPECT_EQ(chat->handlers, &handlers);
  EXPECT_EQ(destinations.of(local(80), "/chat", "json", handlers).get(), chat.get());
  EXPECT_NE(destinations.of(local(80), "/chat", "", handlers).get(), chat.get());
  EXPECT_NE(destinations.of(local(81), "/chat", "json", handlers).get(), chat.get());
  EXPECT_NE(destinations.of(local(80), "/chat", "json", others).get(), chat.get());
}

TEST(Destinations, AnyNumberOfPathsIsRight) {
  core::Destinations destinations;
  WebSocketHandlers handlers;
  std::vector<core::DestinationRef> kept;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 1000; ++i) {
      std::string url = "/devices/" + std::to_string(i);
      core::DestinationRef found = destinations.of(local(80), url, {}, handlers);
      EXPECT_EQ(found->url, url);
      if (round == 0) kept.push_back(found);
    }
  }
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(kept[std::size_t(i)]->url, "/devices/" + std::to_string(i)) << "kept as long as used";
  }
}

}  // namespace
}  // namespace sluice::test
