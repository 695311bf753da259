// tests/proto/http2/head_test.cpp - which heads are requests, which are malformed, and limits.
//
// RFC 9113 sections 8.2 and 8.3, RFC 8441. Layer: tests.
#include "proto/http2/harness.hpp"

namespace sluice::test::h2 {
namespace {

TEST(Http2Head, IsLikeOneOfHttp1) {
  Connection peer;
  EXPECT_EQ(peer.talk(opening() + headers(1,
                                          with(post("/a%20b?x=1&y"), {{"content-length", "3"},
                                                                      {"cookie", "a=1"},
                                                                      {"accept", "*/*"},
                                                                      {"cookie", "b=2"},
                                                                      {"x-empty", ""},
                                                                      {"cookie", "c=3"},
                                                                      {"expect", "100-continue"}}),
                                          false)),
            "");
  EXPECT_EQ(peer.log, "request 1 POST /a%20b?x=1&y\n");
  const http::RequestHead& head = peer.head;
  EXPECT_EQ(head.method, http::Method::post);
  EXPECT_EQ(head.form, http::TargetForm::origin);
  EXPECT_EQ(head.path, "/a%20b");
  EXPECT_EQ(head.query, "x=1&y");
  EXPECT_EQ(head.host, "a.example");
  EXPECT_EQ(head.body, http::BodyKind::length);
  EXPECT_EQ(head.content_length, 3U);
  EXPECT_TRUE(head.expect_continue);
  EXPECT_EQ(head.find(http::FieldId::cookie), "a=1; b=2; c=3");
  EXPECT_EQ(head.find("x-empty"), "");
  EXPECT_NE(head.find("x-empty").data(), nullptr);
  EXPECT_EQ(head.fields.size(), 5U);
  EXPECT_EQ(peer.scheme, "https");
  EXPECT_EQ(peer.protocol, "");
}

TEST(Http2Head, SaysWhetherABodyFollows) {
  Connection peer;
  peer.talk(opening() + headers(1, get()));
  EXPECT_EQ(peer.head.body, http::BodyKind::none);
  peer.talk(headers(3, post(), false));
  EXPECT_EQ(peer.head.body, http::BodyKind::chunked);
  peer.talk(headers(5, with(post(), {{"content-length", "0"}}), true));
  EXPECT_EQ(peer.head.body, http::BodyKind::none);
  EXPECT_EQ(peer.log, "request 1 GET /\nrequest 3 POST /\nrequest 5 POST /\n");
}

TEST(Http2Head, IsToldThoughTheFrontRefusesIt) {
  Connection peer;
  FieldList trace = get();
  trace[0].second = "TRACE";
  const FieldList connect = {{":method", "CONNECT"}, {":authority", "a.example:443"}};
  EXPECT_EQ(peer.talk(opening() + headers(1, trace) + headers(3, connect, false)), "");
  EXPECT_EQ(peer.log, "request 1 TRACE /\nrequest 3 CONNECT a.example:443\n");
  EXPECT_EQ(peer.head.method, http::Method::connect);
  EXPECT_EQ(peer.head.form, http::TargetForm::authority);
  EXPECT_EQ(peer.head.host, "a.example:443");
}

TEST(Http2Head, ExtendedConnectOnlyWhenAnnounced) {
  const FieldList connect = {{":method", "CONNECT"}, {":protocol", "websocket"},
                             {":scheme", "https"},   {":authority", "a.example"},
                             {":path", "/chat?x"},   {"sec-websocket-version", "13"}};
  Connection with_it(Settings{.extended_connect = true});
  EXPECT_EQ(with_it.talk(opening() + headers(1, connect, false)), "");
  EXPECT_EQ(with_it.log, "request 1 CONNECT /chat?x\n");
  EXPECT_EQ(with_it.protocol, "websocket");
  EXPECT_EQ(with_it.head.path, "/chat");
  EXPECT_EQ(with_it.head.form, http::TargetForm::origin);

  Connection without;
  EXPECT_EQ(without.talk(opening() + headers(1, connect, false)), "RST_STREAM 1 PROTOCOL_ERROR\n");
  EXPECT_EQ(without.log, "refused 1\n");
}

TEST(Http2Head, Malformed) {
  struct Case {
    const char* name;
    FieldList fields;
  };
  const auto changed = [](std::size_t which, std::string value) {
    FieldList fields = get();
    fields[which].second = std::move(value);
    return fields;
  };
  const auto without = [](std::size_t which) {
    FieldList fields = get();
    fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(which));
    return fields;
  };
  const auto more = [](std::string name, std::string value) {
    return with(get(), {{std::move(name), std::move(value)}});
  };
  const Case cases[] = {
      {"nothing", {}},
      {"no method", without(0)},
      {"no scheme", without(1)},
      {"no authority, no host", without(2)},
      {"no path", without(3)},
      {"empty path", changed(3, "")},
      {"path without slash", changed(3, "a")},
      {"absolute path", changed(3, "https://a.example/")},
      {"asterisk with GET", changed(3, "*")},
      {"fragment", changed(3, "/a#b")},
      {"space in a path", changed(3, "/a b")},
      {"NUL in a path", changed(3, std::string("/a\0b", 4))},
      {"line break in a path", changed(3, "/a\r\nb")},
      {"empty method", changed(0, "")},
      {"space in a method", changed(0, "GE T")},
      {"long method", changed(0, std::string(33, 'A'))},
      {"line break in a method", changed(0, "GET\n")},
      {"unknown scheme", changed(1, "ftp")},
      {"empty scheme", changed(1, "")},
      {"line break in an authority", changed(2, "a.example\r\nx: y")},
      {"empty authority", changed(2, "")},
      {"user in an authority", changed(2, "a@b.example")},
      {"method twice", more(":method", "GET")},
      {"path twice", more(":path", "/")},
      {"unknown pseudo-field", more(":proto", "x")},
      {"status", more(":status", "200")},
      {"pseudo-field behind a field",
       {{":method", "GET"},
        {":scheme", "https"},
        {":authority", "a.example"},
        {"x", "y"},
        {":path", "/"}}},
      {"capital letter", more("X-Name", "y")},
      {"empty name", more("", "y")},
      {"space in a name", more("x y", "z")},
      {"colon in a name", more("x:y", "z")},
      {"NUL in a name", more(std::string("x\0", 2), "z")},
      {"high byte in a name", more("x\xff", "z")},
      {"CR in a value", more("x", "a\rb")},
      {"LF in a value", more("x", "a\nb")},
      {"NUL in a value", more("x", std::string("a\0b", 3))},
      {"DEL in a value", more("x", "a\x7f")},
      {"space in front of a value", more("x", " a")},
      {"space behind a value", more("x", "a ")},
      {"tab behind a value", more("x", "a\t")},
      {"connection", more("connection", "close")},
      {"keep-alive", more("keep-alive", "5")},
      {"proxy-connection", more("proxy-connection", "close")},
      {"transfer-encoding", more("transfer-encoding", "chunked")},
      {"upgrade", more("upgrade", "h2c")},
      {"te", more("te", "gzip")},
      {"content-length without a body", more("content-length", "1")},
      {"content-length is no number", more("content-length", "1x")},
      {"content-length with a sign", more("content-length", "+0")},
      {"two lengths", with(get(), {{"content-length", "0"}, {"content-length", "0"}})},
      {"two hosts", with(get(), {{"host", "a.example"}, {"host", "a.example"}})},
      {"another host", more("host", "b.example")},
      {"bad host", with(without(2), {{"host", "a b"}})},
      {"protocol without CONNECT", more(":protocol", "websocket")},
      {"connect with a path", changed(0, "CONNECT")},
      {"connect without a port", {{":method", "CONNECT"}, {":authority", "a.example"}}},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.name);
    Connection peer(Settings{.extended_connect = true});
    EXPECT_EQ(peer.talk(opening() + headers(1, each.fields)), "RST_STREAM 1 PROTOCOL_ERROR\n");
    EXPECT_EQ(peer.log, "refused 1\n");
    ASSERT_EQ(peer.errors.size(), 1U);
    EXPECT_NE(peer.errors[0], Errc::none);
    EXPECT_EQ(peer.session->streams(), 0U);
    EXPECT_EQ(peer.session->counters().provoked, 1U);
    // Others are served.
    EXPECT_EQ(peer.talk(headers(3, get("/next"))), "");
    EXPECT_EQ(peer.log, "refused 1\nrequest 3 GET /next\n");
  }
}

