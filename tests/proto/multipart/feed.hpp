// tests/proto/multipart/feed.hpp - gives a body to the decoder in pieces, and writes down what it
// says.
//
// Layer: tests.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/multipart/decoder.hpp"

namespace sluice::multipart {

// What a decoder made of some bytes.
struct Outcome {
  std::string said;  // `[name|file name|type]` for each part, its data, `]`, and `.` at the end
  Errc error = Errc::none;
  bool complete = false;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// `cuts`: where one piece ends and the next begins, rising. Each piece lies in memory of its own,
// so that reading behind it is seen.
inline Outcome feed(std::string_view boundary, std::string_view body,
                    const std::vector<std::size_t>& cuts, const Limits& limits = {}) {
  Outcome outcome;
  Decoder decoder(boundary, limits);
  std::size_t from = 0;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const std::size_t to = i < cuts.size() ? cuts[i] : body.size();
    const std::vector<char> piece(body.begin() + std::ptrdiff_t(from),
                                  body.begin() + std::ptrdiff_t(to));
    from = to;
    Bytes in = as_bytes(std::string_view(piece.data(), piece.size()));
    for (;;) {
      auto parsed = decoder.decode(in);
      if (parsed.is_bad()) {
        outcome.error = parsed.error();
        return outcome;
      }
      if (parsed.needs_more()) break;
      in = in.subspan(parsed.used());
      const PartHead& head = decoder.head();
      switch (parsed.value().kind) {
        case Piece::Kind::part:
          outcome.said += "[" + head.name + "|" + (head.is_file ? head.file_name : "-") + "|" +
                          head.content_type + "]";
          break;
        case Piece::Kind::data:
          outcome.said += as_text(parsed.value().data);
          break;
        case Piece::Kind::part_end:
          outcome.said += "]";
          break;
        case Piece::Kind::end:
          outcome.said += ".";
          break;
      }
    }
  }
  outcome.complete = decoder.is_complete();
  return outcome;
}

}  // namespace sluice::multipart
