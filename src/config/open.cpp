// config/open.cpp - see open.hpp.
//
// Layer: config.
#include "config/open.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "api/certificates.hpp"
#include "api/settings.hpp"

namespace sluice::config {
namespace {

Error bad(std::string_view key, const Error& why) {
  const std::string& words = why.detail.empty() ? why.message() : why.detail;
  return {Errc::bad_setting, std::string(key) + " cannot be used: " + words};
}

bool exists(const std::string& file) {
  struct stat status {};
  return ::stat(file.c_str(), &status) == 0;
}

// Everything but API keys.
Result<Opened> open_users(const Configuration& wanted) {
  Opened opened;
  const AuthenticationFiles& files = wanted.authentication_files;
  Authentication settings = wanted.server.authentication;
  opened.bearer_secret = settings.bearer.secret;
  if (!settings.enabled) return opened;
  if (!files.users.empty()) {
    if (auto read = opened.users.load(files.users); !read) {
      return bad("authentication.users", read.error());
    }
  }
  if (!files.digest_users.empty()) {
    if (auto read = opened.digest_users.load(files.digest_users); !read) {
      return bad("authentication.digest.users", read.error());
    }
  }
  if (!files.secret.empty()) {
    auto secret = api::read_secret(files.secret);
    if (!secret) return bad("authentication.bearer.secret_file", secret.error());
    opened.bearer_secret = std::move(*secret);
  }
  settings.bearer.secret = opened.bearer_secret;
  auto checked = api::check_authentication(settings);
  if (!checked) return checked.error();
  return opened;
}

}  // namespace

Result<Opened> open(const Configuration& wanted, std::shared_ptr<ApiKeyManager> keys) {
  auto opened = open_users(wanted);
  if (!opened) return opened;
  const ApiKeysFile& file = wanted.api_keys;
  if (file.store.empty()) return opened;
  if (keys) {
    opened->api_keys = std::move(keys);
    return opened;
  }
  auto made = ApiKeyManager::sqlite(file.store, file.settings, file.secret_file);
  if (!made) return bad("api_keys.store", made.error());
  opened->api_keys = std::move(*made);
  return opened;
}

Result<void> check_files(const Configuration& wanted) {
  Settings settings;
  set(wanted.server, settings);
  if (auto right = api::check_certificates(settings); !right) return right;
  const std::string& store = wanted.api_keys.store;
  if (store.empty() || exists(store)) {
    auto opened = open(wanted);
    return opened ? Result<void>() : opened.error();
  }
  if (auto opened = open_users(wanted); !opened) return opened.error();
  const std::size_t slash = store.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : store.substr(0, slash + 1);
  if (exists(folder)) return {};
  return bad("api_keys.store", Error(Errc::not_found, folder + ": " + std::strerror(errno) +
                                                          "; make the folder first"));
}

void set(const Opened& opened, Settings& server) {
  server.authentication.bearer.secret = opened.bearer_secret;
  server.api_key_manager = opened.api_keys;
}

void set_users(const Opened& opened, Settings& server) {
  if (!server.authentication.enabled) return;
  server.authentication.users.assign(opened.users);
  server.authentication.digest.users.assign(opened.digest_users);
}

}  // namespace sluice::config
