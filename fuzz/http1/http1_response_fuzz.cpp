// fuzz/http1/http1_response_fuzz.cpp - response heads: whole equals split.
//
// Layer: fuzz.
#include "http1/feed.hpp"
#include "proto/http1/response_decoder.hpp"

namespace {

using namespace sluice;
using http1::Input;
using http1::Outcome;

std::string describe(const http::ResponseHead& head, Bytes in, std::size_t used) {
  http1::check_inside(head.reason, in, used);
  std::string text(head.reason);
  for (const int number : {head.status, int(head.minor), int(head.body), int(head.keep_alive)}) {
    text.append(" ").append(std::to_string(number));
  }
  text.append(" ").append(std::to_string(head.content_length)).append("\n");
  return text + http1::describe(head.fields, in, used);
}

Outcome run(const Input& input, std::size_t step) {
  constexpr http::Method methods[] = {http::Method::get, http::Method::head, http::Method::connect};
  const http::Method request = methods[input.choice % std::size(methods)];
  http1::ResponseDecoder decoder;
  http::ResponseHead head;
  return http1::feed_head(
      input, step, [&](Bytes in) { return decoder.decode(in, request, input.limits, head); },
      [&](Bytes in, std::size_t used) { return describe(head, in, used); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  http1::expect_one_verdict(Input(data, size), run);
  return 0;
}
