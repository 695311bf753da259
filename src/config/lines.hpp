// config/lines.hpp - the text of a file by its lines, and what is set twice in it.
//
// toml++ stops at its first error, and behind a key that is set twice there may be more to tell:
// such a line is made blank, and the rest read again. Layer: config.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/mistakes.hpp"

namespace sluice::config {

class Lines {
 public:
  explicit Lines(std::string_view toml);

  const std::string& text() const { return text_; }
  std::size_t count() const { return begins_.size(); }

  // Without blanks in front. Lines count from 1.
  std::string_view line(std::size_t number) const;
  std::uint32_t column(std::size_t number) const;
  void blank(std::size_t number);

 private:
  std::string text_;
  std::vector<std::size_t> begins_;
};

// Takes what is set twice out of `lines`, told by toml++ in `description`, at line `number`. False:
// this cannot be told apart from what follows.
bool forget_duplicate(std::size_t number, std::string_view description, Lines& lines,
                      Mistakes& mistakes);

}  // namespace sluice::config
