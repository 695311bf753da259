// core/form.cpp - see form.hpp.
#include "core/form.hpp"

#include <algorithm>
#include <utility>

#include "proto/multipart/boundary.hpp"

namespace sluice::core {

std::size_t size_of_names(const multipart::PartHead& head) {
  return head.name.size() + head.file_name.size() + head.content_type.size();
}

Errc read_form(std::string_view content_type, Bytes body, const Limits& limits, Form& form) {
  const auto boundary = multipart::boundary_of(content_type);
  if (!boundary) return Errc::multipart_bad_boundary;
  multipart::Decoder decoder(*boundary, {limits.head_bytes, limits.upload_parts});
  std::uint64_t all_fields = 0;
  std::size_t at = 0, begin = 0;
  for (;;) {
    auto parsed = decoder.decode(body.subspan(at));
    if (parsed.is_bad()) return parsed.error();
    if (parsed.needs_more()) break;
    at += parsed.used();
    switch (parsed.value().kind) {
      case multipart::Piece::Kind::part:
        begin = at;
        continue;
      case multipart::Piece::Kind::data:
        continue;
      case multipart::Piece::Kind::end:
        break;
      case multipart::Piece::Kind::part_end: {
        // Where the delimiter begins; that of an empty part may begin in front of it.
        const std::size_t end = std::max(begin, at - std::min(at, decoder.delimiter_size()));
        const Bytes content = body.subspan(begin, end - begin);
        multipart::PartHead head = decoder.head();
        all_fields += size_of_names(head);
        if (all_fields > limits.upload_fields_bytes) return Errc::upload_field_too_large;
        if (head.is_file) {
          if (limits.upload_file_bytes && content.size() > *limits.upload_file_bytes) {
            return Errc::upload_file_too_large;
          }
          form.files.push_back({std::move(head.name),
                                std::move(head.file_name),
                                std::move(head.content_type),
                                content.size(),
                                content,
                                {}});
          continue;
        }
        all_fields += content.size();
        if (content.size() > limits.upload_field_bytes || all_fields > limits.upload_fields_bytes) {
          return Errc::upload_field_too_large;
        }
        form.fields.push_back({std::move(head.name), as_text(content)});
        continue;
      }
    }
    break;
  }
  return decoder.is_complete() ? Errc::none : Errc::multipart_truncated;
}

}  // namespace sluice::core
