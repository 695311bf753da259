// core/broadcast.cpp - one message for many, and the addresses of connections.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <utility>

#include "base/shared_bytes.hpp"
#include "core/broadcast_run.hpp"
#include "core/compressed_once.hpp"
#include "core/connection.hpp"
#include "core/session.hpp"
#include "core/websocket.hpp"

namespace sluice::core {
namespace {

std::vector<ConnectionId> parse_ids(std::string_view list) {
  std::vector<ConnectionId> ids;
  while (!list.empty()) {
    std::size_t end = list.find_first_of(",;");
    std::string_view item = list.substr(0, end);
    while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
    while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
    // What is no id matches nobody; an include list of such names nobody.
    if (auto id = ConnectionId::parse(item)) ids.push_back(*id);
    if (end == std::string_view::npos) break;
    list.remove_prefix(end + 1);
  }
  return ids;
}

bool has(const std::vector<ConnectionId>& ids, const ConnectionId& id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// `*` stands for any characters, `?` for any one. Two positions to go back to, so that no mask
// takes longer than its length times the name's.
bool matches(std::string_view mask, std::string_view name) {
  constexpr std::size_t kNone = std::string_view::npos;
  std::size_t m = 0, n = 0, star = kNone, after = 0;
  while (n < name.size()) {
    if (m < mask.size() && mask[m] == '*') {
      star = m++;
      after = n;
    } else if (m < mask.size() && (mask[m] == '?' || mask[m] == name[n])) {
      ++m;
      ++n;
    } else if (star != kNone) {
      m = star + 1;
      n = ++after;
    } else {
      return false;
    }
  }
  return mask.find_first_not_of('*', std::min(m, mask.size())) == kNone;
}

// The members of every channel that the mask matches, each once.
std::vector<WebSocket*> members_of(const Shard& shard, std::string_view mask) {
  std::vector<WebSocket*> members;
  std::vector<bool> taken(shard.websockets.size());
  shard.channels.for_each([&](const Channel& channel) {
    if (!matches(mask, channel.name)) return;
    for (WebSocket* socket : channel.members) {
      if (taken[socket->place]) continue;
      taken[socket->place] = true;
      members.push_back(socket);
    }
  });
  return members;
}

// What write_message() may take.
std::size_t message_bound(std::size_t size, std::size_t fragment_size) {
  if (fragment_size == 0 || fragment_size >= size) return ws::kFrameHeaderBound + size;
  std::size_t header = fragment_size < 126 ? 2 : ws::kFrameHeaderBound;
  return size + ((size - 1) / fragment_size + 1) * header;
}

// Writes the message as one frame, or in fragments of `fragment_size`; returns where it ends.
std::byte* write_message(std::byte* at, ws::Opcode opcode, Bytes payload, std::size_t fragment_size,
                         bool compressed) {
  std::size_t piece = fragment_size == 0 ? payload.size() : fragment_size;
  ws::FrameHeader header;
  header.opcode = opcode;
  header.rsv1 = compressed;
  do {
    Bytes part = payload.first(std::min(piece, payload.size()));
    payload = payload.subspan(part.size());
    header.fin = payload.empty();
    header.length = part.size();
    at = ws::write_frame_header(at, header);
    if (!part.empty()) std::memcpy(at, part.data(), part.size());
    at += part.size();
    header.opcode = ws::Opcode::continuation;
    header.rsv1 = false;
  } while (!payload.empty());
  return at;
}

// A message as it goes out; no block: memory is out.
struct Framed {
  base::BlockRef block;
  Bytes frame;
};

// One frame for all of them, side by side with the frames before it.
Framed frame_on(Shard& shard, ws::Opcode opcode, Bytes payload, std::size_t fragment_size,
                bool compressed) {
  Framed framed;
  const std::size_t bound = message_bound(payload.size(), fragment_size);
  std::byte* at = nullptr;
  const bool in_scratch = bound <= Scratch::kLargest;
  if (in_scratch) {
    at = shard.scratch.reserve(bound);
    if (at) framed.block = base::BlockRef::share(shard.scratch.block());
  } else {
    framed.block = shard.blocks.take(bound);
    if (framed.block) at = framed.block->data();
  }
  if (!at) return framed;
  framed.frame = {at, write_message(at, opcode, payload, fragment_size, compressed)};
  if (in_scratch) shard.scratch.commit(framed.frame.size());
  return framed;
}

struct Address {
  std::uint32_t shard, slot, generation, magic;
};
constexpr std::uint32_t kMagic = 0x51c1'ce00;

}  // namespace

namespace {

// Empty: it would not be shorter, or memory is out. The bytes lie in `packed`.
Bytes compress(unsigned window_bits, Shard& shard, Bytes payload, base::BlockRef& packed) {
  const PerMessageDeflate& settings = shard.settings().extensions.permessage_deflate;
  coding::Deflater* deflater =
      shard.deflate.deflater({window_bits, settings.level, settings.memory_level});
  packed = shard.blocks.take(payload.size() + ws::kDeflateTail);
  if (!deflater || !packed) return {};
  shard.counters.messages_compressed.add();
  return ws::deflate_message(*deflater, payload,
                             {packed->data(), payload.size() + ws::kDeflateTail});
}

}  // namespace

class BroadcastSum {
 public:
  BroadcastSum(const ServerSession& session, std::uint64_t tag) : session_(session), tag_(tag) {}

