// fuzz/service/api_key_fuzz.cpp - a text that is read as an API key, a network or a scope is the
// very one that it would be written as. Layer: fuzz.
#include <string>

#include "http/expect.hpp"
#include "service/api_keys/key.hpp"
#include "service/api_keys/network.hpp"
#include "service/api_keys/record.hpp"

using namespace sluice::api_keys;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = sluice::http::text_of(data, size);
  if (const auto key = parse_key(text)) {
    EXPECT_THAT(format_key(key->prefix, key->random).view() == text);
  }
  const auto network = Network::parse(text);
  if (network) {
    const auto again = Network::parse(network->text());
    EXPECT_THAT(again && *again == *network);
  } else {
    for (char c : network.error().detail) EXPECT_THAT(static_cast<unsigned char>(c) >= 0x20);
  }
  if (is_scope(text)) EXPECT_THAT(covers({std::string(text)}, text));
  return 0;
}
