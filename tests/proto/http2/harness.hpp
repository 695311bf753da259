// tests/proto/http2/harness.hpp - one session, with somebody who writes down what it says and
// answers as a test wants.
//
// Layer: tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/http2/frames.hpp"
#include "proto/http2/session.hpp"

namespace sluice::test::h2 {

using http2::AnswerHead;
using http2::Code;
using http2::Flood;
using http2::Piece;
using http2::Reason;
using http2::Request;
using http2::Settings;
using http2::Stream;

inline base::Instant at_second(double seconds) {
  return base::Instant(
      std::chrono::duration_cast<base::Duration>(std::chrono::duration<double>(1000 + seconds)));
}

// A body to be sent.
struct Source {
  std::string text;
  std::size_t at = 0;
  std::size_t ready = std::string::npos;  // up to here now
  bool fails = false;
  std::string trailers;
};

class Connection final : public http2::Events, public http2::Out {
 public:
  explicit Connection(const Settings& settings = {}, http2::Memory* memory = nullptr) {
    auto context = http2::Context::server(settings);
    EXPECT_TRUE(context);
    auto made =
        http2::Session::accept(std::move(*context), memory != nullptr ? *memory : own, *this);
    EXPECT_TRUE(made);
    session = std::move(*made);
  }

  // --- what a test does
  bool feed(std::string bytes) {
    return session->feed(now, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
  }
  // Everything that there is to send.
  std::string take(std::size_t most = 1 << 20) {
    for (;;) {
      const std::size_t sent = session->send(*this, most);
      EXPECT_LE(sent, most);
      if (most - sent >= http2::Session::kLeastRoom) break;
    }
    return std::move(out);
  }
  std::vector<Frame> frames() { return frames_of(take()); }
  // Feeds, and gives what is answered as words: "RST_STREAM 1 PROTOCOL_ERROR"; SETTINGS,
  // WINDOW_UPDATE and DATA are left out.
  std::string talk(std::string bytes) {
    feed(std::move(bytes));
    std::string words;
    for (const Frame& each : frames()) {
      const std::string code(http2::word(static_cast<Code>(each.code())));
      const std::string id = " " + std::to_string(each.id);
      if (each.type == kReset) words += "RST_STREAM" + id + " " + code + "\n";
      if (each.type == kGoaway) words += "GOAWAY " + code + "\n";
      if (each.type == kHeaders) words += "HEADERS" + id + "\n";
      if (each.type == kPing) words += "PING\n";
    }
    return words;
  }
  Stream& stream(std::uint32_t id) { return *streams.at(id); }
  void answer(std::uint32_t id, std::string body = "hello", int status = 200,
              std::string_view fields = {}) {
    sources[id].text = std::move(body);
    AnswerHead says{.status = status, .fields = fields};
    says.content_length = sources[id].text.size();
    EXPECT_TRUE(session->answer(stream(id), says));
  }

  // --- what the session says
  void on_request(Stream& opened, Request& request) override {
    streams[opened.id()] = &opened;
    const std::string id = std::to_string(opened.id());
    log += "request " + id + " " + std::string(request.head.method_text) + " " +
           std::string(request.head.target);
    if (request.error != Errc::none) {
      log += " " + std::to_string(info(request.error).wire);
      errors.push_back(request.error);
    }
    log += "\n";
    last_head.assign(request.text.size(), '\0');
    request.keep(last_head.data(), head);
    scheme = request.scheme;
    protocol = request.protocol;
    if (on_head) on_head(opened, request);
  }
  void on_refused(std::uint32_t id, Errc why) override {
    log += "refused " + std::to_string(id) + "\n";
    errors.push_back(why);
  }
  void on_data(Stream& opened, std::span<std::byte> bytes) override {
    log_data(opened.id(), as_text(bytes));
    std::fill(bytes.begin(), bytes.end(), std::byte('#'));  // it may be changed
    if (consumes) session->consume(opened, bytes.size());
  }
  void on_trailers(Stream& opened, std::span<const http::Field> fields) override {
    log += "trailers " + std::to_string(opened.id());
    for (const http::Field& each : fields) {
      log += " " + std::string(each.name) + "=" + std::string(each.value);
    }
    log += "\n";
  }
  void on_end(Stream& opened) override {
    log += "end " + std::to_string(opened.id()) + "\n";
    if (on_body_end) on_body_end(opened);
  }
  void on_closed(Stream& closed, Code code) override {
    log += "closed " + std::to_string(closed.id()) + " " + std::string(http2::word(code)) + "\n";
    if (on_over) on_over(closed);
    EXPECT_EQ(streams.erase(closed.id()), 1U);
    sources.erase(closed.id());
  }
  void on_goaway(Code code) override { log += "goaway " + std::string(http2::word(code)) + "\n"; }

  bool put(Bytes frames) noexcept override {
    if (no_memory) return false;
    out.append(as_text(frames));
    return true;
  }
  Piece next(Stream& opened, std::size_t most) noexcept override {
    Source& source = sources[opened.id()];
    if (source.fails) {
      streams.erase(opened.id());
      return {0, Piece::Then::failed};
    }
    const std::size_t whole = source.text.size();
    const std::size_t bytes = std::min({most, whole - source.at, source.ready - source.at});
    if (source.at + bytes == whole && source.ready >= whole) {
      return {bytes, Piece::Then::end, source.trailers};
    }
    return {bytes, bytes == most ? Piece::Then::more : Piece::Then::later};
  }
  bool put_body(Stream& opened, std::size_t bytes) noexcept override {
    Source& source = sources[opened.id()];
    out.append(source.text, source.at, bytes);
    source.at += bytes;
    return true;
  }

  http2::Memory own{0};  // keeps nothing, so that a piece used after it was given back is seen
  std::string log, out;
  std::vector<Errc> errors;
  std::map<std::uint32_t, Stream*> streams;
  std::map<std::uint32_t, Source> sources;
  std::function<void(Stream&, Request&)> on_head;
  std::function<void(Stream&)> on_body_end, on_over;
  http::RequestHead head;  // of the last request
  std::string last_head, scheme, protocol;
  bool consumes = true, no_memory = false;
  base::Instant now = at_second(0);
  std::unique_ptr<http2::Session> session;

 private:
  // However a body was cut, it is one line until something else happens.
  void log_data(std::uint32_t id, std::string_view text) {
    const std::string start = "data " + std::to_string(id) + " ";
    const std::size_t line = log.rfind('\n', log.size() < 2 ? std::string::npos : log.size() - 2);
    const std::size_t begin = line == std::string::npos ? 0 : line + 1;
    if (log.compare(begin, start.size(), start) == 0) {
      log.pop_back();
    } else {
      log += start;
    }
    log.append(text) += '\n';
  }
};

}  // namespace sluice::test::h2