  // One more has its share to do; all are counted before the caller has done its own.
  void begin() { waits_for_.fetch_add(1, std::memory_order_relaxed); }
  void took_part() { shards_.fetch_add(1, std::memory_order_relaxed); }
  void count(std::size_t delivered, std::size_t dropped) {
    delivered_.fetch_add(delivered, std::memory_order_relaxed);
    dropped_.fetch_add(dropped, std::memory_order_relaxed);
  }
  // Thread: any. The last one's shard tells it, in a turn of its own.
  void done() {
    if (waits_for_.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
    BroadcastResult result{shards_.load(), delivered_.load(), dropped_.load(), tag_};
    Shard* here = Shard::current();
    if (session_.shards.empty()) return;
    Shard& teller = here && &here->session == &session_ ? *here : *session_.shards.front();
    teller.mailbox->post_always([&session = session_, result] { session.broadcast_done(result); });
  }

 private:
  const ServerSession& session_;
  const std::uint64_t tag_;
  std::atomic<std::uint32_t> waits_for_{1};
  std::atomic<std::size_t> shards_{0}, delivered_{0}, dropped_{0};
};

namespace {

// The message as each of its receivers gets it: made when the first that needs it comes.
class Variants {
 public:
  Variants(Shard& shard, ws::Opcode opcode, Bytes payload, const BroadcastFilter& filter)
      : shard_(shard), opcode_(opcode), payload_(payload), filter_(filter) {}

  // 0: as it is.
  const Framed& of(unsigned window_bits) {
    Variant& variant = all_[window_bits];
    if (variant.made) return variant.plain ? of(0) : variant.framed;
    variant.made = true;
    if (window_bits == 0) {
      variant.framed = frame_on(shard_, opcode_, payload_, filter_.fragment_size, false);
      return variant.framed;
    }
    base::BlockRef packed;
    const auto make = [&] { return compress(window_bits, shard_, payload_, packed); };
    const Bytes bytes = filter_.compressed ? filter_.compressed->of(window_bits, make) : make();
    variant.plain = bytes.empty();
    if (variant.plain) return of(0);
    variant.framed = frame_on(shard_, opcode_, bytes, filter_.fragment_size, true);
    return variant.framed;
  }

 private:
  struct Variant {
    bool made = false, plain = false;
    Framed framed;
  };
  Shard& shard_;
  const ws::Opcode opcode_;
  const Bytes payload_;
  const BroadcastFilter& filter_;
  std::array<Variant, 16> all_;
};

// What one shard has done of it: told when it has, whatever happened.
struct BroadcastShare {
  explicit BroadcastShare(BroadcastSum* of) : sum(of) {}
  ~BroadcastShare() {
    if (!sum) return;
    sum->took_part();
    sum->count(delivered, dropped);
    sum->done();
  }
  BroadcastShare(const BroadcastShare&) = delete;
  BroadcastShare& operator=(const BroadcastShare&) = delete;