TEST(Http2Head, Accepted) {
  FieldList options = get("*");
  options[0].second = "OPTIONS";
  FieldList by_host = get();
  by_host.erase(by_host.begin() + 2);
  by_host.push_back({"host", "b.example:8080"});
  const std::pair<FieldList, const char*> cases[] = {
      {with(get(), {{"te", "trailers"}}), "a.example"},
      {with(get(), {{"host", "A.example"}}), "a.example"},
      {with(get(), {{"x", "a\tb \xc3\xa9"}}), "a.example"},
      {with(get(), {{"x", ""}}), "a.example"},
      {with(get("/\xc3\xa9"), {}), "a.example"},
      {options, "a.example"},
      {by_host, "b.example:8080"},
  };
  Connection peer;
  peer.talk(opening());
  std::uint32_t id = 1;
  for (const auto& [fields, host] : cases) {
    EXPECT_EQ(peer.talk(headers(id, fields)), "") << id;
    EXPECT_EQ(peer.head.host, host) << id;
    id += 2;
  }
  EXPECT_EQ(peer.session->streams(), std::size(cases));
}

TEST(Http2Head, UnknownExpectationIsAnswered) {
  Connection peer;
  peer.talk(opening() + headers(1, with(get(), {{"expect", "tea"}})));
  EXPECT_EQ(peer.log, "request 1 GET / 417\n");
}

