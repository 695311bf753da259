// tests/front/wire/failure/no_memory_test.cpp - the Nth allocation of the shard fails, for every N:
// at worst what was being done for one connection is lost, nothing leaks, the server goes on.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "front/wire/scenario.hpp"
#include "support/new_hook.hpp"

namespace sluice::test {
namespace {

std::size_t left = 0;  // allocations until the one that fails; 0: none does

void arm(bool server) {
  if (server) {
    fail_after = left;
  } else {
    left = fail_after;
    fail_after = 0;
  }
}

TEST(NoMemory, TheServerGoesOn) {
  std::vector<std::string> expected;
  {
    Scenario clean;
    clean.run([&] { return clean.rig.connect(); });
    expected = clean.transcripts();
  }
  std::size_t worst = 0, failed = 0;
  for (std::size_t nth = 1;; ++nth) {
    SCOPED_TRACE(testing::Message() << "allocation " << nth);
    Scenario scenario;
    left = nth;
    server_runs = arm;
    scenario.run([&] { return scenario.rig.connect(); });
    server_runs = nullptr;
    bool reached = left == 0;
    left = 0;
    std::vector<std::string> got = scenario.transcripts();
    std::size_t hurt = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) hurt += got[i] != expected[i];
    worst = std::max(worst, hurt);
    failed += hurt > 0;
    scenario.expect_service();
    if (testing::Test::HasFailure()) return;
    if (!reached) {
      EXPECT_EQ(hurt, 0u);
      break;
    }
  }
  EXPECT_GT(failed, 30u) << "else nothing was tested";
  // A broadcast that has no memory for its frame is lost for all; nothing else touches two.
  EXPECT_LE(worst, 2u);
}

}  // namespace
}  // namespace sluice::test
