// apps/sluice/terminal.hpp - asking for a password without showing it.
//
// Layer: apps. Thread: main.
#pragma once

#include <string_view>

#include <sluice/result.hpp>

#include "crypto/secret.hpp"

namespace sluice::app {

// One line of the controlling terminal, typed unseen. A signal that ends the program restores the
// terminal first. Errors: unavailable (there is no terminal), io_failed, cancelled (end of input),
// invalid_argument (too long).
Result<crypto::Secret> ask_password(std::string_view prompt);

// One line of a descriptor, without its line feed. Errors: as above.
Result<crypto::Secret> read_password(int fd);

}  // namespace sluice::app
