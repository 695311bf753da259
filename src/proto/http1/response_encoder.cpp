// proto/http1/response_encoder.cpp - status lines that were prepared, and the fields of a head.
//
// RFC 9112 sections 4 and 7.1. Layer: proto. Does no I/O, allocates nothing.
#include "proto/http1/response_encoder.hpp"

#include <array>
#include <charconv>
#include <tuple>

#include "proto/http/head.hpp"
#include "proto/http1/framing_fields.hpp"
#include "proto/http1/scan.hpp"

namespace sluice::http1 {
namespace {

constexpr std::string_view kVersion = "HTTP/1.1 ";
constexpr std::string_view kDate = "Date: ";
constexpr std::string_view kServer = "Server: ";
constexpr std::string_view kType = "Content-Type: ";
constexpr std::size_t kDateSize = 29;         // of an IMF-fixdate
constexpr std::size_t kStatusLineBound = 64;  // with the registered phrase

// Status lines with the registered phrases, made once, before main.
class StatusLines {
 public:
  StatusLines() {
    for (int status = kFirst; status < kFirst + kCount; ++status) {
      Line& line = lines_[static_cast<std::size_t>(status - kFirst)];
      char* end = http1::put(line.text.data(), kVersion);
      end = put_number(end, static_cast<std::uint64_t>(status));
      *end++ = ' ';
      end = http1::put(end, http::reason_phrase(status));
      end = http1::put(end, kLineEnd);
      line.size = static_cast<std::uint8_t>(end - line.text.data());
    }
  }

  // Writes the line for this number; null when there is none. What stands behind its end is
  // overwritten, up to kStatusLineBound bytes.
  char* put(char* out, int status) const {
    if (status < kFirst || status >= kFirst + kCount) return nullptr;
    const Line& line = lines_[static_cast<std::size_t>(status - kFirst)];
    put_fixed<std::tuple_size_v<decltype(line.text)>>(out, line.text.data());
    return out + line.size;
  }

 private:
  static constexpr int kFirst = 100;
  static constexpr int kCount = 412;  // to 511, the last that is registered
  struct Line {
    std::array<char, kStatusLineBound - 1> text{};
    std::uint8_t size = 0;
  };
  std::array<Line, kCount> lines_;
};

const StatusLines& status_lines() {
  static const StatusLines lines;
  return lines;
}

char* put_status_line(char* out, const ResponseHeadOut& head) {
  if (head.reason.empty()) {
    if (char* end = status_lines().put(out, head.status)) return end;
  }
  // A number that has not three digits would end the protocol for the reader.
  const int status = head.status >= 100 && head.status <= 999 ? head.status : 500;
  out = put(out, kVersion);
  out = put_number(out, static_cast<std::uint64_t>(status));
  *out++ = ' ';
  out = put(out, head.reason.empty() ? http::reason_phrase(status) : head.reason);
  return put(out, kLineEnd);
}

char* put_field(char* out, std::string_view name, std::string_view value) {
  return put(put(put(out, name), value), kLineEnd);
}

}  // namespace

std::size_t response_head_bound(const ResponseHeadOut& head) {
  constexpr std::size_t names = kDate.size() + kServer.size() + kType.size() + 3 * kLineEnd.size();
  return kStatusLineBound + names + kFramingFieldsBound + head.reason.size() + head.date.size() +
         head.server.size() + head.fields.size() + head.type.size();
}

char* write_response_head(char* out, const ResponseHeadOut& head) {
  out = put_status_line(out, head);
  if (head.date.size() == kDateSize) [[likely]] {
    out = put_literal(out, "Date: ");
    out = put_literal(put_fixed<kDateSize>(out, head.date.data()), "\r\n");
  } else if (!head.date.empty()) {
    out = put_field(out, kDate, head.date);
  }
  if (!head.server.empty()) out = put_field(out, kServer, head.server);
  out = put(out, head.fields);
  if (head.type.data() != nullptr) out = put_field(out, kType, head.type);
  return write_framing_fields(out, head.connection, head.framing, head.content_length);
}

std::string_view continue_response() { return "HTTP/1.1 100 Continue\r\n\r\n"; }

char* write_chunk_head(char* out, std::uint64_t size) {
  out = std::to_chars(out, out + kChunkHeadBound, size, 16).ptr;
  return put(out, kLineEnd);
}

bool is_field_name(std::string_view name) { return http::is_token(name); }

bool is_field_value(std::string_view value) {
  const char* end = value.data() + value.size();
  return find_value_end(value.data(), value.data(), end) == end;
}

}  // namespace sluice::http1
