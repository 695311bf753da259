"""An HTTP/2 client that sends what it is told to, frame by frame, right or wrong (RFC 9113).

It packs frames with struct, so that nothing corrects them; heads are never compressed with the dynamic
table. python3-h2 is the well-behaved client beside it.
"""
import select
import socket
import ssl
import struct

import h2.config
import h2.connection
import h2.events
import h2.settings

PATIENCE = 20  # seconds for what must happen

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
    CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS, PADDED, HAS_PRIORITY = 4, 8, 32

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, \
    FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, \
    ENHANCE_YOUR_CALM = range(12)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def u32(number):
    return struct.pack(">I", number)


def setting(number, value):
    return struct.pack(">HI", number, value)


def text(word):
    """A string of HPACK, not Huffman coded; shorter than 127 bytes."""
    return bytes([len(word)]) + word.encode("latin-1")


def block(*fields):
    """A head: literals that no table keeps."""
    return b"".join(b"\x00" + text(name) + text(value) for name, value in fields)


def request(method="GET", path="/", scheme="http"):
    return ((":method", method), (":scheme", scheme), (":path", path), (":authority", "localhost"))


def get(stream, *more, path="/small.txt"):
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, block(*request(path=path), *more))


def post(stream, *more, path="/echo"):
    """The head of a request whose body is to come."""
    return frame(HEADERS, END_HEADERS, stream, block(*request("POST", path), *more))


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, u32(code))


def connect(port, tls=False):
    """A socket, and for TLS one that has agreed on h2."""
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not tls:
        return plain
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    secure = context.wrap_socket(plain)
    assert secure.selected_alpn_protocol() == "h2", secure.selected_alpn_protocol()
    return secure


class Raw:
    """A connection; its preface and empty SETTINGS have been sent unless `hello` says otherwise."""

    def __init__(self, port, tls=False, hello=PREFACE + frame(SETTINGS)):
        self.socket = connect(port, tls)
        self.received, self.ended = b"", False
        self.socket.sendall(hello)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        """The next frame, (kind, flags, stream, payload); None: the connection has ended."""
        while True:
            if len(self.received) >= 9:
                size = int.from_bytes(self.received[:3], "big")
                if len(self.received) >= 9 + size:
                    kind, flags, stream = struct.unpack(">BBI", self.received[3:9])
                    payload = self.received[9:9 + size]
                    self.received = self.received[9 + size:]
                    return kind, flags, stream & 0x7FFFFFFF, payload
            if self.ended:
                return None
            try:
                came = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError):
                came = b""
            self.ended = not came
            self.received += came

    def until(self, kind, stream=None):
        """The next frame of a kind; what comes before it is dropped. GOAWAY ends the search."""
        while True:
            got = self.read()
            if got is None or got[0] == GOAWAY != kind:
                raise AssertionError(f"no frame {kind} on {stream}, but {got}")
            if got[0] == kind and stream in (None, got[2]):
                return got

    def goaway(self):
        """The code of the GOAWAY that ends the connection: nothing follows it but the end."""
        code = None
        while (got := self.read()) is not None:
            if got[0] == GOAWAY:
                code = struct.unpack(">I", got[3][4:8])[0]
        return code

    def wait_answer(self, stream):
        """The payload of the answer's DATA, up to its end."""
        body = b""
        while True:
            kind, flags, which, payload = self.read()
            if which != stream or kind not in (HEADERS, DATA):
                assert kind not in (RST_STREAM, GOAWAY), (kind, which, payload)
                continue
            body += payload if kind == DATA else b""
            if flags & END_STREAM:
                return body

    def flood(self, chunks):
        """Sends as long as nothing but answers comes; the code of the GOAWAY and how many chunks
        have gone."""
        sent = 0
        try:
            for chunk in chunks:
                self.socket.sendall(chunk)
                sent += 1
                while select.select([self.socket], [], [], 0)[0] and not self.ended:
                    came = self.socket.recv(65536)
                    self.ended = not came
                    self.received += came
                if self.ended:
                    break
        except (ConnectionError, ssl.SSLError):
            pass
        return self.goaway(), sent


class Polite:
    """python3-h2, one request after the other on one connection."""

    def __init__(self, port, tls=False):
        self.socket = connect(port, tls)
        self.scheme = "https" if tls else "http"
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.push()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def push(self):
        self.socket.sendall(self.h2.data_to_send())

    def get(self, path="/small.txt", **fields):
        """(status, fields, body)"""
        return self.ask([(":method", "GET"), (":scheme", self.scheme), (":path", path),
                         (":authority", "localhost"), *fields.items()])

    def ask(self, head):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, head, end_stream=True)
        self.push()
        answer, body = {}, b""
        while True:
            came = self.socket.recv(65536)
            assert came, "the connection has ended"
            for event in self.h2.receive_data(came):
                if isinstance(event, h2.events.ResponseReceived):
                    answer = dict(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, h2.events.StreamEnded):
                    self.push()
                    return int(answer[":status"]), answer, body
                elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    raise AssertionError(event)
            self.push()
