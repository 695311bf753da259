// config/whole.hpp - what is wrong with a file though each of its keys is right, and which key an
// error of the server is about.
//
// Layer: config.
#pragma once

#include <optional>

#include <sluice/error.hpp>

#include "config/mistakes.hpp"
#include "config/read.hpp"

namespace sluice::config {

// Precondition: each key by itself is right.
void look_at_the_whole(const Reading& reading, Mistakes& mistakes);

}  // namespace sluice::config
