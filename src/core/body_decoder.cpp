// core/body_decoder.cpp - see body_decoder.hpp.
#include "core/body_decoder.hpp"

#include <utility>

#include "core/session.hpp"
#include "core/step.hpp"

namespace sluice::core {
namespace {

constexpr std::size_t kRoom = 16 * 1024;

}  // namespace

BodyDecoder::BodyDecoder(Exchange& exchange, std::unique_ptr<coding::Decoder> decoder)
    : PortFilter(*exchange.port),
      exchange_(&exchange),
      shard_(exchange.shard),
      decoder_(std::move(decoder)) {}

void BodyDecoder::detach() {
  exchange_ = nullptr;
  decoder_.reset();
  block_.reset();
  left_ = {};
}

bool BodyDecoder::is_over() const { return !exchange_ || !exchange_->port || !decoder_; }

void BodyDecoder::on_piece(base::Block& block, std::span<std::byte> piece) {
  if (is_over()) return;
  if (!drained_) {  // the front could not wait at once
    waiting_.append(as_text(piece));
    return;
  }
  drained_ = false;
  block_ = base::BlockRef::share(block);
  left_ = piece;
  go_on();
}

void BodyDecoder::on_end() {
  ending_ = true;
  if (!is_over()) go_on();
}

void BodyDecoder::go_on() {
  const auto self = shared_from_this();
  if (working_ || is_over()) return;
  step(*exchange_, [this] {
    working_ = true;
    std::size_t made = 0;
    while (!is_over() && !paused_ && !is_done()) {
      if (made >= kPerTurn) {
        go_on_next_turn();
        break;
      }
      decode(made);
    }
    working_ = false;
    if (is_over()) return;
    if (is_done() && !paused_) {
      if (ending_ && !std::exchange(told_end_, true)) {
        exchange_->shard.session.on_decoded_end(*exchange_);
      } else {
        let_front_go_on();
      }
    } else if (!ending_ && !std::exchange(holds_front_, true)) {
      inner_->pause_body(*exchange_);
    }
  });
}

// Nothing comes of what is here.
bool BodyDecoder::is_done() const { return drained_ && (!ending_ || finished_); }

void BodyDecoder::decode(std::size_t& made) {
  base::BlockRef room = shard_.blocks.take(kRoom);
  if (!room) return fail(Errc::out_of_memory);
  const bool last = ending_ && waiting_.empty();
  const auto step = decoder_->decode(left_, last, {room->data(), kRoom});
  left_ = left_.subspan(step.used);
  if (step.error != Errc::none) return fail(step.error);
  if (step.done) {
    block_.reset();
    drained_ = waiting_.empty();
    finished_ = last;
    current_ = std::exchange(waiting_, {});
    left_ = as_bytes(std::string_view(current_));
  }
  made += step.made;
  if (step.made > 0) {
    exchange_->shard.session.on_decoded(*exchange_, *room, {room->data(), step.made});
  }
}

void BodyDecoder::fail(Errc code) {
  decoder_.reset();
  Exchange& exchange = *exchange_;
  if (!exchange.answered && !exchange.late) {
    exchange.shard.session.respond_error(exchange, code);
  } else {
    exchange.port->break_off(exchange, code);
  }
}

void BodyDecoder::let_front_go_on() {
  if (std::exchange(holds_front_, false)) inner_->resume_body(*exchange_);
}

void BodyDecoder::go_on_next_turn() {
  if (posted_) return;
  posted_ = shard_.mailbox->post_always([self = shared_from_this()] {
    self->posted_ = false;
    self->go_on();
  });
}

void BodyDecoder::pause_body(Exchange& exchange) {
  paused_ = true;
  if (!ending_ && !std::exchange(holds_front_, true)) inner_->pause_body(exchange);
}

// Who takes the body does not expect the next piece before this returns.
void BodyDecoder::resume_body(Exchange&) {
  if (!std::exchange(paused_, false)) return;
  go_on_next_turn();
}

}  // namespace sluice::core
