// service/auth/secret_file.cpp - see secret_file.hpp.
//
// Layer: service. Thread: any that may wait for a disk.
#include "service/auth/secret_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "core/open_file.hpp"

namespace sluice::service {

Error file_failure(int number, const std::string& name) {
  const Errc code = number == ENOENT                      ? Errc::not_found
                    : number == EACCES || number == EPERM ? Errc::permission_denied
                                                          : Errc::io_failed;
  return {code, name + ": " + std::generic_category().message(number)};
}

Result<crypto::Secret> read_secret_text(const std::string& name, FileMode mode) {
  // Never waits for the other end of a FIFO.
  const core::OpenFile file(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (file.fd < 0 || ::fstat(file.fd, &status) != 0) return file_failure(errno, name);
  if (!S_ISREG(status.st_mode)) return Error(Errc::not_regular_file, name);
  if (mode == FileMode::owner_only && (status.st_mode & 07777) != 0600) {
    return Error(Errc::permission_denied, name + ": others could read it; chmod 600 " + name);
  }
  if (static_cast<std::size_t>(status.st_size) > kMostUserFileBytes) {
    return Error(Errc::bad_setting, name + ": larger than 64 MiB");
  }
  crypto::Secret text(static_cast<std::size_t>(status.st_size));
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = ::read(file.fd, text.bytes().data() + have, text.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_failure(errno, name);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  text.shrink(have);
  return text;
}

Result<void> read_secret_file(const std::string& name, FileMode mode,
                              const std::function<std::string(std::string_view)>& line) {
  const auto text = read_secret_text(name, mode);
  if (!text) return text.error();
  std::string_view rest = text->view();
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    std::string_view one = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (one.ends_with('\r')) one.remove_suffix(1);
    if (one.empty() || one.starts_with('#')) continue;
    const std::string wrong = one.size() > kMostUserLineBytes ? "the line is too long" : line(one);
    if (!wrong.empty()) {
      std::string words = name;
      words.append(":").append(std::to_string(number)).append(": ").append(wrong);
      return Error(Errc::bad_setting, std::move(words));
    }
  }
  return {};
}

}  // namespace sluice::service
