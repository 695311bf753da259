// io/failure.hpp - errno as an Errc, and a failure kept in one byte of a Socket until it can be
// told.
//
// Layer: io.
#pragma once

#include <errno.h>

#include <cstdint>

#include <sluice/error.hpp>

namespace sluice::io {

// Why a socket or listener ends. Trivial, so that it can be kept where no string can.
struct Failure {
  Errc code = Errc::none;
  int number = 0;  // errno, or 0
};

Failure failure_of(int number);

// An errno as Socket::failure. Linux has none above 133.
inline std::uint8_t failure_byte(int number) {
  return number > 0 && number < 256 ? std::uint8_t(number) : std::uint8_t(EIO);
}

// With the system's words as detail, if there is memory for them; a reset needs none.
Error to_error(const Failure& failure);

// The same for a step of setting up: "bind: Address already in use".
Error system_error(const char* step, int number);

}  // namespace sluice::io
