// service/files/found.cpp - every file is opened with O_PATH first, judged, and only then opened
// for reading.
//
// Layer: service. Thread: the file pool's.
#include "service/files/found.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <utility>

#include "service/files/listing.hpp"

namespace sluice::service {
namespace {

// Closes on the way out.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

std::string real_path(int fd) {
  char link[32] = "/proc/self/fd/";
  *std::to_chars(link + 14, link + sizeof link - 1, fd).ptr = '\0';
  char path[PATH_MAX];
  const ssize_t size = ::readlink(link, path, sizeof path);
  // An absolute path that was not cut.
  if (size <= 0 || static_cast<std::size_t>(size) >= sizeof path || path[0] != '/') return {};
  return {path, static_cast<std::size_t>(size)};
}

struct Opened {
  Descriptor fd;
  struct stat status {};
};

// One request's way through the file system.
class LookUp {
 public:
  LookUp(const Root& root, const http::MediaTypes& types, const FoundRef& previous, bool hot,
         Found& out)
      : root_(root), types_(types), previous_(previous), hot_(hot), out_(out) {}

  void run(const FilePath& path) {
    if (path.name.find('\0') != std::string::npos) return fail(Errc::not_found);
    if (!open_root()) return;
    Opened found;
    if (Error error = open(path.name.empty() ? "." : path.name, found)) return fail(error);
    if (!S_ISDIR(found.status.st_mode)) {
      if (path.directory) return fail(Errc::not_found);
      return serve(path.name, found);
    }
    if (root_.is_application()) return fail(Errc::not_regular_file);
    if (!path.directory) {
      out_.kind = Found::Kind::redirect;
      return;
    }
    serve_directory(path.name, found);
  }

 private:
  void fail(Error error) {
    out_.kind = Found::Kind::failure;
    out_.error = error.code;
    out_.detail = std::move(error.detail);
  }

  bool open_root() {
    if (root_.is_application()) return true;
    at_ = Descriptor(::open(root_.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (at_.get() < 0) {
      fail(file_error(errno, root_.directory));
      return false;
    }
    if (!root_.options.follow_symlinks_out) containment_.emplace(at_.get());
    return true;
  }

  // Opens nothing but the name: no FIFO waits, no device notices.
  Error open(const std::string& name, Opened& out) const {
    out.fd = Descriptor(
        ::openat(at_.get() < 0 ? AT_FDCWD : at_.get(), name.c_str(), O_PATH | O_CLOEXEC));
    if (out.fd.get() < 0) return file_error(errno, name);
    if (::fstat(out.fd.get(), &out.status) != 0) return file_error(errno, name);
    if (containment_ && !containment_->contains(out.fd.get())) {
      return {Errc::outside_root, name + " leads out of " + root_.directory};
    }
    return {};
  }

  void serve_directory(const std::string& name, const Opened& directory) {
    const std::string& index = root_.options.index;
    if (!index.empty()) {
      const std::string path = name.empty() ? index : name + '/' + index;
      Opened found;
      Error error = open(path, found);
      if (!error && S_ISREG(found.status.st_mode)) return serve(path, found);
      if (error && error.code != Errc::not_found) return fail(std::move(error));
    }
    if (!root_.options.listing) return fail(Errc::not_found);
    ListingScope scope;
    scope.hidden_files = root_.options.hidden_files;
    scope.containment = containment_ ? &*containment_ : nullptr;
    scope.title = root_.prefix + name + (name.empty() ? "" : "/");
    scope.has_parent = !name.empty();
    auto page = make_listing(directory.fd.get(), scope);
    if (!page) return fail(page.error());
    out_.kind = Found::Kind::listing;
    out_.page = base::SharedBytes::own(std::move(*page));
  }

  void serve(const std::string& name, const Opened& found) {
    if (!S_ISREG(found.status.st_mode)) return fail(Errc::not_regular_file);
    Labels labels;
    labels.type = types_.of(name);
    labels.cache_control = root_.options.cache_control;
    if (root_.options.precompressed) find_siblings(name, labels);
    labels.coding = {};
    auto version =
        load_version(found.fd.get(), found.status, labels, known(Coding::identity), hot_);
    if (!version) return fail(version.error());
    place(Coding::identity) = std::move(*version);
    out_.kind = Found::Kind::file;
    out_.error = Errc::none;
  }

  // A sibling that cannot be served is as good as none.
  void find_siblings(const std::string& name, Labels& labels) {
    labels.vary = true;
    constexpr std::pair<Coding, const char*> kSiblings[] = {{Coding::br, ".br"},
                                                            {Coding::gzip, ".gz"}};
    for (const auto& [coding, extension] : kSiblings) {
      Opened sibling;
      if (open(name + extension, sibling)) continue;
      labels.coding = kCodingNames[static_cast<std::size_t>(coding)];
      auto version = load_version(sibling.fd.get(), sibling.status, labels, known(coding), hot_);
      if (!version) continue;
      place(coding) = std::move(*version);
      out_.has_siblings = true;
    }
    labels.vary = out_.has_siblings;
  }

  VersionRef known(Coding coding) const {
    return previous_ ? previous_->version(coding) : VersionRef();
  }
  VersionRef& place(Coding coding) { return out_.versions[static_cast<std::size_t>(coding)]; }

  const Root& root_;
  const http::MediaTypes& types_;
  const FoundRef& previous_;
  const bool hot_;
  Found& out_;
  Descriptor at_;
  std::optional<Containment> containment_;
};

}  // namespace

std::size_t Found::memory() const {
  constexpr std::size_t kVersion = 1024;  // the object, its lines, its descriptor
  std::size_t bytes = sizeof(Found) + detail.size() + page.size();
  for (const VersionRef& version : versions) {
    if (version) bytes += kVersion + version->content.size();
  }
  return bytes;
}

std::size_t Found::descriptors() const {
  std::size_t count = 0;
  for (const VersionRef& version : versions) count += version && version->file;
  return count;
}

FoundRef look_up(const Root& root, const FilePath& path, const http::MediaTypes& types,
                 const FoundRef& previous, base::Instant checked, bool hot) {
  auto found = std::make_shared<Found>();
  found->checked = checked;
  LookUp(root, types, previous, hot, *found).run(path);
  for (const VersionRef& version : found->versions) {
    found->wants_memory |= version && version->wants_memory();
  }
  return found;
}

Containment::Containment(int fd) : real_(real_path(fd)) {}

bool Containment::contains(int fd) const {
  if (real_.empty()) return false;
  const std::string path = real_path(fd);
  if (path.empty()) return false;
  if (real_ == "/" || path == real_) return true;
  return path.size() > real_.size() && path.starts_with(real_) && path[real_.size()] == '/';
}

}  // namespace sluice::service
