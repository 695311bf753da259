// service/files/stream_body.hpp - a response body that is read from a std::istream, or made by a
// function of the application.
//
// A stream is measured and read on the file pool in pieces, one at a time; the next piece is read
// when the connection has taken the one before. A seekable stream is ranged like a file (RFC 9110
// section 14), and the preconditions are judged by the validators that the application has set. The
// head leaves with the first piece: what breaks before is a 500.
// Layer: service. Thread: shard, but for what runs on the pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/http_response.hpp>

#include "base/task.hpp"

namespace sluice::core {
class Exchange;
}

namespace sluice::service {

// Lifetime: shared by exchange.stream_state and the job that is running. Keeps one use of the
// exchange until it is over.
class StreamBody : public std::enable_shared_from_this<StreamBody> {
 public:
  static constexpr std::size_t kPiece = 64 * 1024;
  using Submit = std::function<bool(base::Task)>;

  // Takes exchange.answer.source or .producer over. `submit` outlives this.
  StreamBody(core::Exchange& exchange, const Submit& submit);

  void begin();
  void writable();
  void aborted();

 private:
  // A run of the body: text of its own, or `length` bytes of the stream from `first` on.
  struct Run {
    std::string text;
    std::optional<std::uint64_t>
        first;  // behind where the stream stood at the start; absent: where it stands
    std::optional<std::uint64_t> length;  // absent: to its end
  };

  // Pool.
  void measure();
  void read();
  void read_stream(std::size_t most);
  void read_produced(std::size_t most);

  // Shard.
  bool submit(void (StreamBody::*work)(), void (StreamBody::*done)());
  void run(void (StreamBody::*step)());
  void begin_measuring();
  void measured();
  bool plan_length();
  bool plan_ranges();
  void answer_now();
  void begin_once();
  void send(Bytes bytes);
  void advance();
  void arrived();
  void fail(Errc code, std::string words);
  void finish();

  core::Exchange& exchange_;
  const Submit& submit_;
  std::unique_ptr<std::istream> source_;
  sluice::BodyProducer producer_;  // one of the two

  // Written by the pool while `busy_`.
  std::istream::pos_type origin_{};
  bool seekable_ = false, failed_ = false;
  bool at_end_ = false;          // there is no more behind this piece
  Error why_;                    // the application's own, when it failed
  std::exception_ptr what_;      // or what it threw
  std::uint64_t available_ = 0;  // from origin_ to the end, when seekable
  std::vector<char> piece_;
  std::size_t piece_size_ = 0;

  bool busy_ = false, begun_ = false, full_ = false, over_ = false;
  std::optional<std::uint64_t> length_;
  std::vector<Run> runs_;
  std::size_t run_ = 0;
};

}  // namespace sluice::service
