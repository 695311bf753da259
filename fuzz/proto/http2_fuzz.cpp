// fuzz/proto/http2_fuzz.cpp - whatever a client sends: what is said of it does not depend on
// how it was cut, each stream that was told of ends once, and answers stay within what is asked
// for.
//
// Layer: fuzz.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "http/expect.hpp"
#include "proto/http2/preface.hpp"
#include "proto/http2/session.hpp"

using namespace sluice;

namespace {

// Answers some, and writes down what it is told.
class Peer final : public http2::Events, public http2::Out {
 public:
  void on_request(http2::Stream& stream, http2::Request& request) override {
    EXPECT_THAT(live.insert(stream.id()).second);
    const http::RequestHead& head = request.head;
    for (const std::string_view view : {head.method_text, head.target, head.path, head.query,
                                        head.host, request.scheme, request.protocol}) {
      EXPECT_THAT(http::is_inside(view, request.text));
    }
    for (const http::Field& field : head.fields) {
      EXPECT_THAT(http::is_inside(field.name, request.text));
      EXPECT_THAT(http::is_inside(field.value, request.text));
    }
    EXPECT_THAT(request.error != Errc::none || !head.host.empty());
    said += "request " + std::to_string(stream.id()) + " " + std::string(head.method_text) + " " +
            std::string(head.target) + " " + std::to_string(head.fields.size()) + "\n";
    if (stream.id() % 16 == 7) {
      drop(stream);
    } else if (stream.id() % 16 == 15) {
      session->end();
    } else if (stream.id() % 4 == 1) {
      session->answer(stream, {.status = 200, .fields = "X: y\r\n", .ends = stream.id() % 8 == 1});
    }
  }
  void on_refused(std::uint32_t id, Errc why) override {
    EXPECT_THAT(why != Errc::none);
    said += "refused " + std::to_string(id) + "\n";
  }
  void on_data(http2::Stream& stream, std::span<std::byte> data) override {
    EXPECT_THAT(live.count(stream.id()) == 1 && !data.empty());
    bytes[stream.id()] += data.size();
    session->consume(stream, data.size() / 2);
  }
  void on_end(http2::Stream& stream) override {
    // Of a body that breaks off, or is longer than it was to be, as much is told as had come.
    said += "end " + std::to_string(stream.id()) + " " + std::to_string(bytes[stream.id()]) + "\n";
  }
  void on_trailers(http2::Stream& stream, std::span<const http::Field>) override {
    if (stream.id() % 16 == 3) drop(stream);
  }
  void on_closed(http2::Stream& stream, http2::Code) override {
    EXPECT_THAT(live.erase(stream.id()) == 1);
    session->consume(stream, 1);
    session->reset(stream, http2::Code::cancel);
  }
  bool put(Bytes frames) noexcept override {
    sent += frames.size();
    return true;
  }
  http2::Piece next(http2::Stream& stream, std::size_t most) noexcept override {
    return {std::min<std::size_t>(most, stream.id()), http2::Piece::Then::end, {}};
  }
  bool put_body(http2::Stream&, std::size_t size) noexcept override {
    sent += size;
    return true;
  }

  void drop(http2::Stream& stream) {
    live.erase(stream.id());
    session->reset(stream, http2::Code::cancel);
  }

  std::unique_ptr<http2::Session> session;
  std::set<std::uint32_t> live;
  std::map<std::uint32_t, std::size_t> bytes;  // of bodies
  std::string said;
  std::size_t sent = 0;
};

const std::shared_ptr<const http2::Context>& context() {
  static const auto made = *http2::Context::server({.extended_connect = true});
  return made;
}

std::string verdict(std::string_view text, std::size_t step) {
  http2::Memory memory(0);  // what is used after it was given back is seen
  Peer peer;
  peer.session = std::move(http2::Session::accept(context(), memory, peer)).value();
  std::string copy(text);
  const std::span<std::byte> all(reinterpret_cast<std::byte*>(copy.data()), copy.size());
  for (std::size_t at = 0; at < all.size(); at += step) {
    peer.session->feed(base::Instant(), all.subspan(at, std::min(step, all.size() - at)));
    EXPECT_THAT(peer.live.size() == peer.session->streams());
  }
  std::size_t before = 0;
  do {
    before = peer.sent;
    const std::size_t given = peer.session->send(peer, 100);
    EXPECT_THAT(given <= 100 && peer.sent - before == given);
  } while (peer.sent != before);
  if (peer.session->has_failed()) {
    EXPECT_THAT(peer.live.empty() && peer.session->is_over());
    peer.said += http2::word(peer.session->failure().code);
  }
  peer.session.reset();
  EXPECT_THAT(memory.bytes_in_use() == 0);
  return peer.said;
}

}  // namespace

// The first byte says how it is cut. What does not begin with a preface gets one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t step = data[0] % 32U + 1;
  std::string text(http::text_of(data + 1, size - 1));
  if (text.substr(0, 3) != "PRI") {
    text = std::string(http2::kPreface) + std::string("\0\0\0\4\0\0\0\0\0", 9) + text;
  }
  EXPECT_THAT(verdict(text, text.size()) == verdict(text, step));
  return 0;
}
