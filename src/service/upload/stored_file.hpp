// service/upload/stored_file.hpp - a file on its way into a folder: nobody sees it before it is
// whole.
//
// Layer: service. Thread: all of it where waiting for a disk harms nobody.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <sluice/bytes.hpp>
#include <sluice/result.hpp>
#include <sluice/settings.hpp>

namespace sluice::service {

// Holds on to a file, not to its content: while it lives no other file gets its number, though its
// name may have gone. No lock, and nobody is kept from writing or running it.
class Pin {
 public:
  // In one process; whoever wants more gets empty ones, for which the time of birth must do.
  static constexpr int kMost = 4096;

  Pin() = default;
  explicit Pin(int file);  // `file`: a descriptor of it
  Pin(Pin&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Pin& operator=(Pin&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Pin();  // may wait for the disk, when the file has been removed meanwhile
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A file that has its name. It may have got another content since, of another upload.
struct KeptFile {
  static constexpr std::size_t kPinned = 64;  // of one request; each takes a descriptor

  std::string path;
  std::uint64_t device = 0, inode = 0;
  std::int64_t born = 0;  // nanoseconds since 1970; 0: the file system does not say
  bool replaced = false;  // there was one before, of another request
  Pin pin;
};

// It goes again, if it is still the same: number and time of birth are, or the number is while it
// is pinned. Where neither can be known it stays. So does one that took the place of another: what
// was there is gone, and a whole file is better than none.
void remove_file(const KeptFile& file) noexcept;

// Without a name where the file system can do that, else with one that begins with
// kUnfinishedPrefix: a process that is killed leaves nothing under a final name. It is locked
// (flock(2)) as long as it is not finished.
class StoredFile {
 public:
  // `folder` must exist. Errors: not_found, permission_denied, too_many_files, disk_full,
  // io_failed, each with the folder's name. `nameless`: where the file system can; false is for
  // tests.
  static Result<std::unique_ptr<StoredFile>> make(const std::string& folder, bool nameless = true);
  // Removes what processes that are gone have left in `folder`: unfinished files that nobody has
  // locked. Returns how many.
  static std::size_t remove_left(const std::string& folder);
  // What was not kept goes without a trace.
  ~StoredFile();
  StoredFile(const StoredFile&) = delete;
  StoredFile& operator=(const StoredFile&) = delete;

  // Appends them in order. Errors: disk_full (the quota, too), io_failed.
  Result<void> write(std::span<const Bytes> parts);
  Result<void> write(Bytes bytes) { return write({&bytes, 1}); }
  std::uint64_t size() const { return size_; }

  // Brings it to the disk and gives it `name`, a single safe component, in the folder. Once.
  // `before`: the files that its request has kept already. Behind 20 numbers that are taken a
  // random one follows. Errors: as above; already_exists (a folder, too).
  // After an error, or without memory, it has no name, unless it has replaced another.
  Result<KeptFile> keep(const std::string& name, ExistingFile existing,
                        std::span<const KeptFile> before = {});

 private:
  explicit StoredFile(std::string folder) : folder_(std::move(folder)) {}
  int open_unfinished(bool nameless);
  bool replaces_other(const char* name, std::span<const KeptFile> before) const;
  int give_new_name(const char* name);
  int take_place_of(const char* name);
  Error failed(int number) const;

  const std::string folder_;
  int directory_ = -1;
  int fd_ = -1;
  std::string unfinished_;  // empty: it has no name
  std::uint64_t size_ = 0;
};

}  // namespace sluice::service
