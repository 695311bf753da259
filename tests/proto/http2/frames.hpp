// tests/proto/http2/frames.hpp - frames as bytes, and bytes as frames; nothing is checked here, so
// that anything can be sent.
//
// RFC 9113 section 4, RFC 7541 section 6.2.2. Layer: tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/http2/preface.hpp"

namespace sluice::test::h2 {

inline constexpr std::uint8_t kData = 0, kHeaders = 1, kPriority = 2, kReset = 3, kSettings = 4,
                              kPush = 5, kPing = 6, kGoaway = 7, kWindow = 8, kContinuation = 9,
                              kPriorityUpdate = 16;
inline constexpr std::uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4, kPadded = 8,
                              kHasPriority = 32;

inline std::string number(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i));
  return text;
}

inline std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t id,
                         std::string_view payload = {}) {
  std::string text = number(payload.size(), 3);
  text += static_cast<char>(type);
  text += static_cast<char>(flags);
  text += number(id, 4);
  return text.append(payload);
}

// A string of HPACK, without Huffman coding.
inline std::string hpack_string(std::string_view text) {
  std::string out;
  std::size_t size = text.size();
  if (size < 127) {
    out += static_cast<char>(size);
  } else {
    out += '\x7f';
    for (size -= 127; size >= 128; size /= 128) out += static_cast<char>(size % 128 + 128);
    out += static_cast<char>(size);
  }
  return out.append(text);
}

using FieldList = std::vector<std::pair<std::string, std::string>>;

// A literal that is not indexed.
inline std::string field(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + hpack_string(name) + hpack_string(value);
}
// A literal that comes into the dynamic table, where it is at index 62 until the next one.
inline std::string indexed_field(std::string_view name, std::string_view value) {
  return std::string(1, '\x40') + hpack_string(name) + hpack_string(value);
}

inline std::string block(const FieldList& fields) {
  std::string text;
  for (const auto& [name, value] : fields) text += field(name, value);
  return text;
}

inline FieldList get(std::string path = "/") {
  return {{":method", "GET"},
          {":scheme", "https"},
          {":authority", "a.example"},
          {":path", std::move(path)}};
}
inline FieldList post(std::string path = "/") {
  FieldList fields = get(std::move(path));
  fields[0].second = "POST";
  return fields;
}
inline FieldList with(FieldList fields, FieldList more) {
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

inline std::string headers(std::uint32_t id, const FieldList& fields, bool ends = true) {
  return frame(kHeaders, kEndHeaders | (ends ? kEndStream : 0), id, block(fields));
}
inline std::string data(std::uint32_t id, std::string_view text, bool ends = false) {
  return frame(kData, ends ? kEndStream : 0, id, text);
}
inline std::string reset(std::uint32_t id, std::uint32_t code = 8) {
  return frame(kReset, 0, id, number(code, 4));
}
inline std::string window(std::uint32_t id, std::uint32_t bytes) {
  return frame(kWindow, 0, id, number(bytes, 4));
}
inline std::string settings(
    std::initializer_list<std::pair<std::uint16_t, std::uint32_t>> list = {}) {
  std::string payload;
  for (const auto& [id, value] : list) payload += number(id, 2) + number(value, 4);
  return frame(kSettings, 0, 0, payload);
}
inline std::string settings_ack() { return frame(kSettings, kAck, 0); }
inline std::string ping(bool ack = false) { return frame(kPing, ack ? kAck : 0, 0, "12345678"); }

// What a client begins with.
inline std::string opening() { return std::string(http2::kPreface) + settings() + settings_ack(); }

struct Frame {
  std::uint8_t type = 0, flags = 0;
  std::uint32_t id = 0;
  std::string payload;
  std::uint32_t code() const {  // of RST_STREAM and WINDOW_UPDATE; of GOAWAY
    const std::size_t at = type == kGoaway ? 4 : 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4 && at + i < payload.size(); ++i) {
      value = value << 8 | static_cast<std::uint8_t>(payload[at + i]);
    }
    return value;
  }
};

// The frames of `bytes`, which end with one.
inline std::vector<Frame> frames_of(std::string_view bytes) {
  std::vector<Frame> frames;
  const auto at = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[i]));
  };
  while (bytes.size() >= 9) {
    const std::size_t size = at(0) << 16 | at(1) << 8 | at(2);
    Frame frame{static_cast<std::uint8_t>(at(3)),
                static_cast<std::uint8_t>(at(4)),
                (at(5) << 24 | at(6) << 16 | at(7) << 8 | at(8)),
                {}};
    if (bytes.size() < 9 + size) break;
    frame.payload = bytes.substr(9, size);
    bytes.remove_prefix(9 + size);
    frames.push_back(std::move(frame));
  }
  return frames;
}

}  // namespace sluice::test::h2
