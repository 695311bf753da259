// core/answer_coder.cpp - see answer_coder.hpp.
#include "core/answer_coder.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <span>
#include <utility>

#include "core/coding_policy.hpp"
#include "core/session.hpp"
#include "core/step.hpp"
#include "proto/http/token.hpp"

namespace sluice::core {
namespace {

using http::ContentCoding;
using http::equal_nocase;

// What is made in one go.
constexpr std::size_t kRoom = 16 * 1024;

// Calls `use(name, value, line)` for each of complete lines.
template <class Use>
void for_each_line(std::string_view lines, Use use) {
  while (!lines.empty()) {
    const std::size_t end = lines.find("\r\n");
    const std::size_t size = end == std::string_view::npos ? lines.size() : end + 2;
    const std::string_view line = lines.substr(0, size);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
      use(line.substr(0, colon), http::trim_ows(lines.substr(0, end).substr(colon + 1)), line);
    }
    lines.remove_prefix(size);
  }
}

// A few values of one field. More than that nobody sends.
class Values {
 public:
  bool add(std::string_view value) {
    if (size_ == values_.size()) return false;
    values_[size_++] = value;
    return true;
  }
  std::span<const std::string_view> view() const { return {values_.data(), size_}; }

 private:
  std::array<std::string_view, 16> values_;
  std::size_t size_ = 0;
};

http::CodingVerdict judge(const Exchange& exchange, int status, std::string_view type,
                          std::string_view fields, std::optional<std::uint64_t> size) {
  http::AnswerFacts facts;
  facts.status = status;
  facts.size = size;
  facts.content_type = type;
  Values accepted, control;
  for_each_line(fields, [&](std::string_view name, std::string_view value, std::string_view) {
    if (equal_nocase(name, "content-encoding")) {
      facts.has_content_encoding = true;
    } else if (equal_nocase(name, "content-range")) {
      facts.has_content_range = true;
    } else if (equal_nocase(name, "cache-control")) {
      // What cannot be looked at may say no.
      if (!control.add(value)) facts.has_content_encoding = true;
    } else if (equal_nocase(name, "set-cookie")) {
      facts.sets_cookie = true;
    } else if (equal_nocase(name, "digest") || equal_nocase(name, "content-digest") ||
               equal_nocase(name, "repr-digest") || equal_nocase(name, "content-md5")) {
      facts.has_digest = true;
    }
  });
  for (const http::Field& field : exchange.head.fields) {
    if (field.id == http::FieldId::accept_encoding) {
      accepted.add(field.value);
    } else if (field.id == http::FieldId::authorization) {
      facts.has_authorization = true;
    }
  }
  facts.accept_encoding = accepted.view();
  facts.cache_control = control.view();
  facts.over_tls = exchange.connection->tls() != nullptr;
  return http::coding_for(facts, exchange.shard.settings().codings->rules);
}

bool lacks_vary(std::string_view fields) {
  Values vary;
  bool fits = true;
  for_each_line(fields, [&](std::string_view name, std::string_view value, std::string_view) {
    if (equal_nocase(name, "vary")) fits = vary.add(value) && fits;
  });
  return !fits || http::needs_vary(vary.view());
}

void add_vary(Answer& answer) {
  if (lacks_vary(answer.fields)) {
    answer.fields.append("Vary: ").append(http::kVaryByCoding).append("\r\n");
  }
}

void weaken_tags(Answer& answer, bool takes_ranges_off) {
  std::string lines;
  lines.reserve(answer.fields.size() + 64);
  for_each_line(answer.fields,
                [&](std::string_view name, std::string_view value, std::string_view line) {
                  if (equal_nocase(name, "etag")) {
                    lines.append(name).append(": ").append(http::weaken_etag(value)).append("\r\n");
                  } else if (!takes_ranges_off || !equal_nocase(name, "accept-ranges")) {
                    lines.append(line);
                  }
                });
  answer.fields = std::move(lines);
}

// The fields of an answer with this coding.
void set_coded(Answer& answer, ContentCoding coding) {
  weaken_tags(answer, true);
  answer.fields.append("Content-Encoding: ").append(http::coding_name(coding)).append("\r\n");
  add_vary(answer);
}

// All of a content; nothing where memory is out.
std::optional<std::string> code_all(coding::Encoder& encoder, Bytes in) {
  std::string made(in.size() / 4 + 512, '\0');
  std::size_t size = 0;
  for (;;) {
    const auto room = std::as_writable_bytes(std::span(made)).subspan(size);
    const auto step = encoder.encode(in, coding::Encoder::Until::finished, room);
    in = in.subspan(step.used);
    size += step.made;
    if (step.error != Errc::none) return std::nullopt;
    if (step.done) break;
    if (size == made.size()) made.resize(made.size() * 2);
  }
  made.resize(size);
  made.shrink_to_fit();
  return made;
}

// Sends `body`, which is a whole content with its coding.
void respond_with(Exchange& exchange, base::SharedBytes body) {
  AnswerExtras& extras = exchange.answer.set_extras();
  exchange.answer.text.clear();
  extras.parts.clear();
  if (exchange.head_only) {
    extras.length_without_body = body.size();
  } else {
    extras.length_without_body.reset();
    BodyPart& part = extras.parts.emplace_back();
    part.bytes = body.bytes();
    part.length = part.bytes.size();
    part.shared = std::move(body);
  }
  exchange.port->respond(exchange);
}

// A head without a length: what GET would get is made on its way.
void respond_head(Exchange& exchange) {
  Hold<Exchange> hold(exchange);
  exchange.answer.set_extras().stream_length.reset();
  exchange.streaming = true;
  exchange.port->begin_stream(exchange);
  if (exchange.port) exchange.port->end_stream(exchange, {});
}

// The body, which its owner keeps alive. Precondition: it is in one piece of memory.
base::SharedBytes take_body(Answer& answer) {
  if (answer.extras().parts.empty()) return base::SharedBytes::own(std::exchange(answer.text, {}));
  std::vector<BodyPart>& parts = answer.set_extras().parts;
  const BodyPart part = std::move(parts.front());
  parts.clear();
  const bool is_all = part.shared && part.shared.bytes().data() == part.bytes.data() &&
                      part.shared.size() == part.bytes.size();
  return is_all ? part.shared : base::SharedBytes::copy(part.bytes);
}

Codings& codings_of(Exchange& exchange) {
  if (!exchange.codings) exchange.codings = std::make_unique<Codings>();
  return *exchange.codings;
}

// What follows to exchange.port is coded. Null: without memory for it, or too much is under way.
std::shared_ptr<AnswerCoder> put_coder(Exchange& exchange, ContentCoding coding, Pace pace) {
  EncoderPool& pool = exchange.shard.encoders;
  auto encoder = pool.take(coding, exchange.shard.settings().codings->encoder_bytes);
  if (!encoder) return nullptr;
  std::shared_ptr<AnswerCoder> coder;
  try {
    Codings& codings = codings_of(exchange);
    coder = std::make_shared<AnswerCoder>(exchange, coding, pace);
    codings.answer = coder;
  } catch (const std::bad_alloc&) {
    pool.give_back(coding, std::move(encoder));
    return nullptr;
  }
  coder->use(std::move(encoder));
  exchange.port = coder.get();
  return coder;
}

// Short enough to be coded now. False: it is not coded.
bool respond_at_once(Exchange& exchange, ContentCoding coding) {
  Answer& answer = exchange.answer;
  const CodingPolicy& policy = *exchange.shard.settings().codings;
  EncoderPool& pool = exchange.shard.encoders;
  const Bytes body = answer.extras().parts.empty() ? as_bytes(std::string_view(answer.text))
                                                   : answer.extras().parts.front().bytes;
  auto encoder = pool.take(coding, policy.encoder_bytes);
  if (!encoder) return false;
  std::optional<std::string> made;
  try {
    made = code_all(*encoder, body);
  } catch (const std::bad_alloc&) {
  }
  pool.give_back(coding, std::move(encoder));
  if (!made) return false;
  set_coded(answer, coding);
  const std::shared_ptr<CodedVariants> variants = answer.extras().variants;
  if (variants && variants->claim(coding)) {
    auto shared = base::SharedBytes::own(std::move(*made));
    variants->keep(coding, shared, pool.variants(), policy.variant_bytes);
    respond_with(exchange, std::move(shared));
    return true;
  }
  if (!answer.is_plain()) {
    answer.set_extras().parts.clear();
    answer.set_extras().length_without_body.reset();
  }
  answer.text = std::move(*made);
  exchange.port->respond(exchange);
  return true;
}

}  // namespace

