// core/session_body.cpp - bodies of requests: whole, in a file, in pieces, forms.
#include <array>
#include <memory>
#include <new>
#include <utility>

#include "core/body_decoder.hpp"
#include "core/body_file.hpp"
#include "core/body_sink.hpp"
#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/form.hpp"
#include "core/session.hpp"
#include "core/step.hpp"
#include "proto/multipart/boundary.hpp"

namespace sluice::core {
namespace {

// A body that goes to disk is written in pieces of about this size.
constexpr std::size_t kFilePiece = 256 * 1024;

// Of a body that cannot be stored: whether it is worth to try again.
Errc told_to_client(Errc code) {
  const bool known = code == Errc::disk_full || code == Errc::too_many_files ||
                     code == Errc::out_of_memory || code == Errc::http_body_too_large;
  return known ? code : Errc::io_failed;
}

}  // namespace

void ServerSession::on_body(Exchange& exchange, base::Block& block, std::span<std::byte> piece) {
  if (exchange.codings) [[unlikely]] {
    if (BodyDecoder* decoder = exchange.codings->body.get()) return decoder->on_piece(block, piece);
  }
  on_decoded(exchange, block, piece);
}

void ServerSession::on_decoded(Exchange& exchange, base::Block& block, std::span<std::byte> piece) {
  exchange.body_received += piece.size();
  if (exchange.body_received > exchange.body_limit) {
    if (!exchange.answered && !exchange.late) {
      respond_error(exchange, Errc::http_body_too_large);
    } else {
      exchange.port->break_off(exchange, Errc::http_body_too_large);
    }
    return;
  }
  if (exchange.sink) return exchange.sink->on_piece(exchange, block, piece);
  if (!exchange.body_wanted_whole) {
    run_on_data(exchange, &block, piece, false);
    return;
  }
  // A coded body's length is another one.
  bool all_of_it = !(exchange.codings && exchange.codings->body) &&
                   exchange.head.body == http::BodyKind::length &&
                   piece.size() == exchange.head.content_length;
  if (all_of_it) {
    exchange.body_block = base::BlockRef::share(block);
    exchange.body = piece;
    return;
  }
  exchange.body_text.append(as_text(piece));
  bool large = exchange.body_file != nullptr ||
               exchange.body_received > exchange.shard.settings().limits.body_memory_bytes;
  if (large && exchange.body_text.size() >= (exchange.body_file ? kFilePiece : 1)) {
    flush_to_file(exchange, false);
  }
}

void ServerSession::on_body_end(Exchange& exchange) {
  if (exchange.codings) [[unlikely]] {
    if (BodyDecoder* decoder = exchange.codings->body.get()) return decoder->on_end();
  }
  on_decoded_end(exchange);
}

// What its codings are. False: answered.
bool ServerSession::read_codings(Exchange& exchange, http::CodingList& list) {
  std::array<std::string_view, 8> values;
  std::size_t size = 0;
  bool fits = true;
  for (const http::Field& field : exchange.head.fields) {
    if (field.id != http::FieldId::content_encoding) continue;
    fits = size < values.size();
    if (!fits) break;
    values[size++] = field.value;
  }
  if (size == 0) return true;
  const Errc verdict =
      fits ? http::read_content_encoding({values.data(), size}, BodyDecoder::kMostCodings, list)
           : Errc::http_coding_not_supported;
  if (verdict == Errc::none) return true;
  respond_error(exchange, verdict);
  return false;
}

// What comes of its body from here on is undone. False: answered.
bool ServerSession::decode_body(Exchange& exchange, const http::CodingList& list) {
  coding::DecoderLimits limits;
  limits.bytes = exchange.body_limit;
  auto decoder = coding::Decoder::make(list.view(), limits);
  if (!decoder) {
    respond_error(exchange, Errc::out_of_memory);
    return false;
  }
  if (!exchange.codings) exchange.codings = std::make_unique<Codings>();
  exchange.codings->body = std::make_shared<BodyDecoder>(exchange, std::move(decoder));
  exchange.port = exchange.codings->body.get();
  std::erase_if(exchange.head.fields, [](const http::Field& field) {
    return field.id == http::FieldId::content_encoding || field.id == http::FieldId::content_length;
  });
  return true;
}

void ServerSession::on_decoded_end(Exchange& exchange) {
  exchange.body_complete = true;
  if (exchange.sink) return exchange.sink->on_end(exchange);
  if (!exchange.body_wanted_whole) {
    // A body that ended with the head: on_data is told when the handler has set it.
    if (exchange.ends_with_head()) {
      run_handler(exchange);
    } else {
      run_on_data(exchange, nullptr, {}, true);
    }
    return;
  }
  if (exchange.body_file) {
    flush_to_file(exchange, true);
    return;
  }
  if (exchange.body.empty()) exchange.body = as_bytes(exchange.body_text);
  whole_body(exchange);
}

// A form is read before its handler runs: here while it is small, else where waiting for the pages
// of its file harms nobody.
void ServerSession::whole_body(Exchange& exchange) {
  if (exchange.body.empty()) return run_handler(exchange);
  const std::string_view type = exchange.head.find(http::FieldId::content_type);
  if (!multipart::is_form_data(type)) return run_handler(exchange);
  const Limits& limits = exchange.shard.settings().limits;
  exchange.form = std::make_unique<Form>();
  if (exchange.body.size() <= limits.body_memory_bytes) {
    return form_read(exchange, read_form(type, exchange.body, limits, *exchange.form));
  }
  auto verdict = std::make_shared<Errc>(Errc::out_of_memory);
  Hold<Exchange> hold(exchange);
  const bool taken = body_source->run_blocking(
      exchange.shard,
      [&form = *exchange.form, body = exchange.body, type, limits, verdict] {
        try {
          *verdict = read_form(type, body, limits, form);
        } catch (const std::bad_alloc&) {  // so it says
        }
      },
      [this, &exchange, verdict] {
        step(exchange, [&] {
          if (exchange.port) form_read(exchange, *verdict);
        });
        exchange.release();
      });
  if (taken) return hold.leave();
  respond_error(exchange, Errc::queue_full);
}

void ServerSession::body_stored(Exchange& exchange) { run_handler(exchange); }

void ServerSession::form_read(Exchange& exchange, Errc verdict) {
  if (verdict != Errc::none) return respond_error(exchange, verdict);
  run_handler(exchange);
}

// Writes what was collected on the file pool; reading waits meanwhile.
void ServerSession::flush_to_file(Exchange& exchange, bool last) {
  struct Work {
    std::unique_ptr<BodyFile> file;
    std::string text;
    Bytes mapped;
    Error error{Errc::out_of_memory};  // until it is done
  };
  auto work = std::make_shared<Work>();
  work->file = std::move(exchange.body_file);
  work->text.swap(exchange.body_text);
  Hold<Exchange> hold(exchange);
  if (!last) exchange.port->pause_body(exchange);
  bool taken = body_source->run_blocking(
      exchange.shard,
      [work, last] {
        if (!work->file) {
          auto made = BodyFile::make();
          if (!made) {
            work->error = made.error();
            return;
          }
          work->file = std::move(*made);
        }
        auto written = work->file->write(as_bytes(work->text));
        work->error = written.error();
        if (!written || !last) return;
        auto mapped = work->file->map();
        work->error = mapped.error();
        if (mapped) work->mapped = *mapped;
      },
      [this, work, last, &exchange] {
        exchange.body_file = std::move(work->file);
        step(exchange, [&] {
          if (!exchange.port) return;
          if (work->error) {
            log(LogLevel::error, work->error.code,
                "a request body cannot be stored: " + work->error.message());
            respond_error(exchange, told_to_client(work->error.code));
          } else if (last) {
            exchange.body = work->mapped;
            whole_body(exchange);
          } else {
            exchange.port->resume_body(exchange);
          }
        });
        exchange.release();
      });
  if (taken) return hold.leave();
  respond_error(exchange, Errc::queue_full);
}

void ServerSession::run_on_data(Exchange& exchange, base::Block* block,
                                std::span<const std::byte> piece, bool last) {
  if (!exchange.on_data) {
    if (last) after_body(exchange);
    return;
  }
  Connection& connection = *exchange.connection;
  if (!dispatcher.uses_pool()) {
    bool fine = dispatcher.call(connection, "on_data", [&] { exchange.on_data(piece, last); });
    if (!fine) {
      exchange.on_data = nullptr;
      if (exchange.port && !exchange.answered && !exchange.late) {
        respond_error(exchange, Errc::handler_threw);
      }
    }
    if (last && exchange.port) after_body(exchange);
    return;
  }
  base::Block* pinned = piece.empty() ? nullptr : block;
  if (pinned) pinned->retain();
  exchange.retain();
  ++exchange.on_pool;
  PoolQueue::Event event;
  event.bytes = piece.size();
  auto threw = std::make_shared<bool>(false);
  event.work = [this, &exchange, &connection, piece, last, threw] {
    *threw = !dispatcher.call(connection, "on_data", [&] { exchange.on_data(piece, last); });
  };
  event.done = [this, &exchange, pinned, last, threw] {
    if (pinned) pinned->release();
    step(exchange, [&] {
      left_pool(exchange);
      if (*threw && exchange.port && !exchange.answered && !exchange.late) {
        respond_error(exchange, Errc::handler_threw);
      }
      if (last && exchange.port) after_body(exchange);
    });
    exchange.release();
  };
  dispatcher.submit(exchange, std::move(event));
}

void ServerSession::after_body(Exchange& exchange) {
  exchange.on_data = nullptr;  // what it holds goes with it, a BodyWriter perhaps
  if (exchange.answer_after_body && !exchange.answered && !exchange.late) respond(exchange);
}

}  // namespace sluice::core
