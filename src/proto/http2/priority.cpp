// proto/http2/priority.cpp - whose answer goes first, when the peer says so or says nothing.
//
// RFC 9218. Layer: proto. The field `priority` is nghttp2's; PRIORITY_UPDATE is ours, because
// nghttp2 1.52 remembers the priority of a stream that is not open in a list that the stream stays
// in when it is opened, and when it is gone.
#include <algorithm>
#include <optional>

#include "proto/http/token.hpp"
#include "proto/http2/callbacks.hpp"

namespace sluice::http2 {
namespace {

// `u=2, i`; none: it says nothing. Strings and inner lists, which no parameter has yet, are not
// read.
std::optional<nghttp2_extpri> read_priority(std::string_view text) {
  nghttp2_extpri priority{NGHTTP2_EXTPRI_DEFAULT_URGENCY, 0};
  if (text.find_first_of("\"(") != std::string_view::npos) return std::nullopt;
  text = http::trim_ows(text);
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view member = http::trim_ows(text.substr(0, comma));
    if (comma + 1 == text.size()) return std::nullopt;
    text.remove_prefix(std::min(comma + 1, text.size()));
    member = member.substr(0, member.find(';'));
    if (member.empty()) return std::nullopt;
    if (member == "i" || member == "i=?1") {
      priority.inc = 1;
    } else if (member == "i=?0") {
      priority.inc = 0;
    } else if (member.size() == 3 && member.starts_with("u=") && member[2] >= '0' &&
               member[2] <= '7') {
      priority.urgency = static_cast<std::uint32_t>(member[2] - '0');
    } else if (const std::string_view key = member.substr(0, member.find('='));
               key == "i" || key == "u") {
      return std::nullopt;
    }
  }
  return priority;
}

}  // namespace

// Answers to a client that asks for nothing go in turns: whoever is first would else be alone on
// the connection until its end, and it may be of somebody else than the next, behind a proxy.
void Session::share(Stream& stream) {
  const nghttp2_extpri in_turns{NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
  judge(nghttp2_session_change_extpri_stream_priority(
      session_, static_cast<std::int32_t>(stream.id_), &in_turns, 0));
}

// All of a PRIORITY_UPDATE has come. What it says of a stream that is not open is forgotten.
void Session::take_priority() {
  const auto at = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(priority_[i]));
  };
  const std::uint32_t id = (at(0) << 24 | at(1) << 16 | at(2) << 8 | at(3)) & 0x7fff'ffff;
  if (id % 2 == 0) {
    fail(Reason::protocol, Code::protocol_error, "PRIORITY_UPDATE of a stream that cannot be");
    return;
  }
  if (stream_of(static_cast<std::int32_t>(id)) == nullptr) return;
  const auto priority = read_priority({priority_.data() + 4, priority_size_ - 4});
  if (!priority) return;
  judge(nghttp2_session_change_extpri_stream_priority(session_, static_cast<std::int32_t>(id),
                                                      &*priority, 0));
}

int Session::Callbacks::on_priority_piece(nghttp2_session*, const nghttp2_frame_hd*,
                                          const std::uint8_t* data, std::size_t size, void* user) {
  Session& self = *static_cast<Session*>(user);
  if (size > self.priority_.size() - self.priority_size_) return NGHTTP2_ERR_CANCEL;
  std::copy_n(data, size, self.priority_.data() + self.priority_size_);
  self.priority_size_ += size;
  return 0;
}

int Session::Callbacks::on_priority(nghttp2_session*, void**, const nghttp2_frame_hd*, void* user) {
  const int verdict = run(user, [](Session& self) { self.take_priority(); });
  return verdict != 0 ? verdict : NGHTTP2_ERR_CANCEL;  // nghttp2 has nothing to do with it
}

}  // namespace sluice::http2
