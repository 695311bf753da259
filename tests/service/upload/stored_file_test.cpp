// tests/service/upload/stored_file_test.cpp - whole files under their names, or nothing at all.
#include "service/upload/stored_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "service/temp_dir.hpp"
#include "service/upload/file_name.hpp"
#include "support/small_disk.hpp"

namespace sluice::service {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::set<std::string> names_in(const test::TempDir& dir) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

// On file systems that know nameless files, and on those that do not.
class StoredFiles : public testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<StoredFile> made(const test::TempDir& dir, std::string_view text) const {
    auto file = StoredFile::make(dir.path().string(), GetParam());
    EXPECT_TRUE(file) << file.error().message();
    EXPECT_TRUE((*file)->write(as_bytes(text)));
    return std::move(*file);
  }
};

using Names = std::set<std::string>;

TEST_P(StoredFiles, AppearWholeUnderTheirName) {
  const test::TempDir dir;
  const std::string text(300'000, 'x');
  auto file = made(dir, text);
  ASSERT_TRUE(file->write(as_bytes("end")));
  EXPECT_EQ(file->size(), text.size() + 3);
  for (const std::string& name : names_in(dir)) EXPECT_TRUE(name.starts_with(kUnfinishedPrefix));
  auto path = file->keep("a.txt", ExistingFile::number);
  ASSERT_TRUE(path) << path.error().message();
  EXPECT_EQ(path->path, dir / "a.txt");
  file.reset();
  EXPECT_EQ(names_in(dir), Names{"a.txt"});
  EXPECT_TRUE(text_of(path->path) == text + "end");
}

TEST_P(StoredFiles, ThatAreNotKeptLeaveNoTrace) {
  const test::TempDir dir;
  made(dir, "text").reset();
  EXPECT_EQ(names_in(dir), Names{});
}

TEST_P(StoredFiles, DoWhatIsAskedWithThoseThatAreThere) {
  const test::TempDir dir;
  dir.write("a.txt", "before");
  EXPECT_EQ(made(dir, "1")->keep("a.txt", ExistingFile::number).value().path, dir / "a (1).txt");
  EXPECT_EQ(made(dir, "2")->keep("a.txt", ExistingFile::number).value().path, dir / "a (2).txt");
  EXPECT_EQ(text_of(dir / "a.txt"), "before");
  EXPECT_EQ(made(dir, "3")->keep("a.txt", ExistingFile::refuse).error().code, Errc::already_exists);
  EXPECT_EQ(text_of(dir / "a.txt"), "before");
  EXPECT_EQ(made(dir, "4")->keep("a.txt", ExistingFile::replace).value().path, dir / "a.txt");
  EXPECT_EQ(text_of(dir / "a.txt"), "4");
  EXPECT_EQ(names_in(dir), (Names{"a.txt", "a (1).txt", "a (2).txt"}));
}

// The link is replaced, not followed.
TEST_P(StoredFiles, FollowNoLinks) {
  const test::TempDir dir, other;
  other.write("target", "safe");
  std::filesystem::create_symlink(other / "target", dir / "link");
  EXPECT_EQ(made(dir, "1")->keep("link", ExistingFile::number).value().path, dir / "link (1)");
  EXPECT_TRUE(made(dir, "2")->keep("link", ExistingFile::replace));
  EXPECT_EQ(text_of(other / "target"), "safe");
  EXPECT_EQ(text_of(dir / "link"), "2");
}

TEST_P(StoredFiles, OfManyThreadsAreAllKept) {
  const test::TempDir dir;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, &dir, i] {
      for (int k = 0; k < 10; ++k) {
        EXPECT_TRUE(made(dir, std::to_string(i * 10 + k))->keep("same", ExistingFile::number));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Names texts;
  for (const std::string& name : names_in(dir)) texts.insert(text_of(dir / name));
  EXPECT_EQ(texts.size(), 40u);
}

TEST_P(StoredFiles, NeedTheirFolder) {
  const test::TempDir dir;
  auto file = StoredFile::make(dir / "none", GetParam());
  EXPECT_EQ(file.error().code, Errc::not_found);
  EXPECT_NE(file.error().message().find("none"), std::string::npos);
  dir.write("file", "");
  EXPECT_EQ(StoredFile::make(dir / "file", GetParam()).error().code, Errc::not_found);
}

// A disk that is full, as the kernel tells it: files may have so many bytes and no more.
TEST_P(StoredFiles, ThatDoNotFitLeaveNoTrace) {
  const test::TempDir dir;
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{10'000, 10'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto file = StoredFile::make(dir.path().string(), GetParam());
    const std::string text(20'000, 'x');
    const bool full = file && (*file)->write(as_bytes(text)).error().code == Errc::disk_full;
    file->reset();
    ::_exit(full ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(names_in(dir), Names{});
}

TEST_P(StoredFiles, OfAProcessThatIsKilledHaveNoFinalName) {
  const test::TempDir dir;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto file = StoredFile::make(dir.path().string(), GetParam());
    if (!file || !(*file)->write(as_bytes("half"))) ::_exit(1);
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ::close(ready[0]);
  ::close(ready[1]);
  for (const std::string& name : names_in(dir)) EXPECT_TRUE(name.starts_with(kUnfinishedPrefix));
  StoredFile::remove_left(dir.path().string());
  EXPECT_EQ(names_in(dir), Names{});
}

// Of this process, of another one, of a start that looks at the same time.
TEST_P(StoredFiles, OfTheLivingAreNotRemoved) {
  const test::TempDir dir;
  auto file = made(dir, "text");
  dir.write(std::string(kUnfinishedPrefix) + "0123456789abcdef", "left");
  std::filesystem::create_directory(dir / (std::string(kUnfinishedPrefix) + "folder"));
  dir.write("other", "");
  EXPECT_EQ(StoredFile::remove_left(dir.path().string()), 1u);
  EXPECT_TRUE(file->keep("a", ExistingFile::refuse));
  EXPECT_EQ(text_of(dir / "a"), "text");
  EXPECT_EQ(StoredFile::remove_left(dir / "none"), 0u);
}

TEST_P(StoredFiles, AreNotRemovedWhileTheyAreMade) {
  const test::TempDir dir;
  std::atomic<bool> ended{false};
  std::thread remover([&] {
    while (!ended) StoredFile::remove_left(dir.path().string());
  });
  for (int i = 0; i < 200; ++i) {
    const std::string name = std::to_string(i);
    auto kept = made(dir, name)->keep(name, ExistingFile::refuse);
    EXPECT_TRUE(kept) << kept.error().message();
  }
  ended = true;
  remover.join();
  EXPECT_EQ(names_in(dir).size(), 200u);
}

TEST_P(StoredFiles, GoAgainUnlessAnotherHasTheirName) {
  const test::TempDir dir;
  const KeptFile first = made(dir, "1")->keep("a", ExistingFile::replace).value();
  EXPECT_FALSE(first.replaced);
  const KeptFile second = made(dir, "2")->keep("a", ExistingFile::replace).value();
  EXPECT_TRUE(second.replaced);
  remove_file(first);   // its name is another's
  remove_file(second);  // what it replaced is gone
  EXPECT_EQ(text_of(dir / "a"), "2");
  remove_file(made(dir, "3")->keep("b", ExistingFile::number).value());
  EXPECT_EQ(names_in(dir), Names{"a"});
}

// File systems give the number of a file that has gone to the next one: pinned it has not gone,
// else the other was born later.
TEST_P(StoredFiles, GoAgainUnlessAnotherHasTheirNumber) {
  const test::TempDir dir;
  for (const int round : {0, 1, 2, 3}) {
    const bool in_place = round % 2 == 1;
    const auto existing = in_place ? ExistingFile::replace : ExistingFile::refuse;
    KeptFile first = made(dir, "1")->keep("a", existing).value();
    EXPECT_TRUE(first.pin);
    if (round >= 2) first.pin = {};
    // File systems tell births by a clock that stands still between two ticks, and may be ahead.
    for (std::int64_t born = first.born; born != 0 && born <= first.born;) {
      born = made(dir, "")->keep("probe", ExistingFile::refuse).value().born;
      std::filesystem::remove(dir / "probe");
    }
    for (int i = 0; i < 20; ++i) {
      if (!in_place) std::filesystem::remove(dir / "a");
      const KeptFile other = made(dir, "2")->keep("a", existing).value();
      if (other.inode == first.inode) break;
    }
    remove_file(first);
    ASSERT_TRUE(std::filesystem::exists(dir / "a")) << round;
    EXPECT_EQ(text_of(dir / "a"), "2");
    std::filesystem::remove(dir / "a");
  }
}

TEST_P(StoredFiles, GoAgainWithoutAPinToo) {
  const test::TempDir dir;
  KeptFile file = made(dir, "1")->keep("a", ExistingFile::number).value();
  file.pin = {};
  const bool is_known = file.born != 0;
  remove_file(file);
  EXPECT_EQ(names_in(dir), is_known ? Names{} : Names{"a"});
}

// Of one request only so many hold a descriptor each.
TEST_P(StoredFiles, AreNotAllPinned) {
  const test::TempDir dir;
  std::vector<KeptFile> kept;
  for (std::size_t i = 0; i <= KeptFile::kPinned; ++i) {
    const std::string name = std::to_string(i);
    kept.push_back(made(dir, name)->keep(name, ExistingFile::refuse, kept).value());
    EXPECT_EQ(bool(kept.back().pin), i < KeptFile::kPinned) << i;
  }
}

// Whoever is told of it may lock it, and write.
TEST_P(StoredFiles, ThatAreKeptAreNotLocked) {
  const test::TempDir dir;
  auto file = made(dir, "1");
  const KeptFile kept = file->keep("a", ExistingFile::refuse).value();
  const int fd = ::open(kept.path.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_EQ(::flock(fd, LOCK_EX | LOCK_NB), 0);
  ::close(fd);
}

// As in a container that has none, or a folder that was made the root.
TEST_P(StoredFiles, NeedNoProc) {
  SKIP_WITHOUT(small_disk);
  test::on_small_disk(1 << 20, [](const test::SmallDisk& disk) {
    ASSERT_EQ(::mount("none", "/proc", "tmpfs", MS_RDONLY, nullptr), 0);
    auto file = StoredFile::make(disk.path(), GetParam());
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_TRUE((*file)->write(as_bytes("text")));
    const auto kept = (*file)->keep("a", ExistingFile::number);
    ASSERT_TRUE(kept) << kept.error().message();
    EXPECT_EQ(text_of(disk / "a"), "text");
    EXPECT_FALSE(kept->pin);
    remove_file(*kept);
    EXPECT_EQ(std::filesystem::exists(disk / "a"), kept->born == 0);
  });
}

// The second takes the place of the first, which is new: then it is new, too.
TEST_P(StoredFiles, OfOneRequestMayReplaceEachOther) {
  const test::TempDir dir;
  std::vector<KeptFile> kept;
  const auto keep = [&](const char* text, const char* name) {
    kept.push_back(made(dir, text)->keep(name, ExistingFile::replace, kept).value());
    return kept.back().replaced;
  };
  dir.write("old", "before");
  EXPECT_FALSE(keep("1", "new"));
  EXPECT_FALSE(keep("2", "new"));
  EXPECT_TRUE(keep("1", "old"));
  EXPECT_TRUE(keep("2", "old"));
  for (const KeptFile& file : kept) remove_file(file);
  EXPECT_EQ(names_in(dir), Names{"old"});
  EXPECT_EQ(text_of(dir / "old"), "2");
}

// One after the other would take longer with each; and a name cannot be used up.
TEST_P(StoredFiles, OfManyOfANameAreNotCounted) {
  const test::TempDir dir;
  Names counted{"a.txt"};
  for (int i = 0; i <= 20; ++i) {
    const std::string name = i == 0 ? "a.txt" : "a (" + std::to_string(i) + ").txt";
    EXPECT_EQ(made(dir, "1")->keep("a.txt", ExistingFile::number).value().path, dir / name);
    counted.insert(name);
  }
  for (int i = 0; i < 3; ++i) {
    const std::string path = made(dir, "1")->keep("a.txt", ExistingFile::number).value().path;
    EXPECT_EQ(path.size(), (dir / "a (0123456789abcdef).txt").size()) << path;
  }
  Names others = names_in(dir);
  for (const std::string& name : counted) EXPECT_EQ(others.erase(name), 1u) << name;
  EXPECT_EQ(others.size(), 3u);
}

INSTANTIATE_TEST_SUITE_P(Upload, StoredFiles, testing::Bool(),
                         [](const auto& which) { return which.param ? "nameless" : "named"; });

}  // namespace
}  // namespace sluice::service
