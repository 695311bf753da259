// fuzz/tls/tls_session_fuzz.cpp - whatever a client sends first: the verdict does not depend on how
// it was cut, no plain bytes come of it, and where records end is known.
//
// Layer: fuzz.
#include <algorithm>
#include <string>
#include <vector>

#include "http/expect.hpp"
#include "tls/framing.hpp"
#include "tls/self_signed.hpp"
#include "tls/session.hpp"

using namespace sluice;

namespace {

class Counted final : public tls::Out {
 public:
  bool put(Bytes cipher) noexcept override {
    bytes += cipher.size();
    return true;
  }
  std::size_t bytes = 0;
};

const std::shared_ptr<const tls::Context>& context() {
  static const std::shared_ptr<const tls::Context> made = [] {
    const Result<tls::Certificate> certificate = tls::self_signed();
    EXPECT_THAT(certificate);
    return *tls::Context::server({.certificates = {{*certificate}}, .protocols = {"http/1.1"}});
  }();
  return made;
}

tls::Reason verdict(std::string_view text, std::size_t cut) {
  const auto session = std::move(tls::Session::accept(context())).value();
  Counted out;
  for (const std::string_view part : {text.substr(0, cut), text.substr(cut)}) {
    std::vector<std::byte> block(part.size());
    std::copy_n(reinterpret_cast<const std::byte*>(part.data()), part.size(), block.begin());
    std::span<std::byte> cipher(block);
    EXPECT_THAT(session->receive(cipher, {}, out).empty());
    EXPECT_THAT(cipher.empty() || session->has_failed());
  }
  // A flight of ours for each hello of theirs, at most.
  EXPECT_THAT(out.bytes < 16384);
  EXPECT_THAT(!session->is_open());
  if (session->has_failed()) EXPECT_THAT(session->failure().reason != tls::Reason::none);
  return session->failure().reason;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = http::text_of(data, size);
  const std::size_t cut = size == 0 ? 0 : data[size - 1] % size;
  EXPECT_THAT(verdict(text, size) == verdict(text, cut));
  tls::Framing whole, split;
  const bool passed = whole.pass(as_bytes(text), true);
  EXPECT_THAT(passed == (split.pass(as_bytes(text.substr(0, cut)), true) &&
                         split.pass(as_bytes(text.substr(cut)), true)));
  EXPECT_THAT(!passed || whole.is_inside() == split.is_inside());
  return 0;
}
