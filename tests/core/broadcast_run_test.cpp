// tests/core/broadcast_run_test.cpp - how long frames wait for others before a long walk.
//
// Layer: tests.
#include "core/broadcast_run.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::test {
namespace {

using core::BroadcastRun;

struct Waiting : testing::Test {
  // Nobody is told in these tests.
  std::vector<core::WebSocket*> members = std::vector<core::WebSocket*>(BroadcastRun::kWorthALook);
  base::BlockPool pool;
  base::BlockRef block = pool.take(1024);
  std::size_t used = 0;
  BroadcastRun run;
  void add() {
    run.add(members, *block, {block->data() + used, 4});
    used += 4;
  }
};

TEST_F(Waiting, EndsAfterTwoLooksInVain) {
  EXPECT_FALSE(run.should_wait()) << "nothing waits";
  add();
  EXPECT_TRUE(run.should_wait());
  EXPECT_TRUE(run.should_wait());
  EXPECT_FALSE(run.should_wait());
}

TEST_F(Waiting, IsNotWorthItForFew) {
  members.pop_back();
  add();
  EXPECT_FALSE(run.should_wait());
}

TEST_F(Waiting, EndsThoughMoreComesAndMore) {
  int looks = 0;
  do {
    add();
  } while (run.should_wait() && ++looks < 1000);
  EXPECT_EQ(looks, BroadcastRun::kLooks);
}

}  // namespace
}  // namespace sluice::test
