// tests/service/temp_dir.hpp - a directory that goes with the test.
//
// Layer: tests.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace sluice::test {

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "no temporary directory " << name;
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string operator/(std::string_view name) const {
    return path_.string() + "/" + std::string(name);
  }

  // Makes the directories on the way.
  std::string write(std::string_view name, std::string_view content) const {
    const std::string full = *this / name;
    std::filesystem::create_directories(std::filesystem::path(full).parent_path());
    std::ofstream out(full, std::ios::binary | std::ios::trunc);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    out.close();
    if (!out) ADD_FAILURE() << "cannot write " << full;
    return full;
  }
  // As deployments do it: the new file takes the name at once.
  void replace(std::string_view name, std::string_view content) const {
    const std::string made = write(std::string(name) + ".new", content);
    std::filesystem::rename(made, *this / name);
  }
  void make_dir(std::string_view name) const { std::filesystem::create_directories(*this / name); }
  void link(std::string_view target, std::string_view name) const {
    std::filesystem::create_symlink(target, *this / name);
  }

 private:
  std::filesystem::path path_;
};

}  // namespace sluice::test
