#!/usr/bin/env python3
"""HTTP/2 from clients that mean no good: each frame that is wrong, and too many of each that is right.
Whatever one connection does, the next is served as before."""
import itertools
import unittest

from frames import (ACK, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM,
                    ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, HEADERS, NO_ERROR,
                    PADDED, PING, PREFACE, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM, SETTINGS,
                    STREAM_CLOSED, WINDOW_UPDATE, Polite, Raw, block, frame, get, post, request, reset,
                    setting, u32)
from served import Serving, main, serve, wrong_ending

SMALL = b"0123456789" * 20
GET = block(*request(path="/small.txt"))
WHOLE = END_STREAM | END_HEADERS

# What ends a connection, and with which code. Names are the sentences of RFC 9113.
CONNECTION_ERRORS = (
    ("DATA on stream 0", frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
    ("DATA on an idle stream", frame(DATA, 0, 1, b"x"), PROTOCOL_ERROR),
    ("DATA, padding as long as the payload", post(1) + frame(DATA, PADDED, 1, b"\x06abcd\0"),
     PROTOCOL_ERROR),
    ("DATA, no pad length", post(1) + frame(DATA, PADDED, 1), PROTOCOL_ERROR),
    ("HEADERS on stream 0", frame(HEADERS, WHOLE, 0, GET), PROTOCOL_ERROR),
    ("HEADERS on an even id", frame(HEADERS, WHOLE, 2, GET), PROTOCOL_ERROR),
    ("HEADERS on a lower id", get(5) + get(3), PROTOCOL_ERROR),
    ("HEADERS, padding longer than the rest", frame(HEADERS, WHOLE | PADDED, 1, b"\xff" + GET),
     PROTOCOL_ERROR),
    ("HEADERS, index out of the table", frame(HEADERS, WHOLE, 1, b"\xff\xff\x7f"), COMPRESSION_ERROR),
    ("HEADERS, index 0", frame(HEADERS, WHOLE, 1, b"\x80"), COMPRESSION_ERROR),
    ("HEADERS, cut in a string", frame(HEADERS, WHOLE, 1, GET[:-1]), COMPRESSION_ERROR),
    ("HEADERS, table too large", frame(HEADERS, WHOLE, 1, b"\x3f\xe1\xff\x03" + GET),
     COMPRESSION_ERROR),
    ("HEADERS, then not CONTINUATION", frame(HEADERS, END_STREAM, 1, GET) + frame(PING, 0, 0, bytes(8)),
     PROTOCOL_ERROR),
    ("HEADERS, then CONTINUATION of another stream",
     frame(HEADERS, END_STREAM, 1, GET[:20]) + frame(CONTINUATION, END_HEADERS, 3, GET[20:]),
     PROTOCOL_ERROR),
    ("CONTINUATION without HEADERS", frame(CONTINUATION, END_HEADERS, 1, GET), PROTOCOL_ERROR),
    ("PRIORITY of four bytes", frame(PRIORITY, 0, 1, bytes(4)), FRAME_SIZE_ERROR),
    ("RST_STREAM on stream 0", reset(0), PROTOCOL_ERROR),
    ("RST_STREAM on an idle stream", reset(1), PROTOCOL_ERROR),
    ("RST_STREAM of three bytes", post(1) + frame(RST_STREAM, 0, 1, bytes(3)), FRAME_SIZE_ERROR),
    ("SETTINGS on a stream", frame(SETTINGS, 0, 1), PROTOCOL_ERROR),
    ("SETTINGS of five bytes", frame(SETTINGS, 0, 0, bytes(5)), FRAME_SIZE_ERROR),
    ("SETTINGS, acknowledgement with bytes", frame(SETTINGS, ACK, 0, setting(3, 1)),
     FRAME_SIZE_ERROR),
    ("SETTINGS_ENABLE_PUSH 2", frame(SETTINGS, 0, 0, setting(2, 2)), PROTOCOL_ERROR),
    ("SETTINGS_INITIAL_WINDOW_SIZE 2^31", frame(SETTINGS, 0, 0, setting(4, 1 << 31)),
     FLOW_CONTROL_ERROR),
    ("SETTINGS_MAX_FRAME_SIZE 16383", frame(SETTINGS, 0, 0, setting(5, 16383)), PROTOCOL_ERROR),
    ("SETTINGS_MAX_FRAME_SIZE 2^24", frame(SETTINGS, 0, 0, setting(5, 1 << 24)), PROTOCOL_ERROR),
    ("PUSH_PROMISE", frame(PUSH_PROMISE, END_HEADERS, 1, u32(2) + GET), PROTOCOL_ERROR),
    ("PING on a stream", frame(PING, 0, 1, bytes(8)), PROTOCOL_ERROR),
    ("PING of seven bytes", frame(PING, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
    ("GOAWAY on a stream", frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR),
    ("GOAWAY of seven bytes", frame(GOAWAY, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
    ("WINDOW_UPDATE of 0", frame(WINDOW_UPDATE, 0, 0, u32(0)), PROTOCOL_ERROR),
    ("WINDOW_UPDATE of 0 on a stream", post(1) + frame(WINDOW_UPDATE, 0, 1, u32(0)), PROTOCOL_ERROR),
    ("DATA after the end", post(1) + frame(DATA, END_STREAM, 1) + frame(DATA, 0, 1, b"x"),
     STREAM_CLOSED),
    ("WINDOW_UPDATE of three bytes", frame(WINDOW_UPDATE, 0, 0, bytes(3)), FRAME_SIZE_ERROR),
    ("WINDOW_UPDATE on an idle stream", frame(WINDOW_UPDATE, 0, 1, u32(1)), PROTOCOL_ERROR),
    ("WINDOW_UPDATE over 2^31 - 1", frame(WINDOW_UPDATE, 0, 0, u32(0x7FFFFFFF)),
     FLOW_CONTROL_ERROR),
    ("a frame over SETTINGS_MAX_FRAME_SIZE", post(1) + frame(DATA, 0, 1, bytes(16385)),
     FRAME_SIZE_ERROR),
    ("an unknown frame over SETTINGS_MAX_FRAME_SIZE", frame(99, 0, 0, bytes(16385)),
     FRAME_SIZE_ERROR),
)

# What ends one stream, whose id is 1.
STREAM_ERRORS = (
    ("WINDOW_UPDATE over 2^31 - 1", post(1) + frame(WINDOW_UPDATE, 0, 1, u32(0x7FFFFFFF)),
     FLOW_CONTROL_ERROR),
    ("more than Content-Length", post(1, ("content-length", "3")) + frame(DATA, END_STREAM, 1, b"four"),
     PROTOCOL_ERROR),
    ("less than Content-Length", post(1, ("content-length", "5")) + frame(DATA, END_STREAM, 1, b"four"),
     PROTOCOL_ERROR),
    ("a name in upper case", get(1, ("Accept", "*/*")), PROTOCOL_ERROR),
    ("a name with a space", get(1, ("a b", "c")), PROTOCOL_ERROR),
    ("a value with a line feed", get(1, ("a", "b\nc: d")), PROTOCOL_ERROR),
    ("Connection", get(1, ("connection", "close")), PROTOCOL_ERROR),
    ("Transfer-Encoding", get(1, ("transfer-encoding", "chunked")), PROTOCOL_ERROR),
    ("TE but trailers", get(1, ("te", "gzip")), PROTOCOL_ERROR),
    ("a pseudo-header field behind others", get(1, ("a", "b"), (":path", "/")), PROTOCOL_ERROR),
    ("an unknown pseudo-header field", get(1, (":version", "2")), PROTOCOL_ERROR),
    (":status", get(1, (":status", "200")), PROTOCOL_ERROR),
    (":method twice", get(1, (":method", "GET")), PROTOCOL_ERROR),
    ("Host of another", get(1, ("host", "elsewhere")), PROTOCOL_ERROR),
    ("two Content-Length", post(1, ("content-length", "1"), ("content-length", "2")), PROTOCOL_ERROR),
    ("no :path", frame(HEADERS, WHOLE, 1, block(*request()[:2], *request()[3:])), PROTOCOL_ERROR),
    ("no :method", frame(HEADERS, WHOLE, 1, block(*request()[1:])), PROTOCOL_ERROR),
    ("no :scheme", frame(HEADERS, WHOLE, 1, block(request()[0], *request()[2:])), PROTOCOL_ERROR),
    ("no :authority", frame(HEADERS, WHOLE, 1, block(*request()[:3])), PROTOCOL_ERROR),
    ("an empty :path", frame(HEADERS, WHOLE, 1, block(*request(path=""))), PROTOCOL_ERROR),
    ("a pseudo-header field in trailers",
     post(1) + frame(HEADERS, WHOLE, 1, block((":path", "/"))), PROTOCOL_ERROR),
    ("trailers that do not end", post(1) + frame(HEADERS, END_HEADERS, 1, block(("a", "b"))),
     PROTOCOL_ERROR),
)

# What nobody minds.
IGNORED = (
    ("a frame of an unknown type", frame(99, 0xFF, 0, b"what") + frame(200, 0, 7, b"")),
    ("flags that mean nothing", frame(SETTINGS, 0xFE) + frame(PING, 0xFE, 0, bytes(8))),
    ("the reserved bit", frame(WINDOW_UPDATE, 0, 1 << 31, u32(1 << 31 | 5000))),
    ("a setting that nobody knows", frame(SETTINGS, 0, 0, setting(0xABCD, 1))),
    ("an acknowledgement of no PING", frame(PING, ACK, 0, bytes(8))),
    ("PRIORITY on an idle stream", frame(PRIORITY, 0, 9, bytes(5))),
    ("PRIORITY on itself", frame(PRIORITY, 0, 9, u32(9) + b"\0")),
    ("WINDOW_UPDATE on a stream that is over", get(1) + reset(1) + frame(WINDOW_UPDATE, 0, 1, u32(9))),
    ("RST_STREAM twice", get(1) + reset(1) + reset(1)),
    ("padding", frame(HEADERS, WHOLE | PADDED, 1, b"\x05" + GET + bytes(5))),
)


def rapid_reset(first=1):
    for stream in itertools.count(first, 200):
        yield b"".join(get(each) + reset(each) for each in range(stream, stream + 200, 2))


def made_to_reset():
    """Requests that the server has to reset, because of the frame behind each of them."""
    for first in itertools.count(1, 20):
        yield b"".join(post(each) + frame(WINDOW_UPDATE, 0, each, u32(0x7FFFFFFF))
                       for each in range(first, first + 20, 2))


def repeated(one, count=100):
    return itertools.repeat(one * count)


FLOODS = (
    ("rapid reset", b"", rapid_reset),
    ("made to reset", b"", made_to_reset),
    ("RST_STREAM of one stream", get(1), lambda: repeated(reset(1))),
    ("SETTINGS", b"", lambda: repeated(frame(SETTINGS, 0, 0, setting(4, 65535)), 10)),
    ("SETTINGS, empty", b"", lambda: repeated(frame(SETTINGS), 10)),
    ("acknowledgements", b"", lambda: repeated(frame(PING, ACK, 0, bytes(8)))),
    ("PING", b"", lambda: repeated(frame(PING, 0, 0, bytes(8)), 10)),
    ("empty DATA", post(1), lambda: repeated(frame(DATA, 0, 1), 10)),
    ("DATA of padding", post(1), lambda: repeated(frame(DATA, PADDED, 1, b"\x09" + bytes(9)), 10)),
    ("CONTINUATION", frame(HEADERS, END_STREAM, 1, GET),
     lambda: repeated(frame(CONTINUATION, 0, 1, block(("a", "b"))), 1)),
    ("CONTINUATION, empty", frame(HEADERS, END_STREAM, 1, GET),
     lambda: repeated(frame(CONTINUATION, 0, 1), 1)),
    ("WINDOW_UPDATE of 1", b"", lambda: repeated(frame(WINDOW_UPDATE, 0, 0, u32(1)))),
    ("WINDOW_UPDATE of 1 on a stream", post(1),
     lambda: repeated(frame(WINDOW_UPDATE, 0, 1, u32(1)))),
    ("PRIORITY", b"", lambda: repeated(frame(PRIORITY, 0, 1, u32(3) + b"\xff"))),
    ("unknown frames", b"", lambda: repeated(frame(77, 0, 0))),
)
MOST = 100  # chunks, each of which is at most 100 frames: more than any flood is allowed


class Served(Serving):
    tls = False

    @classmethod
    def arguments(cls):
        cls.write("root/small.txt", SMALL)
        cls.write("root/large.bin", bytes(1 << 20))
        return ("--root", cls.path("root"), "--echo", "/echo") + (
            ("--tls-dev",) if cls.tls else ())

    def still_serves(self, client):
        """A client that was there before, and one that comes now."""
        self.assertEqual(client.get()[::2], (200, SMALL))
        with Polite(self.server.port, self.tls) as another:
            self.assertEqual(another.get()[::2], (200, SMALL))


class Frames(Served):
    def test_connection_errors(self):
        with Polite(self.server.port, self.tls) as polite:
            polite.get()  # who asks for nothing at first is not waited for so long
            for name, data, code in CONNECTION_ERRORS:
                with self.subTest(name), Raw(self.server.port, self.tls) as raw:
                    raw.send(data)
                    self.assertEqual(raw.goaway(), code)
            self.still_serves(polite)

    def test_stream_errors(self):
        with Polite(self.server.port, self.tls) as polite:
            polite.get()  # who asks for nothing at first is not waited for so long
            for name, data, code in STREAM_ERRORS:
                with self.subTest(name), Raw(self.server.port, self.tls) as raw:
                    raw.send(data + get(3))
                    self.assertEqual(raw.until(RST_STREAM)[2:], (1, u32(code)))
                    self.assertEqual(raw.wait_answer(3), SMALL)
            self.still_serves(polite)

    def test_what_is_ignored(self):
        for name, data in IGNORED:
            with self.subTest(name), Raw(self.server.port, self.tls) as raw:
                raw.send(data + get(11))
                self.assertEqual(raw.wait_answer(11), SMALL)

    def test_prefaces(self):
        for hello, code in ((PREFACE + get(1), PROTOCOL_ERROR),
                            (PREFACE + frame(PING, 0, 0, bytes(8)), PROTOCOL_ERROR),
                            (PREFACE + frame(SETTINGS, ACK), PROTOCOL_ERROR)):
            with self.subTest(hello), Raw(self.server.port, self.tls, hello) as raw:
                self.assertEqual(raw.goaway(), code)

    def test_cut_everywhere(self):
        whole = PREFACE + frame(SETTINGS) + get(1)
        for at in (1, 3, 4, 16, 23, 24, 25, 32, 33, 34, 41, 42, 60, len(whole) - 1):
            with self.subTest(at), Raw(self.server.port, self.tls, whole[:at]) as raw:
                raw.send(whole[at:])
                self.assertEqual(raw.wait_answer(1), SMALL)


class FramesTls(Frames):
    tls = True


class Floods(Served):
    def test_each(self):
        with Polite(self.server.port, self.tls) as polite:
            for name, before, chunks in FLOODS:
                with self.subTest(name), Raw(self.server.port, self.tls) as raw:
                    raw.send(before)
                    code, sent = raw.flood(itertools.islice(chunks(), MOST))
                    self.assertEqual(code, ENHANCE_YOUR_CALM, f"after {sent} chunks")
                self.still_serves(polite)

    def test_resets_of_requests_that_run(self):
        """Their bodies are awaited, their answers wait for a window: all that is given back."""
        for head in (post, lambda stream: get(stream, path="/large.bin")):
            hello = PREFACE + frame(SETTINGS, 0, 0, setting(4, 0))
            with Raw(self.server.port, self.tls, hello) as raw:
                code, _ = raw.flood(head(stream) + reset(stream) for stream in range(1, 2001, 2))
                self.assertEqual(code, ENHANCE_YOUR_CALM)
        with Polite(self.server.port, self.tls) as polite:
            self.still_serves(polite)

    def test_who_does_not_read(self):
        """A hundred answers that nobody takes, on 20 connections; then they are cut."""
        raws = []
        with Polite(self.server.port, self.tls) as polite:
            for _ in range(20):
                raw = Raw(self.server.port, self.tls)
                self.addCleanup(raw.socket.close)
                raws.append(raw)
                raw.send(b"".join(get(stream, path="/large.bin") for stream in range(1, 201, 2)))
            self.still_serves(polite)
            for raw in raws:
                raw.socket.close()
            self.still_serves(polite)


class FloodsTls(Floods):
    tls = True


class Drain(unittest.TestCase):
    def test_a_request_in_flight_is_answered(self):
        for tls in (False, True):
            with self.subTest(tls=tls), \
                    serve("--echo", "/echo", *(["--tls-dev"] if tls else [])) as program, \
                    Raw(program.port, tls) as raw:
                raw.send(post(1) + frame(DATA, 0, 1, b"one, "))
                raw.send(frame(PING, 0, 0, bytes(8)))  # whose answer says that all has come
                raw.until(PING)
                program.process.terminate()
                payload = raw.until(GOAWAY)
                self.assertEqual(payload[3][:8], u32(0x7FFFFFFF) + u32(NO_ERROR))
                payload = raw.until(GOAWAY)
                self.assertEqual(payload[3][:8], u32(1) + u32(NO_ERROR))
                raw.send(frame(DATA, END_STREAM, 1, b"two"))
                self.assertEqual(raw.wait_answer(1), b"one, two")
                self.assertEqual(raw.goaway(), None)
                self.assertEqual(wrong_ending(program, program.ended()), "")


if __name__ == "__main__":
    main()
