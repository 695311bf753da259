// proto/coding/raw_deflate.cpp - DEFLATE without a wrapper, over zlib.
//
// RFC 1951. Layer: proto. No I/O.
#include "proto/coding/raw_deflate.hpp"

#include <algorithm>
#include <limits>
#include <new>

#define ZLIB_CONST
#include <zlib.h>

#include "base/check.hpp"

namespace sluice::coding {

// Pinned: what zlib keeps points back to it.
struct ZStream {
  z_stream z{};
  bool deflates = false;
  bool begun = false;
};

void ZStreamEnd::operator()(ZStream* stream) const {
  if (stream->begun) {
    if (stream->deflates) {
      deflateEnd(&stream->z);
    } else {
      inflateEnd(&stream->z);
    }
  }
  delete stream;
}

namespace {

// zlib counts in 32 bits.
constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;

// From operator new, so that what fails or counts allocations sees these, too.
void* take(void*, unsigned items, unsigned size) {
  return ::operator new (std::size_t{items} * size, std::nothrow);
}
void give_back(void*, void* memory) { ::operator delete(memory); }

std::unique_ptr<ZStream, ZStreamEnd> make_stream(bool deflates) {
  std::unique_ptr<ZStream, ZStreamEnd> stream(new (std::nothrow) ZStream);
  if (!stream) return nullptr;
  stream->deflates = deflates;
  stream->z.zalloc = &take;
  stream->z.zfree = &give_back;
  return stream;
}

unsigned at_most(std::size_t bytes) { return static_cast<unsigned>(std::min(bytes, kMostAtOnce)); }

const Bytef* to_zlib(const std::byte* bytes) { return reinterpret_cast<const Bytef*>(bytes); }
Bytef* to_zlib(std::byte* bytes) { return reinterpret_cast<Bytef*>(bytes); }

// Without a wrapper zlib has no window of 256 bytes when it compresses. With one of 512 it looks
// 250 bytes back at most (a match of the greatest length must fit in front of it), which a window
// of 256 holds.
int raw_bits(unsigned window_bits) { return -static_cast<int>(std::max(window_bits, 9u)); }

}  // namespace

std::unique_ptr<Deflater> Deflater::make(const DeflateOptions& options) {
  auto stream = make_stream(true);
  std::unique_ptr<Deflater> made(new (std::nothrow) Deflater);
  if (!stream || !made) return nullptr;
  const int verdict = deflateInit2(&stream->z, static_cast<int>(options.level), Z_DEFLATED,
                                   raw_bits(options.window_bits),
                                   static_cast<int>(options.memory_level), Z_DEFAULT_STRATEGY);
  if (verdict == Z_MEM_ERROR) return nullptr;
  SLUICE_CHECK(verdict == Z_OK);
  stream->begun = true;
  made->stream_ = std::move(stream);
  return made;
}

std::size_t Deflater::flush(Bytes in, std::span<std::byte> out) {
  z_stream& z = stream_->z;
  std::size_t made = 0;
  while (!in.empty()) {
    const unsigned taken = at_most(in.size()), room = at_most(out.size() - made);
    z.next_in = to_zlib(in.data());
    z.avail_in = taken;
    z.next_out = to_zlib(out.data() + made);
    z.avail_out = room;
    const int verdict = ::deflate(&z, taken == in.size() ? Z_SYNC_FLUSH : Z_NO_FLUSH);
    made += room - z.avail_out;
    // A full `out` is taken for one that is too small: only a next call could tell.
    if (verdict != Z_OK || z.avail_out == 0) return 0;
    in = in.subspan(taken - z.avail_in);
  }
  return made;
}

void Deflater::reset() { deflateReset(&stream_->z); }

std::unique_ptr<Inflater> Inflater::make(unsigned window_bits) {
  auto stream = make_stream(false);
  std::unique_ptr<Inflater> made(new (std::nothrow) Inflater);
  if (!stream || !made) return nullptr;
  const int verdict = inflateInit2(&stream->z, raw_bits(window_bits));
  if (verdict == Z_MEM_ERROR) return nullptr;
  SLUICE_CHECK(verdict == Z_OK);
  stream->begun = true;
  made->stream_ = std::move(stream);
  return made;
}

Inflater::Step Inflater::inflate(Bytes in, std::span<std::byte> out) {
  constexpr int kAfterBlock = 128, kUnusedBits = 7;  // in data_type
  z_stream& z = stream_->z;
  Step step;
  for (;;) {
    const unsigned taken = at_most(in.size() - step.used), room = at_most(out.size() - step.made);
    z.next_in = to_zlib(in.data() + step.used);
    z.avail_in = taken;
    z.next_out = to_zlib(out.data() + step.made);
    z.avail_out = room;
    const int verdict = ::inflate(&z, Z_SYNC_FLUSH);
    step.used += taken - z.avail_in;
    step.made += room - z.avail_out;
    if (verdict == Z_STREAM_END) {
      // Keeps the window: the next block may refer to it.
      inflateResetKeep(&z);
      at_boundary_ = true;
    } else if (verdict == Z_OK) {
      at_boundary_ = (z.data_type & kAfterBlock) != 0 && (z.data_type & kUnusedBits) == 0;
    } else if (verdict != Z_BUF_ERROR) {  // which says that there was nothing to do
      step.bad = true;
      step.no_memory = verdict == Z_MEM_ERROR;
      return step;
    }
    if (step.used == in.size() || step.made == out.size()) return step;
  }
}

void Inflater::reset() {
  inflateReset(&stream_->z);
  at_boundary_ = true;
}

}  // namespace sluice::coding
