// proto/coding/zstd.cpp - zstd made and undone, over zstd.
//
// RFC 8878, and RFC 9659: windows of 8 MiB at most. Layer: proto. No I/O.
#include <algorithm>
#include <array>
#include <cstdint>
#include <new>

// For ZSTD_createCCtx_advanced and ZSTD_createDCtx_advanced, which are how memory is counted and
// made to fail; the shared library exports them, and their signatures have not changed since 1.0.
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include "base/check.hpp"
#include "proto/coding/memory.hpp"
#include "proto/coding/stages.hpp"

namespace sluice::coding {
namespace {

constexpr int kMostWindowBits = 23;  // RFC 9659 section 3

void* take(void* memory, std::size_t bytes) { return static_cast<Memory*>(memory)->take(bytes); }
void give_back(void* memory, void* block) { static_cast<Memory*>(memory)->give_back(block); }
ZSTD_customMem from(Memory& memory) { return {&take, &give_back, &memory}; }

bool is_memory(std::size_t verdict) {
  return ZSTD_getErrorCode(verdict) == ZSTD_error_memory_allocation;
}

class ZstdEncoder final : public Encoder {
 public:
  ~ZstdEncoder() override { ZSTD_freeCCtx(context_); }

  bool begin(const EncoderOptions& options) {
    context_ = ZSTD_createCCtx_advanced(from(memory_));
    if (!context_) return false;
    const auto set = [this](ZSTD_cParameter which, int value) {
      SLUICE_CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(context_, which, value)));
    };
    set(ZSTD_c_compressionLevel, options.level);
    set(ZSTD_c_windowLog, static_cast<int>(options.window_bits));
    // TCP and TLS have sums of their own.
    set(ZSTD_c_checksumFlag, 0);
    return true;
  }

  Step encode(Bytes in, Until until, std::span<std::byte> out) override {
    Step step;
    // What is behind a frame would be a next one.
    if (finished_) {
      step.done = true;
      return step;
    }
    const ZSTD_EndDirective operation = until == Until::taken     ? ZSTD_e_continue
                                        : until == Until::flushed ? ZSTD_e_flush
                                                                  : ZSTD_e_end;
    ZSTD_inBuffer source{in.data(), in.size(), 0};
    ZSTD_outBuffer target{out.data(), out.size(), 0};
    do {
      const std::size_t left = ZSTD_compressStream2(context_, &target, &source, operation);
      if (ZSTD_isError(left)) {
        SLUICE_CHECK(is_memory(left));
        step.error = Errc::out_of_memory;
        break;
      }
      step.done = source.pos == source.size && (until == Until::taken || left == 0);
    } while (!step.done && target.pos < target.size);
    finished_ = step.done && until == Until::finished;
    step.used = source.pos;
    step.made = target.pos;
    return step;
  }

  void reset() noexcept override {
    ZSTD_CCtx_reset(context_, ZSTD_reset_session_only);
    finished_ = false;
  }
  std::size_t memory() const override { return memory_.bytes(); }

 private:
  Memory memory_;
  ZSTD_CCtx* context_ = nullptr;
  bool finished_ = false;
};

// Frames one behind the other, also such that are to be skipped (RFC 8878 section 3).
class ZstdStage final : public Stage {
 public:
  ~ZstdStage() override { ZSTD_freeDCtx(context_); }

