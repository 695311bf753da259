// tests/tls/kernel_test.cpp - the probe for kTLS says yes, or why not.
//
// Layer: tests.
#include "tls/kernel.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace sluice::tls {
namespace {

TEST(KernelTls, SaysWhatTheKernelSays) {
  const Result<void> can = kernel_can_seal();
  // Protocols that stand on TCP now; a kernel with TLS lists it once it is loaded. It may be one
  // that does not seal what we would ask for.
  std::ifstream list("/proc/sys/net/ipv4/tcp_available_ulp");
  std::string names;
  if (std::getline(list, names)) {
    const bool listed = (" " + names + " ").find(" tls ") != std::string::npos;
    EXPECT_TRUE(listed || !can.has_value()) << names;
  }
  if (!can) {
    EXPECT_EQ(can.error().code, Errc::unavailable);
    EXPECT_FALSE(can.error().detail.empty());
  }
}

}  // namespace
}  // namespace sluice::tls
