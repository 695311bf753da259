// proto/coding/gzip.cpp - gzip made, gzip and deflate undone, over zlib.
//
// RFC 1952 (gzip), 1950 (zlib), 1951 (DEFLATE). Layer: proto. No I/O.
#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#define ZLIB_CONST
#include <zlib.h>

#include "base/check.hpp"
#include "proto/coding/memory.hpp"
#include "proto/coding/stages.hpp"

namespace sluice::coding {
namespace {

// zlib counts in 32 bits.
constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;
constexpr int kGzip = 16;  // added to the bits of a window
constexpr int kBits = 15;

void* take(void* memory, unsigned items, unsigned size) {
  return static_cast<Memory*>(memory)->take(std::size_t{items} * size);
}
void give_back(void* memory, void* block) { static_cast<Memory*>(memory)->give_back(block); }

// One z_stream and its memory. Pinned: zlib points back to both.
struct Stream {
  Memory memory;
  z_stream z{};

  Stream() {
    z.zalloc = &take;
    z.zfree = &give_back;
    z.opaque = &memory;
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  struct Moved {
    std::size_t used, made;
    int verdict;
  };
  // One call of `code` with as much as zlib can count.
  template <class Code>
  Moved run(Bytes in, std::span<std::byte> out, Code&& code) {
    const auto taken = static_cast<unsigned>(std::min(in.size(), kMostAtOnce));
    const auto room = static_cast<unsigned>(std::min(out.size(), kMostAtOnce));
    z.next_in = reinterpret_cast<const Bytef*>(in.data());
    z.avail_in = taken;
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = room;
    const int verdict = code(&z);
    return {taken - z.avail_in, room - z.avail_out, verdict};
  }
};

class GzipEncoder final : public Encoder {
 public:
  ~GzipEncoder() override {
    if (begun_) deflateEnd(&stream_.z);
  }

  // Z_OK or Z_MEM_ERROR. zlib's header has no name and no time, so that equal contents are equal.
  int begin(const EncoderOptions& options) {
    constexpr int kMemoryLevel = 8;
    const int verdict = deflateInit2(&stream_.z, options.level, Z_DEFLATED,
                                     static_cast<int>(options.window_bits) + kGzip, kMemoryLevel,
                                     Z_DEFAULT_STRATEGY);
    begun_ = verdict == Z_OK;
    return verdict;
  }

  Step encode(Bytes in, Until until, std::span<std::byte> out) override {
    Step step;
    for (;;) {
      const std::size_t copied = hand_out(out.subspan(step.made));
      step.made += copied;
      if (waiting() != 0 || step.made == out.size()) break;
      if (is_done(in.size() - step.used, until)) {
        step.done = true;
        break;
      }
      // A flush into little room never ends: what is left of its mark is taken for a next flush.
      const std::size_t room = out.size() - step.made;
      if (room >= kSmall) {
        work(in, until, out.subspan(step.made), step, step.made);
      } else {
        std::size_t made = 0;
        work(in, until, small_, step, made);
        small_begin_ = 0;
        small_end_ = made;
      }
    }
    return step;
  }

  void reset() noexcept override {
    deflateReset(&stream_.z);
    phase_ = Phase::open;
    small_begin_ = small_end_ = 0;
  }
  std::size_t memory() const override { return stream_.memory.bytes(); }

 private:
  static constexpr std::size_t kSmall = 64;
  enum class Phase : std::uint8_t { open, flushed, finished };

  std::size_t waiting() const { return small_end_ - small_begin_; }
  std::size_t hand_out(std::span<std::byte> out) {
    const std::size_t bytes = std::min(out.size(), waiting());
    if (bytes != 0) std::memcpy(out.data(), small_.data() + small_begin_, bytes);
    small_begin_ += bytes;
    return bytes;
  }
  bool is_done(std::size_t left, Until until) const {
    if (phase_ == Phase::finished) return true;
    if (left != 0 || until == Until::finished) return false;
    return until == Until::taken || phase_ == Phase::flushed;
  }

  // One call of zlib; `made` is where what it made is added.
  void work(Bytes in, Until until, std::span<std::byte> out, Step& step, std::size_t& made) {
    const Bytes rest = in.subspan(step.used);
    const bool all = rest.size() <= kMostAtOnce;
    const int flush = !all || until == Until::taken ? Z_NO_FLUSH
                      : until == Until::flushed     ? Z_SYNC_FLUSH
                                                    : Z_FINISH;
    const auto moved = stream_.run(rest, out, [flush](z_stream* z) { return ::deflate(z, flush); });
    SLUICE_CHECK(moved.verdict != Z_STREAM_ERROR);
    step.used += moved.used;
    made += moved.made;
    phase_ = Phase::open;
    if (moved.verdict == Z_STREAM_END) {
      phase_ = Phase::finished;
    } else if (flush == Z_SYNC_FLUSH && moved.used == rest.size() && moved.made < out.size()) {
      phase_ = Phase::flushed;  // it left room: there was nothing more
    }
  }

