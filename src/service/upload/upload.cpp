// service/upload/upload.cpp - one request's files on their way to the disk.
#include "service/upload/upload.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <new>
#include <utility>

#include "base/check.hpp"
#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/shard.hpp"
#include "core/step.hpp"
#include "service/upload/file_name.hpp"

namespace sluice::service {
namespace {

// What the client is told: which folder there is, and who may write to it, is not its business.
Errc told_to_client(Errc code) {
  if (code == Errc::already_exists) return Errc::upload_exists;
  if (code == Errc::not_found || code == Errc::permission_denied) return Errc::io_failed;
  return code;
}

}  // namespace

Upload::Upload(const Uploads& uploads, const UploadRules& rules, core::Shard& shard,
               std::string_view boundary, std::string file_name)
    : uploads_(uploads),
      rules_(rules),
      shard_(shard),
      limits_(shard.settings().limits),
      is_form_(!boundary.empty()),
      sent_name_(std::move(file_name)),
      decoder_(boundary, {limits_.head_bytes, limits_.upload_parts}) {
  disk_->existing = rules.existing;
}

// Letting go of a file that somebody has removed may wait for the disk.
Upload::~Upload() {
  if (disk_->kept.empty()) return;
  try {
    static_cast<void>(uploads_.disk().run_blocking(
        shard_, [disk = std::move(disk_)] { disk->kept.clear(); }, [] {}));
  } catch (const std::bad_alloc&) {  // then it is done here
  }
}

// --- In ------------------------------------------------------------------------------------------

void Upload::on_piece(core::Exchange& exchange, base::Block& block, std::span<std::byte> piece) {
  if (over_) return;
  rest_block_ = base::BlockRef::share(block);
  rest_ = piece;
  go_on(exchange);
}

void Upload::on_end(core::Exchange& exchange) {
  ended_ = true;
  if (!over_) go_on(exchange);
}

// As far as it comes: until an event or the disk is asked, or nothing is left.
void Upload::go_on(core::Exchange& exchange) {
  core::Hold<core::Exchange> hold(exchange);
  while (!busy_ && !over_) {
    if (!is_form_) {
      if (!in_file_ && !stored_) {
        begin_file(exchange, {"", sent_name_, "", true}, sent_name_);
      } else if (!rest_.empty()) {
        add(exchange, std::exchange(rest_, {}));
      } else if (ended_ && in_file_) {
        write_out(exchange, true);
      } else {
        break;
      }
    } else if (!first_.empty()) {
      add(exchange, std::exchange(first_, {}));
    } else if (!rest_.empty()) {
      auto parsed = decoder_.decode(rest_);
      if (parsed.is_bad()) return fail(exchange, parsed.error());
      if (parsed.needs_more()) {
        rest_ = {};
      } else {
        rest_ = rest_.subspan(parsed.used());
        take(exchange, parsed.value());
      }
    } else if (ended_ && !decoder_.is_complete()) {
      return fail(exchange, Errc::multipart_truncated);
    } else {
      break;
    }
  }
  if (busy_ || over_) return;
  rest_block_.reset();
  if (ended_) finish(exchange);
}

void Upload::take(core::Exchange& exchange, const multipart::Piece& piece) {
  using Kind = multipart::Piece::Kind;
  switch (piece.kind) {
    case Kind::part: {
      const multipart::PartHead& head = decoder_.head();
      fields_bytes_ += core::size_of_names(head);
      if (fields_bytes_ > limits_.upload_fields_bytes) {
        return fail(exchange, Errc::upload_field_too_large);
      }
      if (head.is_file && !head.file_name.empty()) {
        begin_file(exchange, head, head.file_name);
      } else if (!head.is_file) {
        values_.push_back(std::make_unique<std::string>());
        field_ = values_.back().get();
      }
      break;
    }
    case Kind::data:
      if (in_file_) {
        add(exchange, piece.data);
        break;
      }
      if (decoder_.head().is_file) {
        first_ = piece.data;
        begin_file(exchange, decoder_.head(), Uploads::made_up_name());
        break;
      }
      fields_bytes_ += piece.data.size();
      if (field_->size() + piece.data.size() > limits_.upload_field_bytes ||
          fields_bytes_ > limits_.upload_fields_bytes) {
        return fail(exchange, Errc::upload_field_too_large);
      }
      field_->append(as_text(piece.data));
      break;
    case Kind::part_end:
      if (in_file_) {
        write_out(exchange, true);
      } else if (decoder_.head().is_file) {
        // A browser sends an empty name for a field of files in which none was chosen.
        form_->files.push_back({decoder_.head().name, "", decoder_.head().content_type, 0, {}, {}});
      } else {
        form_->fields.push_back({decoder_.head().name, *field_});
      }
      break;
    case Kind::end:
      break;
  }
}

// --- Files ---------------------------------------------------------------------------------------

// `name`: what it is called on the disk, before anybody has looked at that.
void Upload::begin_file(core::Exchange& exchange, multipart::PartHead head, std::string name) {
  in_file_ = true;
  file_ = {
      std::move(head.name), std::move(head.file_name), std::move(head.content_type), 0, {}, {}};
  disk_->folder = rules_.folder;
  disk_->name = std::move(name);
  if (!uploads_.events().before_save) return judge_name(exchange);
  ask(
      exchange, "on_http_upload_before_save_file",
      [disk = disk_, &events = uploads_.events(), handle = exchange.connection->handle()] {
        events.before_save(handle, disk->name, disk->folder);
      },
      [this](core::Exchange& asked) { judge_name(asked); });
}

void Upload::judge_name(core::Exchange& exchange) {
  auto safe = safe_file_name(disk_->name);
  if (!safe) return fail(exchange, safe.error().code, safe.error().detail);
  disk_->name = std::move(*safe);
}

void Upload::add(core::Exchange& exchange, Bytes bytes) {
  file_.size += bytes.size();
  const auto& most = rules_.file_bytes ? rules_.file_bytes : limits_.upload_file_bytes;
  if (most && file_.size > *most) return fail(exchange, Errc::upload_file_too_large);
  if (!append(bytes)) return fail(exchange, Errc::out_of_memory);
  if (batch_size_ >= kBatch) write_out(exchange, false);
}

// False: there is no memory.
bool Upload::append(Bytes bytes) try {
  batch_size_ += bytes.size();
  if (bytes.size() < kShared) return copy(bytes);
  const std::less_equal<const std::byte*> reaches;
  SLUICE_CHECK(rest_block_ && reaches(rest_block_->data(), bytes.data()) &&
               reaches(bytes.data() + bytes.size(), rest_block_->data() + rest_block_->capacity()));
  batch_.push_back({rest_block_, bytes, false});
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

// Room grows with what has come, so that who sends little takes little.
bool Upload::copy(Bytes bytes) {
  while (!bytes.empty()) {
    Part* last = batch_.empty() ? nullptr : &batch_.back();
    if (!last || !last->ours || last->bytes.size() == last->block->capacity()) {
      room_ = std::min(room_ == 0 ? kFirstRoom : 4 * room_, kRoom);
      batch_.push_back({shard_.blocks.take(room_), {}, true});
      last = &batch_.back();
      if (!last->block) return false;
    }
    std::byte* const end = last->block->data() + last->bytes.size();
    const std::size_t now = std::min(bytes.size(), last->block->capacity() - last->bytes.size());
    std::memcpy(end, bytes.data(), now);
    last->bytes = {last->block->data(), last->bytes.size() + now};
    bytes = bytes.subspan(now);
  }
  return true;
}

// The last `size` bytes of what is written go with the next batch: a write that begins or ends
// within a page makes the file system look for that page again, and take small ones around it.
void Upload::keep_rest(std::size_t size) {
  if (size == 0) return;
  base::BlockRef block = shard_.blocks.take(kPage);
  if (!block) return;  // then not
  batch_.push_back({std::move(block), {}, true});
  std::byte* const begin = batch_.back().block->data();
  batch_.back().bytes = {begin, size};
  batch_size_ = size;
  while (size > 0) {
    Bytes& end = written_.back().bytes;
    const std::size_t now = std::min(size, end.size());
    size -= now;
    std::memcpy(begin + size, end.data() + end.size() - now, now);
    end = end.first(end.size() - now);
    if (end.empty()) written_.pop_back();
  }
}

// On the file pool.
void Upload::Disk::write() {
  try {
    if (!file) {
      auto made = StoredFile::make(folder);
      if (!made) {
        error = made.error();
        return;
      }
      file = std::move(*made);
    }
    if (auto done = file->write(bytes); !done) {
      error = done.error();
      return;
    }
    if (!keep) return;
    kept.reserve(kept.size() + 1);
    auto named = file->keep(name, existing, kept);
    file.reset();
    if (named) {
      kept.push_back(std::move(*named));
    } else {
      error = named.error();
    }
  } catch (const std::bad_alloc&) {
    error = Errc::out_of_memory;
  }
}

// Behind what the disk has already.
void Upload::write_out(core::Exchange& exchange, bool last) {
  if (!writing_) return begin_write(exchange, last);
  busy_ = waits_ = true;
  is_last_ = last;
  exchange.port->pause_body(exchange);
}

// The last one of a file is waited for.
void Upload::begin_write(core::Exchange& exchange, bool last) {
  written_.clear();
  std::swap(written_, batch_);
  batch_size_ = 0;
  if (!last) keep_rest(file_.size % kPage);  // which ends where this batch does
  disk_->bytes.clear();
  for (const Part& part : written_) disk_->bytes.push_back(part.bytes);
  disk_->keep = last;
  core::Hold<core::Exchange> hold(exchange);
  const bool taken = uploads_.disk().run_blocking(
      exchange.shard, [disk = disk_] { disk->write(); },
      [this, &exchange] {
        writing_ = false;
        core::step(exchange, [&] {
          if (removes_) {
            remove_all();
          } else if (!over_ && exchange.port) {
            written(exchange);
          }
        });
        exchange.release();
      });
  if (!taken) return fail(exchange, Errc::queue_full);
  hold.leave();
  writing_ = true;
  if (!last) return;
  busy_ = true;
  exchange.port->pause_body(exchange);
}

void Upload::written(core::Exchange& exchange) {
  if (disk_->error) {
    const Error error = std::exchange(disk_->error, {});
    return fail(exchange, error.code, error.detail);
  }
  written_.clear();
  if (!disk_->keep && !waits_) return;
  busy_ = false;
  if (std::exchange(waits_, false)) {
    begin_write(exchange, is_last_);
    if (busy_ || over_) return;
  }
  if (disk_->keep) {
    in_file_ = false;
    stored_ = true;
    room_ = 0;
    file_.path = disk_->kept.back().path;
    form_->files.push_back(std::move(file_));
    if (uploads_.events().after_save) {
      ask(
          exchange, "on_http_upload_after_save_file",
          [&stored = form_->files.back(), &events = uploads_.events(),
           handle = exchange.connection->handle()] {
            events.after_save(handle, stored.name, stored.path);
          },
          [](core::Exchange&) {});
      if (busy_ || over_) return;
    }
  }
  exchange.port->resume_body(exchange);
  go_on(exchange);
}

// --- Events and the end --------------------------------------------------------------------------

// Where handlers run. `then` on the shard, unless nobody waits any more: at once, or later, and
// then it goes on behind it.
void Upload::ask(core::Exchange& exchange, std::string_view name, std::function<void()> call,
                 std::function<void(core::Exchange&)> then) {
  core::Dispatcher& dispatcher = exchange.shard.session.dispatcher;
  core::Connection& connection = *exchange.connection;
  if (!dispatcher.uses_pool()) {
    if (!dispatcher.call(connection, name, call)) return fail(exchange, Errc::handler_threw);
    if (!over_ && exchange.port) then(exchange);
    return;
  }
  core::Hold<core::Exchange> hold(exchange);
  exchange.port->pause_body(exchange);
  auto threw = std::make_shared<bool>(false);
  core::PoolQueue::Event event;
  event.work = [&dispatcher, &connection, name, call = std::move(call), threw] {
    *threw = !dispatcher.call(connection, name, call);
  };
  event.done = [this, &exchange, threw, then = std::move(then)] {
    core::step(exchange, [&] {
      if (over_ || !exchange.port) return;
      busy_ = false;
      if (*threw) return fail(exchange, Errc::handler_threw);
      exchange.port->resume_body(exchange);
      then(exchange);
      go_on(exchange);
    });
    exchange.release();
  };
  if (!dispatcher.submit(exchange, std::move(event))) return fail(exchange, Errc::queue_full);
  hold.leave();
  busy_ = true;
}

void Upload::fail(core::Exchange& exchange, Errc code, const std::string& detail) {
  if (over_) return;
  over_ = true;
  core::ServerSession& session = exchange.shard.session;
  remove_all();
  rest_block_.reset();
  rest_ = {};
  batch_.clear();
  const Errc told = told_to_client(code);
  if (!detail.empty() && info(told).wire >= 500) {  // the operator's business, not the client's
    session.log(LogLevel::warning, code, "an upload cannot be stored: " + detail);
  }
  session.respond_error(exchange, told);
}

// All of it is stored.
void Upload::finish(core::Exchange& exchange) {
  const auto& read_input = uploads_.events().read_input;
  if (rules_.prefix.empty() || !read_input || form_->fields.empty()) return hand_over(exchange);
  ask(
      exchange, "on_http_upload_read_input",
      [&form = *form_, &read_input, handle = exchange.connection->handle()] {
        for (const FormField& field : form.fields) read_input(handle, field.name, field.value);
      },
      [this](core::Exchange& asked) { hand_over(asked); });
}

void Upload::hand_over(core::Exchange& exchange) {
  over_ = true;
  exchange.form = std::move(form_);
  exchange.shard.session.body_stored(exchange);
}

void Upload::given_up() noexcept {
  over_ = true;
  remove_all();
}

// Now, or when the disk has done what it was asked for.
void Upload::remove_all() noexcept {
  removes_ = writing_;
  if (writing_ || (!disk_->file && disk_->kept.empty())) return;
  const auto remove = [](Disk& disk) {
    disk.file.reset();
    for (const KeptFile& kept : std::exchange(disk.kept, {})) remove_file(kept);
  };
  std::shared_ptr<Disk> old;
  try {
    old = std::make_shared<Disk>();
    std::swap(old->file, disk_->file);
    std::swap(old->kept, disk_->kept);
    if (uploads_.disk().run_blocking(
            shard_, [old, remove] { remove(*old); }, [] {}))
      return;
    remove(*old);
  } catch (const std::bad_alloc&) {
    remove(old ? *old : *disk_);
  }
}

}  // namespace sluice::service
