// tests/proto/ws/wire.cpp - wire bytes and verdicts. Layer: tests.
#include "proto/ws/wire.hpp"

#include <gtest/gtest.h>

#include "base/check.hpp"

namespace sluice::ws {

namespace {

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  SLUICE_CHECK(c >= 'a' && c <= 'f');
  return c - 'a' + 10;
}

void append_readable(std::string& to, Bytes data) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (const std::byte b : data) {
    const auto c = std::to_integer<unsigned>(b);
    if (c >= 0x20 && c < 0x7F && c != '\\') {
      to += static_cast<char>(c);
    } else {
      to.append("\\x").append(1, kDigits[c >> 4]).append(1, kDigits[c & 15]);
    }
  }
}

// Puts the pieces of a frame together again.
class Log {
 public:
  void add(const Event& event) {
    if (event.kind == Event::Kind::piece) {
      add_piece(event);
    } else {
      add_control(event);
    }
  }

  Verdict finish(Errc error) {
    if (open_) text_ += "?" + std::to_string(left_);
    return {std::move(text_), error};
  }

 private:
  void add_piece(const Event& event) {
    SLUICE_CHECK(event.frame_end == (event.frame_left == 0));
    SLUICE_CHECK(event.message_end == (event.frame_end && event.fin));
    if (open_) {
      SLUICE_CHECK(!event.data.empty() && !event.message_begin && event.opcode == opcode_);
      SLUICE_CHECK(left_ == event.frame_left + event.data.size());
    } else {
      start_frame(event);
    }
    append_readable(text_, event.data);
    left_ = event.frame_left;
    open_ = !event.frame_end;
    if (event.frame_end) text_ += event.message_end ? "}" : "-";
    in_message_ = !event.message_end;
  }

  void start_frame(const Event& event) {
    SLUICE_CHECK(event.message_begin == !in_message_);
    SLUICE_CHECK(event.message_begin || event.compressed == compressed_);
    compressed_ = event.compressed;
    SLUICE_CHECK(!in_message_ || event.opcode == opcode_);
    SLUICE_CHECK(event.opcode == Opcode::text || event.opcode == Opcode::binary);
    opcode_ = event.opcode;
    if (!text_.empty()) text_ += ' ';
    if (event.message_begin) {
      if (event.compressed) text_ += 'z';
      text_ += event.opcode == Opcode::text ? "text{" : "binary{";
    } else {
      text_ += '-';
    }
  }

  void add_control(const Event& event) {
    SLUICE_CHECK(!open_ && event.fin && event.frame_end && !event.message_begin &&
                 !event.message_end && event.frame_left == 0);
    if (!text_.empty()) text_ += ' ';
    if (event.kind == Event::Kind::ping) {
      SLUICE_CHECK(event.opcode == Opcode::ping);
      text_ += "ping{";
    } else if (event.kind == Event::Kind::pong) {
      SLUICE_CHECK(event.opcode == Opcode::pong);
      text_ += "pong{";
    } else {
      SLUICE_CHECK(event.opcode == Opcode::close);
      text_ += "close{" + std::to_string(event.close_code) + (event.data.empty() ? "" : " ");
    }
    append_readable(text_, event.data);
    text_ += '}';
  }

  std::string text_;
  bool open_ = false, in_message_ = false, compressed_ = false;
  Opcode opcode_ = Opcode::text;
  std::uint64_t left_ = 0;
};

}  // namespace

Wire wire(std::string_view text) {
  Wire out;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\'') {
      quoted = !quoted;
    } else if (quoted) {
      out.push_back(static_cast<std::byte>(text[i]));
    } else if (text[i] != ' ') {
      SLUICE_CHECK(i + 1 < text.size());
      out.push_back(static_cast<std::byte>(digit(text[i]) * 16 + digit(text[i + 1])));
      ++i;
    }
  }
  return out;
}

Wire bytes_of(std::string_view text) {
  const Bytes bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

Wire frame(FrameHeader header, Bytes payload) {
  header.length = payload.size();
  Wire out(kFrameHeaderBound + payload.size());
  std::byte* at = write_frame_header(out.data(), header);
  out.resize(static_cast<std::size_t>(at - out.data()));
  for (std::size_t i = 0; i < payload.size(); ++i) {
    out.push_back(header.masked ? payload[i] ^ header.key[i % 4] : payload[i]);
  }
  return out;
}

Wire client_frame(Opcode opcode, bool fin, std::string_view payload) {
  FrameHeader header;
  header.opcode = opcode;
  header.fin = fin;
  header.masked = true;
  header.key = {std::byte{0x37}, std::byte{0xFA}, std::byte{0x21}, std::byte{0x3D}};
  return frame(header, as_bytes(payload));
}

void append(Wire& to, Bytes more) { to.insert(to.end(), more.begin(), more.end()); }

std::ostream& operator<<(std::ostream& out, const Verdict& verdict) {
  return out << '"' << verdict.events << "\" then error " << static_cast<int>(verdict.error) << " ("
             << info(verdict.error).sentence << ')';
}

Verdict verdict_of(Bytes input, const std::vector<std::size_t>& cuts, const DecoderOptions& options,
                   bool compression) {
  Decoder decoder(options);
  decoder.set_compression(compression);
  Log log;
  std::size_t at = 0;
  for (std::size_t piece = 0; piece <= cuts.size(); ++piece) {
    const std::size_t end = piece < cuts.size() ? cuts[piece] : input.size();
    Wire memory(input.begin() + static_cast<std::ptrdiff_t>(at),
                input.begin() + static_cast<std::ptrdiff_t>(end));
    std::span<std::byte> left = memory;
    for (;;) {
      const auto parsed = decoder.decode(left);
      if (parsed.is_bad()) {
        SLUICE_CHECK(decoder.decode(left).error() == parsed.error());
        return log.finish(parsed.error());
      }
      if (!parsed.is_done()) break;
      SLUICE_CHECK(parsed.used() > 0 && parsed.used() <= left.size());
      log.add(parsed.value());
      left = left.subspan(parsed.used());
    }
    at = end;
  }
  return log.finish(Errc::none);
}

Verdict verdict_of_every_cut(Bytes input, const DecoderOptions& options, bool compression) {
  const Verdict whole = verdict_of(input, {}, options, compression);
  for (std::size_t cut = 0; cut <= input.size(); ++cut) {
    EXPECT_EQ(verdict_of(input, {cut}, options, compression), whole) << "cut at " << cut;
  }
  for (std::size_t size = 1; size <= 16; ++size) {
    std::vector<std::size_t> cuts;
    for (std::size_t at = size; at < input.size(); at += size) cuts.push_back(at);
    EXPECT_EQ(verdict_of(input, cuts, options, compression), whole) << "pieces of " << size;
  }
  return whole;
}

}  // namespace sluice::ws
