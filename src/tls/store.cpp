// tls/store.cpp - see store.hpp.
//
// Layer: tls. Thread: any but a shard's.
#include "tls/store.hpp"

#include <algorithm>
#include <filesystem>
#include <new>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "tls/files.hpp"
#include "tls/libcrypto.hpp"

namespace sluice::tls {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtensions[] = {".crt", ".pem", ".cer"};

bool is_certificate_file(const fs::path& file) {
  return std::find(std::begin(kExtensions), std::end(kExtensions), file.extension().string()) !=
         std::end(kExtensions);
}

Error refused(std::string why) { return {Errc::bad_setting, std::move(why)}; }

// The file names of the folder, in order, so that the same one is found every time.
Result<std::vector<fs::path>> files_of(const std::string& folder) {
  std::error_code failed;
  std::vector<fs::path> files;
  fs::directory_iterator at(folder, failed);
  for (; !failed && at != fs::directory_iterator(); at.increment(failed)) {
    if (!is_certificate_file(at->path())) continue;
    files.push_back(at->path());
    if (files.size() > kMostStoreFiles) {
      return refused("the certificate store " + folder + " has more than 4096 files");
    }
  }
  if (failed) {
    return refused("cannot read the certificate store " + folder + ": " + failed.message());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The file itself when it has its key within, else the one beside it: that one may be of an earlier
// renewal.
Result<Certificate> load(const fs::path& file) {
  const Result<crypto::Secret> text = read_file(file.string());
  if (!text) return text.error();
  if (holds_private_key(text->view())) return Certificate::from_files(file.string(), {});
  const fs::path beside = fs::path(file).replace_extension(".key");
  std::error_code ignored;
  if (fs::exists(beside, ignored)) return Certificate::from_files(file.string(), beside.string());
  return refused("there is no private key to " + file.string() + ": neither in it nor in " +
                 beside.string());
}

class Search {
 public:
  explicit Search(std::string hash) : hash_(std::move(hash)) {}

  bool is_in(const fs::path& file) {
    const Result<crypto::Secret> text = read_file(file.string());
    if (!text) {
      if (unreadable_.empty()) unreadable_ = text.error().detail;
      return false;
    }
    const Result<std::vector<Certificate509>> found = certificates_of(text->view(), file.string());
    if (!found) return false;
    ++certificates_;
    const EVP_MD* digest = hash_.size() == 40 ? EVP_sha1() : EVP_sha256();
    return fingerprint_of(*found->front(), digest) == hash_;
  }

  Error nothing(const std::string& folder, std::size_t files) const {
    std::string words = "no certificate in " + folder + " has the thumbprint " + hash_ + " (" +
                        std::to_string(files) + " files, " + std::to_string(certificates_) +
                        " certificates; openssl x509 -noout -fingerprint -in FILE shows one)";
    if (!unreadable_.empty()) words += "; " + unreadable_;
    return refused(std::move(words));
  }

 private:
  const std::string hash_;
  std::size_t certificates_ = 0;
  std::string unreadable_;
};

}  // namespace

Result<std::string> thumbprint_of(std::string_view text) {
  constexpr std::string_view kMark = "\xe2\x80\x8e";  // U+200E
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (text.substr(i).starts_with(kMark)) {
      i += kMark.size() - 1;
      continue;
    }
    if (c == ':' || c == ' ' || c == '\t') continue;
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
      return refused("a thumbprint has hexadecimal digits only");
    }
    digits += c;
  }
  if (digits.size() != 40 && digits.size() != 64) {
    return refused("a thumbprint has 40 digits (SHA-1) or 64 (SHA-256), not " +
                   std::to_string(digits.size()));
  }
  return digits;
}

Result<Certificate> find_in_store(const std::string& folder, std::string_view hash) try {
  const Result<std::string> digits = thumbprint_of(hash);
  if (!digits) return digits.error();
  Result<std::vector<fs::path>> files = files_of(folder);
  if (!files) return files.error();
  // The one that says so in its name comes first.
  std::stable_partition(files->begin(), files->end(), [&](const fs::path& file) {
    const Result<std::string> name = thumbprint_of(file.stem().string());
    return name && *name == *digits;
  });
  Search search(*digits);
  for (const fs::path& file : *files) {
    if (search.is_in(file)) return load(file);
  }
  return search.nothing(folder, files->size());
} catch (const std::bad_alloc&) {
  return Errc::out_of_memory;
}

}  // namespace sluice::tls
