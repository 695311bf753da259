// tls/files.hpp - small files with certificates, keys and answers about revocation.
//
// They are read as a whole when a server starts or its settings change: never on a shard, because a
// disk may be slow. Layer: tls. Thread: any but a shard's.
#pragma once

#include <cstddef>
#include <string>

#include <sluice/result.hpp>

#include "crypto/secret.hpp"

namespace sluice::tls {

inline constexpr std::size_t kMostFileBytes = std::size_t{1} << 20;

// Who else has a file, at the time when it was read.
struct OpenTo {
  bool readers = false;  // others than its owner and group may read it
  bool writers = false;  // others than its owner may change it
};

// What is in `file`, which may be a key: it is wiped when it goes. `open_to`, if there: filled in.
// Errc::bad_setting names the file and says what was wrong.
Result<crypto::Secret> read_file(const std::string& file, OpenTo* open_to = nullptr);

}  // namespace sluice::tls
