// tests/service/auth/users_test.cpp - users, their files, and what stands in for unknown ones.
//
// Layer: tests.
#include "service/auth/users.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "crypto/password.hpp"
#include "proto/auth/credentials.hpp"
#include "service/auth/secret_file.hpp"
#include "service/temp_dir.hpp"

namespace sluice::service {
namespace {

// "password", by openssl passwd.
const std::string kHash = "$5$saltsalt$gOjOtoMpVhru2uyjeJSEc/JaLQWOXMNmlOnj6T4AtC.";
const std::string kOther =
    "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/"
    "jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";
const std::string kHa1(64, 'a');

void expect_error(const Result<void>& result, Errc code, std::string_view words) {
  EXPECT_EQ(result.error().code, code) << result.error().detail;
  EXPECT_NE(result.error().detail.find(words), std::string::npos) << result.error().detail;
}

TEST(Users, AreFoundByTheWholeName) {
  Users users;
  ASSERT_TRUE(users.add("joe", kHash));
  ASSERT_TRUE(users.add("J\xc3\xb6 rg", kOther));
  EXPECT_TRUE(users.find("joe").known);
  EXPECT_EQ(users.find("joe").hash, kHash);
  EXPECT_EQ(users.find("J\xc3\xb6 rg").hash, kOther);
  for (const char* name : {"", "jo", "joe ", "Joe", "joey"}) EXPECT_FALSE(users.find(name).known);
}

TEST(Users, EveryChangeIsAnotherVersion) {
  Users users;
  EXPECT_EQ(users.version("joe"), 0u);
  std::set<std::uint64_t> versions;
  ASSERT_TRUE(users.add("joe", kHash));
  versions.insert(users.version("joe"));
  ASSERT_TRUE(users.add("joe", kOther));
  versions.insert(users.version("joe"));
  EXPECT_EQ(users.find("joe").version, users.version("joe"));
  EXPECT_TRUE(users.remove("joe"));
  EXPECT_FALSE(users.remove("joe"));
  EXPECT_EQ(users.version("joe"), 0u);
  ASSERT_TRUE(users.add("joe", kHash));
  versions.insert(users.version("joe"));
  EXPECT_EQ(versions.size(), 3u);
  EXPECT_FALSE(versions.contains(0));
}

// What was remembered of one list is nothing to another.
TEST(Users, NoTwoListsHaveTheSameVersion) {
  Users one, two;
  ASSERT_TRUE(one.add("joe", kHash));
  ASSERT_TRUE(two.add("joe", kHash));
  EXPECT_NE(one.version("joe"), two.version("joe"));
}

TEST(Users, TakeTheUsersOfAnotherList) {
  Users users, others;
  for (const char* name : {"joe", "jim", "ann"}) ASSERT_TRUE(users.add(name, kHash));
  const std::uint64_t joe = users.version("joe"), jim = users.version("jim");
  ASSERT_TRUE(others.add("joe", kHash));
  ASSERT_TRUE(others.add("jim", kOther));
  ASSERT_TRUE(others.add("eve", kHash));
  users.assign(others);
  EXPECT_EQ(users.size(), 3u);
  EXPECT_EQ(users.version("joe"), joe);  // as before
  EXPECT_NE(users.version("jim"), jim);
  EXPECT_EQ(users.find("jim").hash, kOther);
  EXPECT_EQ(users.version("ann"), 0u);
  EXPECT_NE(users.version("eve"), others.version("eve"));
  users.assign(Users());
  EXPECT_EQ(users.size(), 0u);
}

TEST(DigestUsers, TakeTheUsersOfAnotherList) {
  DigestUsers users, others;
  ASSERT_TRUE(users.add("joe", "R", "SHA-256", kHa1));
  ASSERT_TRUE(others.add("jim", "R", "SHA-256", kHa1));
  users.assign(others);
  EXPECT_FALSE(users.find("joe", "R", "SHA-256").known);
  EXPECT_TRUE(users.find("jim", "R", "SHA-256").known);
  EXPECT_EQ(others.size(), 1u);
}

TEST(Users, AnUnknownNameHasTheHashOfSomeUser) {
  Users users;
  EXPECT_FALSE(users.find("nobody").known);
  EXPECT_TRUE(crypto::is_password_hash(users.find("nobody").hash));
  ASSERT_TRUE(users.add("joe", kHash));
  EXPECT_EQ(users.find("nobody").hash, kHash);
  EXPECT_EQ(users.find("nobody").version, 0u);
  ASSERT_TRUE(users.add("jim", kOther));
  std::set<std::string> hashes;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "nobody" + std::to_string(i);
    const Users::Entry entry = users.find(name);
    EXPECT_FALSE(entry.known);
    EXPECT_EQ(users.find(name).hash, entry.hash);  // each time the same
    hashes.insert(entry.hash);
  }
  EXPECT_EQ(hashes, (std::set<std::string>{kHash, kOther}));
}

TEST(Users, NamesAndHashesThatAreRefused) {
  Users users;
  for (const std::string& name :
       {std::string(), std::string("a:b"), std::string("a\n"), std::string("\xff"),
        std::string("#joe"), std::string(auth::kMostUserBytes + 1, 'u')}) {
    expect_error(users.add(name, kHash), Errc::bad_setting, "name");
  }
  EXPECT_TRUE(users.add(std::string(auth::kMostUserBytes, 'u'), kHash));
  for (const char* hash : {"", "password", "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "*", "!"}) {
    expect_error(users.add("joe", hash), Errc::bad_setting, "yescrypt");
  }
  EXPECT_EQ(users.size(), 1u);
}

TEST(UsersFile, Lines) {
  const test::TempDir folder;
  Users users;
  ASSERT_TRUE(users.load(folder.write("users", "# people\n\njoe:" + kHash + "\r\njim:" + kOther)));
  EXPECT_EQ(users.size(), 2u);
  EXPECT_EQ(users.find("joe").hash, kHash);
  EXPECT_EQ(users.find("jim").hash, kOther);
}

TEST(UsersFile, AllOrNothingAndTheLineIsNamed) {
  const test::TempDir folder;
  struct Row {
    std::string text, words;
  };
  for (const auto& [text, words] :
       {Row{"joe:" + kHash + "\njim\n", "users:2: a line is NAME:HASH"},
        Row{"\n\njoe:secret\n", "users:3: the hash"}, Row{":" + kHash, "users:1: a user's name"},
        Row{"joe:" + kHash + "\n# again\njoe:" + kOther + "\n", "users:3: this user"},
        Row{"joe:" + kHash + ":0:0\n", "users:1: the hash"},
        Row{"joe:" + std::string(kMostUserLineBytes, 'x'), "users:1: the line is too long"}}) {
    Users users;
    expect_error(users.load(folder.write("users", text)), Errc::bad_setting, words);
    EXPECT_EQ(users.size(), 0u);
    const auto result = users.load(folder.write("users", text));
    EXPECT_EQ(result.error().detail.find("secret"), std::string::npos) << "quotes the file";
  }
  Users users;
  expect_error(users.load(folder / "none"), Errc::not_found, folder / "none");
  expect_error(users.load(folder.path().string()), Errc::not_regular_file, "");
}

TEST(UsersFile, ALineAsLongAsItMayBe) {
  const test::TempDir folder;
  Users users;
  const std::string comment = "#" + std::string(kMostUserLineBytes, 'x');
  ASSERT_TRUE(users.load(folder.write("users", comment + "\njoe:" + kHash)));
}

TEST(UsersFile, OnlyWhoChangedHasAnotherVersion) {
  const test::TempDir folder;
  Users users;
  ASSERT_TRUE(users.load(folder.write("users", "joe:" + kHash + "\njim:" + kHash)));
  const std::uint64_t joe = users.version("joe"), jim = users.version("jim");
  ASSERT_TRUE(users.load(folder.write("users", "joe:" + kHash + "\njim:" + kOther)));
  EXPECT_EQ(users.version("joe"), joe);
  EXPECT_NE(users.version("jim"), jim);
}

TEST(DigestUsers, ByUserRealmAndAlgorithm) {
  DigestUsers users;
  ASSERT_TRUE(users.add("joe", "a:b", "SHA-256", kHa1));
  ASSERT_TRUE(users.add("joe", "a:b", "MD5", kHa1.substr(32)));
  EXPECT_EQ(users.size(), 2u);
  EXPECT_TRUE(users.find("joe", "a:b", "SHA-256").known);
  EXPECT_EQ(users.find("joe", "a:b", "MD5").ha1, kHa1.substr(32));
  const DigestUsers::Entry none = users.find("joe", "a", "SHA-256");
  EXPECT_FALSE(none.known);
  EXPECT_EQ(none.ha1.size(), 64u);  // to be hashed with all the same
  EXPECT_FALSE(users.find("jo", "a:b", "SHA-256").known);
  EXPECT_TRUE(users.remove("joe", "a:b", "MD5"));
  EXPECT_FALSE(users.remove("joe", "a:b", "MD5"));
  expect_error(users.add("joe", "r", "SHA-512", kHa1), Errc::bad_setting, "algorithm");
  expect_error(users.add("joe", "r", "sha-256", kHa1), Errc::bad_setting, "algorithm");
  expect_error(users.add("joe", "r", "MD5", kHa1), Errc::bad_setting, "HA1");
  expect_error(users.add("joe", "r", "SHA-256", std::string(64, 'A')), Errc::bad_setting, "HA1");
  expect_error(users.add("joe", "", "SHA-256", kHa1), Errc::bad_setting, "realm");
  expect_error(users.add("a:b", "r", "SHA-256", kHa1), Errc::bad_setting, "name");
}

TEST(DigestUsersFile, ModeIs0600OrItIsRefused) {
  const test::TempDir folder;
  const std::string file = folder.write("digest", "joe:r:SHA-256:" + kHa1 + "\n");
  for (const mode_t mode : {0644U, 0640U, 0660U, 0602U, 0700U, 0400U, 04600U}) {
    ASSERT_EQ(::chmod(file.c_str(), mode), 0);
    DigestUsers users;
    expect_error(users.load(file), Errc::permission_denied, "chmod 600 " + file);
    EXPECT_EQ(users.size(), 0u);
  }
  ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
  DigestUsers users;
  ASSERT_TRUE(users.load(file));
  EXPECT_TRUE(users.find("joe", "r", "SHA-256").known);
}

TEST(DigestUsersFile, LinesAreNamed) {
  const test::TempDir folder;
  struct Row {
    std::string text, words;
  };
  for (const auto& [text, words] :
       {Row{"joe:r:SHA-256\n", ":1: a line is"}, Row{"joe:" + kHa1, ":1: a line is"},
        Row{"joe:r:SHA-256:" + kHa1 + "\njoe:r:MD5:x", ":2: this is no HA1"},
        Row{"joe:r:SHA-1:" + kHa1, ":1: the algorithm"},
        Row{"joe:r:MD5:" + kHa1.substr(32) + "\njoe:r:MD5:" + kHa1.substr(32), ":2: this user"}}) {
    const std::string file = folder.write("digest", text);
    ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
    DigestUsers users;
    expect_error(users.load(file), Errc::bad_setting, file + words);
    EXPECT_EQ(users.size(), 0u);
  }
  const std::string file = folder.write("digest", "joe:http://r:80:SHA-256:" + kHa1);
  ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
  DigestUsers users;
  ASSERT_TRUE(users.load(file));
  EXPECT_TRUE(users.find("joe", "http://r:80", "SHA-256").known);
}

}  // namespace
}  // namespace sluice::service
