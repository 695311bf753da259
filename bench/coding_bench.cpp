// bench/coding_bench.cpp - what a level and a window of a content coding cost, and what they save.
//
// coding_bench [FILE]: codes the file (else three made-up contents: a page, JSON rows, log lines)
// in pieces of 16 KiB, as a handler streams it. One line for each coding, level and window: size in
// per cent, MiB/s and microseconds for 16 KiB of it on its own (of CPU time, as a busy machine does
// not change it much), KiB held. Layer: bench.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "proto/coding/decoder.hpp"
#include "proto/coding/encoder.hpp"

namespace {

using sluice::Bytes;
using sluice::coding::Encoder;
using sluice::coding::EncoderOptions;
using sluice::http::ContentCoding;

constexpr std::size_t kPiece = 16384;

// Coded size.
std::size_t code(Encoder& encoder, Bytes in, std::vector<std::byte>& out) {
  std::size_t made = 0;
  encoder.reset();
  for (bool last = false; !last;) {
    Bytes piece = in.first(std::min(kPiece, in.size()));
    in = in.subspan(piece.size());
    last = in.empty();
    for (bool done = false; !done;) {
      const auto step = encoder.encode(
          piece, last ? Encoder::Until::finished : Encoder::Until::taken, std::span(out));
      SLUICE_CHECK(step.error == sluice::Errc::none);
      made += step.made;
      piece = piece.subspan(step.used);
      done = step.done;
    }
  }
  return made;
}

double seconds_each(Encoder& encoder, Bytes in, std::vector<std::byte>& out) {
  code(encoder, in, out);
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    const std::clock_t begun = std::clock();
    int times = 0;
    double passed = 0;
    do {
      code(encoder, in, out);
      ++times;
      passed = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    } while (passed < 0.02);
    best = std::min(best, passed / times);
  }
  return best;
}

std::string rows(std::size_t bytes) {
  std::mt19937 random(1);
  std::string text = "[";
  while (text.size() < bytes) {
    text +=
        "{\"id\":" + std::to_string(random() % 1'000'000) + ",\"name\":\"user" +
        std::to_string(random() % 5000) + "\",\"email\":\"user" + std::to_string(random() % 5000) +
        "@example.org\",\"active\":" + (random() % 2 ? "true" : "false") +
        ",\"score\":" + std::to_string(random() % 10000) + "." + std::to_string(random() % 100) +
        ",\"tags\":[\"a" + std::to_string(random() % 50) + "\",\"b\"]},\n";
  }
  return text;
}

std::string page(std::size_t bytes) {
  std::mt19937 random(2);
  std::vector<std::string> words;
  for (int i = 0; i < 4000; ++i) {
    std::string word;
    for (auto n = 2 + random() % 8; n > 0; --n) word += static_cast<char>('a' + random() % 26);
    words.push_back(word);
  }
  std::string text = "<!doctype html><html><body>\n";
  while (text.size() < bytes) {
    text += "<div class=\"row\"><a href=\"/item/" + std::to_string(random() % 10000) + "\">";
    for (int i = 0; i < 24; ++i) {
      // Few words often, many seldom.
      const double at = static_cast<double>(random()) / 4294967296.0;
      text += words[static_cast<std::size_t>(at * at * at * 4000)] + " ";
    }
    text += "</a></div>\n";
  }
  return text;
}

std::string lines(std::size_t bytes) {
  std::mt19937 random(3);
  std::string text;
  while (text.size() < bytes) {
    text += "2026-11-23T18:" + std::to_string(10 + random() % 50) + ":" +
            std::to_string(10 + random() % 50) + "Z INFO request method=GET path=/api/v1/items/" +
            std::to_string(random() % 500) + " status=200 bytes=1234 agent=\"Mozilla/5.0\"\n";
  }
  return text;
}

void measure(const char* name, const std::string& text) {
  std::printf("%s, %zu bytes\n%-5s %5s %6s %9s %8s %12s %7s %8s\n", name, text.size(), "", "level",
              "window", "per cent", "MiB/s", "us a 16 KiB", "ratio", "KiB");
  const std::pair<ContentCoding, std::pair<std::vector<int>, std::vector<unsigned>>> all[] = {
      {ContentCoding::gzip, {{1, 4, 5, 6, 9}, {15}}},
      {ContentCoding::br, {{2, 3, 4, 5}, {16, 17, 18, 22}}},
      {ContentCoding::zstd, {{1, 2, 3, 5, 9}, {16, 17, 19, 21}}},
  };
  std::vector<std::byte> out(kPiece);
  const Bytes in = sluice::as_bytes(text), small = in.first(std::min(kPiece, in.size()));
  for (const auto& [coding, numbers] : all) {
    for (const unsigned bits : numbers.second) {
      for (const int level : numbers.first) {
        auto encoder = Encoder::make(coding, EncoderOptions{level, bits});
        const double seconds = seconds_each(*encoder, in, out);
        const std::size_t size = code(*encoder, in, out);
        const std::size_t memory = encoder->memory();
        const double each = seconds_each(*encoder, small, out);
        const auto bytes = static_cast<double>(in.size());
        std::printf("%-5s %5d %6u %9.2f %8.1f %12.1f %7.1f %8zu\n",
                    std::string(sluice::http::coding_name(coding)).c_str(), level, bits,
                    100.0 * static_cast<double>(size) / bytes, bytes / seconds / 1048576,
                    each * 1e6, bytes / static_cast<double>(size), memory / 1024);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    std::ifstream in(argv[1], std::ios::binary);
    measure(argv[1], {std::istreambuf_iterator<char>(in), {}});
    return 0;
  }
  measure("page", page(300'000));
  measure("rows", rows(300'000));
  measure("lines", lines(300'000));
  return 0;
}
