// service/auth/user_file.cpp - see user_file.hpp.
//
// Layer: service. Thread: any that may wait.
#include "service/auth/user_file.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/open_file.hpp"
#include "crypto/secret.hpp"
#include "proto/auth/challenge.hpp"
#include "proto/auth/credentials.hpp"
#include "proto/auth/digest.hpp"
#include "proto/ws/utf8.hpp"
#include "service/auth/secret_file.hpp"
#include "service/auth/users.hpp"

namespace sluice::service {
namespace {

namespace fs = std::filesystem;

Error invalid(const char* words) { return {Errc::invalid_argument, words}; }

// The new file, gone again unless it took the name.
class Replacement {
 public:
  explicit Replacement(const std::string& target)
      : name_(target + ".XXXXXX"), file_(::mkostemp(name_.data(), O_CLOEXEC)) {}
  ~Replacement() {
    if (file_.fd >= 0 && !renamed_) ::unlink(name_.c_str());
  }
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  bool is_open() const { return file_.fd >= 0; }
  // 0, or an errno.
  int write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t put = ::write(file_.fd, text.data(), text.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return errno;
      text.remove_prefix(static_cast<std::size_t>(put));
    }
    return 0;
  }
  int take_name(const std::string& target, const struct stat* before) {
    if (::fchmod(file_.fd, 0600) != 0) return errno;
    struct stat now {};
    if (::fstat(file_.fd, &now) != 0) return errno;
    const bool foreign =
        before != nullptr && (now.st_uid != before->st_uid || now.st_gid != before->st_gid);
    if (foreign && ::fchown(file_.fd, before->st_uid, before->st_gid) != 0) return errno;
    if (::fsync(file_.fd) != 0) return errno;
    if (::rename(name_.c_str(), target.c_str()) != 0) return errno;
    renamed_ = true;
    return 0;
  }

 private:
  std::string name_;
  core::OpenFile file_;
  bool renamed_ = false;
};

std::string password_problem(std::string_view password) {
  if (password.empty()) return "the password is empty";
  if (password.size() > crypto::kMostPasswordBytes) {
    return "the password is longer than " + std::to_string(crypto::kMostPasswordBytes) + " bytes";
  }
  if (!auth::has_no_controls(password) || !ws::is_utf8(as_bytes(password))) {
    return "the password must be UTF-8 without controls";
  }
  return {};
}

// The old text with the line in it. Sets `replaced`.
crypto::Secret with_line(std::string_view text, const UserLine& line, bool& replaced) {
  crypto::Secret out(text.size() + line.key.size() + line.value.size() + 2);
  char* to = reinterpret_cast<char*>(out.bytes().data());
  char* const front = to;
  const auto put = [&to](std::string_view part) { to += part.copy(to, part.size()); };
  const auto put_line = [&] {
    if (!std::exchange(replaced, true)) {
      put(line.key);
      put(line.value);
      put("\n");
    }
  };
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string_view one = text.substr(0, end);
    text.remove_prefix(end);
    if (one.starts_with(line.key)) {
      put_line();
      continue;
    }
    put(one);
    if (!one.ends_with('\n')) put("\n");
  }
  const bool was_there = replaced;
  put_line();
  replaced = was_there;
  out.shrink(static_cast<std::size_t>(to - front));
  return out;
}

}  // namespace

Result<UserLine> user_line(std::string_view name, std::string_view password,
                           crypto::PasswordAlgorithm algorithm) {
  if (!is_file_user(name)) return invalid(kBadUserName);
  if (std::string wrong = password_problem(password); !wrong.empty()) {
    return Error(Errc::invalid_argument, std::move(wrong));
  }
  auto hash = crypto::hash_password(password, algorithm);
  if (!hash) return hash.error();
  return UserLine{std::string(name) + ":", std::move(*hash)};
}

Result<UserLine> digest_line(std::string_view name, std::string_view realm,
                             std::string_view algorithm, std::string_view password) {
  if (!is_file_user(name)) return invalid(kBadUserName);
  if (!auth::is_realm(realm))
    return invalid("a realm has 1 to 255 bytes of UTF-8 without controls");
  const auto known = auth::digest_algorithm(algorithm);
  if (!known) return invalid("the algorithm of Digest is SHA-256 or MD5");
  if (std::string wrong = password_problem(password); !wrong.empty()) {
    return Error(Errc::invalid_argument, std::move(wrong));
  }
  auto ha1 = auth::digest_ha1(*known, name, realm, password);
  if (!ha1) return Error(Errc::unavailable, "MD5 is switched off on this machine");
  std::string key(name);
  key.append(":").append(realm).append(":").append(auth::name_of(*known)).append(":");
  return UserLine{std::move(key), std::move(*ha1)};
}

Result<bool> put_user_line(const std::string& file, const UserLine& line) {
  // Through a symbolic link: the file it names is replaced, not the link.
  std::error_code ignored;
  const fs::path resolved = fs::canonical(file, ignored);
  const std::string name = resolved.empty() ? file : resolved.string();
  const std::string folder =
      fs::path(name).has_parent_path() ? fs::path(name).parent_path().string() : std::string(".");
  const core::OpenFile directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd < 0) return file_failure(errno, folder);
  while (::flock(directory.fd, LOCK_EX) != 0) {
    if (errno != EINTR) return file_failure(errno, folder);
  }
  const auto old = read_secret_text(name, FileMode::any);
  const bool is_new = old.error().code == Errc::not_found;
  struct stat status {};
  if (!is_new && !old) return old.error();
  if (!is_new && ::stat(name.c_str(), &status) != 0) return file_failure(errno, name);
  bool replaced = false;
  const crypto::Secret text = with_line(old ? old->view() : std::string_view(), line, replaced);
  Replacement made(name);
  if (!made.is_open()) return file_failure(errno, name);
  int number = made.write(text.view());
  if (number == 0) number = made.take_name(name, is_new ? nullptr : &status);
  if (number == 0 && ::fsync(directory.fd) != 0) number = errno;
  if (number != 0) return file_failure(number, name);
  return replaced;
}

}  // namespace sluice::service
