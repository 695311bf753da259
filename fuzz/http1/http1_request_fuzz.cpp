// fuzz/http1/http1_request_fuzz.cpp - request heads: whole equals split, and what was accepted can
// be written again.
//
// Layer: fuzz.
#include "http1/feed.hpp"
#include "proto/http1/request_decoder.hpp"
#include "proto/http1/request_encoder.hpp"

namespace {

using namespace sluice;
using http1::Input;
using http1::Outcome;

std::string describe(const http::RequestHead& head, Bytes in, std::size_t used) {
  for (const std::string_view view : {head.method_text, head.target, head.query, head.host}) {
    http1::check_inside(view, in, used);
  }
  std::string text(head.method_text);
  for (const std::string_view view : {head.target, head.path, head.query, head.host}) {
    text.append(" ").append(view);
  }
  for (const int number : {int(head.method), int(head.form), int(head.body), int(head.minor),
                           int(head.keep_alive), int(head.expect_continue), int(head.upgrade)}) {
    text.append(" ").append(std::to_string(number));
  }
  text.append(" ").append(std::to_string(head.content_length)).append("\n");
  return text + http1::describe(head.fields, in, used);
}

Outcome run(const Input& input, std::size_t step) {
  http1::RequestDecoder decoder;
  http::RequestHead head;
  return http1::feed_head(
      input, step, [&](Bytes in) { return decoder.decode(in, input.limits, head); },
      [&](Bytes in, std::size_t used) { return describe(head, in, used); });
}

// A head that was accepted says the same after it was written and read again.
void check_round_trip(const Input& input) {
  http1::RequestDecoder decoder;
  http::RequestHead head;
  if (!decoder.decode(as_bytes(input.wire), input.limits, head).is_done()) return;
  if (head.minor == 0 || head.form == http::TargetForm::absolute) return;
  std::string fields;
  std::string host;
  for (const http::Field& field : head.fields) {
    switch (field.id) {
      case http::FieldId::host:
        host = field.value;
        break;
      case http::FieldId::content_length:
      case http::FieldId::transfer_encoding:
        break;
      default:
        fields.append(field.name).append(":").append(field.value).append("\r\n");
    }
  }
  http1::RequestHeadOut out;
  out.method = head.method_text;
  out.target = head.target;
  out.host = host;
  out.fields = fields;
  out.content_length = head.content_length;
  out.framing = head.body == http::BodyKind::chunked  ? http1::Framing::chunked
                : head.body == http::BodyKind::length ? http1::Framing::length
                                                      : http1::Framing::none;
  if (!http1::is_writable(out)) std::abort();
  std::vector<char> room(http1::request_head_bound(out));
  const char* end = http1::write_request_head(room.data(), out);
  const std::string_view wire(room.data(), static_cast<std::size_t>(end - room.data()));
  http1::RequestDecoder again;
  http::RequestHead copy;
  const http::HeadLimits limits{SIZE_MAX, SIZE_MAX, SIZE_MAX, 255};
  if (!again.decode(as_bytes(wire), limits, copy).is_done()) std::abort();
  if (copy.target != head.target || copy.host != head.host || copy.body != head.body ||
      copy.content_length != head.content_length || copy.keep_alive != head.keep_alive ||
      copy.upgrade != head.upgrade || copy.expect_continue != head.expect_continue) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Input input(data, size);
  http1::expect_one_verdict(input, run);
  check_round_trip(input);
  return 0;
}
