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
  // Protocols that stand on TCP now; a kernel with TLS lists it once it is loaded.
  std::ifstream list("/proc/sys/net/ipv4/tcp_available_ulp");
  std::string names;
  if (std::getline(list, names)) {
    EXPECT_EQ(can.has_value(), (" " + names + " ").find(" tls ") != std::string::npos) << names;
  }
  if (!can) {
    EXPECT_EQ(can.error().code, Errc::unavailable);
    EXPECT_FALSE(can.error().detail.empty());
  }
}

}  // namespace
}  // namespace sluice::tls
