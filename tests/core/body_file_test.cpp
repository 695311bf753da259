// tests/core/body_file_test.cpp - request bodies on disk.
#include "core/body_file.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <string>

namespace sluice::core {
namespace {

TEST(BodyFile, WhatWasWrittenIsMapped) {
  auto file = BodyFile::make();
  ASSERT_TRUE(file);
  std::string all;
  for (int i = 0; i < 100; ++i) {
    const std::string piece(static_cast<std::size_t>(i * 37), static_cast<char>('a' + i % 26));
    ASSERT_TRUE((*file)->write(as_bytes(piece)));
    all += piece;
  }
  EXPECT_EQ((*file)->size(), all.size());
  auto mapped = (*file)->map();
  ASSERT_TRUE(mapped);
  EXPECT_EQ(as_text(*mapped), all);
  auto again = (*file)->map();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->data(), mapped->data());
  EXPECT_FALSE((*file)->write(as_bytes("more"))) << "what is mapped does not grow";
}

TEST(BodyFile, AnEmptyOneIsEmpty) {
  auto file = BodyFile::make();
  ASSERT_TRUE(file);
  auto mapped = (*file)->map();
  ASSERT_TRUE(mapped);
  EXPECT_TRUE(mapped->empty());
}

TEST(BodyFile, LeavesNoName) {
  std::string folder =
      (std::filesystem::temp_directory_path() / "sluice-body-test-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  ASSERT_EQ(::setenv("TMPDIR", folder.c_str(), 1), 0);
  auto file = BodyFile::make();
  ::unsetenv("TMPDIR");
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write(as_bytes("x")));
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  std::filesystem::remove(folder);
}

TEST(BodyFile, AMissingFolderIsAnError) {
  ASSERT_EQ(::setenv("TMPDIR", "/nonexistent/folder", 1), 0);
  auto file = BodyFile::make();
  ::unsetenv("TMPDIR");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Errc::io_failed);
  EXPECT_NE(file.error().detail.find("/nonexistent/folder"), std::string::npos);
}

TEST(BodyFile, AFullDiskIsAnError) {
  auto file = BodyFile::make();
  ASSERT_TRUE(file);
  // The limit of a file's size stands for a full disk.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  auto written = (*file)->write(as_bytes(std::string(10'000, 'x')));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(written.error().code, Errc::disk_full);
}

}  // namespace
}  // namespace sluice::core
