// fuzz/multipart/multipart_fuzz.cpp - multipart bodies: whole equals split, and no data is lost.
//
// The first line of the input is the Content-Type field, the rest the body. Layer: fuzz.
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "proto/multipart/boundary.hpp"
#include "proto/multipart/decoder.hpp"

namespace {

using namespace sluice;

struct Outcome {
  std::string said;
  Errc error = Errc::none;
  bool complete = false;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome run(std::string_view boundary, std::string_view body, std::size_t step) {
  Outcome outcome;
  multipart::Decoder decoder(boundary, {.head_bytes = 200, .parts = 5});
  for (std::size_t from = 0; from < body.size(); from += step) {
    const std::string_view piece = body.substr(from, step);
    const std::vector<char> arrived(piece.begin(), piece.end());
    Bytes in = as_bytes({arrived.data(), arrived.size()});
    for (std::size_t idle = 0;;) {
      const auto parsed = decoder.decode(in);
      if (parsed.is_bad()) {
        outcome.error = parsed.error();
        return outcome;
      }
      if (parsed.needs_more()) break;
      if (parsed.used() > in.size()) std::abort();
      idle = parsed.used() == 0 ? idle + 1 : 0;
      if (idle > 2) std::abort();  // it does not come to an end
      in = in.subspan(parsed.used());
      const multipart::Piece& value = parsed.value();
      using Kind = multipart::Piece::Kind;
      if (value.data.empty() == (value.kind == Kind::data)) std::abort();
      if (value.kind == Kind::part) {
        outcome.said += '[' + decoder.head().name + '|' + decoder.head().file_name + '|' +
                        decoder.head().content_type + ']';
      } else if (value.kind == Kind::data) {
        outcome.said += as_text(value.data);
      } else {
        outcome.said += value.kind == Kind::part_end ? ']' : '.';
      }
    }
  }
  outcome.complete = decoder.is_complete();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto line = input.find('\n');
  if (line == std::string_view::npos) return 0;
  const auto boundary = multipart::boundary_of(input.substr(0, line));
  if (!boundary) return 0;
  const std::string_view body = input.substr(line + 1);
  const Outcome whole = run(*boundary, body, body.size() + 1);
  for (const std::size_t step : {std::size_t{1}, std::size_t{2}, std::size_t{7}}) {
    if (!(run(*boundary, body, step) == whole)) std::abort();
  }
  return 0;
}
