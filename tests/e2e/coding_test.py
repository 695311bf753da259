#!/usr/bin/env python3
"""Content codings as others understand them: curl, with zlib, brotli and zstd of its own."""
import gzip
import os
import subprocess
import threading
import time
import unittest
import zlib

import served
from served import Answer, Program, main, wrong_ending

# What bombs may cost. A sanitizer keeps freed memory for a while, and has shadows of what is used:
# there only something that grows with what they would become is seen.
ALLOWED, ALLOWED_SANITIZED = 1024, 128 * 1024  # KiB


def lines(size):
    text, number = [], 0
    length = 0
    while length < size:
        text.append(f"line {number}\n")
        length += len(text[-1])
        number += 1
    return "".join(text)[:size].encode()


def kib_of(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name + ":"))


def anonymous_kib(pid):
    return kib_of(pid, "RssAnon")


class Peak:
    """The most anonymous memory of a process while this is entered, in KiB above the start."""

    def __init__(self, pid):
        self.pid, self.over = pid, threading.Event()

    def __enter__(self):
        self.first = self.most = anonymous_kib(self.pid)
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def look(self):
        while not self.over.is_set():
            self.most = max(self.most, anonymous_kib(self.pid))
            time.sleep(0.001)

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.grown = max(self.most, anonymous_kib(self.pid)) - self.first


class Serving(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Program("e2e_coding_server", served.ENGINE)
        cls.addClassCleanup(cls.server.__exit__, None, None, None)

    @classmethod
    def tearDownClass(cls):
        wrong = wrong_ending(cls.server, cls.server.stop())
        if wrong:
            raise AssertionError(wrong)

    def curl(self, path, *arguments, **options):
        return Answer(self.server.url(path), *arguments, **options)

    def post(self, body, coding):
        return self.curl("/size", "--data-binary", "@-", "-H", f"Content-Encoding: {coding}",
                         stdin=body)


class Codings(Serving):
    def test_answers(self):
        for kind in ("text", "stream"):
            for size in (1500, 60_000, 5_000_000):
                for accepted, coding in ((None, "zstd"), ("br, gzip", "br"), ("gzip", "gzip")):
                    field = ("-H", f"Accept-Encoding: {accepted}") if accepted else ()
                    with self.subTest(kind=kind, size=size, accepted=accepted):
                        answer = self.curl(f"/{kind}/{size}", "--compressed", *field)
                        self.assertEqual(answer.fields["content-encoding"], coding, answer)
                        self.assertEqual(answer.fields["vary"], "Accept-Encoding", answer)
                        self.assertTrue(answer.body == lines(size), answer)
                        self.assertLess(answer.facts["size_download"], size / 2)

    def test_without_coding(self):
        answer = self.curl("/text/60000")
        self.assertNotIn("content-encoding", answer.fields)
        self.assertEqual(answer.fields["vary"], "Accept-Encoding")
        self.assertTrue(answer.body == lines(60_000), answer)

    def test_gzip_as_zlib_reads_it(self):
        answer = self.curl("/text/60000", "-H", "Accept-Encoding: gzip")
        self.assertEqual(gzip.decompress(answer.body), lines(60_000))

    def test_requests(self):
        text = lines(100_000)
        zstd = subprocess.run(["zstd", "-c"], input=text, capture_output=True, check=True).stdout
        for coding, body in (("gzip", gzip.compress(text)), ("deflate", zlib.compress(text)),
                             ("zstd", zstd), ("gzip, gzip", gzip.compress(gzip.compress(text)))):
            with self.subTest(coding):
                self.assertEqual(self.post(body, coding).body, b"100000")
        self.assertEqual(self.post(gzip.compress(text)[:-1], "gzip").status, 400)
        answer = self.post(text, "lzma")
        self.assertEqual((answer.status, answer.fields["accept-encoding"]),
                         (415, "gzip, deflate, br, zstd"), answer)


class Bombs(Serving):
    """On a server that has done nothing else: no memory that others have left is used again."""

    def allowed(self):
        # Shadows are reserved by the terabyte.
        reserved = kib_of(self.server.process.pid, "VmSize")
        return ALLOWED_SANITIZED if reserved > 1 << 30 else ALLOWED

    def test_bombs(self):
        zeros = bytes(200 << 20)
        zstd = subprocess.run(["zstd", "-c"], input=zeros, capture_output=True, check=True).stdout
        bombs = {"gzip": gzip.compress(zeros), "zstd": zstd}
        bombs["gzip, gzip"] = gzip.compress(bombs["gzip"])
        self.assertEqual(self.post(gzip.compress(bytes(200_000)), "gzip").body, b"200000")
        for coding, bomb in bombs.items():
            with self.subTest(coding):
                with Peak(self.server.process.pid) as peak:
                    for _ in range(4):
                        self.assertEqual(self.post(bomb, coding).status, 413)
                print(f"{served.ENGINE}: {coding}: {len(bomb):,} bytes for 200 MiB: 413, "
                      f"RssAnon grew by {peak.grown:,} KiB")
                self.assertLess(peak.grown, self.allowed())


if __name__ == "__main__":
    main()