// --- limits --------------------------------------------------------------------------------------

std::size_t list_size(const FieldList& fields) {
  std::size_t size = 0;
  for (const auto& [name, value] : fields) size += name.size() + value.size() + 32;
  return size;
}

TEST(Http2Head, HeadBytes) {
  Settings settings;
  settings.head.head_bytes = 1000;
  const std::size_t used = list_size(get()) + 33;
  for (const std::size_t over : {0U, 1U}) {
    Connection peer(settings);
    EXPECT_EQ(peer.talk(opening() +
                        headers(1, with(get(), {{"x", std::string(1000 - used + over, 'v')}}))),
              "");
    EXPECT_EQ(peer.log, over == 0 ? "request 1 GET /\n" : "request 1 GET / 431\n");
    if (over != 0) {
      EXPECT_EQ(peer.errors, std::vector{Errc::http_head_too_large});
    }
  }
}

TEST(Http2Head, AnnouncesItsLimits) {
  Settings settings{.streams = 7, .stream_window = 70000, .extended_connect = true};
  settings.head.head_bytes = 1000;
  Connection peer(settings);
  const std::vector<Frame> frames = peer.frames();
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(frames[0].type, kSettings);
  EXPECT_EQ(frames[0].payload, number(3, 2) + number(7, 4) + number(4, 2) + number(70000, 4) +
                                   number(6, 2) + number(1000, 4) + number(9, 2) + number(1, 4) +
                                   number(8, 2) + number(1, 4));
  EXPECT_EQ(frames[1].type, kWindow);
  EXPECT_EQ(frames[1].code(), settings.connection_window - 65535);
  EXPECT_FALSE(peer.session->settings_acknowledged());
  peer.feed(opening());
  EXPECT_TRUE(peer.session->settings_acknowledged());
}

TEST(Http2Head, FieldBytesAndCount) {
  Settings settings;
  settings.head.field_bytes = 50;
  settings.head.fields = 3;
  const FieldList three = {{"a", ""}, {"b", ""}, {"c", ""}};
  const std::pair<FieldList, Errc> cases[] = {
      {with(get(), {{"x", std::string(48, 'v')}}), Errc::none},
      {with(get(), {{"x", std::string(49, 'v')}}), Errc::http_field_too_large},
      {get("/" + std::string(43, 'p')), Errc::none},
      {get("/" + std::string(44, 'p')), Errc::http_target_too_long},
      {with(get(), three), Errc::none},
      {with(get(), with(three, {{"d", ""}})), Errc::http_too_many_fields},
      // Crumbs are one field: "cookie:", two of them, "; ".
      {with(get(), {{"cookie", std::string(20, 'a')}, {"cookie", std::string(21, 'b')}}),
       Errc::none},
      {with(get(), {{"cookie", std::string(20, 'a')}, {"cookie", std::string(22, 'b')}}),
       Errc::http_field_too_large},
      {with(get(), {{"cookie", "a"}, {"cookie", "b"}, {"cookie", "c"}, {"cookie", "d"}}),
       Errc::none},
  };
  for (const auto& [fields, error] : cases) {
    Connection peer(settings);
    EXPECT_EQ(peer.talk(opening() + headers(1, fields)), "");
    EXPECT_EQ(peer.session->streams(), 1U);
    EXPECT_EQ(peer.errors, error == Errc::none ? std::vector<Errc>() : std::vector{error});
  }
}

