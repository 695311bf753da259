// service/files/answer.hpp - from what was found to the answer of one exchange.
//
// Content coding (RFC 9110 section 12.5.3), preconditions (13) and ranges (14), in this order.
// Layer: service. Thread: shard. Allocates nothing for a whole file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/http/range.hpp"
#include "service/files/found.hpp"

namespace sluice::core {
class Exchange;
}

namespace sluice::service {

// Fills exchange.answer; the caller responds. What the application has set in the answer of its own
// (status, type, fields) goes before what the file says.
void answer_found(core::Exchange& exchange, const Root& root, const Found& found);

// The fields of a request that decide how a representation is sent.
struct Wishes {
  bool conditional = false;  // a precondition is there
  bool has_range = false;    // exactly one Range field
  bool has_accept_encoding = false;
  std::string_view range, accept_encoding;
};
Wishes wishes_of(core::Exchange& exchange);

// The best coding among those that exist.
Coding choose_coding(const Found& found, const Wishes& wishes);

// A multipart boundary that occurs in no content.
std::string new_boundary();

// The value of a field in complete lines; empty when absent.
std::string_view field_in(std::string_view lines, std::string_view name);

// Which ranges of a representation of `size` bytes are sent; `whole` unless the method is GET and
// Range counts.
http::RangeVerdict judge_ranges(core::Exchange& exchange, const Wishes& wishes,
                                const http::Validators& validators, std::uint64_t size,
                                std::vector<http::ByteRange>& ranges);

}  // namespace sluice::service
