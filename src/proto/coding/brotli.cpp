// proto/coding/brotli.cpp - br made and undone, over brotli.
//
// RFC 7932. Layer: proto. No I/O.
#include <brotli/decode.h>
#include <brotli/encode.h>

#include <csetjmp>
#include <new>

#include "base/check.hpp"
#include "proto/coding/memory.hpp"
#include "proto/coding/stages.hpp"

namespace sluice::coding {
namespace {

void* take(void* memory, std::size_t bytes) { return static_cast<Memory*>(memory)->take(bytes); }
void give_back(void* memory, void* block) { static_cast<Memory*>(memory)->give_back(block); }

// The encoder ends the process when memory is out (BROTLI_ENCODER_EXIT_ON_OOM, as it is built
// unless somebody says otherwise), so it never hears of it: a jump leads out of it, over frames of
// C only, and what it had is given back over its head. The decoder takes a null.
struct JumpingMemory {
  Memory memory;
  std::jmp_buf out;
};
void* take_or_jump(void* from, std::size_t bytes) {
  auto* jumping = static_cast<JumpingMemory*>(from);
  void* taken = jumping->memory.take(bytes);
  if (!taken) std::longjmp(jumping->out, 1);
  return taken;
}
void give_back_jumping(void* from, void* block) {
  static_cast<JumpingMemory*>(from)->memory.give_back(block);
}

const std::uint8_t* to_brotli(const std::byte* bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes);
}
std::uint8_t* to_brotli(std::byte* bytes) { return reinterpret_cast<std::uint8_t*>(bytes); }

// brotli cannot begin again: its state ends, and what it has asked for is kept for the next.
constexpr std::size_t kKeptByEncoder = std::size_t{3} << 20;
constexpr std::size_t kKeptByDecoder = std::size_t{1} << 20;

class BrotliEncoder final : public Encoder {
 public:
  explicit BrotliEncoder(const EncoderOptions& options) : options_(options) {}
  ~BrotliEncoder() override { end(); }

  bool begin() {
    create();
    if (!state_) return false;
    const auto set = [this](BrotliEncoderParameter which, unsigned value) {
      SLUICE_CHECK(BrotliEncoderSetParameter(state_, which, value));
    };
    set(BROTLI_PARAM_QUALITY, static_cast<unsigned>(options_.level));
    set(BROTLI_PARAM_LGWIN, options_.window_bits);
    // Else a first piece of 1 MiB would choose tables of 4 MiB.
    set(BROTLI_PARAM_SIZE_HINT, kSizeHint);
    return true;
  }

  Step encode(Bytes in, Until until, std::span<std::byte> out) override {
    Step step;
    if (!state_ && !begin()) {
      step.error = Errc::out_of_memory;
      return step;
    }
    // It would call what is behind the end an error.
    if (BrotliEncoderIsFinished(state_)) {
      step.done = true;
      return step;
    }
    Work work{until == Until::taken     ? BROTLI_OPERATION_PROCESS
              : until == Until::flushed ? BROTLI_OPERATION_FLUSH
                                        : BROTLI_OPERATION_FINISH,
              in.size(), out.size(), to_brotli(in.data()), to_brotli(out.data())};
    do {
      if (!compress(work)) {
        memory_.memory.give_back_all();
        state_ = nullptr;
        step.error = Errc::out_of_memory;
        break;
      }
      step.done = work.left == 0 && !BrotliEncoderHasMoreOutput(state_) &&
                  (until != Until::finished || BrotliEncoderIsFinished(state_));
    } while (!step.done && work.room != 0);
    step.used = in.size() - work.left;
    step.made = out.size() - work.room;
    return step;
  }

  void reset() noexcept override { end(); }
  std::size_t memory() const override { return memory_.memory.bytes(); }

 private:
  static constexpr unsigned kSizeHint = 65536;

  struct Work {
    BrotliEncoderOperation operation;
    std::size_t left, room;
    const std::uint8_t* in;
    std::uint8_t* out;
  };
  // Nothing of C++ lives in these two: they may be jumped out of. False when memory is out.
  [[gnu::noinline]] bool compress(Work& work) {
    if (setjmp(memory_.out) != 0) return false;
    return BrotliEncoderCompressStream(state_, work.operation, &work.left, &work.in, &work.room,
                                       &work.out, nullptr) != BROTLI_FALSE;
  }
  [[gnu::noinline]] void create() {
    if (setjmp(memory_.out) != 0) {
      memory_.memory.give_back_all();
      return;
    }
    state_ = BrotliEncoderCreateInstance(&take_or_jump, &give_back_jumping, &memory_);
  }
  void end() noexcept {
    if (state_) BrotliEncoderDestroyInstance(state_);
    state_ = nullptr;
  }

  JumpingMemory memory_{Memory(kKeptByEncoder), {}};
  EncoderOptions options_;
  BrotliEncoderState* state_ = nullptr;
};

// Windows of up to 16 MiB, which is what the RFC has; the "large" ones are not asked for.
class BrotliStage final : public Stage {
 public:
  ~BrotliStage() override { end(); }

  bool begin() {
    state_ = BrotliDecoderCreateInstance(&take, &give_back, &memory_);
    return state_ != nullptr;
  }

  Step decode(Bytes in, std::span<std::byte> out) override {
    Step step;
    if (!state_ && !begin()) {
      step.error = Errc::out_of_memory;
      return step;
    }
    if (at_end()) {
      if (!in.empty()) step.error = Errc::http_bad_content_coding;
      return step;
    }
    std::size_t left = in.size(), room = out.size();
    const std::uint8_t* next_in = to_brotli(in.data());
    std::uint8_t* next_out = to_brotli(out.data());
    const auto verdict =
        BrotliDecoderDecompressStream(state_, &left, &next_in, &room, &next_out, nullptr);
    step.used = in.size() - left;
    step.made = out.size() - room;
    if (verdict == BROTLI_DECODER_RESULT_ERROR) {
      step.error = is_memory(BrotliDecoderGetErrorCode(state_)) ? Errc::out_of_memory
                                                                : Errc::http_bad_content_coding;
    } else if (verdict == BROTLI_DECODER_RESULT_SUCCESS && left != 0) {
      step.error = Errc::http_bad_content_coding;
    }
    return step;
  }
  bool at_end() const override { return state_ && BrotliDecoderIsFinished(state_); }
  void reset() noexcept override { end(); }
  std::size_t memory() const override { return memory_.bytes(); }

 private:
  static bool is_memory(BrotliDecoderErrorCode code) {
    return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
           code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
  }
  void end() noexcept {
    if (state_) BrotliDecoderDestroyInstance(state_);
    state_ = nullptr;
  }

  Memory memory_{kKeptByDecoder};
  BrotliDecoderState* state_ = nullptr;
};

}  // namespace

std::unique_ptr<Encoder> make_brotli_encoder(const EncoderOptions& options) {
  std::unique_ptr<BrotliEncoder> made(new (std::nothrow) BrotliEncoder(options));
  return made && made->begin() ? std::move(made) : nullptr;
}

std::unique_ptr<Stage> make_brotli_stage() {
  std::unique_ptr<BrotliStage> made(new (std::nothrow) BrotliStage);
  return made && made->begin() ? std::move(made) : nullptr;
}

}  // namespace sluice::coding
