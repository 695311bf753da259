// proto/http2/settings.cpp - words for numbers.
#include "proto/http2/settings.hpp"

#include <array>

namespace sluice::http2 {

std::string_view word(Code code) {
  static constexpr std::string_view words[] = {"NO_ERROR",
                                               "PROTOCOL_ERROR",
                                               "INTERNAL_ERROR",
                                               "FLOW_CONTROL_ERROR",
                                               "SETTINGS_TIMEOUT",
                                               "STREAM_CLOSED",
                                               "FRAME_SIZE_ERROR",
                                               "REFUSED_STREAM",
                                               "CANCEL",
                                               "COMPRESSION_ERROR",
                                               "CONNECT_ERROR",
                                               "ENHANCE_YOUR_CALM",
                                               "INADEQUATE_SECURITY",
                                               "HTTP_1_1_REQUIRED"};
  const auto number = static_cast<std::size_t>(code);
  return number < std::size(words) ? words[number] : "UNKNOWN";
}

std::string_view word(Reason reason) {
  static constexpr std::string_view words[] = {"none",  "bad_preface",   "protocol",
                                               "flood", "out_of_memory", "aborted"};
  return words[static_cast<std::size_t>(reason)];
}

std::string_view word(Flood flood) {
  static constexpr std::string_view words[] = {
      "none",          "resets",           "half_of",       "provoked", "refused",
      "continuations", "head_block_bytes", "settings",      "pings",    "empty_frames",
      "idle_frames",   "small_windows",    "decoded_bytes", "queue"};
  return words[static_cast<std::size_t>(flood)];
}

}  // namespace sluice::http2
