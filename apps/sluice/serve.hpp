// apps/sluice/serve.hpp - `sluice serve`: one server from start to drain.
//
// Layer: apps. Thread: main.
#pragma once

#include "sluice/options.hpp"

namespace sluice::app {

// Serves until SIGINT or SIGTERM and then drains; a second signal ends it at once. Answers the exit
// code. What went wrong is one line on standard error.
int serve(const ServeOptions& options);

}  // namespace sluice::app
