// proto/ws/permessage_deflate.cpp - offers, the answer, and messages without their tails.
//
// RFC 7692 sections 7.1 and 7.2. Layer: proto. No I/O.
#include "proto/ws/permessage_deflate.hpp"

#include <algorithm>
#include <array>
#include <new>

#include "proto/http/token.hpp"

namespace sluice::ws {

namespace {

constexpr std::array<std::byte, kDeflateTail> kTail = {std::byte{0}, std::byte{0}, std::byte{0xFF},
                                                       std::byte{0xFF}};
constexpr std::uint8_t kMostBits = 15;

// Takes the text up to `end`, outside of quotes, off the front of `text`.
std::string_view take_until(std::string_view& text, char end) {
  bool quoted = false;
  std::size_t at = 0;
  for (; at < text.size() && (quoted || text[at] != end); ++at) {
    if (text[at] == '"') quoted = !quoted;
    if (quoted && text[at] == '\\') ++at;
  }
  at = std::min(at, text.size());
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return http::trim_ows(taken);
}

// 8 to 15, without zeros in front; between quotes, too, where a value must still be a token
// (RFC 6455 section 9.1). 0: it is none.
std::uint8_t window_bits(std::string_view value) {
  std::string plain;
  if (value.starts_with('"')) {
    if (value.size() < 2 || !value.ends_with('"')) return 0;
    value = value.substr(1, value.size() - 2);
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (value[i] == '"') return 0;
      if (value[i] == '\\' && ++i == value.size()) return 0;
      plain.push_back(value[i]);
      if (plain.size() > 2) return 0;
    }
    value = plain;
  }
  if (value.size() == 1 && (value[0] == '8' || value[0] == '9')) {
    return static_cast<std::uint8_t>(value[0] - '0');
  }
  if (value.size() == 2 && value[0] == '1' && value[1] >= '0' && value[1] <= '5') {
    return static_cast<std::uint8_t>(10 + value[1] - '0');
  }
  return 0;
}

// One offer as it was written. Bits of 0: not mentioned.
struct Offer {
  std::uint8_t server_bits = 0, client_bits = 0;
  bool server_no_takeover = false, client_no_takeover = false, client_may_limit = false;
};

// False: this parameter cannot be.
bool read_parameter(std::string_view text, Offer& offer) {
  const std::size_t equals = text.find('=');
  const bool has_value = equals != std::string_view::npos;
  const std::string_view name = http::trim_ows(text.substr(0, equals));
  const std::string_view value = has_value ? http::trim_ows(text.substr(equals + 1)) : "";
  const auto flag = [&](bool& seen) {
    if (seen || has_value) return false;
    return seen = true;
  };
  if (name == "server_no_context_takeover") return flag(offer.server_no_takeover);
  if (name == "client_no_context_takeover") return flag(offer.client_no_takeover);
  if (name == "server_max_window_bits") {
    if (offer.server_bits != 0) return false;
    offer.server_bits = window_bits(value);
    return offer.server_bits != 0;
  }
  if (name == "client_max_window_bits") {
    if (offer.client_may_limit) return false;
    offer.client_may_limit = true;
    offer.client_bits = has_value ? window_bits(value) : kMostBits;
    return offer.client_bits != 0;
  }
  return false;
}

// Nothing: another extension, or to be declined.
std::optional<Offer> read_offer(std::string_view text) {
  if (take_until(text, ';') != "permessage-deflate") return std::nullopt;
  Offer offer;
  while (!text.empty()) {
    if (!read_parameter(take_until(text, ';'), offer)) return std::nullopt;
  }
  return offer;
}

}  // namespace

std::optional<DeflateParameters> negotiate_deflate(std::string_view offers,
                                                   const DeflateRules& rules) {
  while (!offers.empty()) {
    const std::string_view one = take_until(offers, ',');
    // Behind the last ';' something must follow.
    const std::optional<Offer> offer = one.ends_with(';') ? std::nullopt : read_offer(one);
    if (!offer) continue;
    DeflateParameters agreed;
    agreed.tells_server_window = offer->server_bits != 0;
    agreed.server_window_bits = std::min(
        rules.server_max_window_bits, agreed.tells_server_window ? offer->server_bits : kMostBits);
    agreed.client_window_bits = offer->client_may_limit
                                    ? std::min(rules.client_max_window_bits, offer->client_bits)
                                    : kMostBits;
    agreed.server_context_takeover =
        !rules.server_no_context_takeover && !offer->server_no_takeover;
    agreed.client_context_takeover =
        !rules.client_no_context_takeover && !offer->client_no_takeover;
    return agreed;
  }
  return std::nullopt;
}

