// tests/tls/framing_test.cpp - where records end, and how large a ClientHello may be.
//
// RFC 8446 sections 4, 5.1. Layer: tests.
#include "tls/framing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace sluice::tls {
namespace {

std::string record(char type, const std::string& body) {
  return std::string{type, 3, 3, char(body.size() >> 8), char(body.size() & 0xff)} + body;
}
std::string message(char type, std::size_t claimed, std::size_t present) {
  return std::string{type, char(claimed >> 16), char(claimed >> 8 & 0xff), char(claimed & 0xff)} +
         std::string(present, 'x');
}

struct Case {
  const char* name;
  std::string bytes;
  bool in_clear, passes, inside;
};

TEST(Framing, EveryCut) {
  const std::string hello = message(1, 16384, 16384);
  const std::string larger = message(1, 16385, 100);
  const Case cases[] = {
      {"nothing", "", true, true, false},
      {"a head", std::string("\x16\x03\x01\x00\x05", 5), true, true, true},
      {"a part of a head", std::string("\x16\x03", 2), true, true, true},
      {"an empty record", record(23, ""), true, true, false},
      {"a record", record(23, "hello"), true, true, false},
      {"two and a half", record(23, "a") + record(23, "b") + record(23, "cdef").substr(0, 7), true,
       true, true},
      {"a hello of the largest size",
       record(22, hello.substr(0, 10000)) + record(22, hello.substr(10000)), true, true, false},
      {"a larger one", record(22, larger), true, false, true},
      {"its head in two records", record(22, larger.substr(0, 2)) + record(22, larger.substr(2)),
       true, false, true},
      {"behind another message", record(22, message(11, 20, 20) + larger), true, false, true},
      {"the second hello of 1.3, behind a ChangeCipherSpec",
       record(22, message(1, 10, 10)) + record(20, "\1") + record(22, larger), true, false, true},
      {"what looks like one, but is encrypted in 1.2",
       record(22, message(1, 10, 10)) + record(20, "\1") + record(22, larger), false, true, false},
      {"another message may say what it likes", record(22, message(11, 0xffffff, 100)), true, true,
       false},
      {"a hello in a record of another type", record(23, larger), true, true, false},
  };
  for (const Case& test : cases) {
    for (std::size_t cut = 0; cut <= test.bytes.size(); cut += test.bytes.size() > 1000 ? 97 : 1) {
      Framing framing;
      const Bytes bytes = as_bytes(test.bytes);
      const bool passed = framing.pass(bytes.first(cut), test.in_clear) &&
                          framing.pass(bytes.subspan(cut), test.in_clear);
      EXPECT_EQ(passed, test.passes) << test.name << ", cut at " << cut;
      if (passed) {
        EXPECT_EQ(framing.is_inside(), test.inside) << test.name << ", cut at " << cut;
      }
    }
    Framing framing;
    bool passed = true;
    for (const std::byte& byte : as_bytes(test.bytes)) {
      passed = passed && framing.pass({&byte, 1}, test.in_clear);
    }
    EXPECT_EQ(passed, test.passes) << test.name << ", byte by byte";
  }
}

}  // namespace
}  // namespace sluice::tls
