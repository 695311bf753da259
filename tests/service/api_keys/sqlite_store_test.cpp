// tests/service/api_keys/sqlite_store_test.cpp - files: modes, secrets, others who change them, and
// processes that are killed.
//
// Layer: tests.
#include "service/api_keys/sqlite_store.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "service/api_keys/records.hpp"
#include "service/temp_dir.hpp"
#include "support/killed_process.hpp"

namespace sluice::api_keys {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<SqliteStore> must_open(const std::string& file, SqliteOptions options = {}) {
  auto opened = SqliteStore::open(file, std::move(options));
  EXPECT_TRUE(opened) << opened.error().message();
  return opened ? std::move(*opened) : nullptr;
}

Error error_of(const std::string& file, SqliteOptions options = {}) {
  return SqliteStore::open(file, std::move(options)).error();
}

unsigned mode_of(const std::string& file) {
  struct stat status {};
  EXPECT_EQ(::stat(file.c_str(), &status), 0) << file;
  return status.st_mode & 07777;
}

// What an administrator could do with the program sqlite3.
void sql(const std::string& file, const std::string& text) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, text.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(database);
  sqlite3_close(database);
}

TEST(SqliteStore, EveryFileIsItsOwnersAlone) {
  const test::TempDir folder;
  const mode_t before = ::umask(0);
  const auto store = must_open(folder / "keys");
  const KeyRecord key = record("joe");
  EXPECT_TRUE(store->add(key, entry(key)));
  ::umask(before);
  std::size_t files = 0;
  for (const auto& file : fs::directory_iterator(folder.path())) {
    EXPECT_EQ(mode_of(file.path().string()), 0600u) << file.path();
    ++files;
  }
  EXPECT_EQ(files, 4u);  // keys, keys-wal, keys-shm, keys.secret
}

TEST(SqliteStore, StaysFromOneOpeningToTheNext) {
  const test::TempDir folder;
  const KeyRecord joe = record("joe"), full = full_record();
  std::string secret;
  {
    const auto store = must_open(folder / "keys");
    secret = store->secret()->view();
    ASSERT_TRUE(store->add(joe, entry(joe)));
    ASSERT_TRUE(store->add(full, entry(full, 1s)));
  }
  const auto store = must_open(folder / "keys", {.create = false});
  EXPECT_EQ(store->secret()->view(), secret);
  EXPECT_EQ(store->all().value(), (std::vector<KeyRecord>{joe, full}));
  EXPECT_EQ(store->audit(10)->size(), 2u);
}

TEST(SqliteStore, HoldsNeitherKeysNorTheSecret) {
  const test::TempDir folder;
  std::string text, secret;
  {
    auto store = must_open(folder / "keys");
    secret = store->secret()->view();
    KeyManager keys(std::move(store), at_once);
    ASSERT_TRUE(open(keys));
    text = issue(keys, {.owner = "joe"})->text.view();
  }
  std::string all;
  for (const auto& file : fs::directory_iterator(folder.path())) {
    if (file.path().extension() == ".secret") continue;
    std::ifstream in(file.path(), std::ios::binary);
    all.append(std::istreambuf_iterator<char>(in), {});
  }
  EXPECT_GT(all.size(), 4096u);
  EXPECT_EQ(all.find(text.substr(4, 32)), std::string::npos);
  EXPECT_EQ(all.find(secret), std::string::npos);
}

TEST(SqliteStore, FilesThatLetOthersIn) {
  const test::TempDir folder;
  must_open(folder / "keys");
  for (const mode_t mode : {0640u, 0604u, 0660u, 0777u}) {
    ASSERT_EQ(::chmod((folder / "keys").c_str(), mode), 0);
    const Error error = error_of(folder / "keys");
    EXPECT_EQ(error.code, Errc::permission_denied);
    EXPECT_NE(error.detail.find("chmod 600 " + folder / "keys"), std::string::npos) << error.detail;
  }
  ASSERT_EQ(::chmod((folder / "keys").c_str(), 0600), 0);
  ASSERT_EQ(::chmod((folder / "keys.secret").c_str(), 0640), 0);
  const Error error = error_of(folder / "keys");
  EXPECT_EQ(error.code, Errc::permission_denied);
  EXPECT_NE(error.detail.find("chmod 600 " + folder / "keys.secret"), std::string::npos);
}

