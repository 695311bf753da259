// io/failure.cpp - which errno is which Errc.
#include "io/failure.hpp"

#include <errno.h>

#include <new>
#include <string>
#include <system_error>

namespace sluice::io {

Failure failure_of(int number) {
  switch (number) {
    case 0:
      return {};
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
    case ENOTCONN:
      return {Errc::connection_reset, 0};
    case ETIMEDOUT:
      return {Errc::timed_out, number};
    case EMFILE:
    case ENFILE:
      return {Errc::too_many_files, number};
    case ENOMEM:
    case ENOBUFS:
      return {Errc::out_of_memory, number};
    case EADDRINUSE:
      return {Errc::address_in_use, number};
    case EADDRNOTAVAIL:
      return {Errc::address_not_available, number};
    case EACCES:
    case EPERM:
      return {Errc::permission_denied, number};
    default:
      return {Errc::io_failed, number};
  }
}

Error to_error(const Failure& failure) {
  if (failure.number == 0) return failure.code;
  try {
    return {failure.code, std::system_category().message(failure.number)};
  } catch (const std::bad_alloc&) {
    return failure.code;
  }
}

Error system_error(const char* step, int number) {
  Failure failure = failure_of(number);
  return {failure.code, std::string(step) + ": " + std::system_category().message(number)};
}

}  // namespace sluice::io