void respond_coded(Exchange& exchange) {
  Answer& answer = exchange.answer;
  const AnswerExtras& extras = answer.extras();
  const std::uint64_t here = answer.body_size();
  const std::uint64_t size = exchange.head_only ? extras.length_without_body.value_or(here) : here;
  // What is on the disk is sent from there.
  const bool is_elsewhere =
      extras.parts.size() > 1 || (extras.parts.size() == 1 && extras.parts.front().file);
  if (size == 0 || is_elsewhere || extras.uncoded) return exchange.port->respond(exchange);
  const http::CodingVerdict verdict =
      judge(exchange, answer.status, answer.has_type ? std::string_view(answer.type) : "",
            answer.fields, size);
  if (verdict.coding == ContentCoding::identity) {
    if (verdict.vary) add_vary(answer);
    return exchange.port->respond(exchange);
  }
  if (extras.variants) {
    if (base::SharedBytes coded = extras.variants->find(verdict.coding)) {
      set_coded(answer, verdict.coding);
      return respond_with(exchange, std::move(coded));
    }
  }
  if (exchange.head_only && (here != size || size > AnswerCoder::kAtOnce)) {
    set_coded(answer, verdict.coding);
    return respond_head(exchange);
  }
  if (size <= AnswerCoder::kAtOnce) {
    if (respond_at_once(exchange, verdict.coding)) return;
  } else if (auto coder = put_coder(exchange, verdict.coding, Pace::pulled)) {
    Hold<Exchange> hold(exchange);
    const std::shared_ptr<CodedVariants> variants = extras.variants;
    base::SharedBytes body = take_body(answer);
    set_coded(answer, verdict.coding);
    answer.set_extras().stream_length.reset();
    exchange.streaming = true;
    exchange.port->begin_stream(exchange);
    return coder->send_all(std::move(body), variants);
  }
  add_vary(answer);
  exchange.port->respond(exchange);
}

