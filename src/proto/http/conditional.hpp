// proto/http/conditional.hpp - preconditions.
//
// RFC 9110 section 13, in the order of 13.2.2. Layer: proto. No I/O, no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proto/http/head.hpp"

namespace sluice::http {

// What the server knows of the representation, which exists. An empty etag: none. Quotes (and W/)
// are part of the tag.
struct Validators {
  std::string_view etag;
  std::optional<std::int64_t> last_modified;  // seconds since 1970
};

enum class Condition : std::uint8_t { proceed, not_modified /* 304 */, failed /* 412 */ };

// `now` helps to read two-digit years.
Condition judge_conditions(const RequestHead& head, const Validators& validators, std::int64_t now);

// RFC 9110 section 13.1.5 and 14.2: whether Range counts (true when there is no If-Range). Strong
// comparison; a date only if it is the exact Last-Modified.
bool range_applies(const RequestHead& head, const Validators& validators, std::int64_t now);

bool strong_equal(std::string_view a, std::string_view b);
bool weak_equal(std::string_view a, std::string_view b);

}  // namespace sluice::http