  bool begin() {
    context_ = ZSTD_createDCtx_advanced(from(memory_));
    if (!context_) return false;
    SLUICE_CHECK(
        !ZSTD_isError(ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, kMostWindowBits)));
    return true;
  }

  Step decode(Bytes in, std::span<std::byte> out) override {
    Step step;
    while (step.error == Errc::none && step.made < out.size()) {
      if (head_size_ < kMagic) {
        if (step.used == in.size()) break;
        take_magic(in, step);
        if (head_size_ < kMagic) continue;
        std::size_t fed = 0;
        step.error = run(Bytes(head_).first(kMagic), fed, out, step);
        SLUICE_CHECK(step.error != Errc::none || fed == kMagic);
        continue;
      }
      const std::size_t used = step.used, made = step.made;
      const bool in_head = head_size_ < head_.size();
      step.error =
          run(in_head ? in.first(std::min(used + 1, in.size())) : in, step.used, out, step);
      if (step.used == used && step.made == made) break;
      if (in_head && step.used != used) head_[head_size_++] = in[used];
      frame_made_ += step.made - made;
      if (frame_ended_) end_frame(step);
    }
    return step;
  }
  bool at_end() const override { return frames_ && head_size_ == 0; }
  void reset() noexcept override {
    ZSTD_DCtx_reset(context_, ZSTD_reset_session_only);
    head_size_ = 0;
    frame_made_ = 0;
    frame_ended_ = frames_ = false;
  }
  std::size_t memory() const override { return memory_.bytes(); }

 private:
  // RFC 8878 section 3.1.1: the magic number, and a head of up to 14 bytes. They are fed one by
  // one: where the library gets more with the last of them, it looks for a frame that is whole at
  // the beginning of what it got, as if no part of the head had come before; and what is there can
  // be made to look like one.
  static constexpr std::size_t kMagic = 4, kMostHead = 14;

  // The first bytes of a frame. Read here, because what the library was built with may understand
  // formats from before the RFC as well.
  void take_magic(Bytes in, Step& step) {
    const unsigned byte = std::to_integer<unsigned>(in[step.used]);
    constexpr std::array<unsigned, kMagic> kFrame = {0x28, 0xb5, 0x2f, 0xfd};
    constexpr std::array<unsigned, kMagic> kSkipped = {0x50, 0x2a, 0x4d, 0x18};
    if (head_size_ == 0) is_skipped_ = byte >> 4 == 5;
    const unsigned want = is_skipped_ ? kSkipped[head_size_] : kFrame[head_size_];
    if (byte != want && !(is_skipped_ && head_size_ == 0)) {
      step.error = Errc::http_bad_content_coding;
      return;
    }
    head_[head_size_++] = in[step.used++];
  }

  Errc run(Bytes in, std::size_t& used, std::span<std::byte> out, Step& step) {
    ZSTD_inBuffer source{in.data(), in.size(), used};
    ZSTD_outBuffer target{out.data(), out.size(), step.made};
    const std::size_t left = ZSTD_decompressStream(context_, &target, &source);
    used = source.pos;
    step.made = target.pos;
    if (ZSTD_isError(left)) {
      return is_memory(left) ? Errc::out_of_memory : Errc::http_bad_content_coding;
    }
    frame_ended_ = left == 0;
    return Errc::none;
  }

  // The size that a head says is compared here: in a stream the library does so only where the last
  // block is not empty. For a frame to be skipped it is 0.
  void end_frame(Step& step) {
    const unsigned long long size = ZSTD_getFrameContentSize(head_.data(), head_size_);
    if (size != ZSTD_CONTENTSIZE_UNKNOWN && size != frame_made_) {
      step.error = Errc::http_bad_content_coding;
    }
    frames_ = true;
    head_size_ = 0;
    frame_made_ = 0;
    frame_ended_ = false;
  }

  Memory memory_;
  ZSTD_DCtx* context_ = nullptr;
  std::array<std::byte, kMagic + kMostHead> head_{};
  std::size_t head_size_ = 0;  // so far
  std::uint64_t frame_made_ = 0;
  bool is_skipped_ = false, frame_ended_ = false, frames_ = false;
};

}  // namespace

std::unique_ptr<Encoder> make_zstd_encoder(const EncoderOptions& options) {
  std::unique_ptr<ZstdEncoder> made(new (std::nothrow) ZstdEncoder);
  return made && made->begin(options) ? std::move(made) : nullptr;
}

std::unique_ptr<Stage> make_zstd_stage() {
  std::unique_ptr<ZstdStage> made(new (std::nothrow) ZstdStage);
  return made && made->begin() ? std::move(made) : nullptr;
}

}  // namespace sluice::coding
