// tests/front/wire/failure/no_memory_test.cpp - the Nth allocation of the shard fails, for every N:
// at worst what was being done for one connection is lost, nothing leaks, the server goes on.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "front/wire/failure/coding_scenario.hpp"
#include "front/wire/failure/gate_scenario.hpp"
#include "front/wire/failure/http2_scenario.hpp"
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

void run(Scenario& scenario) {
  scenario.run([&] { return scenario.rig.connect(); });
}
void run(GateScenario& scenario) { scenario.run(); }
void run(Http2Scenario& scenario) { scenario.run(); }
void run(CodingScenario& scenario) { scenario.run(); }

// The script once for each allocation in it, with that one failing. `fewest` runs are to show it;
// no run may show it to more than `most` of the peers.
template <class Script>
void fail_each_allocation(std::size_t fewest, std::size_t most) {
  std::vector<std::string> expected;
  {
    Script clean;
    run(clean);
    expected = clean.transcripts();
  }
  std::size_t worst = 0, failed = 0;
  for (std::size_t nth = 1;; ++nth) {
    SCOPED_TRACE(testing::Message() << "allocation " << nth);
    Script scenario;
    left = nth;
    server_runs = arm;
    run(scenario);
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
  EXPECT_GT(failed, fewest) << "else nothing was tested";
  EXPECT_LE(worst, most);
}

// A broadcast that has no memory for its frame is lost for all; nothing else touches two.
TEST(NoMemory, TheServerGoesOn) { fail_each_allocation<Scenario>(30, 2); }

TEST(NoMemory, TheGateGoesOn) { fail_each_allocation<GateScenario>(30, 1); }

// nghttp2 has its memory from operator new, too.
TEST(NoMemory, Http2GoesOn) { fail_each_allocation<Http2Scenario>(30, 1); }

TEST(NoMemory, CodedBodiesGoOn) { fail_each_allocation<CodingScenario>(30, 1); }

}  // namespace
}  // namespace sluice::test
