// proto/ws/permessage_deflate.hpp - compressed messages: what is agreed upon, and their bytes.
//
// RFC 7692; RFC 6455 section 9.1 (the list of extensions). Layer: proto. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sluice/bytes.hpp>
#include <sluice/error.hpp>

#include "proto/coding/raw_deflate.hpp"
#include "proto/ws/utf8.hpp"

namespace sluice::ws {

// What the server is ready for.
struct DeflateRules {
  std::uint8_t server_max_window_bits = 15, client_max_window_bits = 15;  // 8 to 15
  bool server_no_context_takeover = false, client_no_context_takeover = false;
};

// What both sides keep to.
struct DeflateParameters {
  std::uint8_t server_window_bits = 15;  // of what the server sends
  std::uint8_t client_window_bits = 15;
  bool server_context_takeover = true;  // messages may refer to those before
  bool client_context_takeover = true;
  bool tells_server_window = false;  // the client has asked: its offer must be answered

  friend bool operator==(const DeflateParameters&, const DeflateParameters&) = default;
};

// The first offer of a Sec-WebSocket-Extensions value that can be taken (section 7.1). Declined are
// those that are malformed, have a parameter twice, one that nobody knows, or a value that cannot
// be. A client that does not say that its window may be limited uses one of 15 bits.
std::optional<DeflateParameters> negotiate_deflate(std::string_view offers,
                                                   const DeflateRules& rules);

// The same for a client's answer: the extension as the server puts it into its field.
std::string deflate_answer(const DeflateParameters& parameters);

// What stands at the end of each message, and is not sent.
inline constexpr std::size_t kDeflateTail = 4;

// Compresses a message, which is not empty (section 7.2.1). Empty when that would not be shorter:
// then the message goes as it is, and what `deflater` remembers is forgotten. `out` has room for
// message.size() + kDeflateTail and holds the answer.
Bytes deflate_message(coding::Deflater& deflater, Bytes message, std::span<std::byte> out);

// Takes one message after the other out of its pieces (section 7.2.2).
class MessageInflater {
 public:
  // Null when memory is out.
  static std::unique_ptr<MessageInflater> make(unsigned window_bits);

  // A message begins; what was before is remembered unless reset() is called. `is_utf8`: it must
  // be. `limit` is of its bytes when inflated.
  void begin(bool is_utf8, std::uint64_t limit);
  void reset() { inflater_->reset(); }

  struct Step {
    // ws_bad_deflate, ws_bad_utf8, ws_message_too_big (one byte over is inflated, not more) or
    // out_of_memory. Nothing may be called afterwards but reset().
    Errc error = Errc::none;
    std::size_t used = 0, made = 0;
    bool done = false;  // all of `in` has become bytes, and with `last` the message has ended
  };
  // The next piece of the message; `last`: the message ends with it. Until it is done, to be called
  // again with what was not used, and more room. `out` is not empty.
  Step inflate(Bytes in, bool last, std::span<std::byte> out);

 private:
  MessageInflater() = default;
  Errc judge(Bytes made, bool ended, Errc broken);
  std::unique_ptr<coding::Inflater> inflater_;
  std::uint64_t limit_ = 0, made_ = 0;
  Utf8 utf8_;
  bool is_utf8_ = false;
  std::uint8_t tail_at_ = 0;  // how much of the tail has been put in again
  bool in_tail_ = false;
};

}  // namespace sluice::ws
