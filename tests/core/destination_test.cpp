// tests/core/destination_test.cpp - equal destinations are one, and clients cannot make them pile
// up.
//
// Layer: tests.
#include "core/destination.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/harness.hpp"

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
  core::Destinations destinations(nullptr);
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
  core::Destinations destinations(nullptr);
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

// A server that listens on any address may have more local addresses than a shard remembers.
TEST(Destinations, TheOneBeforeStaysReadable) {
  Bench bench;
  core::Destinations& destinations = bench.shard->destinations;
  std::uint16_t port = 1;
  for (; port <= 300; ++port) destinations.of(local(port));
  ASSERT_NE(destinations.of(local(port)).get(), destinations.of(local(port)).get());
  auto* connection = new PlainConnection(destinations.of(local(port)));
  const core::Destination& before = connection->destination();  // as another thread reads it
  WebSocketHandlers handlers;
  connection->set_destination(destinations.of(local(port), "/chat", {}, handlers));
  EXPECT_EQ(before.local, local(port));
  EXPECT_EQ(connection->destination().url, "/chat");
  EXPECT_EQ(&connection->home(), before.home);
  connection->release();
}

}  // namespace
}  // namespace sluice::test
