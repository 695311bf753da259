// proto/http2/preface.hpp - whether what a connection begins with is HTTP/2.
//
// RFC 9113 section 3.4. Layer: proto. No I/O, no state.
#pragma once

#include <cstdint>
#include <string_view>

#include <sluice/bytes.hpp>

namespace sluice::http2 {

// What a client sends first, in clear by prior knowledge or behind ALPN's h2.
inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum class Preface : std::uint8_t {
  no,     // no bytes that follow can make a preface of it
  maybe,  // all there is, none included, is a part of it
  yes,
};

// `bytes` are all that has come, from the first one.
Preface judge_preface(Bytes bytes);

}  // namespace sluice::http2
