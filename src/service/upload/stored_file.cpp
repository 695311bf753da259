// service/upload/stored_file.cpp - see stored_file.hpp.
#include "service/upload/stored_file.hpp"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/check.hpp"
#include "service/upload/file_name.hpp"

namespace sluice::service {
namespace {

constexpr mode_t kMode = 0644;  // less the umask
constexpr unsigned kMostNumbers = 20;
constexpr int kTries = 100;
constexpr std::size_t kPartsAtOnce = 16;

Errc code_of(int number) {
  switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Errc::disk_full;
    case ENOENT:
    case ENOTDIR:
      return Errc::not_found;
    case EACCES:
    case EPERM:
    case EROFS:
      return Errc::permission_denied;
    case EMFILE:
    case ENFILE:
      return Errc::too_many_files;
    case EEXIST:
    case EISDIR:
      return Errc::already_exists;
    default:
      return Errc::io_failed;
  }
}

Error failure(const std::string& folder, int number) {
  return {code_of(number), folder + ": " + std::system_category().message(number)};
}

std::string random_text() {
  std::uint64_t random = 0;
  SLUICE_CHECK(getrandom(&random, sizeof random, 0) == ssize_t(sizeof random));
  char text[24];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(random));
  return text;
}

std::string unfinished_name() { return std::string(kUnfinishedPrefix) + random_text(); }

// Until no signal has come between.
template <class Call>
int again(Call&& call) {
  int result;
  do result = call();
  while (result < 0 && errno == EINTR);
  return result;
}

// Of all folders: nobody gets a name between the look at it and its removal, or its replacement.
std::mutex& names_mutex() {
  static std::mutex mutex;
  return mutex;
}

std::atomic<int>& pins() {
  static std::atomic<int> count{0};
  return count;
}

// Which file `name` is in `directory`; with an empty one, `directory` itself. False: errno says
// why. Links are not followed.
bool identify(int directory, const char* name, KeptFile& found) {
  struct statx status {};
  const int flags = AT_SYMLINK_NOFOLLOW | (*name == '\0' ? AT_EMPTY_PATH : 0);
  if (::statx(directory, name, flags, STATX_INO | STATX_BTIME, &status) != 0) return false;
  found.device = makedev(status.stx_dev_major, status.stx_dev_minor);
  found.inode = status.stx_ino;
  found.born = 0;
  if ((status.stx_mask & STATX_BTIME) != 0) {
    found.born = status.stx_btime.tv_sec * 1'000'000'000 + status.stx_btime.tv_nsec;
  }
  return true;
}

bool is_same(const KeptFile& kept, const KeptFile& found) {
  return kept.device == found.device && kept.inode == found.inode &&
         (kept.pin || (kept.born != 0 && kept.born == found.born));
}

// Whether nobody else can take it for one that was left. Where locks are unknown nobody looks.
bool is_ours(int fd) {
  struct stat status {};
  return (::flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) &&
         ::fstat(fd, &status) == 0 && status.st_nlink > 0;
}

}  // namespace

Pin::Pin(int file) {
  const std::string self = "/proc/self/fd/" + std::to_string(file);
  if (pins().fetch_add(1) < kMost) {
    fd_ = again([&] { return ::open(self.c_str(), O_PATH | O_CLOEXEC); });
  }
  if (fd_ < 0) pins().fetch_sub(1);
}

Pin::~Pin() {
  if (fd_ < 0) return;
  ::close(fd_);
  pins().fetch_sub(1);
}

Result<std::unique_ptr<StoredFile>> StoredFile::make(const std::string& folder, bool nameless) {
  std::unique_ptr<StoredFile> made(new StoredFile(folder));
  const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  made->directory_ = again([&] { return ::open(folder.c_str(), flags); });
  if (made->directory_ < 0) return failure(folder, errno);
  if (const int number = made->open_unfinished(nameless); number != 0) {
    return failure(folder, number);
  }
  return made;
}

// Zero, or the error's number.
int StoredFile::open_unfinished(bool nameless) {
  const auto open = [this](const char* name, int flags) {
    return again([&] { return ::openat(directory_, name, flags | O_WRONLY | O_CLOEXEC, kMode); });
  };
  // Without /proc it would never get a name.
  nameless = nameless && ::access("/proc/self/fd", F_OK) == 0;
  errno = EOPNOTSUPP;
  if (nameless) fd_ = open(".", O_TMPFILE);
  if (fd_ >= 0) {
    ::flock(fd_, LOCK_EX | LOCK_NB);  // while it takes the place of another it has a name
    return 0;
  }
  // This file system knows no nameless files.
  for (int i = 0; i < kTries; ++i) {
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EEXIST) break;
    std::string name = unfinished_name();
    fd_ = open(name.c_str(), O_CREAT | O_EXCL);
    if (fd_ < 0) continue;
    if (is_ours(fd_)) {
      unfinished_ = std::move(name);
      return 0;
    }
    ::close(fd_);  // somebody who looks for what was left was faster
    fd_ = -1;
    errno = EEXIST;
  }
  return errno;
}

std::size_t StoredFile::remove_left(const std::string& folder) {
  DIR* entries = ::opendir(folder.c_str());
  if (!entries) return 0;
  std::size_t removed = 0;
  while (const dirent* entry = ::readdir(entries)) {
    if (!std::string_view(entry->d_name).starts_with(kUnfinishedPrefix)) continue;
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    const int fd = ::openat(::dirfd(entries), entry->d_name, flags);
    if (fd < 0) continue;
    struct stat status {};
    if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        ::flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        ::unlinkat(::dirfd(entries), entry->d_name, 0) == 0) {
      ++removed;
    }
    ::close(fd);
  }
  ::closedir(entries);
  return removed;
}

