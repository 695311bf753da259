// tls/files.cpp - see files.hpp.
//
// Layer: tls. Thread: any but a shard's.
#include "tls/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice::tls {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error unreadable(const std::string& file, const std::string& why) {
  return {Errc::bad_setting, "cannot read " + file + ": " + why};
}

}  // namespace

Result<crypto::Secret> read_file(const std::string& file, OpenTo* open_to) {
  if (file.find('\0') != std::string::npos) return unreadable("a file", "its name holds a NUL");
  // Not to wait for somebody who opens the other end, should it be a FIFO.
  const Descriptor here(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat facts {};
  if (here.get() < 0 || ::fstat(here.get(), &facts) != 0) {
    return unreadable(file, std::strerror(errno));
  }
  if (!S_ISREG(facts.st_mode)) return unreadable(file, "it is not a regular file");
  if (open_to != nullptr) {
    *open_to = {(facts.st_mode & S_IROTH) != 0, (facts.st_mode & (S_IWGRP | S_IWOTH)) != 0};
  }
  if (static_cast<std::size_t>(facts.st_size) > kMostFileBytes) {
    return unreadable(file, "it is larger than 1 MiB");
  }
  crypto::Secret text(static_cast<std::size_t>(facts.st_size));
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = ::read(here.get(), text.bytes().data() + have, text.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unreadable(file, std::strerror(errno));
    if (got == 0) break;  // it has become shorter
    have += static_cast<std::size_t>(got);
  }
  text.shrink(have);
  if (text.empty()) return unreadable(file, "it is empty");
  return text;
}

}  // namespace sluice::tls
