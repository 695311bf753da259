// tls/self_signed.hpp - a certificate for development, made on the spot.
//
// Nobody trusts it but who is told to: browsers warn, `curl --cacert` takes its pem(). Layer: tls.
// Thread: any.
#pragma once

#include <chrono>
#include <span>
#include <string_view>

#include <sluice/result.hpp>

#include "tls/certificate.hpp"

namespace sluice::tls {

// What a browser on this machine asks for.
inline constexpr std::string_view kLocalNames[] = {"localhost", "127.0.0.1", "::1"};

inline constexpr std::chrono::hours kLongestLife{24 * 36525};  // the years have four digits

// ECDSA on P-256, valid from an hour ago (clocks differ) until `life` from now, for host names and
// addresses. The key is nowhere but in memory. Errc::bad_setting: one of `names` is neither, there
// is none, or `life` is longer than kLongestLife; Errc::out_of_memory.
Result<Certificate> self_signed(std::span<const std::string_view> names = kLocalNames,
                                std::chrono::hours life = std::chrono::hours(24) * 365);

}  // namespace sluice::tls
