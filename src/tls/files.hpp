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

// What is in `file`, which may be a key: it is wiped when it goes. Errc::bad_setting names the file
// and says what was wrong.
Result<crypto::Secret> read_file(const std::string& file);

// Whether others than its owner and group may read `file`.
bool is_open_to_all(const std::string& file);

}  // namespace sluice::tls
