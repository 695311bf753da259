// config/lines.cpp - see lines.hpp.
//
// Layer: config.
#include "config/lines.hpp"

#include <algorithm>

namespace sluice::config {

Lines::Lines(std::string_view toml) : text_(toml) {
  for (std::size_t at = 0; at <= text_.size();) {
    begins_.push_back(at);
    const std::size_t end = text_.find('\n', at);
    if (end == std::string::npos) break;
    at = end + 1;
  }
}

std::string_view Lines::line(std::size_t number) const {
  std::string_view whole(text_);
  whole = whole.substr(begins_[number - 1]);
  whole = whole.substr(0, whole.find('\n'));
  return whole.substr(std::min(whole.find_first_not_of(" \t"), whole.size()));
}

std::uint32_t Lines::column(std::size_t number) const {
  const char* const begin = text_.data() + begins_[number - 1];
  return static_cast<std::uint32_t>(line(number).data() - begin) + 1;
}

void Lines::blank(std::size_t number) {
  for (std::size_t i = begins_[number - 1]; i < text_.size() && text_[i] != '\n'; ++i) {
    text_[i] = ' ';
  }
}

namespace {

bool is_whole(std::string_view line) {
  const auto count = [line](char c) { return std::count(line.begin(), line.end(), c); };
  return line.find("\"\"\"") == std::string_view::npos &&
         line.find("'''") == std::string_view::npos && count('[') == count(']') &&
         count('{') == count('}');
}

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1));
}

// What stands between the first and the last apostrophe.
std::string in_quotes(std::string_view text) {
  const std::size_t begin = text.find('\''), end = text.rfind('\'');
  return begin < end ? trimmed(text.substr(begin + 1, end - begin - 1)) : std::string();
}

// The name of the table that a line lies in, with a dot behind it.
std::string table_of(const Lines& lines, std::size_t number) {
  while (--number > 0) {
    const std::string_view line = lines.line(number);
    if (!line.starts_with('[')) continue;
    const std::size_t begin = line.find_first_not_of('[');
    if (begin == std::string_view::npos) return {};
    return trimmed(line.substr(begin, line.find(']') - begin)) + ".";
  }
  return {};
}

}  // namespace

bool forget_duplicate(std::size_t number, std::string_view description, Lines& lines,
                      Mistakes& mistakes) {
  if (description.find("redefine") == std::string_view::npos || number < 1 ||
      number > lines.count()) {
    return false;
  }
  const std::string line(lines.line(number));
  const Place at{static_cast<std::uint32_t>(number), lines.column(number)};
  if (line.starts_with('[')) {
    mistakes.add(at, trimmed(line.substr(0, line.find('#'))),
                 "is there already; put its keys together, or remove one of the two");
    // Its keys would seem to belong to the table above.
    for (std::size_t next = number; next <= lines.count(); ++next) {
      if (next > number && lines.line(next).starts_with('[')) break;
      lines.blank(next);
    }
    return true;
  }
  const std::size_t equals = line.find('=');
  if (equals == std::string::npos || !is_whole(line)) return false;
  std::string key = trimmed(line.substr(0, equals));
  // Where it lies in an inline table, the key within.
  const std::string inner = in_quotes(description);
  if (key.find(inner) == std::string::npos) key += "." + inner;
  mistakes.add(at, table_of(lines, number) + key, "is set twice; remove one of the two");
  lines.blank(number);
  return true;
}

}  // namespace sluice::config
