// io/file_pool.hpp - the threads that wait for disks, so that no shard ever does.
//
// Layer: io. Thread: submit() from any; jobs run on the pool's threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/task.hpp"

namespace sluice::io {

// open, stat, read, write, fsync and rename run here as jobs, in order of arrival over all threads.
// Of the idle threads the one is called that has been so for the shortest time. How a job's result
// comes back is the job's business (it posts to the shard).
class FilePool {
 public:
  explicit FilePool(std::size_t threads);
  // Runs what was submitted, then ends the threads.
  ~FilePool();
  FilePool(const FilePool&) = delete;
  FilePool& operator=(const FilePool&) = delete;

  // False when the queue is full (65,536 jobs): the caller answers 503.
  [[nodiscard]] bool submit(base::Task job);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// True when every page of the region is in the page cache, so that sendfile will not wait for a
// disk. Looks at one byte of every `stride` with preadv2(RWF_NOWAIT), or asks cachestat where the
// kernel has it.
bool is_cached(int file, std::uint64_t offset, std::size_t length);

// Reads the region into the page cache. Blocks: on the file pool only.
void warm(int file, std::uint64_t offset, std::size_t length);

}  // namespace sluice::io
