#!/usr/bin/env python3
"""HTTP/2 from clients that others wrote: curl, nghttp, h2load and openssl, in clear and over TLS."""
import hashlib
import os
import random
import re
import subprocess
import tempfile
import unittest

from frames import END_HEADERS, END_STREAM, HEADERS, Polite, Raw, block, frame, get
from served import LIMIT, Serving, main, read, serve, wrong_ending

SMALL = b"0123456789" * 20
DATA = random.Random(2).randbytes(3 << 20)
HUGE = 100 << 20
DONE = re.compile(r"(\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def ran(*command, code=0, stdin=b""):
    """What a client printed, standard error included."""
    ended = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=LIMIT, check=False)
    said = COLOURS.sub("", ended.stdout.decode(errors="replace"))
    if code is not None and ended.returncode != code:
        raise AssertionError(f"{command} ended with {ended.returncode}:\n{said[-4000:]}")
    return said


class Clear(Serving):
    tls = False
    speak = ("--http2-prior-knowledge",)  # what makes curl speak HTTP/2

    @classmethod
    def arguments(cls):
        cls.write("root/small.txt", SMALL)
        cls.write("root/data.bin", DATA)
        # Not of zeros, and not one block again and again: a swapped block is seen.
        block = random.Random(3).randbytes(1 << 20)
        cls.hash = hashlib.sha256()
        with open(cls.path("root", "huge.bin"), "wb") as file:
            for number in range(HUGE >> 20):
                part = number.to_bytes(8, "big") + block[8:]
                cls.hash.update(part)
                file.write(part)
        return ("--root", cls.path("root"), "--echo", "/echo") + (
            ("--tls-dev",) if cls.tls else ())

    def url(self, path):
        return self.server.url(path, "https" if self.tls else "http")

    def ask(self, path, *arguments, **options):
        answer = self.curl(self.url(path), "--insecure", *self.speak, *arguments, **options)
        self.assertEqual(answer.facts["http_version"], "2", answer)
        return answer


class Curl(Clear):
    def test_get_and_head(self):
        answer = self.ask("/small.txt")
        self.assertEqual((answer.status, answer.body), (200, SMALL), answer)
        head = self.ask("/small.txt", "--head")
        self.assertEqual((head.status, head.facts["size_download"]), (200, 0), head)
        for name in ("etag", "content-length", "content-type"):
            self.assertEqual(head.fields[name], answer.fields[name])
        self.assertNotIn("connection", answer.fields)
        self.assertEqual(self.ask("/none").status, 404)

    def test_ranges_and_preconditions(self):
        part = self.ask("/data.bin", "--range", "1000000-1999999")
        self.assertEqual((part.status, part.fields["content-range"]),
                         (206, f"bytes 1000000-1999999/{len(DATA)}"), part)
        self.same(part.body, DATA[1_000_000:2_000_000])
        self.assertEqual(self.ask("/data.bin", "--range", f"{len(DATA)}-").status, 416)
        known = f"If-None-Match: {part.fields['etag']}"
        answer = self.ask("/data.bin", "--header", known)
        self.assertEqual((answer.status, answer.body), (304, b""), answer)
        self.assertEqual(self.ask("/data.bin", "--header", 'If-Match: "other"').status, 412)

    def test_uploads(self):
        path = self.write("body", DATA)
        answer = self.ask("/echo", "--data-binary", f"@{path}")
        self.assertEqual(answer.status, 200, answer)
        self.same(answer.body, DATA)
        # Of unknown length.
        answer = self.ask("/echo", "--request", "POST", "--upload-file", "-", stdin=DATA)
        self.same(answer.body, DATA)
        self.assertEqual(self.ask("/small.txt", "--request", "PUT").status, 405)

    def test_expect(self):
        path = self.write("body", DATA)
        answer = self.ask("/echo", "--header", "Expect: 100-continue", "--expect100-timeout", "600",
                          "--data-binary", f"@{path}")
        self.same(answer.body, DATA)
        self.assertEqual([head.split("\r\n")[0].strip() for head in answer.heads],
                         ["HTTP/2 100", "HTTP/2 200"])

    def test_a_large_file(self):
        copy = self.path("copy")
        ran("curl", "--silent", "--show-error", "--fail", "--insecure", *self.speak, "--output", copy,
            self.url("/huge.bin"))
        with open(copy, "rb") as file:
            self.assertEqual(hashlib.file_digest(file, "sha256").hexdigest(), self.hash.hexdigest())
        os.remove(copy)

    def test_methods(self):
        self.assertEqual(self.ask("/small.txt", "--request", "TRACE").status, 501)
        self.assertEqual(self.ask("/small.txt", "--request", "DELETE").status, 405)
        self.assertEqual(self.ask("/small.txt", "--request", "BREW").status, 405)
        # python3-h2 and curl do not send this one without a tunnel behind it.
        connect = block((":method", "CONNECT"), (":authority", "localhost:1"))
        with Raw(self.server.port, self.tls) as raw:
            raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, connect) + get(3))
            self.assertNotEqual(raw.wait_answer(1), SMALL)
            self.assertEqual(raw.wait_answer(3), SMALL)

    def test_crumbs_of_cookies(self):
        crumbs = [("cookie", f"name{number}=value") for number in range(20)]
        with Polite(self.server.port, self.tls) as polite:
            status, _, body = polite.ask([(":method", "GET"), (":scheme", polite.scheme),
                                          (":path", "/small.txt"), (":authority", "localhost"),
                                          *crumbs])
        self.assertEqual((status, body), (200, SMALL))

    def test_http_1_1_beside_it(self):
        answer = self.curl(self.url("/data.bin"), "--insecure", "--http1.1")
        self.assertEqual((answer.status, answer.facts["http_version"]), (200, "1.1"), answer)
        self.same(answer.body, DATA)


