// io/failure.hpp - errno as an Errc, and a failure packed into one word of a Socket until it can be
// told.
//
// Layer: io.
#pragma once

#include <cstdint>

#include <sluice/error.hpp>

namespace sluice::io {

// Why a socket or listener ends. Trivial, so that it can be kept where no string can.
struct Failure {
  Errc code = Errc::none;
  int number = 0;  // errno, or 0

  std::uint64_t pack() const {
    return std::uint64_t(std::uint32_t(code)) | std::uint64_t(std::uint32_t(number)) << 32;
  }
  static Failure unpack(std::uint64_t word) {
    return {Errc(std::int32_t(std::uint32_t(word))), int(std::uint32_t(word >> 32))};
  }
};

Failure failure_of(int number);

// With the system's words as detail; a reset needs none.
Error to_error(const Failure& failure);

// The same for a step of setting up: "bind: Address already in use".
Error system_error(const char* step, int number);

}  // namespace sluice::io
