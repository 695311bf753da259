// apps/sluice/keys.hpp - `sluice keys`: issues, lists, revokes and rotates the API keys of a store.
//
// Layer: apps. Thread: main.
#pragma once

#include "sluice/options.hpp"

namespace sluice::app {

// Answers the exit code. A new key is the one line on standard output; what was done, or went
// wrong, is one line on standard error. `list` prints to standard output.
int keys(const KeysOptions& options);

}  // namespace sluice::app