class CurlTls(Curl):
    tls, speak = True, ("--http2",)

    def test_many_at_once(self):
        # In clear curl 7.88 fails with the second transfer of a connection, whoever serves it.
        said = ran("curl", "--no-progress-meter", "--insecure", *self.speak, "--parallel",
                   "--parallel-max", "50", "--output",
                   self.path("small-#1"), "--write-out",
                   "%{http_version} %{http_code} %{size_download}\n", self.url("/small.txt?[1-200]"))
        self.assertEqual(said, f"2 200 {len(SMALL)}\n" * 200)
        for number in range(1, 201):
            self.assertEqual(read(self.path(f"small-{number}")), SMALL)


class Upgrades(Clear):
    def test_an_offered_upgrade_is_not_taken(self):
        """RFC 9113 section 3.1: h2c is a thing of the past."""
        answer = self.curl("/small.txt", "--http2")
        self.assertEqual((answer.status, answer.facts["http_version"], answer.body),
                         (200, "1.1", SMALL), answer)
        said = ran("nghttp", "--upgrade", "--null-out", "--verbose", self.url("/small.txt"), code=None)
        self.assertIn("HTTP/1.1 200 OK", said)
        self.assertIn("HTTP Upgrade failed", said)


class Nghttp(Clear):
    def test_frames(self):
        """As nghttp shows them: SETTINGS, a weight and padding."""
        said = ran("nghttp", "--verbose", "--null-out", "--multiply=20", "--padding=100",
                   "--weight=200", "--window-bits=20", self.url("/small.txt"))
        self.assertEqual(len(re.findall(r"recv \(stream_id=\d+\) :status: 200", said)), 20, said)
        self.assertEqual(len(re.findall(r"recv DATA frame <length=200, flags=0x01", said)), 20, said)
        self.assertEqual(said.count("recv HEADERS frame"), 20, said)
        self.assertIn("[SETTINGS_NO_RFC7540_PRIORITIES(0x09):1]", said)
        self.assertIn("[SETTINGS_MAX_CONCURRENT_STREAMS(0x03):100]", said)
        for kind in ("GOAWAY", "RST_STREAM", "PUSH_PROMISE"):
            self.assertNotIn(f"recv {kind} frame", said)

    def test_a_body_that_is_refused(self):
        """RFC 9113 section 8.1: the whole answer, then RST_STREAM with NO_ERROR. (curl 7.88 takes
        this for an error, so nghttp it is.)"""
        path = self.write("body", DATA)
        said = ran("nghttp", "--verbose", "--null-out", f"--data={path}", "--header=:method: PUT",
                   self.url("/small.txt"))
        answered = said.index(":status: 405")
        self.assertRegex(said[answered:], r"recv DATA frame <length=\d+, flags=0x01")
        self.assertRegex(said[answered:], r"recv RST_STREAM frame .*\n +\(error_code=NO_ERROR")

    def test_bodies_and_trailers(self):
        path = self.write("body", DATA)
        said = ran("nghttp", "--verbose", "--null-out", f"--data={path}", "--trailer=a: b",
                   "--trailer=checksum: none", self.url("/echo"))
        self.assertIn(":status: 200", said)
        got = sum(int(size) for size in re.findall(r"recv DATA frame <length=(\d+)", said))
        self.assertEqual(got, len(DATA))

    def test_narrow_windows(self):
        """A window of 4,095 bytes for the stream and the connection: one frame after the other. (Over
        1,000 updates of less than 1,024 bytes within 10 s would be too many.)"""
        said = ran("nghttp", "--verbose", "--null-out", "--window-bits=12", self.url("/data.bin"))
        sizes = [int(size) for size in re.findall(r"recv DATA frame <length=(\d+)", said)]
        self.assertEqual(sum(sizes), len(DATA))
        self.assertLess(max(sizes), 4096)


class NghttpTls(Nghttp):
    tls = True