void begin_coded_stream(Exchange& exchange, Pace pace) {
  Answer& answer = exchange.answer;
  http::CodingVerdict verdict;
  if (!answer.extras().uncoded) {
    verdict = judge(exchange, answer.status, answer.has_type ? std::string_view(answer.type) : "",
                    answer.fields, answer.extras().stream_length);
  }
  const bool is_coded =
      verdict.coding != ContentCoding::identity &&
      (exchange.head_only || put_coder(exchange, verdict.coding, pace) != nullptr);
  if (is_coded) {
    set_coded(answer, verdict.coding);
    answer.set_extras().stream_length.reset();
  } else if (verdict.vary) {
    add_vary(answer);
  }
  exchange.port->begin_stream(exchange);
}

void describe_not_modified(Exchange& exchange, std::string_view type, std::string_view fields,
                           std::optional<std::uint64_t> size) {
  if (!exchange.shard.settings().codings || exchange.answer.extras().uncoded) return;
  const http::CodingVerdict verdict = judge(exchange, 200, type, fields, size);
  if (verdict.coding != ContentCoding::identity) weaken_tags(exchange.answer, false);
  if (verdict.vary) add_vary(exchange.answer);
}

// --- Streams -------------------------------------------------------------------------------------

AnswerCoder::AnswerCoder(Exchange& exchange, http::ContentCoding coding, Pace pace)
    : PortFilter(*exchange.port),
      exchange_(&exchange),
      shard_(exchange.shard),
      coding_(coding),
      pace_(pace),
      timer_(&AnswerCoder::fired, this) {}

AnswerCoder::~AnswerCoder() = default;

void AnswerCoder::let_encoder_go() {
  shard_.timers.cancel(timer_);
  if (encoder_) shard_.encoders.give_back(coding_, std::move(encoder_));
  release_claim();
}

void AnswerCoder::release_claim() {
  if (const auto variants = std::move(variants_)) variants->release(coding_);
  variants_.reset();
  std::string().swap(collected_);
}

