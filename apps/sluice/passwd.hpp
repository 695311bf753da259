// apps/sluice/passwd.hpp - `sluice passwd`: puts a user and a hashed password into a file.
//
// Layer: apps. Thread: main.
#pragma once

#include "sluice/options.hpp"

namespace sluice::app {

// Answers the exit code. What went wrong is one line on standard error; what was done, one on
// standard output.
int passwd(const PasswdOptions& options);

}  // namespace sluice::app
