// proto/http/event_text.cpp - line by line.
#include "proto/http/event_text.hpp"

#include <algorithm>

#include <sluice/bytes.hpp>

#include "proto/ws/utf8.hpp"

namespace sluice::http {
namespace {

// Each line of `text`, however lines end there, behind `name`. A text that ends in a line end has
// an empty line last: that is how a client puts it together again.
void write_lines(std::string& out, std::string_view name, std::string_view text) {
  for (;;) {
    const std::size_t end = text.find_first_of("\r\n");
    out.append(name).append(text.substr(0, end)).push_back('\n');
    if (end == std::string_view::npos) return;
    const bool both = text[end] == '\r' && end + 1 < text.size() && text[end + 1] == '\n';
    text.remove_prefix(end + (both ? 2 : 1));
  }
}

}  // namespace

bool is_event_word(std::string_view text, std::size_t most) {
  return text.size() <= most &&
         text.find_first_of(std::string_view("\0\r\n", 3)) == std::string_view::npos &&
         ws::is_utf8(as_bytes(text));
}

bool write_event(std::string& out, const EventFields& event, std::size_t max_id) {
  if (!event.id && !event.data && !event.retry) return false;
  if (!is_event_word(event.type, std::string_view::npos)) return false;
  if (event.id && !is_event_word(*event.id, max_id)) return false;
  if (!event.type.empty()) out.append("event: ").append(event.type).push_back('\n');
  if (event.id) out.append("id: ").append(*event.id).push_back('\n');
  if (event.retry) out.append("retry: ").append(std::to_string(*event.retry)).push_back('\n');
  if (event.data) write_lines(out, "data: ", *event.data);
  out.push_back('\n');
  return true;
}

void write_comment(std::string& out, std::string_view text) {
  write_lines(out, text.empty() ? ":" : ": ", text);
}

}  // namespace sluice::http
