// core/websocket_deflate.cpp - compressed messages, in and out.
//
// RFC 7692. Layer: core. Thread: shard.
#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "core/incoming.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "core/websocket.hpp"

namespace sluice::core {

// --- In ------------------------------------------------------------------------------------------

bool WebSocket::begin_inflating(ws::Opcode opcode, std::uint64_t limit) {
  Incoming& in = *incoming_;
  in.message_size = in.fragment_at = 0;
  const ws::DeflateParameters& agreed = *connection_.destination().deflate;
  if (agreed.client_context_takeover) {
    auto& kept = connection_.deflate_contexts().inflater;
    in.inflater = kept ? std::move(kept) : ws::MessageInflater::make(agreed.client_window_bits);
  } else {
    in.inflater = shard().deflate.take_inflater();
  }
  if (!in.inflater) return false;
  const bool is_utf8 = opcode == ws::Opcode::text && shard().settings().options.validate_utf8;
  in.inflater->begin(is_utf8, limit);
  return true;
}

// Room for one more byte at least. The sizes are halves of halves of what a message may have at
// most, so that it never takes more than that: the larger block has not been touched where the
// smaller one still holds the bytes. What is larger than 256 KiB is taken whole at once, as
// far as nobody minds: a freed block of a few MiB would stay with the heap beside the next one.
// `limit` may have become less since the message began.
bool WebSocket::make_message_room(std::uint64_t limit) {
  constexpr std::uint64_t kFirst = 1024, kGrown = 256 << 10, kWhole = (64 << 20) + 1;
  Incoming& in = *incoming_;
  if (in.message && in.message_size < in.message->capacity()) return true;
  const std::uint64_t wanted = std::max<std::uint64_t>(kFirst, std::uint64_t{in.message_size} + 1);
  std::uint64_t size = limit + 1 >= wanted ? limit + 1 : wanted + wanted / 2;
  while (size / 2 >= wanted && (wanted <= kGrown || size > kWhole)) size /= 2;
  base::BlockRef larger = shard().blocks.take(static_cast<std::size_t>(size));
  if (!larger) return false;
  if (in.message_size > 0) std::memcpy(larger->data(), in.message->data(), in.message_size);
  in.message = std::move(larger);
  return true;
}

void WebSocket::on_compressed(const ws::Event& event) {
  Incoming& in = *incoming_;
  const std::uint64_t own_limit = connection_.message_bytes();
  const std::uint64_t limit = own_limit > 0 ? own_limit : shard().settings().limits.message_bytes;
  if (event.message_begin && !begin_inflating(event.opcode, limit)) {
    return fail(Errc::out_of_memory);
  }
  Bytes rest = event.data;
  for (bool done = false; !done;) {
    if (!make_message_room(limit)) return fail(Errc::out_of_memory);
    const auto step = in.inflater->inflate(
        rest, event.message_end,
        {in.message->data() + in.message_size, in.message->capacity() - in.message_size});
    if (step.error != Errc::none) return fail(step.error);
    in.message_size += std::uint32_t(step.made);
    rest = rest.subspan(step.used);
    done = step.done;
  }
  if (event.message_end) {
    if (connection_.destination().deflate->client_context_takeover) {
      connection_.deflate_contexts().inflater = std::move(in.inflater);
    } else {
      shard().deflate.give_back(std::move(in.inflater));
    }
  }
  if (event.frame_end) frame_ended(event);
}

// --- Out -----------------------------------------------------------------------------------------

WebSocket::Packed WebSocket::pack(Bytes payload, bool refers) {
  Shard& here = shard();
  const PerMessageDeflate& settings = here.settings().extensions.permessage_deflate;
  if (payload.empty() || payload.size() < settings.threshold) return {};
  const ws::DeflateParameters& agreed = *connection_.destination().deflate;
  const coding::DeflateOptions options{agreed.server_window_bits, settings.level,
                                       settings.memory_level};
  Packed packed;
  packed.block = here.blocks.take(payload.size() + ws::kDeflateTail);
  coding::Deflater* deflater = nullptr;
  if (agreed.server_context_takeover && refers) {
    try {
      deflater = connection_.deflate_contexts().deflater_for(options);
    } catch (const std::bad_alloc&) {  // it goes as it is
    }
  } else {
    deflater = here.deflate.deflater(options);
    forget_sent();
  }
  if (!packed.block || !deflater) return {};
  here.counters.messages_compressed.add();
  packed.bytes = ws::deflate_message(*deflater, payload,
                                     {packed.block->data(), payload.size() + ws::kDeflateTail});
  if (packed.bytes.empty()) packed.block.reset();
  return packed;
}

}  // namespace sluice::core
