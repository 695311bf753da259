// service/upload/file_name.cpp - see file_name.hpp.
#include "service/upload/file_name.hpp"

#include "proto/http/token.hpp"
#include "proto/ws/utf8.hpp"

namespace sluice::service {
namespace {

Error refused(std::string_view why) { return {Errc::upload_bad_name, std::string(why)}; }

// CON, NUL, COM1, with any extension.
bool is_device(std::string_view name) {
  std::string_view stem = name.substr(0, name.find('.'));
  while (stem.ends_with(' ')) stem.remove_suffix(1);
  for (const std::string_view device : {"con", "prn", "aux", "nul", "conin$", "conout$"}) {
    if (http::equal_nocase(stem, device)) return true;
  }
  if (stem.size() < 4) return false;
  const std::string_view kind = stem.substr(0, 3), number = stem.substr(3);
  if (!http::equal_nocase(kind, "com") && !http::equal_nocase(kind, "lpt")) return false;
  const bool is_digit = number.size() == 1 && number[0] >= '1' && number[0] <= '9';
  return is_digit || number == "\u00b9" || number == "\u00b2" || number == "\u00b3";
}

// Of UTF-8: C1 controls (U+0080 to U+009F), line and paragraph separators, what embeds, overrides
// and isolates directions (U+2028 to U+202E, U+2066 to U+2069).
bool has_invisible(std::string_view text) {
  const auto in = [&](std::size_t at, unsigned first, unsigned last) {
    if (at >= text.size()) return false;
    const auto byte = static_cast<unsigned char>(text[at]);
    return byte >= first && byte <= last;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (in(i, 0xC2, 0xC2) && in(i + 1, 0x80, 0x9F)) return true;
    if (!in(i, 0xE2, 0xE2)) continue;
    if (in(i + 1, 0x80, 0x80) && in(i + 2, 0xA8, 0xAE)) return true;
    if (in(i + 1, 0x81, 0x81) && in(i + 2, 0xA6, 0xA9)) return true;
  }
  return false;
}

// Never in the middle of a character.
std::string_view cut(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

}  // namespace

Result<std::string> safe_file_name(std::string_view sent) {
  const auto slash = sent.find_last_of("/\\");
  std::string_view name = slash == std::string_view::npos ? sent : sent.substr(slash + 1);
  if (name == "." || name == "..") return refused("a folder, not a file");
  while (name.ends_with('.') || name.ends_with(' ')) name.remove_suffix(1);
  if (name.empty()) return refused("it has no name");
  if (name.size() > kMostNameBytes) return refused("it is longer than 255 bytes");
  if (!ws::is_utf8(as_bytes(name))) return refused("it is not UTF-8");
  if (has_invisible(name)) return refused("it has control characters");
  if (name.starts_with(kUnfinishedPrefix)) return refused("it begins as unfinished files do");
  if (is_device(name)) return refused("it is the name of a device");
  std::string safe(name);
  for (char& c : safe) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) return refused("it has control characters");
    if (std::string_view("<>:\"|?*").find(c) != std::string_view::npos) c = '_';
  }
  return safe;
}

std::string marked_name(std::string_view name, std::string_view mark) {
  const auto dot = name.rfind('.');
  const bool has_extension = dot != std::string_view::npos && dot > 0 && name.size() - dot <= 32;
  const std::string_view stem = has_extension ? name.substr(0, dot) : name;
  const std::string tail = " (" + std::string(mark) + ")" +
                           std::string(has_extension ? name.substr(dot) : std::string_view());
  return std::string(cut(stem, kMostNameBytes - tail.size())) + tail;
}

}  // namespace sluice::service
