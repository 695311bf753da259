// tests/api/coding/coding_harness.hpp - bodies that shrink, coded and undone again.
//
// Layer: tests.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/harness.hpp"
#include "proto/coding/decoder.hpp"
#include "proto/coding/encoder.hpp"

namespace sluice::test {

// Lines that repeat, of exactly this size.
inline std::string lines(std::size_t size) {
  std::string text;
  text.reserve(size + 80);
  for (std::size_t i = 0; text.size() < size; ++i) {
    text += "line " + std::to_string(i * 7919 % 10'007) + " of a text that shrinks\n";
  }
  text.resize(size);
  return text;
}

// What was coded bit by bit.
class Undoing {
 public:
  explicit Undoing(http::ContentCoding coding)
      : decoder_(coding::Decoder::make(std::span(&coding, 1), {})) {}

  // All that comes of it, with what came before. Nothing: it is damaged.
  std::optional<std::string> add(std::string_view coded, bool last) {
    std::array<std::byte, 4096> room;
    for (;;) {
      const auto step = decoder_->decode(as_bytes(coded), last, room);
      coded.remove_prefix(step.used);
      text_.append(as_text(Bytes(room).first(step.made)));
      if (step.error != Errc::none) return std::nullopt;
      if (step.done) return text_;
    }
  }

 private:
  std::unique_ptr<coding::Decoder> decoder_;
  std::string text_;
};

inline std::optional<std::string> undone(std::string_view coded, std::string_view name) {
  const auto coding = http::find_coding(name);
  if (!coding || *coding == http::ContentCoding::identity) return std::nullopt;
  return Undoing(*coding).add(coded, true);
}

inline std::string coded(std::string_view text, std::string_view name) {
  const auto encoder = coding::Encoder::make(*http::find_coding(name));
  std::string made;
  std::array<std::byte, 4096> room;
  for (;;) {
    const auto step = encoder->encode(as_bytes(text), coding::Encoder::Until::finished, room);
    text.remove_prefix(step.used);
    made.append(as_text(Bytes(room).first(step.made)));
    EXPECT_EQ(step.error, Errc::none);
    if (step.done || step.error != Errc::none) return made;
  }
}

class CodingTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    server.content_coding.enabled = true;
    server.on_http_request = [this](Connection, const HttpRequest& request,
                                    HttpResponse& response) { answer(request, response); };
  }
  HttpReply get(std::string_view target, std::string_view accepted,
                std::string_view fields = {}) const {
    return ask("GET", target, accepted, fields);
  }
  HttpReply ask(std::string_view method, std::string_view target, std::string_view accepted,
                std::string_view fields = {}) const {
    std::string all(fields);
    if (!accepted.empty()) all.append("Accept-Encoding: ").append(accepted).append("\r\n");
    HttpClient http = client();
    return http.request(method, target, all);
  }

  // What the handler says; set before start().
  std::function<void(const HttpRequest&, HttpResponse&)> answer;
};

}  // namespace sluice::test