std::string deflate_answer(const DeflateParameters& parameters) {
  std::string answer = "permessage-deflate";
  if (!parameters.server_context_takeover) answer += "; server_no_context_takeover";
  if (!parameters.client_context_takeover) answer += "; client_no_context_takeover";
  if (parameters.tells_server_window || parameters.server_window_bits < kMostBits) {
    answer += "; server_max_window_bits=" + std::to_string(parameters.server_window_bits);
  }
  // Below 15 only where the client has said that it can.
  if (parameters.client_window_bits < kMostBits) {
    answer += "; client_max_window_bits=" + std::to_string(parameters.client_window_bits);
  }
  return answer;
}

Bytes deflate_message(coding::Deflater& deflater, Bytes message, std::span<std::byte> out) {
  // One byte must be saved, and zlib says that it had room by leaving some.
  out = out.first(std::min(out.size(), message.size() + kDeflateTail));
  const std::size_t made = deflater.flush(message, out);
  if (made > kDeflateTail) return out.first(made - kDeflateTail);
  deflater.reset();
  return {};
}

std::unique_ptr<MessageInflater> MessageInflater::make(unsigned window_bits) {
  std::unique_ptr<MessageInflater> made(new (std::nothrow) MessageInflater);
  if (!made) return nullptr;
  made->inflater_ = coding::Inflater::make(window_bits);
  return made->inflater_ ? std::move(made) : nullptr;
}

void MessageInflater::begin(bool is_utf8, std::uint64_t limit) {
  is_utf8_ = is_utf8;
  limit_ = limit;
  made_ = 0;
  tail_at_ = 0;
  in_tail_ = false;
  utf8_.reset();
}

MessageInflater::Step MessageInflater::inflate(Bytes in, bool last, std::span<std::byte> out) {
  Step step;
  // One byte more than the limit is enough to know.
  const std::uint64_t allowed = limit_ - made_ + 1;
  if (out.size() > allowed) out = out.first(static_cast<std::size_t>(allowed));
  Errc broken = Errc::none;
  for (;;) {
    const Bytes rest = in_tail_ ? Bytes(kTail).subspan(tail_at_) : in.subspan(step.used);
    const auto got = inflater_->inflate(rest, out.subspan(step.made));
    if (in_tail_) {
      tail_at_ = static_cast<std::uint8_t>(tail_at_ + got.used);
    } else {
      step.used += got.used;
    }
    step.made += got.made;
    if (got.bad) broken = got.no_memory ? Errc::out_of_memory : Errc::ws_bad_deflate;
    if (got.bad || step.made == out.size()) break;
    // What came has become bytes. The tail is what is missing: a message that ends with a final
    // block, or that was sent with its tail, needs none.
    step.done = !last || inflater_->at_boundary();
    if (step.done) break;
    if (in_tail_) {
      broken = Errc::ws_bad_deflate;  // it stops inside a block
      break;
    }
    in_tail_ = true;
  }
  step.error = judge(out.first(step.made), last && step.done, broken);
  return step;
}

// What is wrong first, in the order of the bytes, whatever the cuts.
Errc MessageInflater::judge(Bytes made, bool ended, Errc broken) {
  made_ += made.size();
  const bool too_big = made_ > limit_;
  if (is_utf8_ && !utf8_.add(made.first(made.size() - (too_big ? 1 : 0)))) return Errc::ws_bad_utf8;
  if (too_big) return Errc::ws_message_too_big;
  if (broken != Errc::none) return broken;
  return is_utf8_ && ended && !utf8_.complete() ? Errc::ws_bad_utf8 : Errc::none;
}

}  // namespace sluice::ws
