// service/log/log_writer.cpp - see log_writer.hpp.
#include "service/log/log_writer.hpp"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <new>
#include <system_error>
#include <utility>

#include "service/auth/secret_file.hpp"

namespace sluice::service {
namespace {

std::string_view word(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      break;
  }
  return "error";
}

void append_line(std::string& out, LogLevel level, std::string_view text) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  char head[40];
  const std::size_t size = std::strftime(head, sizeof head, "%Y-%m-%dT%H:%M:%S", &utc);
  const int more = std::snprintf(head + size, sizeof head - size, ".%03dZ ",
                                 static_cast<int>(now.tv_nsec / 1'000'000));
  out.append(head, size + static_cast<std::size_t>(more)).append(word(level)).push_back(' ');
  for (const char c : text.substr(0, LogWriter::kMostText)) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(byte < 0x20 || byte == 0x7F ? '?' : c);
  }
  out.push_back('\n');
}

}  // namespace

Result<int> LogWriter::open_file(const std::string& path) {
  // Opening never waits (for the reader of a pipe); writing may, it has a thread of its own.
  const int fd =
      ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
  if (fd < 0) return file_failure(errno, path);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  return fd;
}

Result<std::unique_ptr<LogWriter>> LogWriter::open(const std::string& path, LogLevel least) {
  auto fd = open_file(path);
  if (!fd) return fd.error();
  std::unique_ptr<LogWriter> made(new LogWriter(*fd, least));
  // Signals are for the threads of the application; a pipe without a reader is an error like
  // others.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Result<void> begun;
  try {
    made->writer_ = std::thread([writer = made.get()] { writer->run(); });
  } catch (const std::system_error& error) {
    begun = Error(Errc::io_failed, path + ": no thread to write it: " + error.what());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!begun) return begun.error();
  return made;
}

LogWriter::LogWriter(int fd, LogLevel least) : least_(least), fd_(fd) {}

LogWriter::~LogWriter() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  if (writer_.joinable()) writer_.join();
  ::close(fd_);
}

void LogWriter::write(LogLevel level, std::string_view text) noexcept {
  if (level < least_.load(std::memory_order_relaxed)) return;
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    first = waiting_.empty();
    const std::size_t before = waiting_.size();
    if (before >= kMostWaiting) {
      ++lost_;
      return;
    }
    try {
      append_line(waiting_, level, text);
    } catch (const std::bad_alloc&) {
      waiting_.resize(before);
      ++lost_;
    }
  }
  if (first) changed_.notify_one();
}

void LogWriter::go_on_with(int fd) {
  std::lock_guard lock(file_mutex_);
  ::close(std::exchange(fd_, fd));
}

// What was not taken of it.
std::string_view LogWriter::write_out(std::string_view text) {
  std::lock_guard lock(file_mutex_);
  std::string_view left = broken_ ? std::string_view("\n") : text;
  while (!left.empty()) {
    const ssize_t gone = ::write(fd_, left.data(), left.size());
    if (gone < 0 && errno == EINTR) continue;
    if (gone <= 0) break;
    left.remove_prefix(static_cast<std::size_t>(gone));
    if (left.empty() && std::exchange(broken_, false)) left = text;
  }
  if (broken_) return text;
  // Half a line has its end before the next one begins.
  broken_ =
      !left.empty() && left.size() < text.size() && text[text.size() - left.size() - 1] != '\n';
  return left;
}

void LogWriter::run() {
  std::string lines;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    lines.clear();
    lines.swap(waiting_);
    std::uint64_t lost = std::exchange(lost_, 0);
    lock.unlock();
    std::string_view left = lines;
    if (lost > 0) {
      char text[64];
      std::snprintf(text, sizeof text, "%llu lines before this one were lost",
                    static_cast<unsigned long long>(lost));
      std::string told;
      append_line(told, LogLevel::warning, text);
      if (write_out(told).empty()) lost = 0;
    }
    if (lost == 0) left = write_out(lines);
    lock.lock();
    lost_ += lost;
    for (const char c : left) lost_ += c == '\n';
  }
}

}  // namespace sluice::service