class H2load(Clear):
    def load(self, requests, *arguments, path="/small.txt"):
        said = ran("h2load", f"--requests={requests}", *arguments, self.url(path))
        self.assertEqual(DONE.search(said).groups(), (str(requests),) * 3 + ("0", "0"), said)
        self.assertIn(f"status codes: {requests} 2xx,", said)

    def test_many_requests(self):
        self.load(20_000, "--clients=64", "--max-concurrent-streams=32")

    def test_bodies(self):
        path = self.write("post", DATA[:50_000])
        self.load(400, "--clients=4", "--max-concurrent-streams=20", f"--data={path}", path="/echo")

    def test_files(self):
        self.load(60, "--clients=4", "--max-concurrent-streams=10", path="/data.bin")


class H2loadTls(H2load):
    tls = True


class Alpn(unittest.TestCase):
    def offered(self, program, names):
        return ran("openssl", "s_client", "-connect", f"127.0.0.1:{program.port}", "-alpn", names,
                   code=None)

    def judge(self, rows, *arguments):
        with serve("--tls-dev", "--echo", "/echo", *arguments) as program:
            for names, chosen in rows:
                with self.subTest(names, arguments=arguments):
                    said = self.offered(program, names)
                    # RFC 7301 section 3.2: no_application_protocol.
                    self.assertIn(f"ALPN protocol: {chosen}\n" if chosen else "SSL alert number 120",
                                  said)
            self.assertEqual(wrong_ending(program, program.stop()), "")

    def test_what_is_chosen(self):
        self.judge((("h2", "h2"), ("http/1.1", "http/1.1"), ("http/1.1,h2", "h2"),
                    ("foo,http/1.1", "http/1.1"), ("foo", None)))

    def test_without_http2(self):
        self.judge((("h2,http/1.1", "http/1.1"), ("http/1.1", "http/1.1"), ("h2", None)),
                   "--no-http2")


class WithoutHttp2(Serving):
    @classmethod
    def arguments(cls):
        cls.write("root/small.txt", SMALL)
        return "--root", cls.path("root"), "--no-http2"

    def test_prior_knowledge(self):
        """The preface is a request of a version that is not spoken here."""
        answer = ran("curl", "--silent", "--show-error", "--http2-prior-knowledge",
                     self.server.url("/small.txt"), code=None)
        self.assertNotIn("0123456789", answer)
        hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)
        said = ran("curl", "--silent", "--max-time", str(LIMIT), "--upload-file", "-",
                   f"telnet://127.0.0.1:{self.server.port}", stdin=hello, code=None)
        self.assertTrue(said.startswith("HTTP/1.1 505 "), said)
        self.assertEqual(self.curl("/small.txt", "--http2").facts["http_version"], "1.1")


class Stops(unittest.TestCase):
    """SIGTERM: what has begun is answered, whoever asks."""

    def test_a_large_download(self):
        for scheme, speak in (("http", "--http2-prior-knowledge"), ("https", "--http2")):
            with self.subTest(scheme), tempfile.TemporaryDirectory(prefix="sluice-e2e-") as folder:
                with open(os.path.join(folder, "data.bin"), "wb") as file:
                    file.write(DATA * 4)
                more = ("--tls-dev",) if scheme == "https" else ()
                with serve("--root", folder, *more) as program:
                    curl = subprocess.Popen(
                        ["curl", "--silent", "--show-error", "--insecure", speak, "--limit-rate", "8M",
                         "--no-buffer", program.url("/data.bin", scheme)], stdout=subprocess.PIPE)
                    try:
                        begun = curl.stdout.read(1000)  # it is under way
                        program.process.terminate()
                        body = begun + curl.stdout.read()
                        self.assertEqual(curl.wait(LIMIT), 0)
                    finally:
                        curl.kill()
                        curl.wait()
                        curl.stdout.close()
                    self.assertTrue(body == DATA * 4, f"{len(body)} bytes")
                    self.assertEqual(wrong_ending(program, program.ended()), "")

    def test_under_load(self):
        """What was answered was answered with 200, and the program ends as if nobody had asked."""
        with tempfile.TemporaryDirectory(prefix="sluice-e2e-") as folder:
            with open(os.path.join(folder, "small.txt"), "wb") as file:
                file.write(SMALL)
            log = os.path.join(folder, "log")
            with serve("--root", folder) as program, subprocess.Popen(
                    ["h2load", "--requests=100000000", "--clients=8", "--max-concurrent-streams=16",
                     f"--log-file={log}", program.url("/small.txt")], stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT) as load:
                try:
                    while not read(log):  # it has answers
                        self.assertIsNone(load.poll())
                    program.process.terminate()
                    ended = program.ended()
                finally:
                    load.terminate()
                    load.stdout.read()
                statuses = {line.split(b"\t")[1] for line in read(log).splitlines()
                            if line.count(b"\t") == 2}
                self.assertLessEqual(statuses, {b"200", b"-1"})
                self.assertEqual(wrong_ending(program, ended), "")


if __name__ == "__main__":
    main()