TEST(Http2Head, ThousandsOfCrumbsAreOverTheLimit) {
  Connection peer;
  FieldList crumbs = get();
  for (int i = 0; i < 2000; ++i) crumbs.push_back({"cookie", ""});
  std::string text = block(crumbs), bytes = opening();
  bytes += frame(kHeaders, kEndStream, 1, text.substr(0, 16384));
  bytes += frame(kContinuation, kEndHeaders, 1, text.substr(16384));
  EXPECT_EQ(peer.talk(bytes), "");
  EXPECT_EQ(peer.log, "request 1 GET / 431\n");
  EXPECT_LT(peer.last_head.size(), 16384U);
}

// --- trailers ------------------------------------------------------------------------------------

TEST(Http2Head, Trailers) {
  const std::pair<FieldList, const char*> cases[] = {
      {{{"x-sum", "1"}, {"x-more", "2"}}, "trailers 1 x-sum=1 x-more=2\nend 1\n"},
      {{}, "end 1\n"},
      {{{"content-length", "3"}, {"host", "b"}, {"authorization", "c"}, {"x", "y"}},
       "trailers 1 x=y\nend 1\n"},
      {{{":path", "/"}}, "closed 1 PROTOCOL_ERROR\n"},
      {{{"x", "y\n"}}, "closed 1 PROTOCOL_ERROR\n"},
      {{{"connection", "close"}}, "closed 1 PROTOCOL_ERROR\n"},
      {{{"x", std::string(20000, 'v')}}, "closed 1 PROTOCOL_ERROR\n"},
  };
  for (const auto& [fields, end] : cases) {
    Connection peer;
    std::string bytes = opening() + headers(1, post(), false) + data(1, "abc");
    const std::string text = block(fields);
    bytes += frame(kHeaders, kEndStream | (text.size() <= 16384 ? kEndHeaders : 0), 1,
                   std::string_view(text).substr(0, 16384));
    if (text.size() > 16384) bytes += frame(kContinuation, kEndHeaders, 1, text.substr(16384));
    const bool good = std::string_view(end).substr(0, 6) != "closed";
    EXPECT_EQ(peer.talk(bytes), good ? "" : "RST_STREAM 1 PROTOCOL_ERROR\n");
    EXPECT_EQ(peer.log, std::string("request 1 POST /\ndata 1 abc\n") + end);
  }
}

TEST(Http2Head, TrailersEndTheStream) {
  Connection peer;
  EXPECT_EQ(peer.talk(opening() + headers(1, post(), false) + headers(1, {{"x", "y"}}, false)),
            "RST_STREAM 1 PROTOCOL_ERROR\n");
  EXPECT_EQ(peer.log, "request 1 POST /\nclosed 1 PROTOCOL_ERROR\n");
}

TEST(Http2Preface, AtEachLength) {
  const std::string whole = std::string(http2::kPreface) + "more";
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    EXPECT_EQ(http2::judge_preface(as_bytes(std::string_view(whole).substr(0, size))),
              size >= 24 ? http2::Preface::yes : http2::Preface::maybe);
  }
  for (std::size_t at = 0; at < 24; ++at) {
    std::string other = whole;
    other[at] = 'x';
    EXPECT_EQ(http2::judge_preface(as_bytes(other)), http2::Preface::no);
    EXPECT_EQ(http2::judge_preface(as_bytes(std::string_view(other).substr(0, at + 1))),
              http2::Preface::no);
  }
  EXPECT_EQ(http2::judge_preface(as_bytes("PRI * HTTP/1.1\r\n")), http2::Preface::no);
}

}  // namespace
}  // namespace sluice::test::h2
