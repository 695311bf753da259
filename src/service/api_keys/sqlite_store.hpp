// service/api_keys/sqlite_store.hpp - records in a SQLite file that several processes may share.
//
// Journal mode WAL with synchronous=FULL: a change that was answered is on the disk. The secret
// that keys are hashed with is not in it but in a file beside it: whoever gets hold of the one
// alone, a backup say, cannot try keys. Both have mode 0600. Layer: service. Thread: one at a time.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "service/api_keys/store.hpp"

namespace sluice::api_keys {

struct SqliteOptions {
  bool create = true;            // make the store if there is none
  std::string secret_file = {};  // empty: the file's name with `.secret` behind it
  StoreLimits limits = {};
  std::chrono::milliseconds busy_timeout{5000};  // how long another process is waited for
};

class SqliteStore final : public Store {
 public:
  static constexpr std::int64_t kSchema = 1;
  static constexpr std::int64_t kApplicationId = 0x534c4b31;  // "SLK1", for file(1)

  // Errors name the file and what to do: not_found, permission_denied (also a mode that lets others
  // in), not_regular_file, bad_setting (no store of API keys; made by a newer version; another
  // store's secret), timed_out (another process holds it), io_failed.
  static Result<std::unique_ptr<SqliteStore>> open(const std::string& file,
                                                   SqliteOptions options = {});
  ~SqliteStore() override;

  Result<crypto::Secret> secret() override;
  Result<bool> add(const KeyRecord& key, const AuditEntry& entry) override;
  Result<Edited> edit(std::string_view id, const Edit& edit, AuditEntry entry) override;
  Result<std::vector<KeyRecord>> all() override;
  Result<std::vector<AuditEntry>> audit(std::size_t most) override;
  // Fails, too, when the name has come to stand for another file: this one nobody changes any more.
  Result<std::uint64_t> version() override;

 private:
  struct Inside;
  explicit SqliteStore(std::unique_ptr<Inside> inside);
  std::unique_ptr<Inside> inside_;
};

}  // namespace sluice::api_keys