void AnswerCoder::detach() {
  let_encoder_go();
  body_ = {};
  exchange_ = nullptr;
}

bool AnswerCoder::is_over() const { return !exchange_ || !exchange_->port || !encoder_; }

// False: it is over.
bool AnswerCoder::encode(Bytes in, Until until) {
  std::array<std::byte, kRoom> room;
  for (;;) {
    const auto step = encoder_->encode(in, until, room);
    in = in.subspan(step.used);
    if (step.error != Errc::none) {
      break_off(*exchange_, step.error);
      return false;
    }
    if (step.made > 0) {
      const Bytes made = Bytes(room).first(step.made);
      if (variants_) collect(made);
      if (!inner_->write_stream(*exchange_, made)) full_ = true;
      if (is_over()) return false;
    }
    if (step.done) return true;
  }
}

void AnswerCoder::collect(Bytes coded) {
  try {
    // What does not shrink is not worth keeping.
    if (collected_.size() + coded.size() > body_.size()) return release_claim();
    collected_.append(as_text(coded));
  } catch (const std::bad_alloc&) {
    release_claim();
  }
}

bool AnswerCoder::write_stream(Exchange&, Bytes bytes) {
  if (is_over()) return false;
  if (bytes.empty()) return !full_;
  if (!encode(bytes, Until::taken)) return false;
  flush_soon();
  return !full_;
}

bool AnswerCoder::write_stream_shared(Exchange& exchange, const base::SharedBytes& bytes) {
  return write_stream(exchange, bytes.bytes());
}

void AnswerCoder::end_stream(Exchange& exchange, std::string_view trailer_lines) {
  const auto self = shared_from_this();
  if (is_over() || !encode({}, Until::finished)) return;
  if (variants_) {
    const auto variants = std::move(variants_);
    variants_.reset();
    const auto& policy = shard_.settings().codings;
    collected_.shrink_to_fit();
    variants->keep(coding_, base::SharedBytes::own(std::move(collected_)),
                   shard_.encoders.variants(), policy ? policy->variant_bytes : 0);
  }
  let_encoder_go();
  inner_->end_stream(exchange, trailer_lines);
}

void AnswerCoder::break_off(Exchange& exchange, const Error& why) {
  const auto self = shared_from_this();
  let_encoder_go();
  inner_->break_off(exchange, why);
}

void AnswerCoder::flush_soon() {
  dirty_ = true;
  if (pace_ == Pace::pulled) {
    shard_.timers.set(timer_, shard_.now + base::TimerWheel::kTick);
  } else {
    next_turn(&AnswerCoder::flush);
  }
}

void AnswerCoder::next_turn(void (AnswerCoder::*work)()) {
  if (posted_) return;
  posted_ = shard_.mailbox->post_always([self = shared_from_this(), work] {
    self->posted_ = false;
    ((*self).*work)();
  });
}

void AnswerCoder::fired(void* self) {
  const auto coder = static_cast<AnswerCoder*>(self)->shared_from_this();
  coder->flush();
}

void AnswerCoder::flush() {
  if (is_over() || !std::exchange(dirty_, false)) return;
  step(*exchange_, [this] { encode({}, Until::flushed); });
}

// --- Bodies in memory ----------------------------------------------------------------------------

void AnswerCoder::send_all(base::SharedBytes body, std::shared_ptr<CodedVariants> variants) {
  body_ = std::move(body);
  if (variants && variants->claim(coding_)) variants_ = std::move(variants);
  advance();
}

void AnswerCoder::advance() {
  const auto self = shared_from_this();
  if (is_over() || !body_) return;
  step(*exchange_, [this] {
    Exchange& exchange = *exchange_;
    const std::size_t end = std::min(at_ + kPerTurn, body_.size());
    while (at_ < end && !full_) {
      const Bytes piece = body_.bytes().subspan(at_, std::min(end - at_, kRoom));
      at_ += piece.size();
      if (!encode(piece, Until::taken)) return;
    }
    if (at_ == body_.size()) {
      end_stream(exchange, {});
      body_ = {};
    } else if (!full_) {
      next_turn(&AnswerCoder::advance);
    }
  });
}

void AnswerCoder::on_writable() {
  full_ = false;
  if (body_) advance();
}

}  // namespace sluice::core
