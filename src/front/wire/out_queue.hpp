// front/wire/out_queue.hpp - what waits to be sent on one connection.
//
// Layer: front/wire. Thread: shard.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <sluice/bytes.hpp>

#include "base/block.hpp"
#include "core/front.hpp"
#include "core/open_file.hpp"
#include "core/receipt.hpp"

namespace sluice::wire {

// A run of bytes, or a region of a file, and what keeps it alive.
struct Segment {
  Segment* next = nullptr;
  const std::byte* at = nullptr;
  std::uint64_t size = 0;
  base::BlockRef block;
  std::shared_ptr<const void> owner;  // shared bytes, an open file or a receipt
  std::uint64_t offset = 0;           // file
  int file = -1;
  std::uint8_t flags = 0;  // core::Marks and kReceipt; with any, nothing joins this run

  static constexpr std::uint8_t kReceipt = 2;  // the owner is a core::Receipt
};

// Segments of one shard, used again.
class SegmentPool {
 public:
  ~SegmentPool();
  Segment* take();  // null when memory is out
  // `why`: what a receipt is told; none: everything has gone.
  void give_back(Segment* segment, Errc why = Errc::none);
  bool has_idle() const { return free_ != nullptr; }
  std::size_t in_use() const { return in_use_; }

 private:
  std::vector<std::unique_ptr<Segment[]>> slabs_;
  Segment* free_ = nullptr;
  std::size_t in_use_ = 0;
};

class OutQueue {
 public:
  // The pool must outlive what is queued; clear() gives everything back.
  std::size_t size() const { return bytes_; }
  bool empty() const { return first_ == nullptr; }

  // False when memory is out: nothing was appended. Bytes that stand in `block` right behind what
  // was appended last join that run (unless they must stay apart to be dropped).
  [[nodiscard]] bool append(SegmentPool& pool, base::Block& block, Bytes bytes, core::Marks marks);
  [[nodiscard]] bool append(SegmentPool& pool, std::shared_ptr<const void> owner, Bytes bytes,
                            core::Marks marks);
  [[nodiscard]] bool append_file(SegmentPool& pool, const core::FileRef& file, std::uint64_t offset,
                                 std::uint64_t size);

  // The front of the queue as vectors, up to a file. Returns how many; `file_next` when that is why
  // there are no more.
  std::size_t gather(std::span<iovec> parts, bool& file_next) const;
  bool file_first() const { return first_ && first_->file >= 0; }
  const Segment& front() const { return *first_; }
  // Of the bytes that were appended last; the queue must not be empty.
  void add_receipt(std::shared_ptr<core::Receipt> receipt);
  // So many bytes have gone.
  void consume(SegmentPool& pool, std::uint64_t bytes);
  // Takes out segments with one of `marks` behind the first `busy` bytes until `bytes` are gone;
  // returns how many segments.
  std::size_t drop(SegmentPool& pool, std::uint64_t busy, std::uint64_t bytes, core::Marks marks);
  // Of those that drop() would take out, all together.
  std::size_t size_of(std::uint64_t busy, core::Marks marks) const;
  void clear(SegmentPool& pool, Errc why = Errc::gone);

 private:
  void push(Segment* segment);
  Segment* first_ = nullptr;
  Segment* last_ = nullptr;
  std::size_t bytes_ = 0;
};

// What is written first in an event to a connection with an empty queue. When nothing follows,
// which is nearly always, it is sent as it stands and no queue ever sees it.
struct FirstRun {
  base::BlockRef block;
  Bytes bytes;
  core::Marks marks = core::kKept;
};

}  // namespace sluice::wire
