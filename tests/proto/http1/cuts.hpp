// tests/proto/http1/cuts.hpp - gives wire bytes to a decoder whole, cut at every position, and byte
// by byte.
//
// A decoder under test must give one verdict for all of them. The bytes behind a cut are poisoned
// where AddressSanitizer is there, so that reading ahead of what has arrived ends the test.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/bytes.hpp>

#include "base/parsed.hpp"
#include "proto/http/head.hpp"
#include "proto/http1/chunked_decoder.hpp"
#include "proto/http1/request_decoder.hpp"
#include "proto/http1/response_decoder.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define SLUICE_TEST_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLUICE_TEST_POISON 1
#endif
#endif
#if defined(SLUICE_TEST_POISON)
#include <sanitizer/asan_interface.h>
#endif

namespace sluice::http1 {

// What a decoder made of some bytes.
struct Outcome {
  bool done = false;
  Errc error = Errc::none;
  std::size_t used = 0;
  std::string said;  // everything that was decoded, as text

  bool operator==(const Outcome&) const = default;
};

inline void PrintTo(const Outcome& outcome, std::ostream* out) {
  *out << (outcome.done                  ? "done"
           : outcome.error != Errc::none ? "bad"
                                         : "need_more")
       << " error " << static_cast<int>(outcome.error) << " used " << outcome.used << '\n'
       << outcome.said;
}

// Where the input is cut: sizes of the prefixes that are given before the whole, rising.
using Cuts = std::vector<std::size_t>;

// Bytes that stay at one address, of which only the first `count` may be read.
class Arrived {
 public:
  explicit Arrived(std::string_view wire)
      : size_(wire.size()), room_((wire.size() + 16) / 8 * 8), bytes_(new char[room_]) {
    std::memcpy(bytes_.get(), wire.data(), wire.size());
  }
  ~Arrived() { show(room_); }
  Arrived(const Arrived&) = delete;
  Arrived& operator=(const Arrived&) = delete;

  Bytes first(std::size_t count) {
    show(count);
    return as_bytes({bytes_.get(), count});
  }
  std::size_t size() const { return size_; }

