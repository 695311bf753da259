// service/files/answer.cpp - representations, preconditions, ranges.
//
// Layer: service. Thread: shard.
#include "service/files/answer.hpp"

#include <array>
#include <utility>

#include "core/answer_coder.hpp"
#include "core/exchange.hpp"
#include "core/shard.hpp"
#include "crypto/digest.hpp"
#include "proto/http/conditional.hpp"
#include "proto/http/media_type.hpp"
#include "proto/http/token.hpp"

namespace sluice::service {
namespace {

using core::BodyPart;
using core::Exchange;
using http::ByteRange;
using http::FieldId;

void append_part(Exchange& exchange, const FileVersion& version, const ByteRange& range) {
  BodyPart& part = exchange.answer.set_extras().parts.emplace_back();
  if (version.in_memory) {
    part.shared = version.content;
    part.bytes = version.content.bytes().subspan(static_cast<std::size_t>(range.first),
                                                 static_cast<std::size_t>(range.size()));
  } else {
    part.file = version.file;
  }
  part.offset = range.first;
  part.length = range.size();
}

// The part that lives in the exchange's arena.
void append_text(Exchange& exchange, std::string_view text) {
  BodyPart& part = exchange.answer.set_extras().parts.emplace_back();
  part.bytes = as_bytes(exchange.arena.copy(text));
  part.length = text.size();
}

void append_whole(Exchange& exchange, const FileVersion& version) {
  const std::uint64_t size = version.facts.size;
  if (exchange.head_only) {
    exchange.answer.set_extras().length_without_body = size;
  } else if (size != 0) {
    append_part(exchange, version, {0, size - 1});
  }
}

// Lines that the application has set itself are left as they are.
void add_lines(Exchange& exchange, std::string_view lines) {
  std::string& fields = exchange.answer.fields;
  if (fields.empty()) {
    fields.append(lines);
    return;
  }
  const std::size_t own = fields.size();
  while (!lines.empty()) {
    const std::size_t end = lines.find("\r\n") + 2;
    const std::string_view line = lines.substr(0, end);
    const std::string_view name = line.substr(0, line.find(':'));
    if (field_in(std::string_view(fields).substr(0, own), name).data() == nullptr) {
      fields.append(line);
    }
    lines.remove_prefix(end);
  }
}

void set_type(Exchange& exchange, std::string_view type) {
  if (exchange.answer.has_type) return;
  exchange.answer.type.assign(type);
  exchange.answer.has_type = true;
}

// Several ranges, each with its own head (RFC 9110 section 14.6).
void append_parts(Exchange& exchange, const FileVersion& version,
                  const std::vector<ByteRange>& ranges) {
  const std::string boundary = new_boundary();
  const std::string type = std::exchange(exchange.answer.type, {});
  bool first = true;
  for (const ByteRange& range : ranges) {
    append_text(exchange, http::part_head(boundary, type, range, version.facts.size, first));
    append_part(exchange, version, range);
    first = false;
  }
  append_text(exchange, http::parts_end(boundary));
  exchange.answer.type.append("multipart/byteranges; boundary=").append(boundary);
}

// 412 and 416 instead of the representation.
void set_failure(Exchange& exchange, Errc code, const FileVersion& version) {
  exchange.set_error(code);
  if (version.vary) exchange.add_field_unchecked("Vary", "Accept-Encoding");
}

// The handler has done the range itself, or answers with a status of its own: no conditions, no
// ranges.
void answer_as_it_is(Exchange& exchange, const FileVersion& version) {
  core::Answer& answer = exchange.answer;
  if (answer.extras().range_first && answer.extras().range_last && answer.extras().range_size) {
    if (*answer.extras().range_last < *answer.extras().range_first ||
        *answer.extras().range_last - *answer.extras().range_first + 1 != version.facts.size) {
      exchange.set_error(Errc::http_length_mismatch);
      return;
    }
  }
  add_lines(exchange, version.fields);
  set_type(exchange, version.type);
  append_whole(exchange, version);
}

void answer_version(Exchange& exchange, const FileVersion& version, const Wishes& wishes) {
  core::Answer& answer = exchange.answer;
  if (answer.status != 200 || answer.has_range || answer.extras().range_first) {
    return answer_as_it_is(exchange, version);
  }
  http::Validators validators = version.validators();
  if (!answer.fields.empty()) {
    // An application's own validators are the ones the client has seen.
    if (auto own = field_in(answer.fields, "ETag"); own.data() != nullptr) validators.etag = own;
  }
  const std::int64_t now = exchange.shard.wall_seconds();
  if (wishes.conditional) {
    const auto verdict = http::judge_conditions(exchange.head, validators, now);
    if (verdict == http::Condition::not_modified) {
      answer.status = 304;
      add_lines(exchange, version.fields_not_modified);
      if (version.in_memory && exchange.shard.settings().codings) {
        core::describe_not_modified(exchange, answer.has_type ? answer.type : version.type,
                                    answer.fields + version.fields, version.facts.size);
      }
      answer.type.clear();
      answer.has_type = false;
      return;
    }
    if (verdict == http::Condition::failed) {
      return set_failure(exchange, Errc::http_precondition_failed, version);
    }
  }
  std::vector<ByteRange> ranges;
  switch (judge_ranges(exchange, wishes, validators, version.facts.size, ranges)) {
    case http::RangeVerdict::whole:
      add_lines(exchange, version.fields);
      set_type(exchange, version.type);
      append_whole(exchange, version);
      break;
    case http::RangeVerdict::partial:
      add_lines(exchange, version.fields);
      set_type(exchange, version.type);
      answer.status = 206;
      if (ranges.size() == 1) {
        exchange.add_field_unchecked("Content-Range",
                                     http::content_range(ranges[0], version.facts.size));
        append_part(exchange, version, ranges[0]);
      } else {
        append_parts(exchange, version, ranges);
      }
      break;
    case http::RangeVerdict::unsatisfiable:
      set_failure(exchange, Errc::http_range_not_satisfiable, version);
      exchange.add_field_unchecked("Content-Range",
                                   http::content_range_unsatisfied(version.facts.size));
      exchange.add_field_unchecked("Accept-Ranges", "bytes");
      break;
  }
}

void answer_redirect(Exchange& exchange) {
  std::string location = encode_path(std::string(exchange.document) + '/');
  if (!exchange.head.query.empty()) {
    location.append("?").append(encode_query(exchange.head.query));
  }
  exchange.set_plain(301, "the directory's address ends in a slash\n");
  exchange.add_field_unchecked("Location", location);
}

void answer_listing(Exchange& exchange, const Found& found) {
  core::Answer& answer = exchange.answer;
  set_type(exchange, "text/html; charset=utf-8");
  if (exchange.head_only) {
    answer.set_extras().length_without_body = found.page.size();
    return;
  }
  BodyPart& part = answer.set_extras().parts.emplace_back();
  part.shared = found.page;
  part.bytes = found.page.bytes();
  part.length = part.bytes.size();
}

// Several lines are one list (RFC 9110 section 5.3).
std::string_view joined(Exchange& exchange, FieldId id) {
  std::string text;
  for (const http::Field& field : exchange.head.fields) {
    if (field.id != id) continue;
    if (!text.empty()) text += ',';
    text.append(field.value);
  }
  return exchange.arena.copy(text);
}

}  // namespace

void answer_found(Exchange& exchange, const Root& root, const Found& found) {
  if (!exchange.answer.is_plain()) exchange.answer.set_extras().file.clear();
  exchange.answer.text.clear();
  switch (found.kind) {
    case Found::Kind::failure: {
      Errc code = found.error;
      if (root.is_application() && code == Errc::not_regular_file) code = Errc::not_found;
      exchange.set_error(code);
      return;
    }
    case Found::Kind::redirect:
      return answer_redirect(exchange);
    case Found::Kind::listing:
      return answer_listing(exchange, found);
    case Found::Kind::file:
      break;
  }
  const Wishes wishes = wishes_of(exchange);
  Coding coding = Coding::identity;
  if (found.has_siblings &&
      (exchange.answer.fields.empty() ||
       field_in(exchange.answer.fields, "Content-Encoding").data() == nullptr)) {
    coding = choose_coding(found, wishes);
  }
  const VersionRef& version = found.version(coding);
  answer_version(exchange, *version, wishes);
  if (exchange.shard.settings().codings && version->in_memory && exchange.answer.status == 200) {
    exchange.answer.set_extras().variants =
        std::shared_ptr<core::CodedVariants>(version, &version->variants);
  }
}

Wishes wishes_of(Exchange& exchange) {
  Wishes wishes;
  int ranges = 0, encodings = 0;
  for (const http::Field& field : exchange.head.fields) {
    switch (field.id) {
      case FieldId::if_match:
      case FieldId::if_none_match:
      case FieldId::if_modified_since:
      case FieldId::if_unmodified_since:
        wishes.conditional = true;
        break;
      case FieldId::range:
        wishes.range = field.value;
        ++ranges;
        break;
      case FieldId::accept_encoding:
        wishes.accept_encoding = field.value;
        ++encodings;
        break;
      default:
        break;
    }
  }
  wishes.has_range = ranges == 1;
  wishes.has_accept_encoding = encodings != 0;
  if (encodings > 1) wishes.accept_encoding = joined(exchange, FieldId::accept_encoding);
  return wishes;
}

Coding choose_coding(const Found& found, const Wishes& wishes) {
  if (!found.has_siblings || !wishes.has_accept_encoding) return Coding::identity;
  // Identity without a weight of its own is what is sent when nothing better is there.
  constexpr std::string_view kIdentity = "identity";
  int best = 0;
  bool named = false;
  std::string_view list = wishes.accept_encoding;
  while (!list.empty() && !named) {
    const std::size_t comma = list.find(',');
    const std::string_view member = http::trim_ows(list.substr(0, comma));
    named = http::equal_nocase(member.substr(0, kIdentity.size()), kIdentity);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  if (named) best = http::coding_quality(wishes.accept_encoding, true, kIdentity);
  Coding chosen = Coding::identity;
  for (const Coding coding : {Coding::gzip, Coding::br}) {
    if (!found.version(coding)) continue;
    const int quality = http::coding_quality(wishes.accept_encoding, true,
                                             kCodingNames[static_cast<std::size_t>(coding)]);
    if (quality == 0 || quality < best) continue;
    best = quality;
    chosen = coding;
  }
  return chosen;
}

std::string new_boundary() {
  std::array<std::byte, 15> random{};
  crypto::random_bytes(random);
  constexpr std::string_view letters = "0123456789abcdefghijklmnopqrstuv";
  std::string boundary;
  for (const std::byte octet : random) {
    boundary += letters[std::to_integer<std::size_t>(octet) & 31];
    boundary += letters[std::to_integer<std::size_t>(octet) >> 3];
  }
  return boundary;
}

std::string_view field_in(std::string_view lines, std::string_view name) {
  while (!lines.empty()) {
    const std::size_t end = lines.find("\r\n");
    const std::string_view line = lines.substr(0, end);
    if (line.size() > name.size() && line[name.size()] == ':' &&
        http::equal_nocase(line.substr(0, name.size()), name)) {
      return http::trim_ows(line.substr(name.size() + 1));
    }
    if (end == std::string_view::npos) break;
    lines.remove_prefix(end + 2);
  }
  return {};
}

http::RangeVerdict judge_ranges(Exchange& exchange, const Wishes& wishes,
                                const http::Validators& validators, std::uint64_t size,
                                std::vector<ByteRange>& ranges) {
  const bool counts = wishes.has_range && exchange.head.method == http::Method::get &&
                      http::range_applies(exchange.head, validators, exchange.shard.wall_seconds());
  return counts ? http::read_range(wishes.range, size, ranges) : http::RangeVerdict::whole;
}

}  // namespace sluice::service
