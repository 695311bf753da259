// core/body_file.cpp - a nameless file in TMPDIR or /tmp, written once and then mapped.
//
// Layer: core. Thread: write() and map() block; off the shards.
#include "core/body_file.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <string>
#include <system_error>

namespace sluice::core {
namespace {

Error failed(std::string what, int number) {
  Errc code = Errc::io_failed;
  if (number == EMFILE || number == ENFILE) code = Errc::too_many_files;
  if (number == ENOSPC || number == EDQUOT || number == EFBIG) code = Errc::disk_full;
  return {code, std::move(what) + ": " + std::system_category().message(number)};
}

std::string folder() {
  const char* named = ::getenv("TMPDIR");
  return named != nullptr && *named == '/' ? named : "/tmp";
}

}  // namespace

Result<std::unique_ptr<BodyFile>> BodyFile::make() {
  const std::string where = folder();
  std::unique_ptr<BodyFile> made(new BodyFile());  // while there is nothing to be closed
  int& fd = made->fd_;
#ifdef O_TMPFILE
  fd = ::open(where.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
#endif
  if (fd < 0) {
    // This file system knows no nameless files: the name goes at once.
    std::string name = where + "/sluice-body-XXXXXX";
    fd = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd < 0) return failed("no temporary file for a request body in " + where, errno);
    ::unlink(name.c_str());
  }
  return made;
}

BodyFile::~BodyFile() {
  if (mapping_ != nullptr) ::munmap(mapping_, static_cast<std::size_t>(size_));
  if (fd_ >= 0) ::close(fd_);
}

Result<void> BodyFile::write(Bytes bytes) {
  if (mapping_ != nullptr) return Error(Errc::invalid_argument, "the request body is mapped");
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("writing a request body to its temporary file", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    size_ += static_cast<std::uint64_t>(written);
  }
  return {};
}

Result<Bytes> BodyFile::map() {
  if (size_ == 0) return Bytes{};
  if (size_ > std::numeric_limits<std::size_t>::max()) return Error(Errc::http_body_too_large);
  const auto size = static_cast<std::size_t>(size_);
  if (mapping_ == nullptr) {
    void* at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd_, 0);
    if (at == MAP_FAILED) return failed("mapping a request body", errno);
    mapping_ = at;
  }
  return Bytes(static_cast<const std::byte*>(mapping_), size);
}

}  // namespace sluice::core
