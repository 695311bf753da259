// tests/support/small_disk.hpp - a disk so small that it can be filled.
//
// A tmpfs, mounted in a mount namespace of a process of its own, and gone with it. Layer: tests.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "service/temp_dir.hpp"
#include "support/skip.hpp"

namespace sluice::test {

namespace small_disk {

inline bool write_line(const char* name, const std::string& text) {
  const int fd = ::open(name, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

// In a process with one thread. Who is not root gets a user namespace, too. False: errno says why.
inline bool mount_at(const std::string& folder, std::size_t bytes) {
  const std::string user = std::to_string(::getuid()), group = std::to_string(::getgid());
  if (::unshare(CLONE_NEWNS) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    if (!write_line("/proc/self/setgroups", "deny") ||
        !write_line("/proc/self/uid_map", user + " " + user + " 1") ||
        !write_line("/proc/self/gid_map", group + " " + group + " 1")) {
      return false;
    }
  }
  const std::string options = "mode=0700,size=" + std::to_string(bytes);
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("small", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0;
}

}  // namespace small_disk

// A disk of so many bytes, and what fills it.
class SmallDisk {
 public:
  static constexpr std::size_t kBlock = 4096;  // what a file takes is a multiple of it

  explicit SmallDisk(std::string folder) : folder_(std::move(folder)) {}
  std::string operator/(const std::string& name) const { return folder_ + "/" + name; }
  const std::string& path() const { return folder_; }

  // Until nothing but `blocks` is free.
  void fill(std::size_t blocks = 0) const {
    const int fd = ::open((*this / kFiller).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    const std::string block(kBlock, 'x');
    off_t size = 0;
    for (ssize_t put = 0; (put = ::write(fd, block.data(), block.size())) > 0;) size += put;
    EXPECT_EQ(errno, ENOSPC);
    EXPECT_EQ(::ftruncate(fd, size - static_cast<off_t>(blocks * kBlock)), 0);
    ::close(fd);
  }
  void make_room() const { ::unlink((*this / kFiller).c_str()); }

 private:
  static constexpr const char* kFiller = "filler";
  const std::string folder_;
};

// Runs `work(SmallDisk)` in a child; its expectations are those of the test.
template <class Work>
void on_small_disk(std::size_t bytes, Work&& work) {
  const TempDir folder;
  std::fflush(nullptr);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!small_disk::mount_at(folder.path().string(), bytes)) ::_exit(2);
    work(SmallDisk(folder.path().string()));
    std::fflush(nullptr);
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

// For SKIP_WITHOUT: containers may forbid to mount anything.
inline std::string missing_small_disk() {
  const TempDir folder;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(small_disk::mount_at(folder.path().string(), 65536) ? 0 : errno);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return std::string("a mount namespace: ") + std::strerror(WEXITSTATUS(status));
}

}  // namespace sluice::test
