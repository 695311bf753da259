// core/websocket_out.cpp - messages on their way out: frames, the budget, who is too slow.
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "core/dispatcher.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "core/websocket.hpp"
#include "proto/ws/frame_header.hpp"

namespace sluice::core {
namespace {

bool is_compressed(Bytes frame) { return (std::to_integer<unsigned>(frame[0]) & 0x40) != 0; }

}  // namespace

void WebSocket::write(ws::Opcode opcode, bool fin, Bytes payload, Marks marks, bool compressed) {
  shard().broadcasts.hand_out();
  ws::FrameHeader header;
  header.opcode = opcode;
  header.fin = fin;
  header.rsv1 = compressed;
  header.length = payload.size();
  std::size_t bound = ws::kFrameHeaderBound + payload.size();
  if (bound <= Scratch::kLargest) {
    std::byte* at = connection_.reserve(bound);
    if (!at) return disconnect(Errc::out_of_memory);
    std::byte* end = ws::write_frame_header(at, header);
    if (!payload.empty()) std::memcpy(end, payload.data(), payload.size());
    connection_.commit(std::size_t(end - at) + payload.size(), marks);
    return;
  }
  base::BlockRef block = shard().blocks.take(bound);
  if (!block) return disconnect(Errc::out_of_memory);
  std::byte* end = ws::write_frame_header(block->data(), header);
  std::memcpy(end, payload.data(), payload.size());
  std::size_t size = std::size_t(end - block->data()) + payload.size();
  connection_.write_block(*block, {block->data(), size}, marks);
}

void WebSocket::pause_when_full() {
  if (queue_pause_ || ended_) return;
  if (connection_.queued() < shard().settings().limits.send_queue_bytes) return;
  queue_pause_ = true;
  update_reading();
}

// In both of its callers: most messages come this way.
[[gnu::always_inline]] inline SendStatus WebSocket::put_bytes(ws::Opcode opcode, Bytes payload,
                                                              std::size_t fragment_size, bool own,
                                                              bool promised, bool compressed,
                                                              bool keeps) {
  Shard& here = shard();
  here.broadcasts.hand_out();  // what was broadcast before goes before
  const SessionSettings& settings = here.settings();
  const std::size_t budget = settings.limits.send_queue_bytes;
  const Marks kind = opcode == ws::Opcode::text ? kText : kBinary;
  if ((settings.few_wait & kind) && !own && !may_wait(kind, payload.size()))
    return SendStatus::would_block;
  std::size_t queued = connection_.queued();
  if (queued > 0) {
    if (own) {
      if (queued >= budget && !promised) return SendStatus::would_block;
    } else if (queued + payload.size() > budget && !make_room(payload.size())) {
      return SendStatus::would_block;
    }
  }
  here.counters.messages_sent.add();
  if (fragment_size == 0 || fragment_size >= payload.size()) {
    write(opcode, true, payload, keeps ? kKept : Marks(kDroppable | (kind & settings.last_waits)),
          compressed);
  } else {
    bool first = true;
    while (!payload.empty()) {
      Bytes piece = payload.first(std::min(fragment_size, payload.size()));
      payload = payload.subspan(piece.size());
      write(first ? opcode : ws::Opcode::continuation, payload.empty(), piece, kKept,
            compressed && first);
      first = false;
    }
  }
  if (own && connection_.queued() >= budget) {
    // What had been read before may still be answered: that is bounded too.
    if (promised && connection_.queued() >= 2 * budget + ThreadPool::kBytes) {
      connection_.send_full.store(true, std::memory_order_relaxed);
    }
    pause_when_full();
  }
  return SendStatus::queued;
}

// What is queued are the compressed bytes: they count for the budget and for slow_reader.
SendStatus WebSocket::put_compressed(ws::Opcode opcode, Bytes payload, std::size_t fragment_size,
                                     bool own, bool promised) {
  Shard& here = shard();
  const SessionSettings& settings = here.settings();
  const Marks kind = opcode == ws::Opcode::text ? kText : kBinary;
  here.broadcasts.hand_out();  // they may be compressed, too: what is remembered is forgotten then
  if (!can_send()) return SendStatus::gone;
  const bool drops_oldest = settings.options.slow_reader == SlowReader::drop_oldest;
  const bool last_waits = (kind & settings.last_waits) != 0;
  const std::size_t queued = connection_.queued();
  const bool full = queued > 0 && queued >= settings.limits.send_queue_bytes;
  // What finds no room anyway is not compressed for nothing. Of the last that waits the queue says
  // more only when its size is known.
  if (own) {
    if (full && !promised) return SendStatus::would_block;
  } else if (!last_waits) {
    if ((settings.few_wait & kind) && !may_wait(kind, payload.size()))
      return SendStatus::would_block;
    if (full && !drops_oldest && !payload.empty() && !make_room(1)) return SendStatus::would_block;
  }
  // A message that may be taken back must not be one that later ones refer to.
  const bool keeps = own || !(drops_oldest || last_waits);
  const Packed packed = pack(payload, keeps);
  if (!packed.block) return put_bytes(opcode, payload, fragment_size, own, promised, false, own);
  const SendStatus status =
      put_bytes(opcode, packed.bytes, fragment_size, own, promised, true, keeps);
  if (status != SendStatus::queued) forget_sent();
  return status;
}

[[gnu::always_inline]] inline SendStatus WebSocket::put(ws::Opcode opcode, Bytes payload,
                                                        std::size_t fragment_size, bool own,
                                                        bool promised) {
  if (deflate_) [[unlikely]]
    return put_compressed(opcode, payload, fragment_size, own, promised);
  return put_bytes(opcode, payload, fragment_size, own, promised, false, own);
}

SendStatus WebSocket::send(ws::Opcode opcode, Bytes payload, std::size_t fragment_size, bool own,
                           bool promised) {
  if (sends_plainly()) [[likely]]
    return put(opcode, payload, fragment_size, own, promised);
  if (!can_send()) return SendStatus::gone;
  return send_tagged(opcode, payload, fragment_size, own, 0);
}

SendStatus WebSocket::send_tagged(ws::Opcode opcode, Bytes payload, std::size_t fragment_size,
                                  bool own, std::uint64_t tag) {
  if (!asynchronous_) return send(opcode, payload, fragment_size, own);
  return send_told(opcode, payload, fragment_size, own, false,
                   std::make_shared<SendReceipt>(connection_, payload.size(), tag));
}

SendStatus WebSocket::send_told(ws::Opcode opcode, Bytes payload, std::size_t fragment_size,
                                bool own, bool promised, const std::shared_ptr<Receipt>& receipt) {
  if (!can_send()) return SendStatus::gone;
  SendStatus status = put(opcode, payload, fragment_size, own, promised);
  if (status == SendStatus::queued) connection_.tell_when_sent(receipt);
  return status;
}

bool WebSocket::send_frame(base::Block& block, Bytes frame) {
  if (!can_send()) return false;
  Shard& here = shard();
  const SessionSettings& settings = here.settings();
  const Marks kind = ws::Opcode(std::uint8_t(frame[0]) & 0xf) == ws::Opcode::text ? kText : kBinary;
  if ((settings.few_wait & kind) && !may_wait(kind, frame.size())) return false;
  std::size_t queued = connection_.queued();
  if (queued > 0 && queued + frame.size() > settings.limits.send_queue_bytes &&
      !make_room(frame.size())) {
    return false;
  }
  here.counters.messages_sent.add();
  if (deflate_ && is_compressed(frame)) forget_sent();
  connection_.write_block(block, frame, kDroppable | (kind & settings.last_waits));
  return true;
}

void WebSocket::send_frames(base::Block& block, Bytes run, std::span<const std::uint32_t> sizes) {
  if (!can_send()) return;
  Shard& here = shard();
  const SessionSettings& settings = here.settings();
  // Where they may not all fit each is looked at, and those that may be taken back stand apart.
  bool together = settings.few_wait == kKept &&
                  connection_.queued() + run.size() <= settings.limits.send_queue_bytes &&
                  (sizes.size() == 1 || settings.options.slow_reader != SlowReader::drop_oldest);
  if (!together) {
    for (std::uint32_t size : sizes) {
      send_frame(block, run.first(size));
      run = run.subspan(size);
    }
    return;
  }
  here.counters.messages_sent.add(sizes.size());
  if (deflate_) [[unlikely]] {
    std::size_t at = 0;
    for (std::uint32_t size : sizes) {
      if (is_compressed(run.subspan(at, size))) {
        forget_sent();
        break;
      }
      at += size;
    }
  }
  connection_.write_block(block, run, kDroppable);
}

bool WebSocket::may_wait(Marks kind, std::size_t bytes) {
  Shard& here = shard();
  const std::size_t budget = here.settings().limits.send_queue_bytes;
  // Half a budget in one turn is more than any peer can have taken by now.
  const std::size_t queued = connection_.queued();
  const bool much = queued >= budget / 2;
  if (!much && !connection_.is_held()) return true;
  if (kind & here.settings().last_waits) {
    // Where it finds no room all the same the older one stays: slow_reader decides about this one.
    if (queued + bytes > budget + connection_.droppable(kind)) return true;
    here.counters.messages_dropped.add(connection_.drop(kind));
    return true;
  }
  here.counters.messages_dropped.add();
  return false;
}

bool WebSocket::make_room(std::size_t bytes) {
  if (!slow_) {
    slow_ = true;
    shard().counters.slow_readers.add();
  }
  switch (shard().settings().options.slow_reader) {
    case SlowReader::drop_newest:
      shard().counters.messages_dropped.add();
      return false;
    case SlowReader::drop_oldest: {
      shard().counters.messages_dropped.add(connection_.drop_oldest(bytes));
      bool room = connection_.queued() + bytes <= shard().settings().limits.send_queue_bytes;
      if (!room) shard().counters.messages_dropped.add();
      return room;
    }
    case SlowReader::close:
      break;
  }
  shard().counters.messages_dropped.add();
  // Not from inside a broadcast: what on_error does may change its list.
  slow_closing_ = true;
  try {
    shard().mailbox->post_always([handle = connection_.handle()] {
      WebSocket* socket = Connection::of(handle)->websocket();
      if (socket) socket->fail(Errc::slow_reader);
    });
  } catch (const std::bad_alloc&) {
    disconnect(Errc::out_of_memory);
  }
  return false;
}

SendStatus WebSocket::ping(std::string_view payload) {
  if (!can_send()) return SendStatus::gone;
  const SessionSettings& settings = shard().settings();
  if (connection_.queued() >= settings.limits.send_queue_bytes) return SendStatus::would_block;
  if ((settings.few_wait & kPing) && !may_wait(kPing, payload.size()))
    return SendStatus::would_block;
  write(ws::Opcode::ping, true, as_bytes(payload.substr(0, kControlBytes)),
        kPing & settings.last_waits);
  return SendStatus::queued;
}

}  // namespace sluice::core