void remove_file(const KeptFile& file) noexcept {
  if (file.replaced) return;
  std::lock_guard lock(names_mutex());
  KeptFile found;
  if (!identify(AT_FDCWD, file.path.c_str(), found)) return;
  if (is_same(file, found)) ::unlink(file.path.c_str());
}

StoredFile::~StoredFile() {
  if (!unfinished_.empty()) ::unlinkat(directory_, unfinished_.c_str(), 0);
  if (fd_ >= 0) ::close(fd_);
  if (directory_ >= 0) ::close(directory_);
}

Error StoredFile::failed(int number) const { return failure(folder_, number); }

Result<void> StoredFile::write(std::span<const Bytes> parts) {
  std::array<iovec, kPartsAtOnce> list;
  std::size_t skip = 0;  // of the first part
  while (!parts.empty()) {
    if (skip == parts.front().size()) {
      parts = parts.subspan(1);
      skip = 0;
      continue;
    }
    const std::size_t count = std::min(parts.size(), list.size());
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes rest = i == 0 ? parts[0].subspan(skip) : parts[i];
      list[i] = {const_cast<std::byte*>(rest.data()), rest.size()};
    }
    const ssize_t written = ::writev(fd_, list.data(), int(count));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed(errno);
    size_ += static_cast<std::uint64_t>(written);
    auto left = static_cast<std::size_t>(written);
    while (!parts.empty() && left >= parts.front().size() - skip) {
      left -= parts.front().size() - skip;
      skip = 0;
      parts = parts.subspan(1);
    }
    skip += left;
  }
  return {};
}

// Zero, or the error's number: EEXIST where the name is taken.
int StoredFile::give_new_name(const char* name) {
  if (unfinished_.empty()) {
    const std::string self = "/proc/self/fd/" + std::to_string(fd_);
    const int linked = ::linkat(AT_FDCWD, self.c_str(), directory_, name, AT_SYMLINK_FOLLOW);
    return linked == 0 ? 0 : errno;
  }
  int failed = ::renameat2(directory_, unfinished_.c_str(), directory_, name, RENAME_NOREPLACE) == 0
                   ? 0
                   : errno;
  if (failed == EINVAL || failed == ENOSYS) {  // a file system that cannot refuse: a link can
    failed = ::linkat(directory_, unfinished_.c_str(), directory_, name, 0) == 0 ? 0 : errno;
    if (failed == 0) ::unlinkat(directory_, unfinished_.c_str(), 0);
  }
  if (failed == 0) unfinished_.clear();
  return failed;
}

// A link replaces nothing, a rename does.
int StoredFile::take_place_of(const char* name) {
  if (!unfinished_.empty()) {
    if (::renameat(directory_, unfinished_.c_str(), directory_, name) != 0) return errno;
    unfinished_.clear();
    return 0;
  }
  const std::string self = "/proc/self/fd/" + std::to_string(fd_);
  for (int i = 0; i < kTries; ++i) {
    const std::string between = unfinished_name();
    if (::linkat(AT_FDCWD, self.c_str(), directory_, between.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      if (errno == EEXIST) continue;
      return errno;
    }
    if (::renameat(directory_, between.c_str(), directory_, name) == 0) return 0;
    const int number = errno;
    ::unlinkat(directory_, between.c_str(), 0);
    return number;
  }
  return EEXIST;
}

// Whether the file of that name is none of its own request's that may go again.
bool StoredFile::replaces_other(const char* name, std::span<const KeptFile> before) const {
  KeptFile found;
  if (!identify(directory_, name, found)) return true;
  const auto own = std::find_if(before.begin(), before.end(),
                                [&](const KeptFile& kept) { return is_same(kept, found); });
  return own == before.end() || own->replaced;
}

Result<KeptFile> StoredFile::keep(const std::string& name, ExistingFile existing,
                                  std::span<const KeptFile> before) {
  KeptFile kept;
  if (again([this] { return ::fsync(fd_); }) != 0 || !identify(fd_, "", kept)) {
    return failed(errno);
  }
  const auto pinned = std::count_if(before.begin(), before.end(),
                                    [](const KeptFile& one) { return bool(one.pin); });
  if (std::size_t(pinned) < KeptFile::kPinned) kept.pin = Pin(fd_);
  // All that needs memory comes before it has a name.
  kept.path.reserve(folder_.size() + 1 + kMostNameBytes);
  kept.path.append(folder_).append(folder_.ends_with('/') ? "" : "/");
  std::string given = name;
  int number = 0;
  {
    std::lock_guard lock(names_mutex());
    number = give_new_name(given.c_str());
    if (number == EEXIST && existing == ExistingFile::replace) {
      kept.replaced = replaces_other(given.c_str(), before);
      number = take_place_of(given.c_str());
    }
    for (unsigned i = 1; number == EEXIST && existing == ExistingFile::number; ++i) {
      if (i > kMostNumbers + kTries) break;
      given = marked_name(name, i > kMostNumbers ? random_text() : std::to_string(i));
      number = give_new_name(given.c_str());
    }
  }
  kept.path.append(given);
  if (number != 0) return failure(kept.path, number);
  // It is no file that was left, and who wants to lock it may.
  ::flock(fd_, LOCK_UN);
  // EINVAL: folders of this file system need no such thing.
  if (again([this] { return ::fsync(directory_); }) != 0 && errno != EINVAL) {
    number = errno;
    remove_file(kept);
    return failed(number);
  }
  return kept;
}

}  // namespace sluice::service
