// tls/framing.hpp - where records begin and end among the bytes that a peer sends, and how large
// its ClientHello says it is.
//
// RFC 8446 section 5.1 (records), 4 (handshake messages), 4.1.2; RFC 5246 section 6.2.1. Decrypts
// nothing. Layer: tls. Does no I/O, allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sluice/bytes.hpp>

namespace sluice::tls {

// libssl makes room for a ClientHello as soon as its first 4 bytes say how long it will be, which
// may be 128 KiB. Browsers send less than 2 KiB.
inline constexpr std::size_t kMostHelloBytes = 16384;

class Framing {
 public:
  // Looks at bytes on their way to libssl. `in_clear`: a handshake record behind a ChangeCipherSpec
  // would still be in clear, as it is in TLS 1.3 (RFC 8446 appendix D.4). False: a ClientHello is
  // larger than kMostHelloBytes.
  bool pass(Bytes bytes, bool in_clear);

  // Whether the last byte was inside a record.
  bool is_inside() const { return head_ != 0; }
  // Bytes up to the end of the record's head, behind that up to the end of the record.
  std::size_t missing() const {
    return head_ < kRecordHead ? std::size_t(kRecordHead - head_) : body_left_;
  }

  static constexpr std::uint8_t kRecordHead = 5;

 private:
  static constexpr std::uint8_t kMessageHead = 4;
  static constexpr std::uint8_t kChangeCipherSpec = 20, kHandshake = 22, kClientHello = 1;

  bool pass_messages(Bytes bytes);

  std::uint8_t head_ = 0;  // bytes of the record's head; all of them: inside its body
  std::uint8_t type_ = 0;
  std::uint16_t body_left_ = 0;
  bool ciphers_changed_ = false;
  std::uint8_t message_head_ = 0;  // the same for handshake messages
  std::uint8_t message_type_ = 0;
  std::uint32_t message_left_ = 0;
};

}  // namespace sluice::tls
