// service/files/file_version.cpp - opening, reading and labelling a file.
//
// Layer: service. Thread: the file pool's.
#include "service/files/file_version.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

#include "proto/http/date.hpp"

namespace sluice::service {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
// Coarser than the clocks that file systems stamp their files with.
constexpr std::int64_t kStampGrain = kSecond / 20;
constexpr int kReadAttempts = 3;

std::int64_t nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * kSecond + time.tv_nsec;
}

std::int64_t wall_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return nanoseconds(now);
}

void append_hex(std::string& out, std::uint64_t number) {
  char digits[16];
  auto end = std::to_chars(digits, digits + sizeof digits, number, 16);
  out.append(digits, end.ptr);
}

std::string etag_of(const FileFacts& facts, std::string_view coding) {
  std::string tag = "\"";
  append_hex(tag, static_cast<std::uint64_t>(facts.modified));
  tag += '-';
  append_hex(tag, facts.size);
  tag += '-';
  append_hex(tag, facts.inode);
  if (!coding.empty()) tag.append("-").append(coding);
  tag += '"';
  return tag;
}

std::int64_t whole_seconds(std::int64_t time) {
  return time >= 0 ? time / kSecond : -((-time + kSecond - 1) / kSecond);
}

// Reads the whole of a small file. False when it was changed meanwhile.
Result<bool> read_content(int fd, std::uint64_t size, std::string& content) {
  content.resize(static_cast<std::size_t>(size) + 1);  // one more shows that it has grown
  std::size_t have = 0;
  while (have < content.size()) {
    const ssize_t got =
        ::pread(fd, content.data() + have, content.size() - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error(errno, "reading");
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  content.resize(have);
  return have == size;
}

void make_fields(FileVersion& version, const Labels& labels) {
  version.type = labels.type;
  version.vary = labels.vary;
  version.etag = etag_of(version.facts, labels.coding);
  std::string& both = version.fields_not_modified;
  both.append("ETag: ").append(version.etag).append("\r\n");
  if (version.last_modified) {
    char date[http::kDateSize];
    http::write_date(date, *version.last_modified);
    both.append("Last-Modified: ").append(date, sizeof date).append("\r\n");
  }
  if (!labels.cache_control.empty()) {
    both.append("Cache-Control: ").append(labels.cache_control).append("\r\n");
  }
  if (labels.vary) both.append("Vary: Accept-Encoding\r\n");
  version.fields = both;
  version.fields.append("Accept-Ranges: bytes\r\n");
  if (!labels.coding.empty()) {
    version.fields.append("Content-Encoding: ").append(labels.coding).append("\r\n");
  }
}

}  // namespace

FileFacts facts_of(const struct stat& status) {
  FileFacts facts;
  facts.device = static_cast<std::uint64_t>(status.st_dev);
  facts.inode = static_cast<std::uint64_t>(status.st_ino);
  facts.size = static_cast<std::uint64_t>(status.st_size);
  facts.modified = nanoseconds(status.st_mtim);
  facts.changed = nanoseconds(status.st_ctim);
  return facts;
}

Error file_error(int number, std::string_view name) {
  Errc code = Errc::io_failed;
  switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EINVAL:
      code = Errc::not_found;
      break;
    case EACCES:
    case EPERM:
      code = Errc::permission_denied;
      break;
    case EMFILE:
    case ENFILE:
      code = Errc::too_many_files;
      break;
    case ENOMEM:
      code = Errc::out_of_memory;
      break;
    case ENXIO:
    case ENODEV:
      code = Errc::not_regular_file;
      break;
    default:
      break;
  }
  return {code, std::string(name) + ": " + std::system_category().message(number)};
}

Result<VersionRef> load_version(int found, const struct stat& status, const Labels& labels,
                                const VersionRef& previous, bool hot) {
  if (!S_ISREG(status.st_mode)) return Error(Errc::not_regular_file);
  FileFacts facts = facts_of(status);
  const bool same = previous && previous->settled && previous->facts == facts;
  if (same && previous->vary == labels.vary && !(hot && previous->wants_memory())) {
    return previous;
  }
  // The descriptor behind O_PATH cannot be replaced by something else meanwhile.
  char link[32] = "/proc/self/fd/";
  *std::to_chars(link + 14, link + sizeof link - 1, found).ptr = '\0';
  const int fd = ::open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return file_error(errno, "opening");
  auto file = std::make_shared<const core::OpenFile>(fd);

  auto version = std::make_shared<FileVersion>();
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    struct stat now {};
    if (::fstat(fd, &now) != 0) return file_error(errno, "fstat");
    version->facts = facts = facts_of(now);
    if (facts.size > kInMemory && !(hot && version->wants_memory())) break;
    std::string content;
    auto same_size = read_content(fd, facts.size, content);
    if (!same_size) return same_size.error();
    if (::fstat(fd, &now) != 0) return file_error(errno, "fstat");
    if (!*same_size || facts_of(now) != facts) continue;
    version->content = base::SharedBytes::own(std::move(content));
    version->in_memory = true;
    break;
  }
  if (!version->in_memory) version->file = std::move(file);
  const std::int64_t now = wall_clock();
  version->settled = facts.changed + kStampGrain < now && facts.modified + kStampGrain < now;
  if (facts.modified <= now) version->last_modified = whole_seconds(facts.modified);
  make_fields(*version, labels);
  return VersionRef(std::move(version));
}

}  // namespace sluice::service
