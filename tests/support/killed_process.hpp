// tests/support/killed_process.hpp - a process that is killed in the midst of its work, and what it
// had said until then.
//
// Layer: tests.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::test {

// In the child: a line that the parent has as soon as this returns.
inline void say_line(int to, std::string_view text) {
  const std::string line = std::string(text) + "\n";
  if (::write(to, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(99);
}

// Forks; the child runs `work` with a descriptor to say_line() to, until it has said `enough` lines
// and is killed, in the midst of what comes next. `work` never returns. All its whole lines.
template <class Work>
std::vector<std::string> lines_until_killed(std::size_t enough, Work&& work) {
  std::vector<std::string> lines;
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  EXPECT_GE(child, 0);
  if (child < 0) return lines;
  if (child == 0) {
    work(ends[1]);
    ::_exit(98);
  }
  ::close(ends[1]);
  std::string line;
  bool killed = false;
  for (char c = 0; ::read(ends[0], &c, 1) == 1;) {
    if (c != '\n') {
      line += c;
      continue;
    }
    lines.push_back(std::exchange(line, {}));
    if (!killed && lines.size() >= enough) killed = ::kill(child, SIGKILL) == 0;
  }
  ::close(ends[0]);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status)) << status;
  return lines;
}

}  // namespace sluice::test
