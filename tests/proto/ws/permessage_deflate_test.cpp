// tests/proto/ws/permessage_deflate_test.cpp - offers and answers; messages, whole and in pieces.
//
// RFC 7692 sections 5 and 7. Layer: tests.
#include "proto/ws/permessage_deflate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "proto/ws/wire.hpp"

namespace sluice::ws {
namespace {

struct Case {
  std::string_view name, offers, answer;  // no answer: declined
  DeflateRules rules = {};
};

constexpr DeflateRules kSmall{12, 12, true, true};
constexpr DeflateRules kTenNine{10, 9, false, false};

constexpr Case kOffers[] = {
    {"nothing", "", ""},
    {"only the name", "permessage-deflate", "permessage-deflate"},
    {"another extension", "permessage-bzip2", ""},
    {"a name that begins the same", "permessage-deflate2", ""},
    {"the name in capitals is another", "Permessage-Deflate", ""},
    {"what browsers send", "permessage-deflate; client_max_window_bits", "permessage-deflate"},
    {"the same, little memory", "permessage-deflate; client_max_window_bits",
     "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
     "server_max_window_bits=12; client_max_window_bits=12",
     kSmall},
    {"a client that cannot limit itself", "permessage-deflate",
     "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
     "server_max_window_bits=12",
     kSmall},
    {"no takeover by the server", "permessage-deflate; server_no_context_takeover",
     "permessage-deflate; server_no_context_takeover"},
    {"no takeover by the client", "permessage-deflate; client_no_context_takeover",
     "permessage-deflate; client_no_context_takeover"},
    {"both", "permessage-deflate;client_no_context_takeover;server_no_context_takeover",
     "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
    {"the server's window", "permessage-deflate; server_max_window_bits=10",
     "permessage-deflate; server_max_window_bits=10"},
    {"the server's window, 15 is answered, too", "permessage-deflate; server_max_window_bits=15",
     "permessage-deflate; server_max_window_bits=15"},
    {"the smaller one of both", "permessage-deflate; server_max_window_bits=12",
     "permessage-deflate; server_max_window_bits=10", kTenNine},
    {"the smaller one is the client's", "permessage-deflate; server_max_window_bits=8",
     "permessage-deflate; server_max_window_bits=8", kTenNine},
    {"the client's window", "permessage-deflate; client_max_window_bits=11",
     "permessage-deflate; client_max_window_bits=11"},
    {"the client's window, ours is smaller", "permessage-deflate; client_max_window_bits=11",
     "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9", kTenNine},
    {"the client's window of 15 need not be answered",
     "permessage-deflate; client_max_window_bits=15", "permessage-deflate"},
    {"all four",
     "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
     "server_max_window_bits=9; client_max_window_bits=8",
     "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
     "server_max_window_bits=9; client_max_window_bits=8"},
    {"a value between quotes", "permessage-deflate; server_max_window_bits=\"10\"",
     "permessage-deflate; server_max_window_bits=10"},
    {"escaped between quotes", "permessage-deflate; server_max_window_bits=\"\\10\"",
     "permessage-deflate; server_max_window_bits=10"},
    {"spaces and tabs", " permessage-deflate\t;  client_max_window_bits = 10 ",
     "permessage-deflate; client_max_window_bits=10"},
    // Several offers: the first that can be taken.
    {"the second", "x-webkit-deflate-frame, permessage-deflate", "permessage-deflate"},
    {"two good ones",
     "permessage-deflate; server_max_window_bits=9, permessage-deflate; server_max_window_bits=10",
     "permessage-deflate; server_max_window_bits=9"},
    {"behind one that is declined",
     "permessage-deflate; server_max_window_bits=7, permessage-deflate", "permessage-deflate"},
    {"behind empty ones", ", ,permessage-deflate", "permessage-deflate"},
    {"a comma between quotes is none", "other; a=\"x, permessage-deflate\"", ""},
    {"a quote that does not end takes the rest", "other; a=\"x, permessage-deflate", ""},
    // Declined (section 7.1).
    {"a parameter that nobody knows", "permessage-deflate; max_window=1", ""},
    {"a parameter twice",
     "permessage-deflate; server_no_context_takeover; server_no_context_takeover", ""},
    {"a window twice", "permessage-deflate; client_max_window_bits; client_max_window_bits=10", ""},
    {"the server's window twice",
     "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", ""},
    {"a flag with a value", "permessage-deflate; server_no_context_takeover=1", ""},
    {"a flag with an empty value", "permessage-deflate; client_no_context_takeover=", ""},
    {"the server's window without a value", "permessage-deflate; server_max_window_bits", ""},
    {"an empty value", "permessage-deflate; client_max_window_bits=", ""},
    {"an empty value between quotes", "permessage-deflate; client_max_window_bits=\"\"", ""},
    {"7", "permessage-deflate; server_max_window_bits=7", ""},
    {"16", "permessage-deflate; server_max_window_bits=16", ""},
    {"client 7", "permessage-deflate; client_max_window_bits=7", ""},
    {"client 16", "permessage-deflate; client_max_window_bits=16", ""},
    {"0", "permessage-deflate; client_max_window_bits=0", ""},
    {"a zero in front", "permessage-deflate; server_max_window_bits=08", ""},
    {"a sign", "permessage-deflate; server_max_window_bits=+9", ""},
    {"no number", "permessage-deflate; server_max_window_bits=ten", ""},
    {"a very long number", "permessage-deflate; server_max_window_bits=10000000000000000010", ""},
    {"half a quote", "permessage-deflate; server_max_window_bits=\"10", ""},
    {"an empty parameter", "permessage-deflate; ; client_max_window_bits", ""},
    {"a semicolon at the end", "permessage-deflate;", ""},
    {"a value of the name", "permessage-deflate=1", ""},
};

TEST(PermessageDeflate, Offers) {
  for (const Case& c : kOffers) {
    SCOPED_TRACE(c.name);
    const auto agreed = negotiate_deflate(c.offers, c.rules);
    EXPECT_EQ(agreed ? deflate_answer(*agreed) : "", c.answer);
  }
}

TEST(PermessageDeflate, EveryWindowBothWays) {
  for (std::uint8_t ours = 8; ours <= 15; ++ours) {
    for (unsigned theirs = 8; theirs <= 15; ++theirs) {
      const DeflateRules rules{ours, ours, false, false};
      const auto agreed =
          negotiate_deflate("permessage-deflate; server_max_window_bits=" + std::to_string(theirs) +
                                "; client_max_window_bits=" + std::to_string(theirs),
                            rules);
      ASSERT_TRUE(agreed);
      EXPECT_EQ(agreed->server_window_bits, std::min<unsigned>(ours, theirs));
      EXPECT_EQ(agreed->client_window_bits, std::min<unsigned>(ours, theirs));
    }
  }
}

// --- Messages ------------------------------------------------------------------------------------

Wire packed_with(coding::Deflater& deflater, std::string_view text) {
  Wire out(text.size() + kDeflateTail);
  out.resize(deflate_message(deflater, as_bytes(text), out).size());
  return out;
}

// What comes out of the pieces, then how it ended; nothing at all where it ended well.
std::string message_of(MessageInflater& inflater, Bytes in, const std::vector<std::size_t>& cuts,
                       std::size_t room) {
  std::string text;
  std::size_t at = 0;
  for (std::size_t piece = 0; piece <= cuts.size(); ++piece) {
    const std::size_t end = piece < cuts.size() ? cuts[piece] : in.size();
    Wire memory(in.begin() + static_cast<std::ptrdiff_t>(at),
                in.begin() + static_cast<std::ptrdiff_t>(end));
    Bytes left = memory;
    for (bool done = false; !done;) {
      Wire out(room);
      const auto step = inflater.inflate(left, piece == cuts.size(), out);
      text += as_text(Bytes(out).first(step.made));
      if (step.error != Errc::none) {
        return "error " + std::to_string(static_cast<int>(step.error));
      }
      left = left.subspan(step.used);
      done = step.done;
    }
    EXPECT_TRUE(left.empty());
    at = end;
  }
  return text;
}

// The same for the whole and for every cut, with much room and with little.
std::string message_of_every_cut(Bytes in, bool is_utf8, std::uint64_t limit) {
  auto inflater = MessageInflater::make(15);
  const auto once = [&](const std::vector<std::size_t>& cuts, std::size_t room) {
    inflater->reset();
    inflater->begin(is_utf8, limit);
    return message_of(*inflater, in, cuts, room);
  };
  const std::string whole = once({}, 100'000);
  for (std::size_t cut = 0; cut <= in.size(); ++cut) {
    for (const std::size_t room : {1u, 5u, 100'000u}) {
      EXPECT_EQ(once({cut}, room), whole) << "cut at " << cut << ", room for " << room;
    }
  }
  for (std::size_t size = 1; size <= 9; ++size) {
    std::vector<std::size_t> cuts;
    for (std::size_t at = size; at < in.size(); at += size) cuts.push_back(at);
    EXPECT_EQ(once(cuts, 3), whole) << "pieces of " << size;
  }
  return whole;
}

std::string error(Errc code) { return "error " + std::to_string(static_cast<int>(code)); }

constexpr std::uint64_t kMuch = 1 << 20;

// The examples of section 7.2.3.
TEST(PermessageDeflate, Inflates) {
  struct Message {
    std::string_view name, bytes, text;
  };
  constexpr Message kMessages[] = {
      {"one block", "f2 48 cd c9 c9 07 00", "Hello"},
      {"no compression", "00 05 00 fa ff 48 65 6c 6c 6f 00", "Hello"},
      {"a final block", "f3 48 cd c9 c9 07 00 00", "Hello"},
      {"two blocks", "f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "Hello"},
      {"empty", "00", ""},
      {"a final block without the byte behind it", "f3 48 cd c9 c9 07 00", "Hello"},
      {"with the tail that belongs off", "f2 48 cd c9 c9 07 00 00 00 ff ff", "Hello"},
      {"no byte at all", "", ""},
  };
  for (const Message& each : kMessages) {
    SCOPED_TRACE(each.name);
    EXPECT_EQ(message_of_every_cut(wire(each.bytes), true, kMuch), each.text);
  }
}

TEST(PermessageDeflate, TheNextMessageMayReferToTheOneBefore) {
  auto inflater = MessageInflater::make(15);
  inflater->begin(true, kMuch);
  EXPECT_EQ(message_of(*inflater, wire("f2 48 cd c9 c9 07 00"), {}, 100), "Hello");
  inflater->begin(true, kMuch);
  EXPECT_EQ(message_of(*inflater, wire("f2 00 11 00 00"), {}, 100), "Hello");
  // Also behind a final block.
  inflater->begin(true, kMuch);
  EXPECT_EQ(message_of(*inflater, wire("f3 48 cd c9 c9 07 00 00"), {}, 100), "Hello");
  inflater->begin(true, kMuch);
  EXPECT_EQ(message_of(*inflater, wire("f2 00 11 00 00"), {}, 100), "Hello");
  inflater->reset();
  inflater->begin(true, kMuch);
  EXPECT_EQ(message_of(*inflater, wire("f2 00 11 00 00"), {}, 100), error(Errc::ws_bad_deflate));
}

TEST(PermessageDeflate, Corrupt) {
  constexpr std::string_view kBad[] = {
      "06",                          // a block of type 3
      "00 05 00 fa f0 48",           // a stored length that does not fit its complement
      "f2 00 11 00 00",              // refers to what never was
      "f2 48 cd",                    // stops inside a block
      "00 05 00 fa ff 48 65",        // stops inside a stored one
      "78 9c f2 48 cd c9 c9 07 00",  // with zlib's header
      "FF FF FF FF",
      "f2 48 cd c9 c9 07 00 de ad be ef",
  };
  for (const std::string_view bytes : kBad) {
    SCOPED_TRACE(bytes);
    EXPECT_EQ(message_of_every_cut(wire(bytes), false, kMuch), error(Errc::ws_bad_deflate));
  }
}

TEST(PermessageDeflate, TextIsLookedAtWhenItIsInflated) {
  auto deflater = coding::Deflater::make({15, 6, 8});
  const auto packed = [&](std::string_view text) {
    deflater->reset();
    Wire out(text.size() + 64);
    out.resize(deflater->flush(as_bytes(text), out) - kDeflateTail);
    return out;
  };
  constexpr std::string_view kGood = "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80";
  EXPECT_EQ(message_of_every_cut(packed(kGood), true, kMuch), kGood);
  for (const std::string_view bad : {"\xff", "ab\xc3(", "stops \xe2\x82", "\xed\xa0\x80"}) {
    EXPECT_EQ(message_of_every_cut(packed(bad), true, kMuch), error(Errc::ws_bad_utf8));
    EXPECT_EQ(message_of_every_cut(packed(bad), false, kMuch), bad);
  }
  // What is wrong first decides: text before what cannot be inflated, and before the limit.
  Wire broken = packed("ab\xff");
  append(broken, wire("06"));
  EXPECT_EQ(message_of_every_cut(broken, true, kMuch), error(Errc::ws_bad_utf8));
  EXPECT_EQ(message_of_every_cut(packed("ab\xff"
                                        "defg"),
                                 true, 4),
            error(Errc::ws_bad_utf8));
  EXPECT_EQ(message_of_every_cut(packed("abcd\xff"), true, 4), error(Errc::ws_message_too_big));
}

TEST(PermessageDeflate, TheLimitIsOfWhatIsInflated) {
  auto deflater = coding::Deflater::make({15, 9, 8});
  const std::string text(5000, 'a');
  const Wire packed = packed_with(*deflater, text);
  EXPECT_LT(packed.size(), 50u);
  EXPECT_EQ(message_of_every_cut(packed, true, 5000), text);
  EXPECT_EQ(message_of_every_cut(packed, true, 5001), text);
  EXPECT_EQ(message_of_every_cut(packed, true, 4999), error(Errc::ws_message_too_big));
  EXPECT_EQ(message_of_every_cut(packed, true, 0), error(Errc::ws_message_too_big));
}

// 64 MiB of nothing in 64 KiB: it ends one byte over the limit, whatever room there is.
TEST(PermessageDeflate, ABombEndsOneByteOver) {
  auto deflater = coding::Deflater::make({15, 9, 9});
  const Wire bomb = packed_with(*deflater, std::string(64 << 20, '\0'));
  ASSERT_LT(bomb.size(), 70'000u);
  auto inflater = MessageInflater::make(15);
  inflater->begin(false, 256 << 10);
  Wire out(1 << 20);
  const auto step = inflater->inflate(bomb, true, out);
  EXPECT_EQ(step.error, Errc::ws_message_too_big);
  EXPECT_EQ(step.made, (256u << 10) + 1);
}

TEST(PermessageDeflate, WhatWouldNotBeShorterGoesAsItIs) {
  auto deflater = coding::Deflater::make({12, 5, 5});
  std::mt19937 random(7);
  for (const std::size_t size : {1u, 2u, 10u, 100u, 1000u, 100'000u}) {
    std::string noise;
    for (std::size_t i = 0; i < size; ++i) noise += static_cast<char>(random());
    EXPECT_TRUE(packed_with(*deflater, noise).empty()) << size;
    // And nothing of it is remembered.
    const std::string text = "again and again and again and again and again and again";
    auto inflater = MessageInflater::make(12);
    inflater->begin(true, kMuch);
    const Wire packed = packed_with(*deflater, text);
    ASSERT_FALSE(packed.empty());
    EXPECT_LT(packed.size(), text.size());
    EXPECT_EQ(message_of(*inflater, packed, {}, 1000), text);
    deflater->reset();
  }
}

// Any lengths and kinds of messages, one after the other, with everything that may be agreed upon.
TEST(PermessageDeflate, ThereAndBack) {
  for (unsigned window = 8; window <= 15; ++window) {
    for (const bool takeover : {false, true}) {
      SCOPED_TRACE(testing::Message() << window << (takeover ? " with takeover" : ""));
      std::mt19937 random(window);
      auto deflater = coding::Deflater::make({window, 5, 5});
      auto inflater = MessageInflater::make(window);
      for (int turn = 0; turn < 200; ++turn) {
        std::string text;
        const std::size_t size = 1 + random() % 3000;
        while (text.size() < size) {
          text += random() % 4 == 0 ? std::string(1, static_cast<char>(random()))
                                    : "item " + std::to_string(random() % 50) + ", ";
        }
        if (!takeover) deflater->reset();
        const Wire packed = packed_with(*deflater, text);
        if (packed.empty()) continue;
        if (!takeover) inflater->reset();
        inflater->begin(false, text.size());
        std::vector<std::size_t> cuts;
        for (std::size_t at = random() % 100; at < packed.size(); at += 1 + random() % 100) {
          cuts.push_back(at);
        }
        ASSERT_EQ(message_of(*inflater, packed, cuts, 1 + random() % 500), text) << turn;
      }
    }
  }
}

}  // namespace
}  // namespace sluice::ws
