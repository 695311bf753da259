// service/files/file_version.hpp - one state of one file, with everything that an answer needs
// ready-made.
//
// RFC 9110 sections 8.3 (type), 8.4 (coding), 8.8 (validators). Layer: service. Thread: made where
// waiting for a disk harms nobody; immutable afterwards, so shards share it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <sluice/result.hpp>

#include "base/shared_bytes.hpp"
#include "core/coded_variants.hpp"
#include "core/open_file.hpp"
#include "proto/http/conditional.hpp"

struct stat;

namespace sluice::service {

// Up to this size a file is sent from memory: one writev is cheaper than sendfile there.
inline constexpr std::uint64_t kInMemory = 16 * 1024;
// Hot files of these sizes are too: sendfile moves 64 KiB at a time, and each page by itself.
inline constexpr std::uint64_t kHotFrom = 128 * 1024 + 1, kHotUpTo = 2 * 1024 * 1024;

// What tells one state of a file from another.
struct FileFacts {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t modified = 0, changed = 0;  // nanoseconds since 1970
  friend bool operator==(const FileFacts&, const FileFacts&) = default;
};
FileFacts facts_of(const struct stat& status);

// How a representation is labelled: the same for all states of a file.
struct Labels {
  std::string_view type;           // Content-Type
  std::string_view coding;         // Content-Encoding; empty: none
  std::string_view cache_control;  // empty: none
  bool vary = false;               // Accept-Encoding decides which representation is sent
};

struct FileVersion {
  FileFacts facts;
  core::FileRef file;         // null when `content` has it all
  base::SharedBytes content;  // files up to kInMemory, and hot ones
  bool in_memory = false;     // an empty file has no bytes, but is in memory all the same
  std::string type;
  std::string etag;                           // strong, with its quotes
  std::optional<std::int64_t> last_modified;  // seconds; absent when it lies in the future
  std::string fields;                         // complete lines for 200 and 206
  std::string fields_not_modified;            // for 304
  bool vary = false;
  // False when the file was changed so shortly before it was read that another change might leave
  // no trace in its facts: it is read again next time.
  bool settled = true;

  mutable core::CodedVariants variants;  // of `content`

  http::Validators validators() const { return {etag, last_modified}; }
  bool wants_memory() const {
    return !in_memory && facts.size >= kHotFrom && facts.size <= kHotUpTo;
  }
};
using VersionRef = std::shared_ptr<const FileVersion>;

// `found` is a descriptor made with O_PATH, `status` its facts. Returns `previous` when nothing has
// changed; else the file is opened, and read when it is small, or `hot` and not too large. Blocks.
//
// Errors: not_regular_file (never opened: no FIFO is waited for, no device touched),
// permission_denied, too_many_files, not_found, io_failed.
Result<VersionRef> load_version(int found, const struct stat& status, const Labels& labels,
                                const VersionRef& previous, bool hot = false);

// From an errno of open, stat and read.
Error file_error(int number, std::string_view name);

}  // namespace sluice::service
