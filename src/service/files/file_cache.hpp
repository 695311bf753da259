// service/files/file_cache.hpp - what one shard knows of hot files.
//
// Bounded by entries, bytes and descriptors; the one used longest ago goes first. Failures have a
// bound of their own, so that a client that asks for what is not there cannot drive out what is.
// Layer: service. Thread: shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "service/files/found.hpp"

namespace sluice::service {

// What was asked for: a root and a path below it.
struct FileKey {
  std::uint32_t root = 0;
  std::string_view path;
  friend bool operator==(const FileKey&, const FileKey&) = default;
};

struct FileKeyHash {
  std::size_t operator()(const FileKey& key) const {
    return std::hash<std::string_view>{}(key.path) + key.root * std::size_t{0x9E3779B97F4A7C15};
  }
};

struct FileCacheLimits {
  std::size_t entries = 1024;
  std::size_t bytes = std::size_t{32} << 20;
  std::size_t failures = 256;
  std::size_t descriptors = 1024;
};

class FileCache {
 public:
  explicit FileCache(FileCacheLimits limits = {}) : limits_(limits) {}

  // Null when unknown. The reference lives until the next put().
  const FoundRef* find(const FileKey& key);
  // Replaces what was known. What is larger than an eighth of the bound is not kept, nor is what
  // there is no memory for.
  void put(const FileKey& key, FoundRef found);

  std::size_t size() const { return index_.size(); }
  std::size_t bytes() const { return good_.bytes + bad_.bytes; }
  std::size_t descriptors() const { return descriptors_; }

 private:
  struct Entry {
    std::uint32_t root;
    std::string path;
    FoundRef found;
    std::size_t bytes;
  };
  // The front was used last.
  struct Shelf {
    std::list<Entry> entries;
    std::size_t bytes = 0;
  };
  Shelf& shelf_of(const Entry& entry) {
    return entry.found->kind == Found::Kind::failure ? bad_ : good_;
  }
  void insert(Entry entry);
  void drop(Shelf& shelf, std::list<Entry>::iterator entry);

  const FileCacheLimits limits_;
  Shelf good_, bad_;
  std::size_t descriptors_ = 0;
  std::unordered_map<FileKey, std::list<Entry>::iterator, FileKeyHash> index_;
};

}  // namespace sluice::service
