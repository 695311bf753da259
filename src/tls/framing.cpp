// tls/framing.cpp - see framing.hpp.
//
// RFC 8446 section 5.1. Layer: tls.
#include "tls/framing.hpp"

#include <algorithm>

namespace sluice::tls {

bool Framing::pass(Bytes bytes, bool in_clear) {
  while (!bytes.empty()) {
    if (head_ < kRecordHead) {
      const auto byte = std::to_integer<std::uint8_t>(bytes.front());
      bytes = bytes.subspan(1);
      if (head_ == 0) type_ = byte;
      if (head_ == 3) body_left_ = static_cast<std::uint16_t>(byte << 8);
      if (head_ == 4) body_left_ = static_cast<std::uint16_t>(body_left_ | byte);
      ++head_;
      if (head_ == kRecordHead && type_ == kChangeCipherSpec) ciphers_changed_ = true;
    } else {
      const Bytes here = bytes.first(std::min<std::size_t>(bytes.size(), body_left_));
      bytes = bytes.subspan(here.size());
      body_left_ = static_cast<std::uint16_t>(body_left_ - here.size());
      if (type_ == kHandshake && (!ciphers_changed_ || in_clear) && !pass_messages(here)) {
        return false;
      }
    }
    if (head_ == kRecordHead && body_left_ == 0) head_ = 0;
  }
  return true;
}

bool Framing::pass_messages(Bytes bytes) {
  while (!bytes.empty()) {
    if (message_head_ < kMessageHead) {
      const auto byte = std::to_integer<std::uint8_t>(bytes.front());
      bytes = bytes.subspan(1);
      if (message_head_ == 0) {
        message_type_ = byte;
        message_left_ = 0;
      } else {
        message_left_ = message_left_ << 8 | byte;
      }
      ++message_head_;
      if (message_head_ == kMessageHead && message_type_ == kClientHello &&
          message_left_ > kMostHelloBytes) {
        return false;
      }
    } else {
      const std::size_t here = std::min<std::size_t>(bytes.size(), message_left_);
      bytes = bytes.subspan(here);
      message_left_ -= static_cast<std::uint32_t>(here);
    }
    if (message_head_ == kMessageHead && message_left_ == 0) message_head_ = 0;
  }
  return true;
}

}  // namespace sluice::tls
