// core/body_decoder.hpp - bodies of requests that came with a content coding (ADR 32).
//
// It stands between the front's pieces and whoever takes the body, and takes the port's place to
// learn when that shall wait: a few bytes may become many, and no more of them are made than are
// taken. Layer: core. Thread: shard.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/block.hpp"
#include "core/port_filter.hpp"
#include "core/shard.hpp"
#include "proto/coding/decoder.hpp"

namespace sluice::core {

class BodyDecoder final : public PortFilter, public std::enable_shared_from_this<BodyDecoder> {
 public:
  // In one turn about as much is made.
  static constexpr std::size_t kPerTurn = 256 * 1024;
  static constexpr std::size_t kMostCodings = 2;

  BodyDecoder(Exchange& exchange, std::unique_ptr<coding::Decoder> decoder);

  // What the front has received; the same block is kept while there is something left of it.
  void on_piece(base::Block& block, std::span<std::byte> piece);
  void on_end();
  // The client has gone, or the exchange ends.
  void detach();

  void pause_body(Exchange& exchange) override;
  void resume_body(Exchange& exchange) override;

 private:
  void go_on();
  void go_on_next_turn();
  void decode(std::size_t& made);
  void fail(Errc code);
  void let_front_go_on();
  bool is_over() const;
  bool is_done() const;

  Exchange* exchange_;  // null: it has gone
  Shard& shard_;
  std::unique_ptr<coding::Decoder> decoder_;
  base::BlockRef block_;
  std::string current_, waiting_;  // what came although the front was told to wait
  Bytes left_;                     // of what has come, in block_ or current_
  bool paused_ = false;            // whoever takes the body waits
  bool holds_front_ = false;       // the front waits for us
  bool working_ = false, posted_ = false;
  bool drained_ = true;  // nothing comes of what has come
  bool ending_ = false;  // all has come
  bool finished_ = false, told_end_ = false;
};

}  // namespace sluice::core
