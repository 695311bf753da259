// tests/core/channel_test.cpp - subscriptions against a slow and simple model.
//
// Layer: tests.
#include "core/channel.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/harness.hpp"

namespace sluice::test {
namespace {

struct ChannelTest : testing::Test {
  ChannelTest() {
    for (int i = 0; i < 12; ++i) {
      owners.push_back(core::WebSocket::make(bench.connection()));
      sockets.push_back(static_cast<core::WebSocket*>(owners.back().get()));
    }
  }
  Bench bench;
  std::vector<core::StreamPtr> owners;
  std::vector<core::WebSocket*> sockets;
  core::Channels channels;
};

TEST_F(ChannelTest, ExistsWhileItHasSubscribers) {
  EXPECT_EQ(channels.find("a"), nullptr);
  EXPECT_TRUE(channels.subscribe(*sockets[0], "a"));
  EXPECT_FALSE(channels.subscribe(*sockets[0], "a")) << "once is enough";
  ASSERT_NE(channels.find("a"), nullptr);
  EXPECT_EQ(channels.find("a")->members.size(), 1u);
  EXPECT_FALSE(channels.unsubscribe(*sockets[1], "a"));
  EXPECT_FALSE(channels.unsubscribe(*sockets[0], "b"));
  EXPECT_TRUE(channels.unsubscribe(*sockets[0], "a"));
  EXPECT_FALSE(channels.unsubscribe(*sockets[0], "a"));
  EXPECT_EQ(channels.find("a"), nullptr);
}

TEST_F(ChannelTest, AnyBytesAreAName) {
  const std::string odd("\0a,;\xff", 5);
  EXPECT_TRUE(channels.subscribe(*sockets[0], odd));
  EXPECT_TRUE(channels.subscribe(*sockets[0], ""));
  EXPECT_NE(channels.find(odd), nullptr);
  channels.unsubscribe_all(*sockets[0]);
  EXPECT_EQ(channels.find(odd), nullptr);
}

TEST_F(ChannelTest, AgreesWithTheModel) {
  std::mt19937 random(7);
  std::map<std::string, std::set<core::WebSocket*>> model;
  const std::vector<std::string> names = {"a", "b", "c", "news", "a longer name of a channel", "x"};
  for (int step = 0; step < 20'000; ++step) {
    core::WebSocket& socket = *sockets[random() % sockets.size()];
    const std::string& name = names[random() % names.size()];
    switch (random() % 8) {
      case 0: {
        channels.unsubscribe_all(socket);
        for (auto& [unused, members] : model) members.erase(&socket);
        break;
      }
      case 1:
      case 2:
      case 3:
        ASSERT_EQ(channels.unsubscribe(socket, name), model[name].erase(&socket) == 1);
        break;
      default:
        ASSERT_EQ(channels.subscribe(socket, name), model[name].insert(&socket).second);
    }
    for (const std::string& each : names) {
      core::Channel* channel = channels.find(each);
      ASSERT_EQ(channel != nullptr, !model[each].empty());
      if (!channel) continue;
      ASSERT_EQ(std::set<core::WebSocket*>(channel->members.begin(), channel->members.end()),
                model[each]);
      ASSERT_EQ(channel->members.size(), model[each].size());
    }
    for (std::uint32_t i = 0; i < socket.subscriptions.size(); ++i) {
      core::Subscription held = socket.subscriptions[i];
      ASSERT_EQ(channels.at(held.channel).members[held.place], &socket) << "its place is right";
    }
  }
  for (core::WebSocket* socket : sockets) channels.unsubscribe_all(*socket);
  for (const std::string& each : names) EXPECT_EQ(channels.find(each), nullptr);
}

}  // namespace
}  // namespace sluice::test
