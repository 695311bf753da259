// tests/proto/ws/wire.hpp - wire bytes written for people, and what a decoder says about them.
//
// Layer: tests. Every table of the WebSocket tests is run through verdict_of(), for the whole input
// and for its cuts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/bytes.hpp>
#include <sluice/error.hpp>

#include "proto/ws/decoder.hpp"

namespace sluice::ws {

using Wire = std::vector<std::byte>;

// Bytes from text: hex digits with spaces anywhere, and characters between single quotes.
// "81 02 'Hi'" is four bytes.
Wire wire(std::string_view text);

// The text as bytes.
Wire bytes_of(std::string_view text);

// One frame on the wire; `payload` is masked when the header says so.
Wire frame(FrameHeader header, Bytes payload);

// A frame of a client with an arbitrary key.
Wire client_frame(Opcode opcode, bool fin, std::string_view payload);

void append(Wire& to, Bytes more);

// What came out of a decoder, cuts taken back: one text for each frame, then how it ended.
//
//   text{Hello}        a whole message in one frame; binary{...} likewise
//   text{Hel-          the first frame of a message
//   -lo}               its last frame; -mid- is one between
//   ztext{...}         a compressed one, as it came; zbinary{...} likewise
//   text{He?3          the start of a frame of which 3 bytes never came
//   ping{x} pong{x} close{1000 reason}
struct Verdict {
  std::string events;
  Errc error = Errc::none;

  friend bool operator==(const Verdict&, const Verdict&) = default;
};
std::ostream& operator<<(std::ostream& out, const Verdict& verdict);

// Feeds `input` in pieces that end at `cuts` (ascending) and at the end. Each piece is given as a
// block of memory of exactly its size. Checks, with SLUICE_CHECK, what every answer must fulfil.
// `compression`: it was negotiated.
Verdict verdict_of(Bytes input, const std::vector<std::size_t>& cuts, const DecoderOptions& options,
                   bool compression = false);

// The verdict for the whole; fails the test when one of these has another: each cut in two, one
// byte at a time, and each size of equal pieces up to 16.
Verdict verdict_of_every_cut(Bytes input, const DecoderOptions& options = {},
                             bool compression = false);

}  // namespace sluice::ws
