// core/open_file.hpp - a descriptor that is closed with its last user.
//
// Layer: core. Thread: any.
#pragma once

#include <unistd.h>

#include <memory>

namespace sluice::core {

class OpenFile {
 public:
  explicit OpenFile(int descriptor) : fd(descriptor) {}
  ~OpenFile() {
    if (fd >= 0) ::close(fd);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  const int fd;
};

using FileRef = std::shared_ptr<const OpenFile>;

}  // namespace sluice::core
