// crypto/siphash.cpp - see siphash.hpp.
//
// Layer: crypto. Thread: any.
#include "crypto/siphash.hpp"

#include <bit>

namespace sluice::crypto {
namespace {

// The first `size` bytes, at most eight, with the least significant one first.
std::uint64_t read(const std::byte* from, std::size_t size = 8) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < size; ++i) {
    word |= std::to_integer<std::uint64_t>(from[i]) << (8 * i);
  }
  return word;
}

struct State {
  std::uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void take(std::uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

}  // namespace

std::uint64_t siphash(const std::array<std::byte, 16>& key, Bytes message) {
  const std::uint64_t k0 = read(key.data()), k1 = read(key.data() + 8);
  State state{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
              k1 ^ 0x7465646279746573};
  const std::size_t whole = message.size() / 8 * 8;
  for (std::size_t i = 0; i < whole; i += 8) state.take(read(message.data() + i));
  state.take(read(message.data() + whole, message.size() - whole) |
             (static_cast<std::uint64_t>(message.size()) << 56));
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace sluice::crypto
