// front/wire/secure.cpp - see secure.hpp.
#include "front/wire/secure.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "front/wire/loop.hpp"

namespace sluice::wire {
Secure::Secure(Loop& loop, io::Socket& user, std::unique_ptr<tls::Session> session)
    : loop_(loop), user_(user), session_(std::move(session)) {
  held_.reserve(1);
}

Secure::~Secure() = default;

// --- What an engine does -------------------------------------------------------------------------

void Secure::adopt(int descriptor) {
  user_.fd = descriptor;
  loop().engine().adopt(*this, descriptor);
  session_->begin(*this);  // a client's first word
  room_.reset();
  push();
}

// libssl seals a record at a time; what one send holds stands in few blocks.
bool Secure::put(Bytes cipher) noexcept {
  try {
    Loop& own = loop();
    if (!room_ || room_->capacity() - room_used_ < cipher.size()) {
      if (cipher.size() <= core::Scratch::kLargest) {
        core::Scratch& scratch = own.shard().scratch;
        std::byte* at = scratch.reserve(cipher.size());
        if (!at) return false;
        std::memcpy(at, cipher.data(), cipher.size());
        scratch.commit(cipher.size());
        return cipher_.append(own.segments(), scratch.block(), {at, cipher.size()}, core::kKept);
      }
      room_ = own.shard().blocks.take(std::max(cipher.size(), kRoom));
      room_used_ = 0;
      if (!room_) return false;
    }
    std::byte* at = room_->data() + room_used_;
    std::memcpy(at, cipher.data(), cipher.size());
    room_used_ += cipher.size();
    return cipher_.append(own.segments(), *room_, {at, cipher.size()}, core::kKept);
  } catch (const std::bad_alloc&) {
    return false;
  }
}

std::size_t Secure::send(std::span<const iovec> parts) {
  if (closed_ || !session_) return 0;
  if (in_clear_) return send_in_clear(parts);
  if (!session_->can_send()) {
    if (session_->has_failed()) {  // what waits can go nowhere
      break_off(Errc::tls_broken);
    } else {
      waits_ = true;
      under_way_.send_left = 1;  // as if a byte of it had been taken: it is called when it can go
    }
    return 0;
  }
  Bytes plain[kMostParts];
  std::size_t count = 0, size = 0;
  for (const iovec& part : parts) {
    const std::size_t here = std::min(part.iov_len, kMostAtOnce - size);
    plain[count++] = {static_cast<const std::byte*>(part.iov_base), here};
    size += here;
    if (size == kMostAtOnce || count == kMostParts) break;
  }
  const bool fine = session_->send({plain, count}, loop().engine().now(), *this);
  room_.reset();
  if (!fine) {
    break_off({session_->failure().reason == tls::Reason::out_of_memory ? Errc::out_of_memory
                                                                        : Errc::tls_broken,
               session_->failure().detail});
    return 0;
  }
  return leave(size);
}

std::size_t Secure::send_in_clear(std::span<const iovec> parts) {
  std::size_t size = 0;
  for (const iovec& part : parts) {
    if (!put({static_cast<const std::byte*>(part.iov_base), part.iov_len})) {
      break_off(Errc::out_of_memory);
      return 0;
    }
    size += part.iov_len;
  }
  room_.reset();
  return leave(size);
}

// The file's pages are in memory: see Connection::send_file_window.
std::size_t Secure::send_file(int file, std::uint64_t offset, std::size_t length) {
  length = std::min(length, kMostAtOnce);
  base::BlockRef block = loop().shard().blocks.take(length);
  if (!block) {
    break_off(Errc::out_of_memory);
    return 0;
  }
  std::size_t have = 0;
  while (have < length) {
    const ssize_t got =
        ::pread(file, block->data() + have, length - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  if (have < length) {
    break_off({Errc::io_failed, "a file became shorter while it was sent"});
    return 0;
  }
  const iovec part{block->data(), length};
  return send({&part, 1});
}

// What has been sealed goes out. Returns how many of `plain` bytes count as gone.
std::size_t Secure::leave(std::size_t plain) {
  const std::size_t gone = push();
  if (cipher_.empty()) return plain;
  const std::size_t counted = std::min(gone, plain - 1);
  under_way_.send_left = plain - counted;
  return counted;
}

std::size_t Secure::push() {
  if (closed_) return 0;
  std::size_t all = 0;
  io::Engine& engine = loop().engine();
  while (!cipher_.empty() && !sending()) {
    iovec parts[kMostParts];
    bool file_next = false;
    const std::size_t count = cipher_.gather(parts, file_next);
    const std::size_t gone = engine.send(*this, {parts, count});
    if (gone > 0) cipher_.consume(loop().segments(), gone);
    all += gone;
    if (gone == 0 && !sending()) break;  // failed: on_closed follows
  }
  return all;
}

void Secure::on_sent(std::uint64_t bytes) {
  loop().enter();
  cipher_.consume(loop().segments(), bytes);
  if (!sending()) bytes += push();
  if (under_way_.send_left > 0 && !waits_) {
    const bool all = cipher_.empty();
    const std::uint64_t counted =
        all ? under_way_.send_left : std::min<std::uint64_t>(bytes, under_way_.send_left - 1);
    under_way_.send_left -= counted;
    if (counted > 0) this->sent(counted);
  }
  after_push();
}

void Secure::after_push() {
  if (!cipher_.empty() || closed_) return;
  if (std::exchange(shut_, false)) loop().engine().shutdown_send(*this);
}

void Secure::pause() {
  if (std::exchange(paused_, true)) return;
  loop().engine().pause(*this);
}

void Secure::resume() {
  if (!std::exchange(paused_, false)) return;
  if (held_.empty()) {
    loop().engine().resume(*this);
  } else if (!delivering_) {
    want_to_go_on();  // never from inside this call
  }
}

void Secure::shutdown_send() {
  if (session_ && !in_clear_) session_->close(*this);
  room_.reset();
  shut_ = true;
  push();
  after_push();
}

void Secure::close(io::CloseMode mode) {
  if (closed_) return;
  if (mode == io::CloseMode::graceful && session_ && !in_clear_ && !sending()) {
    session_->close(*this);
    room_.reset();
    push();
  }
  closed_ = true;
  loop().engine().close(*this, mode);
}

void Secure::break_off(const Error& why) {
  if (closed_) return;
  why_ = why;
  room_.reset();
  push();  // the alert that says why
  closed_ = true;
  broken();
  loop().engine().close(*this, io::CloseMode::graceful);
}

// --- Received ------------------------------------------------------------------------------------

void Secure::on_received(const io::Received& received) {
  loop().enter();
  deliver(*received.block, received.bytes);
}

void Secure::go_on() {
  if (delivering_ || held_.empty()) return;
  std::vector<Held> held;
  held.swap(held_);
  for (Held& each : held) {
    if (paused_) {
      held_.push_back(std::move(each));
    } else {
      deliver(*each.block, each.bytes);
    }
  }
  if (held_.empty() && !paused_ && !closed_) loop().engine().resume(*this);
}

void Secure::deliver(base::Block& block, std::span<std::byte> cipher) {
  if (closed_ || !session_ || in_clear_) return;  // nobody wants it
  delivering_ = true;
  begin_event();
  while (take_plain(block, cipher)) {
  }
  room_.reset();
  end_event();
  delivering_ = false;
  if (closed_ || !session_) return;
  look_at_session();
  push();
  after_push();
  if (!paused_ && !held_.empty()) want_to_go_on();
}

// One run of plain bytes is given to the user. False: there is none.
bool Secure::take_plain(base::Block& block, std::span<std::byte>& cipher) {
  if (closed_ || !session_ || !wants_more()) return false;
  if (paused_ && !cipher.empty() && session_->is_open()) {
    try {
      held_.push_back({base::BlockRef::share(block), cipher});
    } catch (const std::bad_alloc&) {
      break_off(Errc::out_of_memory);
    }
    return false;
  }
  base::BlockRef room;
  if (session_->needs_room()) room = loop().shard().blocks.take(tls::kRecordBytes);
  const std::span<std::byte> to =
      room ? std::span(room->data(), tls::kRecordBytes) : std::span<std::byte>();
  const std::span<std::byte> run = session_->receive(cipher, to, *this);
  if (session_->is_open() && !std::exchange(opened_, true)) {
    try {
      opened();
    } catch (const std::bad_alloc&) {
      break_off(Errc::out_of_memory);
    }
  }
  if (run.empty()) return false;
  plain({room ? room.get() : &block, run});
  return true;
}

void Secure::look_at_session() {
  if (session_->has_failed()) {
    push();  // the alert
    if (!std::exchange(told_failure_, true)) refused(session_->failure());
    return;
  }
  if (waits_ && session_->can_send()) {
    waits_ = false;
    under_way_.send_left = 0;
    sent(0);
    if (closed_ || !session_) return;
  }
  if (session_->peer_has_closed() && !std::exchange(told_end_, true)) ended(false);
}

void Secure::on_end() {
  loop().enter();
  if (closed_ || std::exchange(told_end_, true)) return;
  if (session_ && !in_clear_) session_->end_of_input();
  ended(true);
}

void Secure::on_closed(const Error& why) {
  loop().enter();
  closed_ = true;
  session_.reset();
  room_.reset();
  held_.clear();
  cipher_.clear(loop().segments());
  under_way_.send_left = 0;
  user_.fd = -1;
  closed(why_ ? why_ : why);
}

void Secure::on_detached(int descriptor, Bytes) {
  ::close(descriptor);
  on_closed(Errc::gone);
}

}  // namespace sluice::wire
