// tests/api/ws_protocol_test.cpp - what a WebSocket peer may not do, and the close code that says
// so.
//
// RFC 6455 sections 5 to 8. Layer: tests.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/ws_harness.hpp"

namespace sluice::test {
namespace {

class WsProtocol : public WsTest {};

struct Wrong {
  const char* what;
  std::string bytes;
  int close_code;
  Errc code;
};

std::vector<Wrong> wrong_frames() {
  constexpr int kText = WsClient::kText, kPing = WsClient::kPing, kClose = WsClient::kClose;
  constexpr int kMore = WsClient::kContinuation;
  const std::string key(4, '\0');
  return {
      {"unmasked", WsClient::frame(kText, "a", true, false), 1002, Errc::ws_bad_mask},
      {"unmasked and empty", WsClient::frame(kText, "", true, false), 1002, Errc::ws_bad_mask},
      {"first reserved bit", WsClient::frame(kText, "a", true, true, 4), 1002,
       Errc::ws_reserved_bits},
      {"second reserved bit", WsClient::frame(kText, "a", true, true, 2), 1002,
       Errc::ws_reserved_bits},
      {"opcode 3", WsClient::frame(3, "a"), 1002, Errc::ws_bad_opcode},
      {"opcode 11", WsClient::frame(11, "a"), 1002, Errc::ws_bad_opcode},
      {"a ping in fragments", WsClient::frame(kPing, "a", false), 1002, Errc::ws_bad_control_frame},
      {"a ping of 126 bytes", WsClient::frame(kPing, std::string(126, 'p')), 1002,
       Errc::ws_bad_control_frame},
      {"a continuation of nothing", WsClient::frame(kMore, "a"), 1002,
       Errc::ws_unexpected_continuation},
      {"a message in a message", WsClient::frame(kText, "a", false) + WsClient::frame(kText, "b"),
       1002, Errc::ws_expected_continuation},
      {"16 bits for 125", std::string("\x82\xfe\x00\x7d", 4) + key + std::string(125, 'x'), 1002,
       Errc::ws_length_not_minimal},
      {"64 bits for 65535", std::string("\x82\xff\0\0\0\0\0\0\xff\xff", 10) + key, 1002,
       Errc::ws_length_not_minimal},
      {"the top bit of the length", std::string("\x82\xff\x80\0\0\0\0\0\0\0", 10) + key, 1002,
       Errc::ws_length_overflow},
      {"a length of 2^40", std::string("\x82\xff\0\0\x01\0\0\0\0\0", 10) + key, 1009,
       Errc::ws_message_too_big},
      {"invalid UTF-8", WsClient::frame(kText, "a\xff"), 1007, Errc::ws_bad_utf8},
      {"UTF-8 that is cut off", WsClient::frame(kText, "a\xe2\x82"), 1007, Errc::ws_bad_utf8},
      {"invalid UTF-8 over two fragments",
       WsClient::frame(kText, "a\xe2", false) + WsClient::frame(kMore, "a"), 1007,
       Errc::ws_bad_utf8},
      {"invalid UTF-8 before the end", WsClient::frame(kText, "\xc0\xaf", false), 1007,
       Errc::ws_bad_utf8},
      {"a close of one byte", WsClient::frame(kClose, "x"), 1002, Errc::ws_bad_close_frame},
      {"close code 1005", WsClient::close_frame(1005), 1002, Errc::ws_bad_close_code},
      {"close code 1006", WsClient::close_frame(1006), 1002, Errc::ws_bad_close_code},
      {"close code 999", WsClient::close_frame(999), 1002, Errc::ws_bad_close_code},
      {"close code 5000", WsClient::close_frame(5000), 1002, Errc::ws_bad_close_code},
      {"a reason that is no UTF-8", WsClient::close_frame(1000, "\xff"), 1007, Errc::ws_bad_utf8},
  };
}

TEST_P(WsProtocol, RefusesWithTheRightCode) {
  Running running = start();
  std::size_t done = 0;
  for (const Wrong& wrong : wrong_frames()) {
    WsClient socket = ws();
    ASSERT_TRUE(socket.is_open());
    ASSERT_TRUE(socket.send(wrong.bytes + WsClient::frame(WsClient::kText, "behind")));
    EXPECT_EQ(socket.read_close(), wrong.close_code) << wrong.what;
    EXPECT_EQ(socket.read(), "(end)") << wrong.what;
    socket.end_sending();
    ++done;
    ASSERT_TRUE(errors.wait_for(done)) << wrong.what;
    EXPECT_EQ(errors.all()[done - 1], wrong.code) << wrong.what;
    ASSERT_TRUE(events.wait_until([&](const std::vector<std::string>& list) {
      return list.size() == 2 * done;
    })) << wrong.what;
    EXPECT_EQ(events.all().back(), "disconnect " + std::to_string(wrong.close_code)) << wrong.what;
  }
  EXPECT_EQ(errors.size(), done);
}

TEST_P(WsProtocol, AcceptsEveryCodeThatMayBeSent) {
  Running running = start();
  for (int code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000,
                   3999, 4000, 4999}) {
    WsClient socket = ws();
    ASSERT_TRUE(socket.close(code, "why"));
    EXPECT_EQ(socket.read_close(), code);
    EXPECT_TRUE(socket.at_end());
    EXPECT_TRUE(told("disconnect " + std::to_string(code)));
  }
  EXPECT_EQ(errors.size(), 0u);
}

TEST_P(WsProtocol, IgnoresWhatComesBehindAClose) {
  Running running = start();
  WsClient socket = ws();
  ASSERT_TRUE(socket.send(WsClient::close_frame(1000) + WsClient::frame(WsClient::kText, "late") +
                          "garbage"));
  EXPECT_EQ(socket.read_close(), 1000);
  EXPECT_EQ(socket.read(), "(end)");
  ASSERT_TRUE(told("disconnect 1000"));
  EXPECT_EQ(events.size(), 2u);
}

TEST_P(WsProtocol, HoldsMessagesToTheirLimit) {
  server.limits.message_bytes = 1000;
  Running running = start();
  WsClient fits = ws();
  fits.text(std::string(1000, 't'));
  EXPECT_EQ(fits.read().size(), 1000u);
  fits.send(WsClient::frame(WsClient::kBinary, std::string(999, 'b'), false) +
            WsClient::frame(WsClient::kContinuation, "b"));
  EXPECT_EQ(fits.read().size(), 1000u);
  WsClient one_more = ws();
  one_more.text(std::string(1001, 't'));
  EXPECT_EQ(one_more.read_close(), 1009);
  one_more.end_sending();
  WsClient in_fragments = ws();
  in_fragments.send(WsClient::frame(WsClient::kBinary, std::string(1000, 'b'), false) +
                    WsClient::frame(WsClient::kContinuation, "b"));
  EXPECT_EQ(in_fragments.read_close(), 1009);
  in_fragments.end_sending();
  EXPECT_TRUE(told("disconnect 1009", 2));
}

TEST_P(WsProtocol, HoldsMessagesToTheirFragments) {
  server.limits.message_fragments = 10;
  Running running = start();
  auto message = [](int fragments) {
    std::string frames = WsClient::frame(WsClient::kText, "", fragments == 1);
    for (int i = 2; i <= fragments; ++i) {
      frames += WsClient::frame(WsClient::kContinuation, "x", i == fragments);
    }
    return frames;
  };
  WsClient socket = ws();
  socket.send(message(10));
  EXPECT_EQ(socket.read(), std::string(9, 'x'));
  socket.send(message(11));
  EXPECT_EQ(socket.read_close(), 1008);
}

TEST_P(WsProtocol, AcceptsAsManyFragmentsAsAreLegal) {
  Running running = start();
  WsClient socket = ws();
  std::string frames = WsClient::frame(WsClient::kText, "", false);
  const std::string one = WsClient::frame(WsClient::kContinuation, "x", false);
  for (int i = 0; i < 65534; ++i) frames += one;
  frames += WsClient::frame(WsClient::kContinuation, "!");
  ASSERT_TRUE(socket.send(frames));
  EXPECT_EQ(socket.read().size(), 65535u);
}

TEST_P(WsProtocol, MayLeaveTextUnchecked) {
  server.options.validate_utf8 = false;
  Running running = start();
  WsClient socket = ws();
  socket.text("a\xff");
  EXPECT_EQ(socket.read(), "a\xff");
}

TEST_P(WsProtocol, MayCloseWithoutACloseFrame) {
  server.options.clean_disconnect = false;
  Running running = start();
  WsClient socket = ws();
  EXPECT_EQ(next_connection().close(4000), SendStatus::queued);
  EXPECT_EQ(socket.read_close(), 0);
  EXPECT_TRUE(socket.at_end());
  EXPECT_TRUE(told("disconnect 1006"));
}

TEST_P(WsProtocol, EchoesLargeMessagesByteForByte) {
  Running running = start();
  WsClient socket = ws();
  for (std::size_t size : {std::size_t{125}, std::size_t{126}, std::size_t{65'535},
                           std::size_t{65'536}, std::size_t{1'000'000}, std::size_t{5'000'000}}) {
    const std::string message = pattern(size);
    std::jthread sender([&] { socket.binary(message); });
    const std::string echo = socket.read();
    sender.join();
    ASSERT_TRUE(echo == message) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(Api, WsProtocol, engines(), name_of);

}  // namespace
}  // namespace sluice::test
