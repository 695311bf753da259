// tests/proto/ws/stream_test.cpp - random streams of frames: what was said is what is heard.
//
// RFC 6455 section 5. Layer: tests. The seeds are fixed: a failure can be repeated.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "proto/ws/decoder.hpp"
#include "proto/ws/wire.hpp"

namespace sluice::ws {
namespace {

// Writes legal traffic of a client and, beside it, what a decoder has to say about it.
class Talker {
 public:
  explicit Talker(std::uint32_t seed) : random_(seed) {}

  Wire input;
  std::string events;

  void message() {
    const bool text = below(2) == 0;
    const std::size_t fragments = below(3) == 0 ? 1 + below(6) : 1;
    for (std::size_t i = 0; i < fragments; ++i) {
      if (i > 0 && below(3) == 0) control();
      const bool last = i + 1 == fragments;
      Opcode opcode = Opcode::continuation;
      if (i == 0) opcode = text ? Opcode::text : Opcode::binary;
      space();
      events += i > 0 ? "-" : text ? "text{" : "binary{";
      say(opcode, last, payload(pick_size()));
      events += last ? "}" : "-";
    }
  }

  void control() {
    const bool ping = below(2) == 0;
    space();
    events += ping ? "ping{" : "pong{";
    say(ping ? Opcode::ping : Opcode::pong, true, payload(below(126)));
    events += "}";
  }

  std::size_t below(std::size_t n) { return random_() % n; }

  std::vector<std::size_t> cuts(std::size_t at_most) {
    std::vector<std::size_t> result(below(at_most + 1));
    for (std::size_t& cut : result) cut = below(input.size() + 1);
    std::sort(result.begin(), result.end());
    return result;
  }

 private:
  void space() {
    if (!events.empty()) events += ' ';
  }

  std::size_t pick_size() {
    constexpr std::size_t kEdges[] = {0, 1, 124, 125, 126, 127, 64, 65'535, 65'536};
    return below(8) == 0 ? kEdges[below(std::size(kEdges))] : below(200);
  }

  // Printable, so that the verdict shows it as it is.
  std::string payload(std::size_t size) {
    std::string result(size, ' ');
    for (char& c : result) c = static_cast<char>('0' + below(10));
    return result;
  }

  void say(Opcode opcode, bool fin, const std::string& text) {
    FrameHeader header;
    header.opcode = opcode;
    header.fin = fin;
    header.masked = true;
    for (std::byte& b : header.key) b = static_cast<std::byte>(random_());
    append(input, frame(header, as_bytes(text)));
    events += text;
  }

  std::mt19937 random_;
};

TEST(Stream, LegalTrafficIsHeardAsItWasSaid) {
  for (std::uint32_t seed = 0; seed < 150; ++seed) {
    Talker talker(seed);
    for (std::size_t i = talker.below(8); i > 0; --i) {
      talker.message();
      if (talker.below(4) == 0) talker.control();
    }
    const Verdict want{talker.events, Errc::none};
    ASSERT_EQ(verdict_of(talker.input, {}, {}), want) << "seed " << seed;
    for (int round = 0; round < 8; ++round) {
      ASSERT_EQ(verdict_of(talker.input, talker.cuts(30), {}), want) << "seed " << seed;
    }
  }
}

// Whatever a few wrong bytes make of a stream, it is the same for every way to cut it.
TEST(Stream, DamagedTrafficHasOneVerdict) {
  for (std::uint32_t seed = 1000; seed < 3000; ++seed) {
    Talker talker(seed);
    for (std::size_t i = 1 + talker.below(3); i > 0; --i) talker.message();
    for (std::size_t i = 1 + talker.below(4); i > 0; --i) {
      talker.input[talker.below(talker.input.size())] ^=
          static_cast<std::byte>(1u << talker.below(8));
    }
    DecoderOptions options;
    options.message_bytes = talker.below(2) == 0 ? 200 : 100'000;
    options.fragments = 3;
    const Verdict whole = verdict_of(talker.input, {}, options);
    for (int round = 0; round < 6; ++round) {
      ASSERT_EQ(verdict_of(talker.input, talker.cuts(40), options), whole) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace sluice::ws