  Stream stream_;
  bool begun_ = false;
  Phase phase_ = Phase::open;
  std::array<std::byte, kSmall> small_{};
  std::size_t small_begin_ = 0, small_end_ = 0;
};

// inflate() until something is missing: input, room, or what makes sense.
struct Inflated {
  std::size_t used = 0, made = 0;
  bool ended = false;
  Errc error = Errc::none;
};
Inflated inflate_some(Stream& stream, Bytes in, std::span<std::byte> out) {
  Inflated result;
  while (result.made < out.size()) {
    const auto moved = stream.run(in.subspan(result.used), out.subspan(result.made),
                                  [](z_stream* z) { return ::inflate(z, Z_NO_FLUSH); });
    result.used += moved.used;
    result.made += moved.made;
    if (moved.verdict == Z_STREAM_END) {
      result.ended = true;
      return result;
    }
    if (moved.verdict == Z_BUF_ERROR) return result;  // nothing to do
    if (moved.verdict != Z_OK) {
      result.error =
          moved.verdict == Z_MEM_ERROR ? Errc::out_of_memory : Errc::http_bad_content_coding;
      return result;
    }
  }
  return result;
}

// Members one behind the other (RFC 1952 section 2.2); zlib compares their sums and lengths.
class GzipStage final : public Stage {
 public:
  ~GzipStage() override {
    if (begun_) inflateEnd(&stream_.z);
  }
  int begin() {
    const int verdict = inflateInit2(&stream_.z, kBits + kGzip);
    begun_ = verdict == Z_OK;
    return verdict;
  }

  Step decode(Bytes in, std::span<std::byte> out) override {
    Step step;
    for (;;) {
      if (at_end_) {
        if (step.used == in.size()) return step;
        // Known by its first byte, so that one byte too many is no member that is cut short.
        if (in[step.used] != std::byte{0x1f}) {
          step.error = Errc::http_bad_content_coding;
          return step;
        }
        inflateReset(&stream_.z);
        at_end_ = false;
      }
      const Inflated part = inflate_some(stream_, in.subspan(step.used), out.subspan(step.made));
      step.used += part.used;
      step.made += part.made;
      step.error = part.error;
      at_end_ = part.ended;
      if (!part.ended) return step;
    }
  }
  bool at_end() const override { return at_end_; }
  void reset() noexcept override {
    inflateReset(&stream_.z);
    at_end_ = false;
  }
  std::size_t memory() const override { return stream_.memory.bytes(); }

 private:
  Stream stream_;
  bool begun_ = false, at_end_ = false;
};

// zlib's format as RFC 9110 section 8.4.1.2 says, or raw DEFLATE as some send it and browsers take
// it. The first two bytes tell: raw ones would have to begin with a stored block whose padding is
// not zero, which nobody writes.
class DeflateStage final : public Stage {
 public:
  ~DeflateStage() override {
    if (begun_) inflateEnd(&stream_.z);
  }
  int begin() {
    const int verdict = inflateInit2(&stream_.z, kBits);
    begun_ = verdict == Z_OK;
    return verdict;
  }

  Step decode(Bytes in, std::span<std::byte> out) override {
    Step step;
    while (front_size_ < front_.size() && step.used < in.size()) {
      front_[front_size_++] = in[step.used++];
    }
    if (front_size_ == front_.size() && !told_) {
      told_ = true;
      SLUICE_CHECK(inflateReset2(&stream_.z, is_zlib() ? kBits : -kBits) == Z_OK);
    }
    if (front_size_ < front_.size()) return step;
    while (!at_end_ && front_fed_ < front_.size()) {
      const Inflated part =
          inflate_some(stream_, Bytes(front_).subspan(front_fed_), out.subspan(step.made));
      front_fed_ += part.used;
      if (!take_over(part, step) || step.made == out.size()) return step;
    }
    if (!at_end_) {
      const Inflated part = inflate_some(stream_, in.subspan(step.used), out.subspan(step.made));
      step.used += part.used;
      if (!take_over(part, step)) return step;
    }
    if (at_end_ && (step.used < in.size() || front_fed_ < front_.size())) {
      step.error = Errc::http_bad_content_coding;
    }
    return step;
  }
  bool at_end() const override { return at_end_; }
  void reset() noexcept override {
    inflateReset(&stream_.z);
    front_size_ = front_fed_ = 0;
    told_ = at_end_ = false;
  }
  std::size_t memory() const override { return stream_.memory.bytes(); }

 private:
  // False when it has failed.
  bool take_over(const Inflated& part, Step& step) {
    step.made += part.made;
    step.error = part.error;
    at_end_ = part.ended;
    return part.error == Errc::none;
  }
  // RFC 1950 section 2.2: method 8, a window that exists, a sum; a preset dictionary is nobody's.
  bool is_zlib() const {
    const auto first = std::to_integer<unsigned>(front_[0]);
    const auto second = std::to_integer<unsigned>(front_[1]);
    return (first & 15) == 8 && first >> 4 <= 7 && (first * 256 + second) % 31 == 0;
  }

  Stream stream_;
  bool begun_ = false, told_ = false, at_end_ = false;
  std::array<std::byte, 2> front_{};
  std::size_t front_size_ = 0, front_fed_ = 0;
};

template <class T, class Base, class... Arguments>
std::unique_ptr<Base> made(const Arguments&... arguments) {
  std::unique_ptr<T> it(new (std::nothrow) T);
  if (!it) return nullptr;
  const int verdict = it->begin(arguments...);
  if (verdict == Z_MEM_ERROR) return nullptr;
  SLUICE_CHECK(verdict == Z_OK);
  return it;
}

}  // namespace

std::unique_ptr<Encoder> make_gzip_encoder(const EncoderOptions& options) {
  return made<GzipEncoder, Encoder>(options);
}
std::unique_ptr<Stage> make_gzip_stage() { return made<GzipStage, Stage>(); }
std::unique_ptr<Stage> make_deflate_stage() { return made<DeflateStage, Stage>(); }

}  // namespace sluice::coding