  BroadcastSum* const sum;
  std::size_t delivered = 0, dropped = 0;
};

// To those of `members` that the filter lets through; `is_one`: all get the same frame.
template <class FrameFor>
void give_to(const std::vector<WebSocket*>& members, Shard& shard, const BroadcastFilter& filter,
             BroadcastShare& share, bool is_one, const FrameFor& frame_for) {
  const auto lost = [&] {
    share.dropped = members.size() - share.delivered;
    shard.session.log(LogLevel::error, Errc::out_of_memory,
                      "a broadcast was lost: no memory for its frame");
  };
  bool everybody = filter.protocol.empty() && filter.exclude.empty() && !filter.only_included;
  if (everybody && is_one && !filter.channel_is_mask && !filter.sum) {
    const Framed& framed = frame_for(*members.front());
    if (!framed.block) return lost();
    shard.broadcasts.add(members, *framed.block, framed.frame);
    return;
  }
  shard.broadcasts.hand_out();
  bool by_id = !filter.exclude.empty() || filter.only_included;
  for (WebSocket* socket : members) {
    Connection& connection = socket->connection();
    if (!filter.protocol.empty() && connection.destination().protocol != filter.protocol) continue;
    if (by_id) {
      ConnectionId id = connection.id();
      if (has(filter.exclude, id)) continue;
      if (filter.only_included && !has(filter.include, id)) continue;
    }
    const Framed& framed = frame_for(*socket);
    if (!framed.block) return lost();
    ++(socket->send_frame(*framed.block, framed.frame) ? share.delivered : share.dropped);
  }
}

}  // namespace

void ServerSession::broadcast_done(const BroadcastResult& result) const {
  try {
    events.on_broadcast_done(result);
  } catch (...) {
    log(LogLevel::error, Errc::handler_threw, "on_broadcast_done threw an exception");
  }
  Shard::handler_ended("on_broadcast_done");
}

ConnectionId Connection::id() const {
  Address address{destination().home->index, slot, generation, kMagic};
  IdCipher::Block block;
  static_assert(sizeof address == sizeof block);
  std::memcpy(block.data(), &address, sizeof address);
  return ConnectionId(destination().home->cipher->encrypt(block));
}

bool ServerSession::address_of(const ConnectionId& id, std::uint32_t& shard, std::uint32_t& slot,
                               std::uint32_t& generation) const {
  Address address;
  IdCipher::Block block = cipher->decrypt(id.bytes());
  std::memcpy(&address, block.data(), sizeof address);
  if (address.magic != kMagic || address.shard >= shards.size()) return false;
  shard = address.shard;
  slot = address.slot;
  generation = address.generation;
  return true;
}

std::size_t ServerSession::broadcast(ws::Opcode opcode, Bytes payload,
                                     const BroadcastOptions& options) {
  BroadcastFilter filter{std::string(options.channel), std::string(options.protocol),
                         parse_ids(options.exclude), parse_ids(options.include)};
  filter.only_included = !options.include.empty();
  filter.channel_is_mask = options.channel.find_first_of("*?") != std::string_view::npos;
  filter.fragment_size = options.fragment_size;
  std::shared_ptr<BroadcastSum> sum;
  if (events.on_broadcast_done)
    filter.sum = sum = std::make_shared<BroadcastSum>(*this, options.tag);
  if (compresses.load(std::memory_order_relaxed) && shards.size() > 1) {
    filter.compressed = std::make_shared<CompressedOnce>();
  }
  Shard* own = Shard::current();
  std::size_t told = 0;
  base::SharedBytes shared;
  for (Shard* shard : shards) {
    if (shard == own) continue;
    if (!shared) shared = base::SharedBytes::copy(payload);
    if (sum) sum->begin();
    SendStatus status = shard->mailbox->post(
        [shard, opcode, shared, filter] { broadcast_on(*shard, opcode, shared.bytes(), filter); },
        payload.size());
    if (status == SendStatus::queued) {
      ++told;
    } else if (sum) {
      sum->done();
    }
  }
  if (own && own->index < shards.size() && shards[own->index] == own) {
    if (sum) sum->begin();
    broadcast_on(*own, opcode, payload, filter);
    ++told;
  }
  if (sum) sum->done();  // the one it began with
  return told;
}

void ServerSession::broadcast_on(Shard& shard, ws::Opcode opcode, Bytes payload,
                                 const BroadcastFilter& filter) {
  BroadcastShare share(filter.sum.get());
  const std::vector<WebSocket*>* members = &shard.websockets;
  std::vector<WebSocket*> matching;
  if (filter.channel_is_mask) {
    matching = members_of(shard, filter.channel);
    members = &matching;
  } else if (!filter.channel.empty()) {
    Channel* channel = shard.channels.find(filter.channel);
    if (!channel) return;
    members = &channel->members;
  }
  if (members->empty()) return;

  const std::size_t all = shard.websockets.size();
  if (shard.deflate.serves_some(all) && !payload.empty() &&
      payload.size() >= shard.settings().extensions.permessage_deflate.threshold) [[unlikely]] {
    Variants variants(shard, opcode, payload, filter);
    const bool is_one = shard.deflate.are_all(members->front()->sent_window(), all);
    give_to(*members, shard, filter, share, is_one, [&](const WebSocket& socket) -> const Framed& {
      return variants.of(socket.sent_window());
    });
    return;
  }
  const Framed framed = frame_on(shard, opcode, payload, filter.fragment_size, false);
  give_to(*members, shard, filter, share, true,
          [&](const WebSocket&) -> const Framed& { return framed; });
}

void BroadcastRun::add(const std::vector<WebSocket*>& members, base::Block& block, Bytes frame) {
  bool joins = members_ == &members && run_.data() + run_.size() == frame.data() &&
               block_.get() == &block && count_ < kFrames;
  if (!joins) {
    hand_out();
    members_ = &members;
    block_ = base::BlockRef::share(block);
    run_ = frame.first(0);
    count_ = seen_ = 0;
    vain_ = looks_ = 0;
  }
  run_ = {run_.data(), run_.size() + frame.size()};
  sizes_[count_++] = std::uint32_t(frame.size());
}

void BroadcastRun::give_to_all(bool send) {
  // Taken out first: a handler that is told of a slow reader may broadcast, too.
  const std::vector<WebSocket*>& members = *std::exchange(members_, nullptr);
  const base::BlockRef block = std::move(block_);
  const Bytes run = run_;
  std::array<std::uint32_t, kFrames> sizes;
  std::copy_n(sizes_.begin(), count_, sizes.begin());
  const std::span<const std::uint32_t> frames{sizes.data(), count_};
  if (!send) {
    for (WebSocket* socket : members) socket->send_frames(*block, run, frames);
    return;
  }
  for (WebSocket* socket : members) {
    Connection& connection = socket->connection();
    connection.cork();
    socket->send_frames(*block, run, frames);
    connection.uncork();
  }
}

}  // namespace sluice::core