 private:
  void show([[maybe_unused]] std::size_t count) {
#if defined(SLUICE_TEST_POISON)
    ASAN_UNPOISON_MEMORY_REGION(bytes_.get(), count);
    ASAN_POISON_MEMORY_REGION(bytes_.get() + count, room_ - count);
#endif
  }
  std::size_t size_;
  std::size_t room_;
  std::unique_ptr<char[]> bytes_;
};

inline std::string describe(const std::vector<http::Field>& fields) {
  std::string text;
  for (const http::Field& field : fields) {
    text += '[' + std::string(field.name) + "]=[" + std::string(field.value) + "] " +
            std::to_string(static_cast<int>(field.id)) + '\n';
  }
  return text;
}

inline std::string describe(const http::RequestHead& head) {
  std::string text;
  text += std::string(head.method_text) + ' ' + std::to_string(static_cast<int>(head.method));
  text += " form " + std::to_string(static_cast<int>(head.form)) + " target " +
          std::string(head.target);
  text += " path " + std::string(head.path) + " query " + std::string(head.query);
  text += " host " + std::string(head.host) + " minor " + std::to_string(head.minor);
  text += " body " + std::to_string(static_cast<int>(head.body));
  text += " length " + std::to_string(head.content_length);
  text += head.keep_alive ? " keep" : " close";
  if (head.expect_continue) text += " expect";
  if (head.upgrade) text += " upgrade";
  return text + '\n' + describe(head.fields);
}

inline std::string describe(const http::ResponseHead& head) {
  std::string text = std::to_string(head.status) + " [" + std::string(head.reason) + ']';
  text += " minor " + std::to_string(head.minor);
  text += " body " + std::to_string(static_cast<int>(head.body));
  text += " length " + std::to_string(head.content_length);
  text += head.keep_alive ? " keep" : " close";
  return text + '\n' + describe(head.fields);
}

// A decoder of heads: the same bytes and more behind them on each call.
template <class Decode, class Head>
Outcome feed_head(std::string_view wire, const Cuts& cuts, Decode decode, const Head& head) {
  Arrived arrived(wire);
  Cuts sizes = cuts;
  sizes.push_back(wire.size());
  for (const std::size_t size : sizes) {
    const base::Parsed<bool> parsed = decode(arrived.first(size));
    if (parsed.is_bad()) return {false, parsed.error(), 0, {}};
    if (parsed.is_done()) {
      arrived.first(parsed.used());  // views point into what was used
      return {true, Errc::none, parsed.used(), describe(head)};
    }
  }
  return {};
}

inline Outcome feed_request(std::string_view wire, const Cuts& cuts,
                            const http::HeadLimits& limits = {}) {
  RequestDecoder decoder;
  http::RequestHead head;
  return feed_head(
      wire, cuts, [&](Bytes in) { return decoder.decode(in, limits, head); }, head);
}

inline Outcome feed_response(std::string_view wire, const Cuts& cuts, http::Method request,
                             const http::HeadLimits& limits = {}) {
  ResponseDecoder decoder;
  http::ResponseHead head;
  return feed_head(
      wire, cuts, [&](Bytes in) { return decoder.decode(in, request, limits, head); }, head);
}

// A chunked body: what was used is dropped. `said` is the data and the trailers.
inline Outcome feed_chunked(std::string_view wire, const Cuts& cuts,
                            const http::HeadLimits& limits = {}) {
  ChunkedDecoder decoder;
  decoder.reset();
  std::string data;
  Arrived arrived(wire);
  Cuts sizes = cuts;
  sizes.push_back(wire.size());
  std::size_t used = 0;
  for (const std::size_t size : sizes) {
    while (true) {
      const Bytes in = arrived.first(size).subspan(used);
      const base::Parsed<ChunkPiece> parsed = decoder.decode(in, limits);
      if (parsed.is_bad()) return {false, parsed.error(), 0, data};
      if (parsed.needs_more()) break;
      used += parsed.used();
      data += as_text(parsed.value().data);
      if (parsed.value().end) return {true, Errc::none, used, data + '|' + decoder.trailers()};
      if (parsed.value().data.empty()) return {false, Errc::invalid_argument, 0, "an empty piece"};
    }
    used = size;
  }
  return {false, Errc::none, 0, data};
}

// Feeds `wire` in every way and expects one outcome; returns it.
template <class Feed>
Outcome expect_one_verdict(std::string_view wire, Feed feed) {
  const Outcome whole = feed(wire, Cuts{});
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    const Outcome split = feed(wire, Cuts{cut});
    EXPECT_EQ(split, whole) << "cut at " << cut << " of:\n" << wire;
    if (split != whole) return whole;
  }
  Cuts bytes(wire.size());
  std::iota(bytes.begin(), bytes.end(), std::size_t{0});
  EXPECT_EQ(feed(wire, bytes), whole) << "byte by byte:\n" << wire;
  return whole;
}

inline Outcome one_request_verdict(std::string_view wire, const http::HeadLimits& limits = {}) {
  return expect_one_verdict(wire, [&](std::string_view bytes, const Cuts& cuts) {
    return feed_request(bytes, cuts, limits);
  });
}

inline Outcome one_response_verdict(std::string_view wire, http::Method request = http::Method::get,
                                    const http::HeadLimits& limits = {}) {
  return expect_one_verdict(wire, [&](std::string_view bytes, const Cuts& cuts) {
    return feed_response(bytes, cuts, request, limits);
  });
}

inline Outcome one_chunked_verdict(std::string_view wire, const http::HeadLimits& limits = {}) {
  return expect_one_verdict(wire, [&](std::string_view bytes, const Cuts& cuts) {
    return feed_chunked(bytes, cuts, limits);
  });
}

}  // namespace sluice::http1
