// front/wire/out_queue.cpp - a list of runs.
#include "front/wire/out_queue.hpp"

#include <algorithm>
#include <new>

namespace sluice::wire {
namespace {

constexpr std::size_t kSlab = 64;

}  // namespace

SegmentPool::~SegmentPool() = default;

Segment* SegmentPool::take() {
  if (!free_) {
    try {
      slabs_.reserve(slabs_.size() + 1);
      slabs_.push_back(std::make_unique<Segment[]>(kSlab));
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    for (std::size_t i = 0; i < kSlab; ++i) {
      slabs_.back()[i].next = free_;
      free_ = &slabs_.back()[i];
    }
  }
  Segment* segment = free_;
  free_ = segment->next;
  segment->next = nullptr;
  ++in_use_;
  return segment;
}

void SegmentPool::give_back(Segment* segment, Errc why) {
  segment->block.reset();
  if (segment->owner) {
    if (segment->flags & Segment::kReceipt) {
      static_cast<core::Receipt*>(const_cast<void*>(segment->owner.get()))->ended(why);
    }
    segment->owner.reset();
  }
  segment->file = -1;
  segment->flags = 0;
  segment->next = free_;
  free_ = segment;
  --in_use_;
}

void OutQueue::push(Segment* segment) {
  if (last_) {
    last_->next = segment;
  } else {
    first_ = segment;
  }
  last_ = segment;
  bytes_ += segment->size;
}

bool OutQueue::append(SegmentPool& pool, base::Block& block, Bytes bytes, core::Marks marks) {
  if (bytes.empty()) return true;
  if (last_ && last_->block.get() == &block && last_->at + last_->size == bytes.data() &&
      marks == core::kKept && last_->flags == 0) {
    last_->size += bytes.size();
    bytes_ += bytes.size();
    return true;
  }
  Segment* segment = pool.take();
  if (!segment) return false;
  segment->at = bytes.data();
  segment->size = bytes.size();
  segment->block = base::BlockRef::share(block);
  segment->flags = marks;
  push(segment);
  return true;
}

bool OutQueue::append(SegmentPool& pool, std::shared_ptr<const void> owner, Bytes bytes,
                      core::Marks marks) {
  if (bytes.empty()) return true;
  Segment* segment = pool.take();
  if (!segment) return false;
  segment->at = bytes.data();
  segment->size = bytes.size();
  segment->owner = std::move(owner);
  segment->flags = marks;
  push(segment);
  return true;
}

bool OutQueue::append_file(SegmentPool& pool, const core::FileRef& file, std::uint64_t offset,
                           std::uint64_t size) {
  if (size == 0) return true;
  Segment* segment = pool.take();
  if (!segment) return false;
  segment->at = nullptr;
  segment->size = size;
  segment->owner = file;
  segment->file = file->fd;
  segment->offset = offset;
  push(segment);
  return true;
}

std::size_t OutQueue::gather(std::span<iovec> parts, bool& file_next) const {
  std::size_t count = 0;
  Segment* s = first_;
  for (; s && s->file < 0 && count < parts.size(); s = s->next) {
    parts[count++] = {const_cast<std::byte*>(s->at), s->size};
  }
  file_next = s && s->file >= 0;
  return count;
}

void OutQueue::consume(SegmentPool& pool, std::uint64_t bytes) {
  bytes_ -= bytes;
  while (bytes > 0) {
    Segment* s = first_;
    if (bytes < s->size) {
      s->size -= bytes;
      if (s->file >= 0) {
        s->offset += bytes;
      } else {
        s->at += bytes;
        s->flags &= Segment::kReceipt;  // half a message cannot be taken back
      }
      return;
    }
    bytes -= s->size;
    first_ = s->next;
    if (!first_) last_ = nullptr;
    pool.give_back(s);
  }
}

std::size_t OutQueue::drop(SegmentPool& pool, std::uint64_t busy, std::uint64_t bytes,
                           core::Marks marks) {
  std::size_t dropped = 0;
  std::uint64_t gone = 0, passed = 0;
  Segment* before = nullptr;
  for (Segment* s = first_; s && gone < bytes;) {
    Segment* next = s->next;
    bool under_way = passed < busy;
    passed += s->size;
    if (!under_way && (s->flags & marks)) {
      (before ? before->next : first_) = next;
      if (last_ == s) last_ = before;
      gone += s->size;
      bytes_ -= s->size;
      ++dropped;
      pool.give_back(s, Errc::slow_reader);
    } else {
      before = s;
    }
    s = next;
  }
  return dropped;
}

std::size_t OutQueue::size_of(std::uint64_t busy, core::Marks marks) const {
  std::size_t bytes = 0;
  std::uint64_t passed = 0;
  for (const Segment* s = first_; s; s = s->next) {
    if (passed >= busy && (s->flags & marks)) bytes += s->size;
    passed += s->size;
  }
  return bytes;
}

void OutQueue::add_receipt(std::shared_ptr<core::Receipt> receipt) {
  last_->owner = std::move(receipt);
  last_->flags |= Segment::kReceipt;
}

void OutQueue::clear(SegmentPool& pool, Errc why) {
  while (Segment* s = first_) {
    first_ = s->next;
    pool.give_back(s, why);
  }
  last_ = nullptr;
  bytes_ = 0;
}

}  // namespace sluice::wire
