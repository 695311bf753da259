// tests/api/event_harness.hpp - clients that listen to streams of events. Layer: tests.
#pragma once

#include <string>
#include <string_view>

#include "api/harness.hpp"

namespace sluice::test {

inline constexpr std::string_view kListen = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

// True once `text` has come. Each event is a chunk of its own, so it stands there in one piece.
inline bool sees(HttpClient& http, std::string_view text) {
  std::size_t had = 0;
  for (;;) {
    const std::string_view all = http.wait_for(had + 1);
    if (all.find(text) != std::string_view::npos) return true;
    if (all.size() <= had) return false;
    had = all.size();
  }
}

inline std::string listen_after(std::string_view id) {
  return "GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: " + std::string(id) + "\r\n\r\n";
}

}  // namespace sluice::test
