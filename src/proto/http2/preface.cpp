// proto/http2/preface.cpp - twenty-four bytes, as far as they have come.
#include "proto/http2/preface.hpp"

namespace sluice::http2 {

Preface judge_preface(Bytes bytes) {
  const std::string_view text = as_text(bytes).substr(0, kPreface.size());
  if (text != kPreface.substr(0, text.size())) return Preface::no;
  return text.size() == kPreface.size() ? Preface::yes : Preface::maybe;
}

}  // namespace sluice::http2
