// service/api_keys/store_files.cpp - see store_files.hpp.
//
// Layer: service.
#include "service/api_keys/store_files.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>

#include "crypto/base64.hpp"
#include "crypto/digest.hpp"
#include "service/auth/secret_file.hpp"

namespace sluice::api_keys {
namespace {

constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kSecretChars = 43;

std::string folder_of(const std::string& file) {
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  return folder.empty() ? std::string(".") : folder.string();
}

int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return 0;
}

// That a name stands in its folder is on the disk, too.
int sync_folder(const std::string& file) {
  const core::OpenFile folder(::open(folder_of(file).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return folder.fd >= 0 && ::fsync(folder.fd) == 0 ? 0 : errno;
}

}  // namespace

Result<core::FileRef> lock_folder_of(const std::string& file) {
  const std::string folder = folder_of(file);
  auto lock = std::make_shared<const core::OpenFile>(
      ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock->fd < 0) return service::file_failure(errno, folder);
  while (::flock(lock->fd, LOCK_EX) != 0) {
    if (errno != EINTR) return service::file_failure(errno, folder);
  }
  return core::FileRef(std::move(lock));
}

Result<FileId> id_of(const std::string& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return service::file_failure(errno, file);
  return FileId{status.st_dev, status.st_ino};
}

Result<FileId> prepare_file(const std::string& file, bool create) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    if (errno != ENOENT || !create) return service::file_failure(errno, file);
    const core::OpenFile made(::open(file.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
    if (made.fd < 0 || ::fchmod(made.fd, 0600) != 0) return service::file_failure(errno, file);
    if (const int wrong = sync_folder(file); wrong != 0) return service::file_failure(wrong, file);
    return id_of(file);
  }
  if (!S_ISREG(status.st_mode)) return Error(Errc::not_regular_file, file);
  if ((status.st_mode & 077) != 0) {
    return Error(Errc::permission_denied, file + ": others could read it; chmod 600 " + file);
  }
  return FileId{status.st_dev, status.st_ino};
}

Result<crypto::Secret> read_store_secret(const std::string& file) {
  const auto text = service::read_secret_text(file, service::FileMode::owner_only);
  if (!text) return text.error();
  std::string_view line = text->view();
  if (line.ends_with('\n')) line.remove_suffix(1);
  crypto::Secret secret(crypto::base64_room(kSecretChars));
  if (line.size() != kSecretChars ||
      crypto::decode_base64url(line, secret.bytes()) != kSecretBytes) {
    return Error(Errc::bad_setting,
                 file + ": is no secret of a store of API keys; restore it from a backup");
  }
  secret.shrink(kSecretBytes);
  return secret;
}

Result<crypto::Secret> make_store_secret(const std::string& file) {
  crypto::Secret secret(kSecretBytes);
  crypto::random_bytes(secret.bytes());
  std::string text = crypto::base64url(as_bytes(secret.view())) + "\n";
  std::string name = file + ".XXXXXX";
  int wrong = 0;
  {
    const core::OpenFile made(::mkostemp(name.data(), O_CLOEXEC));
    if (made.fd < 0) wrong = errno;
    if (wrong == 0) wrong = write_all(made.fd, text);
    if (wrong == 0 && (::fchmod(made.fd, 0600) != 0 || ::fsync(made.fd) != 0)) wrong = errno;
    if (wrong == 0 && ::rename(name.c_str(), file.c_str()) != 0) wrong = errno;
    if (wrong != 0 && made.fd >= 0) ::unlink(name.c_str());
  }
  crypto::wipe(text);
  if (wrong == 0) wrong = sync_folder(file);
  if (wrong != 0) return service::file_failure(wrong, file);
  return secret;
}

}  // namespace sluice::api_keys
