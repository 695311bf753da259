// tests/service/harness.hpp - one shard, a file service and a front that remembers what it was
// given.
//
// Requests go through the real decoder, session and file pool; there is no socket, and the test is
// the clock. Layer: tests.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/block.hpp"
#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "io/file_pool.hpp"
#include "proto/http1/request_decoder.hpp"
#include "service/files/answer.hpp"
#include "service/files/file_service.hpp"
#include "service/files/stream_body.hpp"
#include "support/quiet_connection.hpp"

namespace sluice::test {

// What the front was told for one exchange.
struct Outcome {
  int status = 0;
  std::string fields;  // complete lines
  std::string type, body, trailers;
  std::optional<std::uint64_t> length;  // Content-Length, as the front would send it
  bool in_memory = false;               // no part of the body is a file
  bool streamed = false, broken = false;
  Errc why = Errc::none;

  std::string field(std::string_view name) const {
    return std::string(service::field_in(fields, name));
  }
  bool has(std::string_view name) const {
    return service::field_in(fields, name).data() != nullptr;
  }
};

// Reads a region as sendfile would.
inline std::string read_region(const core::BodyPart& part) {
  std::string text(static_cast<std::size_t>(part.length), '\0');
  ssize_t got = ::pread(part.file->fd, text.data(), text.size(), static_cast<off_t>(part.offset));
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

class RecordingPort final : public core::ExchangePort {
 public:
  // From here on, so many bytes of a stream are taken before the answer is "enough".
  std::size_t room = ~std::size_t{0};
  std::size_t written = 0;
  bool keep_body = true;
  bool done = false, paused = false;
  Outcome outcome;

  void respond(core::Exchange& exchange) override {
    take_head(exchange);
    const core::Answer& answer = exchange.answer;
    const bool bodiless = exchange.head_only || answer.status == 304 || answer.status == 204;
    if (exchange.head_only && answer.extras().length_without_body) {
      outcome.length = answer.extras().length_without_body;
    } else if (answer.status != 304) {
      outcome.length = answer.body_size();
    }
    outcome.in_memory = true;
    if (answer.extras().parts.empty() && !bodiless) outcome.body = answer.text;
    for (const core::BodyPart& part : answer.extras().parts) {
      if (part.file) outcome.in_memory = false;
      if (bodiless || !keep_body) continue;
      outcome.body += part.file ? read_region(part) : std::string(as_text(part.bytes));
    }
    end(exchange);
  }
  void begin_stream(core::Exchange& exchange) override {
    take_head(exchange);
    outcome.streamed = true;
    outcome.length = exchange.answer.extras().stream_length;
  }
  bool write_stream(core::Exchange&, Bytes bytes) override {
    outcome.body.append(as_text(bytes));
    written += bytes.size();
    return written < room;
  }
  void end_stream(core::Exchange& exchange, std::string_view trailer_lines) override {
    outcome.trailers = trailer_lines;
    end(exchange);
  }
  void break_off(core::Exchange& exchange, const Error& why) override {
    outcome.broken = true;
    outcome.why = why.code;
    end(exchange);
  }
  void pause_body(core::Exchange&) override { paused = true; }
  void resume_body(core::Exchange&) override { paused = false; }
  void decided(core::Exchange&) override {}
  void upgrade(core::Exchange&, std::string_view, core::StreamPtr) override { std::abort(); }

 private:
  void take_head(core::Exchange& exchange) {
    outcome.status = exchange.answer.status;
    outcome.fields = exchange.answer.fields;
    outcome.type = exchange.answer.type;
  }
  void end(core::Exchange& exchange) {
    done = true;
    exchange.port = nullptr;
    exchange.release();
  }
};

class Harness final : private core::Waker {
 public:
  explicit Harness(service::FileCacheLimits limits = {}, RequestHandler handler = {})
      : session_(settings(), events(std::move(handler)), router_, {}),
        service_(
            1, [this](base::Task task) { return submit(std::move(task)); }, {}, http::MediaTypes(),
            limits),
        now_(base::read_clock()),
        shard_(std::make_unique<core::Shard>(session_, 0, blocks_, now_)),
        connection_(new QuietConnection(*shard_)),
        pool_(std::make_unique<io::FilePool>(2)) {
    session_.body_source = &service_;
    session_.shards.push_back(shard_.get());
    shard_->mailbox->open(*this);
    core::Shard::set_current(shard_.get());
  }
  ~Harness() {
    pool_.reset();   // ends the look-ups
    shard_.reset();  // lets what waits for them go
    core::Shard::set_current(nullptr);
    connection_->release();
  }

  // Serves `root` below `prefix`.
  Result<void> files(const std::string& prefix, const std::string& root,
                     FilesOptions options = {}) {
    auto handler = service_.directory(prefix, root, std::move(options));
    if (!handler) return handler.error();
    return router_.add_native("GET", prefix + "{path...}", std::move(*handler), {});
  }

  // Lets time pass.
  void pass(base::Duration time) {
    now_ += time;
    shard_->begin_turn(now_);
  }

  // Begins a request; `fields` are complete lines, `body` is its body if it has one. The text must
  // live as long as the exchange.
  core::Exchange* begin(RecordingPort& port, const std::string& text, std::string_view body = {}) {
    core::Exchange* exchange = shard_->take_exchange();
    exchange->port = &port;
    connection_->retain();
    exchange->connection = connection_;
    http1::RequestDecoder decoder;
    auto parsed = decoder.decode(as_bytes(text), http::HeadLimits{}, exchange->head);
    if (!parsed.is_done()) {
      port.outcome.status = 400;
      port.outcome.why = parsed.is_bad() ? parsed.error() : Errc::none;
      port.done = true;
      exchange->release();
      return nullptr;
    }
    if (session_.on_head(*exchange).kind != core::BodyPlan::Kind::read) return exchange;
    while (!body.empty() && !port.done) {
      const base::BlockRef block = blocks_.take(65536);
      const std::size_t size = std::min<std::size_t>(body.size(), block->capacity());
      std::memcpy(block->data(), body.data(), size);
      session_.on_body(*exchange, *block, {block->data(), size});
      body.remove_prefix(size);
      while (port.paused && !port.done) run_mail();
    }
    if (!port.done) session_.on_body_end(*exchange);
    return exchange;
  }
  // Runs what the file pool sends back, until the answer is there.
  void finish(const RecordingPort& port) {
    while (!port.done) run_mail();
  }
  void run_mail() {
    {
      std::unique_lock lock(mutex_);
      woken_.wait(lock, [this] { return mail_; });
      mail_ = false;
    }
    shard_->mailbox->run();
  }
  // Everything that the file pool has been given.
  void settle() {
    while (outstanding_.load() != 0 || !shard_->mailbox->empty()) {
      shard_->mailbox->run();
      std::unique_lock lock(mutex_);
      woken_.wait(lock, [this] { return mail_ || outstanding_.load() == 0; });
      mail_ = false;
    }
    shard_->mailbox->run();
  }

  static std::string text_of(std::string_view method, std::string_view target,
                             std::string_view fields = {}) {
    return std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" +
           std::string(fields) + "\r\n";
  }
  Outcome request(std::string_view method, std::string_view target, std::string_view fields = {}) {
    RecordingPort port;
    const std::string text = text_of(method, target, fields);
    begin(port, text);
    finish(port);
    return std::move(port.outcome);
  }
  Outcome get(std::string_view target, std::string_view fields = {}) {
    return request("GET", target, fields);
  }

  core::Shard& shard() { return *shard_; }
  core::ServerSession& session() { return session_; }
  service::FileService& service() { return service_; }
  std::size_t submitted() const { return submitted_.load(); }
  // The pool refuses everything.
  bool full = false;
  // On the pool's thread, in front of each job.
  std::function<void()> before_job;

 private:
  static core::SessionSettings settings() {
    core::SessionSettings in_force;
    in_force.handler_limit = std::chrono::milliseconds(0);
    return in_force;
  }
  static core::SessionEvents events(RequestHandler handler) {
    core::SessionEvents told;
    told.on_http_request = std::move(handler);
    return told;
  }
  bool submit(base::Task task) {
    if (full) return false;
    ++submitted_;
    ++outstanding_;
    try {
      return pool_->submit([this, task = std::move(task)]() mutable {
        if (before_job) before_job();
        task();
        std::lock_guard lock(mutex_);
        --outstanding_;
        woken_.notify_all();
      });
    } catch (...) {
      --outstanding_;
      throw;
    }
  }
  void wake() override {
    std::lock_guard lock(mutex_);
    mail_ = true;
    woken_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable woken_;
  bool mail_ = false;
  std::atomic<std::size_t> submitted_{0}, outstanding_{0};
  core::Router router_;
  base::BlockPool blocks_;
  core::ServerSession session_;
  service::FileService service_;
  base::Instant now_;
  std::unique_ptr<core::Shard> shard_;
  QuietConnection* connection_;
  std::unique_ptr<io::FilePool> pool_;
};

}  // namespace sluice::test
