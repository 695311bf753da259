// proto/ws/utf8.hpp - UTF-8 validation that fails at the first byte that cannot be right.
//
// RFC 3629; RFC 6455 section 8.1. Layer: proto. A value of four bytes; ASCII runs are skipped 16
// bytes at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sluice/bytes.hpp>

namespace sluice::ws {

class Utf8 {
 public:
  // False as soon as no continuation could make the text valid, and ever after. The verdict does
  // not depend on cuts.
  bool add(Bytes bytes);
  // The same, slower, and says where: how many bytes could still be right. Less than bytes.size()
  // means that the byte behind them cannot.
  std::size_t add_until_bad(Bytes bytes);
  // True when the text may end here.
  bool complete() const { return state_ == 0; }
  void reset() { state_ = 0; }

 private:
  std::uint32_t state_ = 0;
};

bool is_utf8(Bytes bytes);

}  // namespace sluice::ws
