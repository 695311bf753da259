// core/broadcast.cpp - one message for many, and the addresses of connections.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/shared_bytes.hpp"
#include "core/broadcast_run.hpp"
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

struct Address {
  std::uint32_t shard, slot, generation, magic;
};
constexpr std::uint32_t kMagic = 0x51c1'ce00;

}  // namespace

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
  Shard* own = Shard::current();
  std::size_t told = 0;
  base::SharedBytes shared;
  for (Shard* shard : shards) {
    if (shard == own) continue;
    if (!shared) shared = base::SharedBytes::copy(payload);
    SendStatus status = shard->mailbox->post(
        [shard, opcode, shared, filter] { broadcast_on(*shard, opcode, shared.bytes(), filter); },
        payload.size());
    if (status == SendStatus::queued) ++told;
  }
  if (own && own->index < shards.size() && shards[own->index] == own) {
    broadcast_on(*own, opcode, payload, filter);
    ++told;
  }
  return told;
}

void ServerSession::broadcast_on(Shard& shard, ws::Opcode opcode, Bytes payload,
                                 const BroadcastFilter& filter) {
  const std::vector<WebSocket*>* members = &shard.websockets;
  if (!filter.channel.empty()) {
    Channel* channel = shard.channels.find(filter.channel);
    if (!channel) return;
    members = &channel->members;
  }
  if (members->empty()) return;

  // One frame for all of them, side by side with the frames before it.
  ws::FrameHeader header;
  header.opcode = opcode;
  header.length = payload.size();
  std::size_t bound = ws::kFrameHeaderBound + payload.size();
  base::BlockRef block;
  std::byte* at = nullptr;
  bool in_scratch = bound <= Scratch::kLargest;
  if (in_scratch) {
    at = shard.scratch.reserve(bound);
    if (at) block = base::BlockRef::share(shard.scratch.block());
  } else {
    block = shard.blocks.take(bound);
    if (block) at = block->data();
  }
  if (!at) {
    shard.session.log(LogLevel::error, Errc::out_of_memory,
                      "a broadcast was lost: no memory for its frame");
    return;
  }
  std::byte* end = ws::write_frame_header(at, header);
  if (!payload.empty()) std::memcpy(end, payload.data(), payload.size());
  Bytes frame{at, std::size_t(end - at) + payload.size()};
  if (in_scratch) shard.scratch.commit(frame.size());

  bool everybody = filter.protocol.empty() && filter.exclude.empty() && !filter.only_included;
  if (everybody) {
    shard.broadcasts.add(*members, *block, frame);
    return;
  }
  shard.broadcasts.hand_out();
  bool by_id = !filter.exclude.empty() || filter.only_included;
  for (WebSocket* socket : *members) {
    Connection& connection = socket->connection();
    if (!filter.protocol.empty() && connection.destination().protocol != filter.protocol) continue;
    if (by_id) {
      ConnectionId id = connection.id();
      if (has(filter.exclude, id)) continue;
      if (filter.only_included && !has(filter.include, id)) continue;
    }
    socket->send_frame(*block, frame);
  }
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
