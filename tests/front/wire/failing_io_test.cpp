// tests/front/wire/failing_io_test.cpp - the Nth receive, send, accept or adoption fails, for every
// N: one connection goes, nothing leaks, the others do not notice.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "front/wire/scenario.hpp"

namespace sluice::test {
namespace {

struct Played {
  explicit Played(io::SimOperation operation = io::SimOperation::adopt, std::uint64_t nth = 0,
                  Errc code = Errc::none) {
    io::SimNetwork& network = scenario.rig.network;
    int listener = network.open_listener();
    scenario.rig.loop().add_listener({listener, {}, false});
    scenario.rig.on(0, [&] { scenario.rig.loop().listen(); });
    if (nth > 0) network.fail_nth(operation, nth, code);
    scenario.run([&] { return network.connect(listener); });
    transcripts = scenario.transcripts();
    for (std::size_t i = 0; i < counts.size(); ++i) {
      counts[i] = network.count(static_cast<io::SimOperation>(i));
    }
    scenario.expect_service();
  }
  Scenario scenario;
  std::vector<std::string> transcripts;
  std::array<std::uint64_t, 4> counts{};
};

class FailingIo : public testing::TestWithParam<io::SimOperation> {};

TEST_P(FailingIo, HurtsOneConnectionOnly) {
  std::vector<std::string> expected;
  std::uint64_t count = 0;
  {
    Played clean;
    expected = clean.transcripts;
    count = clean.counts[static_cast<std::size_t>(GetParam())];
    EXPECT_TRUE(clean.scenario.rig.count_errors(Errc::ws_bad_utf8) == 1);
    for (const std::string& transcript : expected) EXPECT_FALSE(transcript.empty());
  }
  ASSERT_GT(count, 0u);
  for (std::uint64_t nth = 1; nth <= count; ++nth) {
    SCOPED_TRACE(testing::Message() << "number " << nth << " of " << count);
    bool accepting = GetParam() == io::SimOperation::accept;
    Played run(GetParam(), nth, accepting ? Errc::too_many_files : Errc::connection_reset);
    std::size_t hurt = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) hurt += run.transcripts[i] != expected[i];
    if (accepting) {
      EXPECT_EQ(hurt, 0u) << "accepted a little later";
    } else {
      EXPECT_LE(hurt, 1u) << "none when it had its last answer already";
    }
    if (testing::Test::HasFailure()) return;
  }
}

std::string name_of(const testing::TestParamInfo<io::SimOperation>& operation) {
  constexpr const char* kNames[] = {"adopt", "receive", "send", "accept"};
  return kNames[static_cast<std::size_t>(operation.param)];
}

INSTANTIATE_TEST_SUITE_P(Operations, FailingIo,
                         testing::Values(io::SimOperation::adopt, io::SimOperation::receive,
                                         io::SimOperation::send, io::SimOperation::accept),
                         name_of);

}  // namespace
}  // namespace sluice::test
