// apps/sluice/passwd.cpp - see passwd.hpp.
#include "sluice/passwd.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <string>

#include "crypto/secret.hpp"
#include "service/auth/user_file.hpp"
#include "service/auth/users.hpp"
#include "sluice/terminal.hpp"

namespace sluice::app {
namespace {

int fail(const Error& error) {
  const bool usage = error.code == Errc::invalid_argument;
  std::string words = error.detail.empty() ? error.message() : error.detail;
  if (error.code == Errc::cancelled) words = "no password was given; nothing was changed";
  fmt::print(stderr, "sluice: {}\n", words);
  return usage ? exit_usage : exit_runtime;
}

Result<crypto::Secret> password_twice() {
  auto first = ask_password("Password: ");
  if (!first) return first;
  const auto second = ask_password("Again: ");
  if (!second) return second.error();
  if (!crypto::same_secret(first->view(), second->view())) {
    return Error(Errc::invalid_argument, "the two passwords differ; nothing was changed");
  }
  return first;
}

Result<service::UserLine> line_of(const PasswdOptions& options, std::string_view password) {
  if (options.digest) {
    return service::digest_line(options.user, options.realm,
                                options.algorithm.empty() ? "SHA-256" : options.algorithm,
                                password);
  }
  return service::user_line(options.user, password,
                            options.algorithm == "argon2id" ? crypto::PasswordAlgorithm::argon2id
                                                            : crypto::PasswordAlgorithm::yescrypt);
}

}  // namespace

int passwd(const PasswdOptions& options) {
  if (!service::is_file_user(options.user)) {  // before anybody types a password
    return fail(Error(Errc::invalid_argument, std::string("USER: ") + service::kBadUserName));
  }
  const auto password = options.from_stdin ? read_password(STDIN_FILENO) : password_twice();
  if (!password) return fail(password.error());
  auto line = line_of(options, password->view());
  if (!line) return fail(line.error());
  const auto replaced = service::put_user_line(options.file, *line);
  crypto::wipe(line->value);
  if (!replaced) return fail(replaced.error());
  fmt::print("{} {} {} {}\n", *replaced ? "changed" : "added", options.user,
             *replaced ? "in" : "to", options.file);
  return exit_drained;
}

}  // namespace sluice::app
