// base/error_table.hpp - the rows behind sluice::info(), for those who walk them.
//
// Layer: base.
#pragma once

#include <span>

#include <sluice/error.hpp>

namespace sluice::base {

std::span<const ErrorInfo> error_table();

}  // namespace sluice::base
