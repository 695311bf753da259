// proto/http/event_text.hpp - server-sent events as text.
//
// WHATWG HTML, section 9.2.5 and 9.2.6. Layer: proto. No I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::http {

struct EventFields {
  std::string_view type;
  std::optional<std::string_view> id, data;
  std::optional<std::uint64_t> retry;
};

// UTF-8 of at most `most` bytes, without NUL, CR and LF.
bool is_event_word(std::string_view text, std::size_t most);

// Appends the event and the empty line behind it. False, and nothing is appended: type or id cannot
// be written down, or there is nothing to write.
bool write_event(std::string& out, const EventFields& event, std::size_t max_id);

// Appends each line of `text` as a comment; at least one.
void write_comment(std::string& out, std::string_view text);

}  // namespace sluice::http
