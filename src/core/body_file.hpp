// core/body_file.hpp - a request body that is too large for memory: an unlinked temporary file.
//
// Layer: core. Thread: write() and map() where waiting for a disk harms nobody; the rest on the
// shard.
#pragma once

#include <cstdint>
#include <memory>

#include <sluice/bytes.hpp>
#include <sluice/result.hpp>

namespace sluice::core {

class BodyFile {
 public:
  // In TMPDIR or /tmp, nameless from the start where the file system can do that. Blocks.
  static Result<std::unique_ptr<BodyFile>> make();
  ~BodyFile();
  BodyFile(const BodyFile&) = delete;
  BodyFile& operator=(const BodyFile&) = delete;

  Result<void> write(Bytes bytes);  // appends
  Result<Bytes> map();              // all of it; lives as long as this object
  std::uint64_t size() const { return size_; }

 private:
  BodyFile() = default;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  void* mapping_ = nullptr;
};

}  // namespace sluice::core
