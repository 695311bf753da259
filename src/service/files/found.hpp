// service/files/found.hpp - what a path leads to: a file in its codings, a directory, or a failure.
//
// Layer: service. Thread: found where waiting for a disk harms nobody; immutable afterwards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <sluice/error.hpp>
#include <sluice/settings.hpp>

#include "base/clock.hpp"
#include "base/shared_bytes.hpp"
#include "proto/http/media_type.hpp"
#include "service/files/file_path.hpp"
#include "service/files/file_version.hpp"

namespace sluice::service {

// A directory that is served, or the paths that the application gives (an empty `directory`).
struct Root {
  std::uint32_t id = 0;  // tells the roots of one service apart
  std::string prefix;    // "/static/"
  std::string
      directory;  // absolute, as it was configured: a symlink that is switched counts at once
  FilesOptions options;

  bool is_application() const { return directory.empty(); }
};

// The representations of a file, in order of preference.
enum class Coding : std::uint8_t { br, gzip, identity };
inline constexpr std::size_t kCodings = 3;
inline constexpr std::string_view kCodingNames[kCodings] = {"br", "gzip", "identity"};

struct Found {
  enum class Kind : std::uint8_t {
    file,      // `versions`; identity is always there
    redirect,  // a directory that was asked for without its slash
    listing,   // `page`
    failure,   // `error`
  } kind = Kind::failure;
  bool has_siblings = false;  // another coding than identity exists
  Errc error = Errc::not_found;
  std::string detail;       // of a failure that an operator should see
  base::Instant checked{};  // it was so at this time, or later
  std::array<VersionRef, kCodings> versions;
  base::SharedBytes page;

  bool wants_memory = false;  // a version would be sent from memory if it were hot
  // Answers while that is so. Thread: the shard that knows this.
  mutable std::uint32_t hits = 0;

  const VersionRef& version(Coding coding) const {
    return versions[static_cast<std::size_t>(coding)];
  }
  // About what it keeps in memory.
  std::size_t memory() const;
  // How many descriptors it keeps open.
  std::size_t descriptors() const;
};
using FoundRef = std::shared_ptr<const Found>;

// Looks `path` up below the root (or, for the application's own root, as it is). Versions of
// `previous` that have not changed are kept; `hot` ones are read into memory. `checked` is a time
// not later than the call. Blocks; never fails but by what it returns.
FoundRef look_up(const Root& root, const FilePath& path, const http::MediaTypes& types,
                 const FoundRef& previous, base::Instant checked, bool hot = false);

// The real path of a directory, and what lies below it.
class Containment {
 public:
  // Of the directory that `fd` is. Blocks.
  explicit Containment(int fd);
  // Whether the file behind `fd` (O_PATH will do) lies below, wherever symlinks have led.
  bool contains(int fd) const;

 private:
  std::string real_;
};

}  // namespace sluice::service
