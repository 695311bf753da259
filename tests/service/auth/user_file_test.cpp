// tests/service/auth/user_file_test.cpp - what is written is what the users' files are read as.
//
// Layer: tests.
#include "service/auth/user_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "service/auth/users.hpp"
#include "service/temp_dir.hpp"

namespace sluice::service {
namespace {

using crypto::PasswordAlgorithm;

void put(const std::string& file, const Result<UserLine>& line, bool replaced) {
  ASSERT_TRUE(line) << line.error().message();
  const auto done = put_user_line(file, *line);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(*done, replaced);
}

TEST(UserFile, IsLoadedByUsers) {
  const test::TempDir folder;
  const std::string file = folder / "users";
  put(file, user_line("joe", "first", PasswordAlgorithm::yescrypt), false);
  put(file, user_line("jim", "other", PasswordAlgorithm::argon2id), false);
  put(file, user_line("joe", "second", PasswordAlgorithm::argon2id), true);
  Users users;
  ASSERT_TRUE(users.load(file));
  EXPECT_EQ(users.size(), 2u);
  EXPECT_TRUE(crypto::verify_password("second", users.find("joe").hash));
  EXPECT_FALSE(crypto::verify_password("first", users.find("joe").hash));
  EXPECT_TRUE(crypto::verify_password("other", users.find("jim").hash));
}

TEST(UserFile, IsLoadedByDigestUsers) {
  const test::TempDir folder;
  const std::string file = folder / "digest";
  put(file, digest_line("joe", "a:b", "SHA-256", "secret"), false);
  put(file, digest_line("joe", "a", "SHA-256", "secret"), false);
  put(file, digest_line("joe", "a:b", "md5", "secret"), false);
  put(file, digest_line("joe", "a:b", "SHA-256", "secret"), true);
  DigestUsers users;
  ASSERT_TRUE(users.load(file));
  EXPECT_EQ(users.size(), 3u);
  EXPECT_TRUE(users.find("joe", "a:b", "MD5").known);
}

TEST(UserFile, WhatCannotBeDoneLeavesNothingBehind) {
  const test::TempDir folder;
  const auto line = digest_line("joe", "r", "SHA-256", "secret");
  ASSERT_TRUE(line);
  folder.make_dir("folder");
  EXPECT_EQ(put_user_line(folder / "folder", *line).error().code, Errc::not_regular_file);
  EXPECT_EQ(put_user_line(folder / "none/users", *line).error().code, Errc::not_found);
  std::size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    entries += entry.path().filename() != "folder";
  }
  EXPECT_EQ(entries, 0u);
}

TEST(UserFile, LinesThatAreRefused) {
  for (const char* password : {"", "a\nb", "\xff", "a\x7f"}) {
    EXPECT_EQ(user_line("joe", password, PasswordAlgorithm::yescrypt).error().code,
              Errc::invalid_argument);
    EXPECT_EQ(digest_line("joe", "r", "MD5", password).error().code, Errc::invalid_argument);
  }
  EXPECT_FALSE(digest_line("joe", "r", "SHA-256", std::string(512, 'p')));
  EXPECT_TRUE(digest_line("joe", "r", "SHA-256", std::string(511, 'p')));
  EXPECT_FALSE(digest_line("joe", "", "SHA-256", "p"));
  EXPECT_FALSE(digest_line("joe", "r", "SHA-1", "p"));
  EXPECT_FALSE(digest_line("j:oe", "r", "SHA-256", "p"));
}

}  // namespace
}  // namespace sluice::service
