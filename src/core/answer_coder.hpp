// core/answer_coder.hpp - content codings of answers on their way (ADR 32).
//
// respond_coded() and begin_stream() stand between whoever answers and the exchange's port. A short
// body in memory is coded at once, with its length. Anything else passes an AnswerCoder, which
// takes the port's place: long bodies in memory in pieces, one each turn, so that they hold the
// shard for a few milliseconds at most; streams as they are written, with a flush whenever no more
// comes at the moment. Layer: core. Thread: shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/shared_bytes.hpp"
#include "base/timer_wheel.hpp"
#include "core/port_filter.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "proto/coding/encoder.hpp"

namespace sluice::core {

// Who has the next piece of a stream.
enum class Pace : std::uint8_t {
  pushed,  // whoever writes: what was written is flushed when the turn ends
  pulled,  // it is asked for at once: flushed when it does not come within a tick or two
};

// exchange.answer is complete. Instead of exchange.port->respond(). Precondition: the shard's
// settings have `codings`.
void respond_coded(Exchange& exchange);

// Instead of exchange.port->begin_stream(), which it calls; what follows goes to exchange.port.
void begin_coded_stream(Exchange& exchange, Pace pace);
inline void begin_stream(Exchange& exchange, Pace pace) {
  if (exchange.shard.settings().codings) [[unlikely]] {
    return begin_coded_stream(exchange, pace);
  }
  exchange.port->begin_stream(exchange);
}

// exchange.answer is a 304 with the fields that its 200 would have as well: their ETag and Vary
// become what that would say. `type`, `fields` and `size` are those of the 200. Nothing where
// nothing is coded.
void describe_not_modified(Exchange& exchange, std::string_view type, std::string_view fields,
                           std::optional<std::uint64_t> size);

class AnswerCoder final : public PortFilter, public std::enable_shared_from_this<AnswerCoder> {
 public:
  // In one turn as much of a body in memory is coded.
  static constexpr std::size_t kAtOnce = 64 * 1024, kPerTurn = 128 * 1024;

  AnswerCoder(Exchange& exchange, http::ContentCoding coding, Pace pace);
  ~AnswerCoder();
  // Of exchange.shard.encoders, once, before anything is written.
  void use(std::unique_ptr<coding::Encoder> encoder) { encoder_ = std::move(encoder); }

  // Sends `body`, and the end. `variants`: the coded form is kept there; may be null.
  void send_all(base::SharedBytes body, std::shared_ptr<CodedVariants> variants);
  // There is room again.
  void on_writable();
  // The client has gone, or the exchange ends: nothing is made any more.
  void detach();

  bool write_stream(Exchange& exchange, Bytes bytes) override;
  bool write_stream_shared(Exchange& exchange, const base::SharedBytes& bytes) override;
  void end_stream(Exchange& exchange, std::string_view trailer_lines) override;
  void break_off(Exchange& exchange, const Error& why) override;

 private:
  using Until = coding::Encoder::Until;
  static void fired(void* self);
  bool encode(Bytes in, Until until);
  void flush_soon();
  void flush();
  void advance();
  void next_turn(void (AnswerCoder::*work)());
  bool is_over() const;
  void collect(Bytes coded);
  void release_claim();
  void let_encoder_go();

  Exchange* exchange_;  // null: it has gone
  Shard& shard_;
  const http::ContentCoding coding_;
  const Pace pace_;
  std::unique_ptr<coding::Encoder> encoder_;
  base::Timer timer_;
  bool full_ = false, dirty_ = false, posted_ = false;
  // A body in memory.
  base::SharedBytes body_;
  std::size_t at_ = 0;
  std::shared_ptr<CodedVariants> variants_;  // ours to make
  std::string collected_;
};

}  // namespace sluice::core
