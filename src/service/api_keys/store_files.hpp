// service/api_keys/store_files.hpp - the files of a SqliteStore before SQLite opens them.
//
// Layer: service. Blocks: on the disk.
#pragma once

#include <sys/types.h>

#include <string>

#include <sluice/result.hpp>

#include "core/open_file.hpp"
#include "crypto/secret.hpp"

namespace sluice::api_keys {

// A folder that nobody else prepares a store in as long as this lives.
Result<core::FileRef> lock_folder_of(const std::string& file);

// Which file a name stands for.
struct FileId {
  dev_t device = 0;
  ino_t number = 0;
  friend bool operator==(const FileId&, const FileId&) = default;
};
// An empty file of mode 0600 if there is none and `create`; else it must be a regular one that lets
// nobody else in. It is never opened if it is there: closing it would drop the locks that this
// process has on it. Errors: not_found, permission_denied, not_regular_file, io_failed.
Result<FileId> prepare_file(const std::string& file, bool create);
Result<FileId> id_of(const std::string& file);

// 32 bytes in base64url, in a file of mode 0600 exactly. Errors: as read_secret_text; bad_setting.
Result<crypto::Secret> read_store_secret(const std::string& file);
// A new one, on the disk when this returns.
Result<crypto::Secret> make_store_secret(const std::string& file);

}  // namespace sluice::api_keys
