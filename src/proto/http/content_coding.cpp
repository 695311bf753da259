// proto/http/content_coding.cpp - names of content codings, Content-Encoding and Accept-Encoding.
//
// RFC 9110 sections 8.4 and 12.5.3. Layer: proto. No I/O. Thread: any.
#include "proto/http/content_coding.hpp"

#include "base/check.hpp"
#include "proto/http/head.hpp"
#include "proto/http/quality.hpp"
#include "proto/http/token.hpp"

namespace sluice::http {
namespace {

constexpr std::array<std::string_view, kContentCodings> kNames = {"identity", "gzip", "deflate",
                                                                  "br", "zstd"};

constexpr std::size_t index(ContentCoding coding) { return static_cast<std::size_t>(coding); }

// What a list of weights says: of each coding, and of all others.
struct Weights {
  static constexpr int kUnsaid = -1;
  std::array<int, kContentCodings> named{kUnsaid, kUnsaid, kUnsaid, kUnsaid, kUnsaid};
  int rest = kUnsaid;

  void read(std::string_view list) {
    std::string_view name;
    int quality = 0;
    while (next_weighted(list, name, quality)) {
      int* weight = nullptr;
      if (name == "*") {
        weight = &rest;
      } else if (const auto coding = find_coding(name)) {
        weight = &named[index(*coding)];
      }
      if (weight && *weight == kUnsaid) *weight = quality;
    }
  }
  int of(ContentCoding coding) const {
    const int own = named[index(coding)];
    return own != kUnsaid ? own : rest;
  }
};

}  // namespace

std::string_view coding_name(ContentCoding coding) { return kNames[index(coding)]; }

std::optional<ContentCoding> find_coding(std::string_view token) {
  token = current_coding_name(token);
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (equal_nocase(token, kNames[i])) return static_cast<ContentCoding>(i);
  }
  return std::nullopt;
}

Errc read_content_encoding(std::span<const std::string_view> values, std::size_t most,
                           CodingList& list) {
  SLUICE_CHECK(most <= CodingList::kMost);
  list = {};
  CodingList read;
  for (std::string_view value : values) {
    while (!value.empty()) {
      const std::string_view name = trim_ows(take_until(value, ","));
      if (name.empty()) continue;
      if (!is_token(name)) return Errc::http_bad_field_value;
      const auto coding = find_coding(name);
      if (!coding) return Errc::http_coding_not_supported;
      if (*coding == ContentCoding::identity) continue;
      if (read.size == most) return Errc::http_coding_not_supported;
      read.codings[read.size++] = *coding;
    }
  }
  list = read;
  return Errc::none;
}

CodingChoice choose_coding(std::span<const std::string_view> accept_encoding,
                           std::span<const ContentCoding> offered) {
  if (accept_encoding.empty()) return {};
  Weights weights;
  for (const std::string_view value : accept_encoding) weights.read(value);
  CodingChoice choice;
  int best = 0;
  for (const ContentCoding coding : offered) {
    if (coding == ContentCoding::identity || weights.of(coding) <= best) continue;
    best = weights.of(coding);
    choice.coding = coding;
  }
  // `*` takes identity away, but does not make it better than what it stands behind.
  const int identity = weights.of(ContentCoding::identity);
  if (weights.named[index(ContentCoding::identity)] > best) choice.coding = ContentCoding::identity;
  choice.acceptable = choice.coding != ContentCoding::identity || identity != 0;
  return choice;
}

bool needs_vary(std::span<const std::string_view> vary) {
  for (const std::string_view value : vary) {
    if (has_token(value, "*") || has_token(value, kVaryByCoding)) return false;
  }
  return true;
}

std::string weaken_etag(std::string_view etag) {
  const bool strong = etag.size() >= 2 && etag.front() == '"' && etag.back() == '"';
  return strong ? "W/" + std::string(etag) : std::string(etag);
}

}  // namespace sluice::http
