// core/coding_policy.hpp - Settings::content_coding as shards use it.
//
// Layer: core. Immutable; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "proto/http/coding_rules.hpp"

namespace sluice::core {

// Pinned: the rules point into it.
struct CodingPolicy {
  CodingPolicy() = default;
  CodingPolicy(const CodingPolicy&) = delete;
  CodingPolicy& operator=(const CodingPolicy&) = delete;

  std::vector<http::ContentCoding> offered;
  std::vector<std::string> types;
  std::vector<std::string_view> patterns;  // of `types`; empty: those that shrink
  http::CodingRules rules;
  std::size_t encoder_bytes = 0, variant_bytes = 0;  // of each shard
};

}  // namespace sluice::core
