// apps/sluice/large_file.hpp - the demo's large file: made at start-up, gone at exit.
//
// Layer: apps. Its content is a formula, so that the page can check every byte it was sent: the
// four bytes at offset 4k are k * 2654435761 modulo 2^32, lowest byte first.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <sluice/result.hpp>

namespace sluice::app {

class LargeFile {
 public:
  // Writes `size` bytes (a multiple of 1 MiB) into a new folder below the system's folder for
  // temporary files. Errors: Errc::io_failed with words that say what to do.
  static Result<std::unique_ptr<LargeFile>> create(std::uint64_t size);
  ~LargeFile() { remove(); }
  LargeFile(const LargeFile&) = delete;
  LargeFile& operator=(const LargeFile&) = delete;

  const std::string& path() const { return path_; }
  // Removes file and folder; a second time nothing. Thread: any.
  void remove() const noexcept;

 private:
  explicit LargeFile(std::string folder) : folder_(std::move(folder)) {}
  const std::string folder_;
  const std::string path_ = folder_ + "/large.bin";
};

}  // namespace sluice::app
