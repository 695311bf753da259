// proto/coding/decoder.cpp - content codings undone, one behind the other, with limits.
//
// RFC 9110 section 8.4. Layer: proto. No I/O.
#include "proto/coding/decoder.hpp"

#include <algorithm>
#include <limits>
#include <new>

#include "base/check.hpp"
#include "proto/coding/stages.hpp"

namespace sluice::coding {
namespace {

using http::ContentCoding;

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

std::unique_ptr<Stage> make_stage(ContentCoding coding) {
  switch (coding) {
    case ContentCoding::gzip:
      return make_gzip_stage();
    case ContentCoding::deflate:
      return make_deflate_stage();
    case ContentCoding::br:
      return make_brotli_stage();
    case ContentCoding::zstd:
      return make_zstd_stage();
    case ContentCoding::identity:
      break;
  }
  SLUICE_CHECK(coding != ContentCoding::identity);
  return nullptr;
}

// What may come in, or between two codings, for `most` bytes at the end: content that does not
// shrink grows a little. Keeps stages that make nothing of very much from being fed without end.
std::uint64_t most_before(std::uint64_t most) {
  constexpr std::uint64_t kSlack = 65536;
  const std::uint64_t extra = most / 64 + kSlack;
  return most > kNoLimit - extra ? kNoLimit : most + extra;
}

}  // namespace

Decoder::Decoder() = default;
Decoder::~Decoder() = default;

std::unique_ptr<Decoder> Decoder::make(std::span<const ContentCoding> codings,
                                       const DecoderLimits& limits) {
  SLUICE_CHECK(!codings.empty() && codings.size() <= kMost);
  std::unique_ptr<Decoder> made(new (std::nothrow) Decoder);
  if (!made) return nullptr;
  made->limits_ = limits;
  made->size_ = codings.size();
  for (std::size_t i = 0; i < codings.size(); ++i) {
    made->stages_[i] = make_stage(codings[codings.size() - 1 - i]);
    if (!made->stages_[i]) return nullptr;
    if (i + 1 == codings.size()) break;
    made->joints_[i].bytes.reset(new (std::nothrow) std::byte[Joint::kBytes]);
    if (!made->joints_[i].bytes) return nullptr;
  }
  return made;
}

void Decoder::reset(const DecoderLimits& limits) noexcept {
  limits_ = limits;
  for (std::size_t i = 0; i < size_; ++i) stages_[i]->reset();
  full_.fill(false);
  for (Joint& joint : joints_) joint.begin = joint.end = joint.total = 0;
  came_ = made_ = 0;
  step_end_ = kRatioStep;
  failed_ = Errc::none;
}

std::size_t Decoder::memory() const {
  std::size_t bytes = sizeof(*this) + (size_ - 1) * Joint::kBytes;
  for (std::size_t i = 0; i < size_; ++i) bytes += stages_[i]->memory();
  return bytes;
}

std::uint64_t Decoder::most() const {
  if (limits_.ratio == 0) return limits_.bytes;
  const std::uint64_t by_ratio =
      step_end_ > kNoLimit / limits_.ratio ? kNoLimit : step_end_ * limits_.ratio;
  return std::min(limits_.bytes, std::max(limits_.ratio_from, by_ratio));
}

bool Decoder::is_whole() const {
  if (came_ == 0) return true;
  for (std::size_t i = 0; i < size_; ++i) {
    if (!stages_[i]->at_end()) return false;
  }
  return true;
}

Decoder::Step Decoder::decode(Bytes in, bool last, std::span<std::byte> out) {
  Step step;
  if (failed_ == Errc::none) failed_ = run(in, last, out, step);
  step.error = failed_;
  return step;
}

// Input is given out up to the next look at the ratio, and what it makes is drained before that: so
// neither the cuts nor how far a library reads ahead decide.
Errc Decoder::run(Bytes in, bool last, std::span<std::byte> out, Step& step) {
  for (;;) {
    const auto piece =
        static_cast<std::size_t>(std::min<std::uint64_t>(in.size() - step.used, step_end_ - came_));
    const std::uint64_t left = most() - made_;
    std::size_t room = out.size() - step.made;
    if (left < room) room = static_cast<std::size_t>(left) + 1;
    Step part;
    const Errc error = move(in.subspan(step.used, piece), out.subspan(step.made, room), part);
    step.used += part.used;
    step.made += part.made;
    if (error != Errc::none) return error;
    if (made_ > most() || came_ > most_before(limits_.bytes)) return Errc::http_coding_too_large;
    if (!part.done) return Errc::none;
    SLUICE_CHECK(part.used == piece);
    if (came_ == step_end_) step_end_ += kRatioStep;
    if (step.used == in.size()) break;
  }
  step.done = true;
  return last && !is_whole() ? Errc::http_coding_truncated : Errc::none;
}

Errc Decoder::move(Bytes in, std::span<std::byte> out, Step& step) {
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t i = size_; i-- > 0;) {
      const Errc error = move_one(i, in, out, step, moved);
      if (error != Errc::none) return error;
    }
  }
  // With room left and nothing to move, everything is drained.
  step.done = step.made < out.size();
  return Errc::none;
}

Errc Decoder::move_one(std::size_t stage, Bytes in, std::span<std::byte> out, Step& step,
                       bool& moved) {
  const bool is_first = stage == 0, is_last = stage + 1 == size_;
  Joint* from = is_first ? nullptr : &joints_[stage - 1];
  Joint* to = is_last ? nullptr : &joints_[stage];
  const Bytes source = is_first ? in.subspan(step.used)
                                : Bytes(from->bytes.get() + from->begin, from->end - from->begin);
  if (to && to->begin == to->end) to->begin = to->end = 0;
  const std::span<std::byte> target =
      is_last ? out.subspan(step.made)
              : std::span<std::byte>(to->bytes.get() + to->end, Joint::kBytes - to->end);
  if (target.empty() || (source.empty() && !full_[stage])) return Errc::none;

  const Stage::Step run = stages_[stage]->decode(source, target);
  full_[stage] = run.made == target.size();
  moved = moved || run.used != 0 || run.made != 0;
  if (is_first) {
    step.used += run.used;
    came_ += run.used;
  } else {
    from->begin += run.used;
  }
  if (is_last) {
    step.made += run.made;
    made_ += run.made;
  } else {
    to->end += run.made;
    to->total += run.made;
    if (to->total > most_before(most())) return Errc::http_coding_too_large;
  }
  return run.error;
}

}  // namespace sluice::coding