TEST(SqliteStore, WhatIsNoStore) {
  const test::TempDir folder;
  EXPECT_EQ(error_of(folder / "none", {.create = false}).code, Errc::not_found);
  EXPECT_FALSE(fs::exists(folder / "none"));
  EXPECT_EQ(error_of(folder / "none/keys").code, Errc::not_found);
  EXPECT_EQ(error_of(folder.path().string()).code, Errc::not_regular_file);
  folder.write("text", std::string(5000, 'x'));
  fs::permissions(folder / "text", fs::perms::owner_read | fs::perms::owner_write);
  const Error text = error_of(folder / "text");
  EXPECT_EQ(text.code, Errc::bad_setting);
  EXPECT_NE(text.detail.find(folder / "text"), std::string::npos);
  sql(folder / "other", "CREATE TABLE t (x)");
  fs::permissions(folder / "other", fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(error_of(folder / "other").code, Errc::bad_setting);
  EXPECT_FALSE(fs::exists(folder / "other.secret"));
}

TEST(SqliteStore, AnEmptyFileBecomesOne) {
  const test::TempDir folder;
  folder.write("keys", "");  // as a process leaves it that was killed when it began
  fs::permissions(folder / "keys", fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(error_of(folder / "keys", {.create = false}).code, Errc::not_found);
  EXPECT_TRUE(must_open(folder / "keys")->all());
}

TEST(SqliteStore, ANewerSchemaIsLeftAlone) {
  const test::TempDir folder;
  must_open(folder / "keys");
  sql(folder / "keys", "PRAGMA user_version = 2");
  const Error error = error_of(folder / "keys");
  EXPECT_EQ(error.code, Errc::bad_setting);
  EXPECT_NE(error.detail.find("newer"), std::string::npos);
}

TEST(SqliteStore, TheSecretMustBeTheRightOne) {
  const test::TempDir folder;
  must_open(folder / "keys");
  must_open(folder / "others");
  fs::rename(folder / "keys.secret", folder / "kept");
  const Error missing = error_of(folder / "keys");
  EXPECT_EQ(missing.code, Errc::not_found);
  EXPECT_NE(missing.detail.find("keys.secret"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "keys.secret"));  // a new one would void every key
  fs::copy(folder / "others.secret", folder / "keys.secret");
  const Error other = error_of(folder / "keys");
  EXPECT_EQ(other.code, Errc::bad_setting);
  EXPECT_NE(other.detail.find("not the secret of"), std::string::npos);
  EXPECT_TRUE(must_open(folder / "keys", {.secret_file = folder / "kept"}));
  for (const char* content : {"", "short\n", "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!\n"}) {
    fs::remove(folder / "keys.secret");
    folder.write("keys.secret", content);
    fs::permissions(folder / "keys.secret", fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_EQ(error_of(folder / "keys").code, Errc::bad_setting);
  }
}

TEST(SqliteStore, ADamagedRecordIsNamed) {
  const test::TempDir folder;
  const char* const damages[] = {
      "hash = x'00'",       "scopes = 'a b!'",  "networks = '10.0.0.1/8'",
      "rate_requests = -1", "rate_seconds = 0", "owner = ''",
      "expires = -5",       "prefix = '_'"};
  int files = 0;
  for (const char* damage : damages) {
    const std::string file = folder / std::to_string(files++);
    const KeyRecord key = record("joe");
    const auto store = must_open(file);
    ASSERT_TRUE(store->add(key, entry(key)));
    sql(file, std::string("UPDATE keys SET ") + damage);
    const Error error = store->all().error();
    EXPECT_EQ(error.code, Errc::io_failed) << damage;
    EXPECT_NE(error.detail.find(key.id), std::string::npos) << error.detail;
    EXPECT_NE(error.detail.find(file), std::string::npos) << error.detail;
  }
}

TEST(SqliteStore, ChangesOfOthersChangeTheVersion) {
  const test::TempDir folder;
  const auto mine = must_open(folder / "keys"), other = must_open(folder / "keys");
  const KeyRecord first = record("joe"), second = record("jim");
  const std::uint64_t before = mine->version().value();
  ASSERT_TRUE(mine->add(first, entry(first)));
  EXPECT_EQ(mine->version().value(), before);
  ASSERT_TRUE(other->add(second, entry(second)));
  const std::uint64_t changed = mine->version().value();
  EXPECT_NE(changed, before);
  EXPECT_EQ(mine->version().value(), changed);
  EXPECT_EQ(mine->all()->size(), 2u);
  // Each edits what the other wrote.
  EXPECT_TRUE(mine->edit(
      second.id, [](KeyRecord&, std::optional<KeyRecord>&) { return Result<void>(); },
      entry(second)));
}

TEST(SqliteStore, AnotherFileOfTheNameIsNotTheStore) {
  const test::TempDir folder;
  const auto store = must_open(folder / "keys");
  must_open(folder / "restored");
  ASSERT_TRUE(store->version());
  fs::rename(folder / "restored", folder / "keys");
  EXPECT_EQ(store->version().error().code, Errc::io_failed);
  fs::remove(folder / "keys");
  EXPECT_EQ(store->version().error().code, Errc::not_found);
}

TEST(SqliteStore, WhoeverHoldsItTooLongIsToldOf) {
  const test::TempDir folder;
  const auto store = must_open(folder / "keys", {.busy_timeout = 1ms});
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open((folder / "keys").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const KeyRecord key = record("joe");
  const Error error = store->add(key, entry(key)).error();
  EXPECT_EQ(error.code, Errc::timed_out);
  EXPECT_NE(error.detail.find(folder / "keys"), std::string::npos);
  EXPECT_TRUE(store->all());  // reading goes on
  ASSERT_EQ(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_TRUE(store->add(key, entry(key)));
}

// Says each key as soon as the call has returned.
[[noreturn]] void issue_for_ever(const std::string& file, int to) {
  auto store = SqliteStore::open(file);
  if (!store) ::_exit(1);
  KeyManager keys(std::move(*store), at_once);
  if (!open(keys)) ::_exit(2);
  for (;;) {
    const auto issued = issue(keys, {.owner = "child"});
    if (!issued) ::_exit(3);
    test::say_line(to, issued->text.view());
  }
}

TEST(SqliteStore, AKilledProcessLosesNoIssuedKey) {
  const test::TempDir folder;
  std::vector<std::string> seen;
  for (std::size_t round = 1; round <= 8; ++round) {
    for (std::string& key :
         test::lines_until_killed(round, [&](int to) { issue_for_ever(folder / "keys", to); })) {
      seen.push_back(std::move(key));
    }
  }
  EXPECT_GE(seen.size(), 36u);  // 1 + 2 + ... + 8
  KeyManager keys(must_open(folder / "keys", {.create = false}), at_once);
  ASSERT_TRUE(open(keys));
  KeyReader reader(keys);
  for (const std::string& text : seen) {
    EXPECT_EQ(reader.validate(text, {}, "", after(0s)).code, Errc::none);
  }
}

TEST(SqliteStore, ManyWhoMakeItAtOnceMakeOne) {
  const test::TempDir folder;
  constexpr int kChildren = 6;
  for (int i = 0; i < kChildren; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child != 0) continue;
    auto store = SqliteStore::open(folder / "keys");
    const KeyRecord key = record("child");
    ::_exit(store && (*store)->add(key, entry(key)) ? 0 : 1);
  }
  for (int i = 0; i < kChildren; ++i) {
    int status = 0;
    ASSERT_GT(::wait(&status), 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  EXPECT_EQ(must_open(folder / "keys")->all()->size(), std::size_t(kChildren));
}

}  // namespace
}  // namespace sluice::api_keys
