// config/access_rows.hpp - the keys of who may come in: [authentication] and [api_keys].
//
// Layer: config.
#pragma once

#include <vector>

#include "config/schema.hpp"

namespace sluice::config {

std::vector<Row<Configuration>> access_rows();

}  // namespace sluice::config
