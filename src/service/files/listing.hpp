// service/files/listing.hpp - the page that shows what a directory holds.
//
// Plain HTML: names escaped, links relative and percent-encoded, directories first. Layer: service.
// Thread: the file pool's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>

namespace sluice::service {

class Containment;

// More entries than this are not shown.
inline constexpr std::size_t kListingEntries = 100'000;

struct ListingEntry {
  std::string name;
  bool directory = false;
  std::uint64_t size = 0;
  std::int64_t modified = 0;  // seconds since 1970
};

struct ListingScope {
  std::string title;        // the directory's path
  bool has_parent = false;  // whether `..` is served too
  bool hidden_files = false;
  const Containment* containment = nullptr;  // null: symlinks may lead anywhere
};

// Reads the directory behind `fd` (O_PATH will do). What could not be fetched is not shown. Blocks.
Result<std::string> make_listing(int fd, const ListingScope& scope);

// The page alone; sorts the entries.
std::string listing_page(std::string_view title, bool has_parent, std::vector<ListingEntry> entries,
                         bool cut);

}  // namespace sluice::service
