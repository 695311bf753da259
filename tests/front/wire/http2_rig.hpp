// tests/front/wire/http2_rig.hpp - a client of HTTP/2 whose every frame the test writes itself, and
// that knows what it was answered.
//
// Layer: tests.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "front/wire/harness.hpp"
#include "proto/http2/frames.hpp"

namespace sluice::test {

class H2Peer {
 public:
  struct Answer {
    std::string fields, body;  // "name=value " each, of all heads and trailers
    bool ended = false, was_reset = false;
    std::uint32_t code = 0;  // of the reset
    bool is_open() const { return !ended && !was_reset; }
    bool has(std::string_view text) const { return fields.find(text) != std::string::npos; }
  };
  struct Goaway {
    std::uint32_t last = 0, code = 0;
  };

  explicit H2Peer(Rig& its, bool opens = true) : wire(its.connect()), rig_(its) {
    nghttp2_hd_inflate_new(&inflater_);
    if (opens) wire.send(h2::opening());
  }
  ~H2Peer() { nghttp2_hd_inflate_del(inflater_); }
  H2Peer(const H2Peer&) = delete;
  H2Peer& operator=(const H2Peer&) = delete;

  // Sends, lets the server do all it can, and reads what came.
  void run(std::string_view bytes = {}) {
    wire.send(bytes);
    rig_.settle();
    read();
  }
  void read() {
    left_ += wire.take_received();
    const std::vector<h2::Frame> frames = h2::frames_of(left_);
    std::size_t read = 0;
    for (const h2::Frame& frame : frames) {
      read += 9 + frame.payload.size();
      see(frame);
    }
    left_.erase(0, read);
  }
  // Asks, and waits for the answer.
  const Answer& ask(const h2::FieldList& fields) {
    const std::uint32_t id = next();
    run(h2::headers(id, fields));
    return answers[id];
  }
  std::uint32_t next() { return std::exchange(next_, next_ + 2); }
  std::uint64_t window_of(std::uint32_t id) const {
    const auto found = windows.find(id);
    return found == windows.end() ? 0 : found->second;
  }

  io::SimPeer wire;
  std::map<std::uint32_t, Answer> answers;
  std::map<std::uint32_t, std::uint64_t> windows;  // sums of WINDOW_UPDATE
  std::vector<Goaway> goaways;
  int settings = 0, pings = 0;

 private:
  void see(const h2::Frame& frame) {
    Answer& answer = answers[frame.id];
    switch (frame.type) {
      case h2::kHeaders:
        inflate(frame.payload, answer.fields);
        break;
      case h2::kData:
        answer.body += frame.payload;
        break;
      case h2::kReset:
        answer.was_reset = true;
        answer.code = frame.code();
        return;
      case h2::kGoaway: {
        Goaway one;
        for (std::size_t i = 0; i < 4; ++i) {
          one.last = one.last << 8 | static_cast<std::uint8_t>(frame.payload[i]);
        }
        one.code = frame.code();
        goaways.push_back(one);
        return;
      }
      case h2::kWindow:
        windows[frame.id] += frame.code();
        return;
      case h2::kSettings:
        ++settings;
        return;
      case h2::kPing:
        ++pings;
        return;
      default:
        return;
    }
    if ((frame.flags & h2::kEndStream) != 0) answer.ended = true;
  }
  void inflate(const std::string& block, std::string& fields) {
    auto* at = reinterpret_cast<const std::uint8_t*>(block.data());
    std::size_t size = block.size();
    for (;;) {
      nghttp2_nv field;
      int flags = 0;
      const ssize_t used = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, at, size, 1);
      ASSERT_GE(used, 0);
      at += used;
      size -= std::size_t(used);
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
        fields.append(reinterpret_cast<char*>(field.name), field.namelen) += '=';
        fields.append(reinterpret_cast<char*>(field.value), field.valuelen) += ' ';
      }
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
    }
    nghttp2_hd_inflate_end_headers(inflater_);
  }

  Rig& rig_;
  nghttp2_hd_inflater* inflater_ = nullptr;
  std::string left_;
  std::uint32_t next_ = 1;
};

}  // namespace sluice::test
