// sluice/version.hpp - the version of the library, in the one place that states it.
//
// The build system, the package files and `sluice --version` all read it from here.
// Layer: public. Thread: any.
#pragma once

#define SLUICE_VERSION_MAJOR 0
#define SLUICE_VERSION_MINOR 1
#define SLUICE_VERSION_PATCH 0

// The version as text, MAJOR.MINOR.PATCH (https://semver.org).
#define SLUICE_VERSION "0.1.0"
