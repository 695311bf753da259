// fuzz/replay_main.cpp - runs one fuzz target over kept inputs, in builds without libFuzzer.
//
// Takes files and folders; runs the empty input first, then each file. A failed assertion of the
// target ends the program, which fails the test. Layer: tests. Thread: main.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

// All regular files named by `arguments`, those of folders included, in a stable order.
std::vector<fs::path> inputs(const std::vector<std::string>& arguments) {
  std::vector<fs::path> files;
  for (const std::string& argument : arguments) {
    if (fs::is_directory(argument)) {
      for (const auto& entry : fs::recursive_directory_iterator(argument)) {
        if (entry.is_regular_file()) files.push_back(entry.path());
      }
    } else if (fs::exists(argument)) {
      files.emplace_back(argument);
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint8_t nothing = 0;
  LLVMFuzzerTestOneInput(&nothing, 0);
  const std::vector<fs::path> files = inputs({argv + 1, argv + argc});
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
    std::printf("%s (%zu bytes)\n", file.c_str(), bytes.size());
    std::fflush(stdout);
    // A copy of exactly this size: reading one byte too far is seen by AddressSanitizer.
    const std::vector<std::uint8_t> input(bytes.begin(), bytes.end());
    LLVMFuzzerTestOneInput(input.empty() ? &nothing : input.data(), input.size());
  }
  std::printf("%zu inputs\n", files.size() + 1);
  return 0;
}
