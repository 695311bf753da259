// service/files/file_cache.cpp - two lists in order of use, and an index.
//
// Layer: service. Thread: shard.
#include "service/files/file_cache.hpp"

#include <new>
#include <utility>

namespace sluice::service {

const FoundRef* FileCache::find(const FileKey& key) {
  auto place = index_.find(key);
  if (place == index_.end()) return nullptr;
  const auto entry = place->second;
  std::list<Entry>& entries = shelf_of(*entry).entries;
  if (entry != entries.begin()) entries.splice(entries.begin(), entries, entry);
  return &entry->found;
}

void FileCache::put(const FileKey& key, FoundRef found) {
  constexpr std::size_t kOverhead = sizeof(Entry) + 96;  // nodes of the list and of the index
  const std::size_t bytes = kOverhead + key.path.size() + found->memory();
  try {
    // Made first: the key may point into the entry that goes.
    Entry made{key.root, std::string(key.path), std::move(found), bytes};
    if (auto known = index_.find(key); known != index_.end()) {
      drop(shelf_of(*known->second), known->second);
    }
    insert(std::move(made));
  } catch (const std::bad_alloc&) {
    // It is looked up again the next time.
    if (auto known = index_.find(key); known != index_.end()) {
      drop(shelf_of(*known->second), known->second);
    }
  }
}

void FileCache::insert(Entry made) {
  const std::size_t bytes = made.bytes, descriptors = made.found->descriptors();
  Shelf& shelf = shelf_of(made);
  const std::size_t most = &shelf == &bad_ ? limits_.failures : limits_.entries;
  if (bytes > limits_.bytes / 8 || descriptors > limits_.descriptors || most == 0) return;
  while (shelf.entries.size() >= most) drop(shelf, std::prev(shelf.entries.end()));
  while (this->bytes() + bytes > limits_.bytes) {
    Shelf& fuller = bad_.entries.empty() ? good_ : bad_;
    drop(fuller, std::prev(fuller.entries.end()));
  }
  while (descriptors_ + descriptors > limits_.descriptors) {
    drop(good_, std::prev(good_.entries.end()));
  }
  shelf.entries.push_front(std::move(made));
  const auto entry = shelf.entries.begin();
  try {
    index_.emplace(FileKey{entry->root, entry->path}, entry);
  } catch (const std::bad_alloc&) {
    shelf.entries.erase(entry);
    return;
  }
  shelf.bytes += bytes;
  descriptors_ += descriptors;
}

void FileCache::drop(Shelf& shelf, std::list<Entry>::iterator entry) {
  index_.erase(FileKey{entry->root, entry->path});
  shelf.bytes -= entry->bytes;
  descriptors_ -= entry->found->descriptors();
  shelf.entries.erase(entry);
}

}  // namespace sluice::service
