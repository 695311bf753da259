// tests/service/log/log_writer_test.cpp - nothing waits for the disk, nothing is lost in silence.
//
// Layer: tests.
#include "service/log/log_writer.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "service/temp_dir.hpp"

namespace sluice::service {
namespace {

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::unique_ptr<LogWriter> opened(const std::string& path, LogLevel least = LogLevel::debug) {
  auto file = LogWriter::open(path, least);
  EXPECT_TRUE(file) << file.error().message();
  return file ? std::move(*file) : nullptr;
}

TEST(LogWriters, HaveALineForEachText) {
  const test::TempDir dir;
  const std::string path = dir / "log";
  {
    auto file = opened(path);
    file->write(LogLevel::debug, "one");
    file->write(LogLevel::info, "two\nlines\x1b[0m\x7f");
    file->write(LogLevel::warning, "three");
    file->write(LogLevel::error, std::string(10'000, 'x'));
  }
  const auto lines = lines_of(path);
  ASSERT_EQ(lines.size(), 4u);
  for (const std::string& line : lines) {
    std::string time = line.substr(0, 25);
    for (char& c : time) c = c >= '0' && c <= '9' ? '0' : c;
    EXPECT_EQ(time, "0000-00-00T00:00:00.000Z ") << line;
  }
  EXPECT_EQ(lines[0].substr(25), "debug one");
  EXPECT_EQ(lines[1].substr(25), "info two?lines?[0m?");
  EXPECT_EQ(lines[2].substr(25), "warning three");
  EXPECT_EQ(lines[3].size(), 25 + 6 + LogWriter::kMostText);
}

TEST(LogWriters, AreAppendedTo) {
  const test::TempDir dir;
  const std::string path = dir.write("log", "before\n");
  opened(path)->write(LogLevel::info, "after");
  ASSERT_EQ(lines_of(path).size(), 2u);
  EXPECT_EQ(lines_of(path)[0], "before");
}

TEST(LogWriters, LeaveOutWhatIsBelowTheirLevel) {
  const test::TempDir dir;
  const std::string path = dir / "log";
  {
    auto file = opened(path, LogLevel::warning);
    file->write(LogLevel::info, "no");
    file->write(LogLevel::warning, "yes");
    file->set_level(LogLevel::info);
    file->write(LogLevel::info, "now");
  }
  ASSERT_EQ(lines_of(path).size(), 2u);
}

TEST(LogWriters, GoOnUnderTheirNameWhenTheyAreRenamed) {
  const test::TempDir dir;
  const std::string path = dir / "log", old = dir / "log.1";
  {
    auto file = opened(path);
    file->write(LogLevel::info, "first");
    while (lines_of(path).empty()) std::this_thread::yield();
    std::filesystem::rename(path, old);
    file->go_on_with(LogWriter::open_file(path).value());
    file->write(LogLevel::info, "second");
  }
  ASSERT_EQ(lines_of(old).size(), 1u);
  ASSERT_EQ(lines_of(path).size(), 1u);
  EXPECT_NE(lines_of(path)[0].find("second"), std::string::npos);
}

TEST(LogWriters, ThatCannotBeOpenedAreRefusedByName) {
  const test::TempDir dir;
  for (const std::string& path : {dir / "none/log", dir.path().string()}) {
    auto file = LogWriter::open(path, LogLevel::info);
    ASSERT_FALSE(file);
    EXPECT_NE(file.error().message().find(path), std::string::npos) << file.error().message();
  }
}

// A disk without room: nobody waits, and who writes is not told.
TEST(LogWriters, LoseLinesWithoutADisk) {
  auto file = opened("/dev/full");
  for (int i = 0; i < 100'000; ++i) file->write(LogLevel::info, "a line of some length");
}

TEST(LogWriters, SayHowManyLinesWereLost) {
  const test::TempDir dir;
  const std::string path = dir / "log", full = dir / "full";
  std::filesystem::create_symlink("/dev/full", path);
  {
    auto file = opened(path);
    for (int i = 0; i < 10; ++i) file->write(LogLevel::info, "of ten");
    std::filesystem::remove(path);
    // Those that wait are tried on the disk that is full, or on the next.
    file->go_on_with(LogWriter::open_file(path).value());
    file->write(LogLevel::info, "kept");
  }
  std::size_t kept = 0, written = 0, told = 0;
  for (const std::string& line : lines_of(path)) {
    kept += line.ends_with(" kept");
    written += line.ends_with(" of ten");
    if (const auto at = line.find(" lines before"); at != std::string::npos) {
      told += std::stoul(line.substr(line.rfind(' ', at - 1) + 1));
    }
  }
  EXPECT_GE(kept, 1u);
  EXPECT_EQ(written + told, 10u);
}

// A pipe: opening it waits for nobody, and that its reader goes ends no process.
TEST(LogWriters, MayBePipes) {
  const test::TempDir dir;
  const std::string path = dir / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_FALSE(LogWriter::open(path, LogLevel::info));  // nobody reads
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  auto file = opened(path);
  file->write(LogLevel::info, "read");
  std::string got;
  while (got.find("read\n") == std::string::npos) {
    char buffer[256];
    const ssize_t size = ::read(reader, buffer, sizeof buffer);
    if (size > 0) got.append(buffer, std::size_t(size));
  }
  ::close(reader);
  file->write(LogLevel::info, "lost");
}

TEST(LogWriters, TakeLinesFromManyThreads) {
  const test::TempDir dir;
  const std::string path = dir / "log";
  constexpr int kThreads = 4, kLines = 500;
  {
    auto file = opened(path);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&file, i] {
        for (int k = 0; k < kLines; ++k) {
          file->write(LogLevel::info, std::to_string(i) + "." + std::to_string(k));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  std::vector<int> next(kThreads, 0);
  for (const std::string& line : lines_of(path)) {
    const std::string text = line.substr(line.rfind(' ') + 1);
    const auto dot = text.find('.');
    const auto i = std::stoul(text.substr(0, dot));
    EXPECT_EQ(std::stoi(text.substr(dot + 1)), next[i]++);  // each thread's in its order
  }
  for (const int count : next) EXPECT_EQ(count, kLines);
}

}  // namespace
}  // namespace sluice::service
