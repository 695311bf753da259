// apps/sluice/large_file.cpp - see large_file.hpp.
#include "sluice/large_file.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

namespace sluice::app {
namespace {

constexpr std::uint64_t piece_bytes = 1 << 20;

Error no_room(std::string_view folder, std::uint64_t size) {
  return {Errc::io_failed,
          fmt::format("the demo needs {} MiB below {}; set TMPDIR to a folder with room, or serve "
                      "a folder of yours with --root",
                      size >> 20, folder)};
}

void fill(std::vector<char>& piece, std::uint64_t offset) {
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const std::uint64_t at = offset + i;
    const auto word = static_cast<std::uint32_t>(at / 4 * 2654435761U);
    piece[i] = static_cast<char>(static_cast<unsigned char>(word >> (8 * (at % 4))));
  }
}

}  // namespace

Result<std::unique_ptr<LargeFile>> LargeFile::create(std::uint64_t size) {
  std::error_code failed;
  const std::filesystem::path temporary = std::filesystem::temp_directory_path(failed);
  if (failed) return no_room("the folder that TMPDIR names", size);
  std::string folder = (temporary / "sluice-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return no_room(temporary.string(), size);

  std::unique_ptr<LargeFile> file(new LargeFile(std::move(folder)));
  std::ofstream out(file->path_, std::ios::binary);
  std::vector<char> piece(piece_bytes);
  for (std::uint64_t offset = 0; offset < size && out; offset += piece_bytes) {
    fill(piece, offset);
    out.write(piece.data(), static_cast<std::streamsize>(piece.size()));
  }
  out.close();
  if (!out) return no_room(temporary.string(), size);
  return file;
}

void LargeFile::remove() const noexcept {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
  std::filesystem::remove(folder_, ignored);
}

}  // namespace sluice::app
