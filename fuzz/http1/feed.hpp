// fuzz/http1/feed.hpp - feeds a decoder an input whole, cut where the input itself says, and byte
// by byte.
//
// Layer: fuzz. The first three bytes of an input choose limits and cuts; the rest is the wire.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/bytes.hpp>

#include "base/parsed.hpp"
#include "proto/http/head.hpp"

namespace sluice::http1 {

struct Outcome {
  bool done = false;
  Errc error = Errc::none;
  std::size_t used = 0;
  std::string said;
  bool operator==(const Outcome&) const = default;
};

[[noreturn]] inline void fail(const char* what, const Outcome& one, const Outcome& other) {
  std::fprintf(stderr, "%s: error %d used %zu against error %d used %zu\n%s\nagainst\n%s\n", what,
               static_cast<int>(one.error), one.used, static_cast<int>(other.error), other.used,
               one.said.c_str(), other.said.c_str());
  std::abort();
}

struct Input {
  std::string_view wire;
  http::HeadLimits limits;
  std::size_t step = 1;  // bytes between two cuts
  std::uint8_t choice = 0;

  Input(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t prefix = 3;
    if (size < prefix) return;
    choice = data[0];
    // The usual limits, or small ones that a short input reaches.
    if (data[1] != 0) limits = {data[1] * 2u, data[1], data[1] % 16u, 255};
    step = data[2] % 64u + 1;
    wire = {reinterpret_cast<const char*>(data) + prefix, size - prefix};
  }
};

inline void check_inside(std::string_view view, Bytes in, std::size_t used) {
  if (view.empty()) return;
  const char* begin = as_text(in).data();
  if (view.data() < begin || view.data() + view.size() > begin + used) std::abort();
}

// `run` answers what a new decoder makes of the input when it is cut after every so many bytes.
template <class Run>
void expect_one_verdict(const Input& input, Run run) {
  const Outcome whole = run(input, input.wire.size() + 1);
  const Outcome cut = run(input, input.step);
  if (cut != whole) fail("cut differs from whole", cut, whole);
  const Outcome bytes = run(input, std::size_t{1});
  if (bytes != whole) fail("byte by byte differs from whole", bytes, whole);
}

// A decoder of heads: the same bytes and more behind them on each call.
template <class Decode, class Describe>
Outcome feed_head(const Input& input, std::size_t step, Decode decode, Describe describe) {
  for (std::size_t size = 0;; size += step) {
    const bool last = size >= input.wire.size();
    const Bytes in = as_bytes(input.wire.substr(0, last ? input.wire.size() : size));
    const base::Parsed<bool> parsed = decode(in);
    if (parsed.is_bad()) return {false, parsed.error(), 0, {}};
    if (parsed.is_done()) {
      if (parsed.used() > in.size()) std::abort();
      return {true, Errc::none, parsed.used(), describe(in, parsed.used())};
    }
    if (last) return {};
  }
}

inline std::string describe(const std::vector<http::Field>& fields, Bytes in, std::size_t used) {
  std::string text;
  for (const http::Field& field : fields) {
    check_inside(field.name, in, used);
    check_inside(field.value, in, used);
    text.append(field.name).append("=").append(field.value).append("\n");
    text += std::to_string(static_cast<int>(field.id));
  }
  return text;
}

}  // namespace sluice::http1
