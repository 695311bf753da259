// service/log/log_writer.hpp - lines that any thread writes, and one thread brings to a file.
//
// Layer: service. Thread: any, but for what says otherwise.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include <sluice/result.hpp>
#include <sluice/settings.hpp>

namespace sluice::service {

// A line is `2026-11-23T08:00:00.123Z warning TEXT`. Whoever writes never waits for the disk: over
// kMostWaiting, and while the disk takes nothing, lines are lost and counted, and the next line
// that gets there says how many.
class LogWriter {
 public:
  static constexpr std::size_t kMostWaiting = 1 << 20;  // bytes
  static constexpr std::size_t kMostText = 4096;        // of a line; what is longer is cut

  // Appends to `path`, or creates it (mode 0640). Lines below `least` are not written. Blocks.
  // Errors: those of opening the file, with its name.
  static Result<std::unique_ptr<LogWriter>> open(const std::string& path, LogLevel least);
  // What waits is written before.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // What is no printable character becomes `?`: a line stays a line.
  void write(LogLevel level, std::string_view text) noexcept;
  void set_level(LogLevel least) { least_.store(least, std::memory_order_relaxed); }

  // A descriptor to go on with: of another file, or of one that has taken the place of the one that
  // was renamed. Blocks.
  static Result<int> open_file(const std::string& path);
  void go_on_with(int fd);

 private:
  LogWriter(int fd, LogLevel least);
  void run();
  std::string_view write_out(std::string_view text);

  std::atomic<LogLevel> least_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::string waiting_;
  std::uint64_t lost_ = 0;
  bool ending_ = false;
  std::mutex file_mutex_;  // guards what follows
  int fd_;
  bool broken_ = false;  // the last line was not taken whole
  std::thread writer_;
};

}  // namespace sluice::service
