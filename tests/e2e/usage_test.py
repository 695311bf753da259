#!/usr/bin/env python3
"""How the program is started and how it ends: exit codes, one clear line for each mistake, and drains
that lose nothing."""
import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import served
from served import BIN, LARGE, LIMIT, SITE, SOURCE, main, serve, wrong_ending


def run(*arguments):
    return subprocess.run([os.path.join(BIN, "sluice"), *arguments], text=True, capture_output=True,
                          timeout=LIMIT)


def large_file():
    """The bytes of /download/large.bin."""
    words = bytearray()
    for start in range(0, LARGE // 4, 1 << 16):
        words += b"".join((k * 2654435761 & 0xFFFFFFFF).to_bytes(4, "little")
                          for k in range(start, start + (1 << 16)))
    return bytes(words)


class Mistakes(unittest.TestCase):
    def refused(self, code, *words_and_arguments):
        """One line on standard error that has the words in front of `serve`, and nothing else."""
        at = words_and_arguments.index("serve")
        words, arguments = words_and_arguments[:at], words_and_arguments[at:]
        with self.subTest(arguments):
            ended = run(*arguments)
            self.assertEqual((ended.returncode, ended.stdout), (code, ""), ended)
            self.assertRegex(ended.stderr, r"\Asluice: [^\n]+\n\Z")
            for word in words:
                self.assertIn(word, ended.stderr)

    def test_options(self):
        self.refused(2, "--sped", "serve", "--sped")
        self.refused(2, "--port", "serve", "--port", "70000")
        self.refused(2, "--port", "serve", "--port", "-1")
        self.refused(2, "--engine", "serve", "--engine", "select")
        self.refused(2, "--mode", "serve", "--mode", "turbo")
        self.refused(2, "--shards", "serve", "--shards", "many")
        self.refused(2, "--echo", "serve", "--echo", "ws")
        self.refused(2, "--listen", "--port", "serve", "--listen", "http://127.0.0.1:0/", "--port",
                     "0")
        self.assertEqual(run().returncode, 2)
        self.assertEqual(run("server").returncode, 2)

    def test_urls(self):
        for url in ("", "8080", "127.0.0.1:8080", "ws://127.0.0.1:8080/", "http://127.0.0.1/",
                    "http://127.0.0.1:65536/", "http://[::1:80/", "http://a b:80/",
                    "http://127.0.0.1:8080/a?b/"):
            self.refused(2, "http://", "serve", "--root", SITE, "--listen", url)
        self.refused(2, "https://127.0.0.1:8443/", "--cert", "--tls-dev", "serve", "--root", SITE,
                     "--listen", "https://127.0.0.1:8443/")

    def test_an_address_of_nobody(self):
        self.refused(1, "192.0.2.1", "serve", "--root", SITE, "--listen", "http://192.0.2.1:8080/")

    def test_folders(self):
        with tempfile.NamedTemporaryFile() as file:
            for path in (file.name + "-missing", file.name):
                self.refused(1, path, "serve", "--root", path, "--port", "0")

    def test_port_in_use(self):
        for mode in ("classic", "high-perf"):
            options = "--root", SITE, "--mode", mode, "--engine", served.ENGINE
            with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
                port = str(taken.getsockname()[1])
                self.refused(1, port, "port", "serve", *options, "--port", port)
            with serve("--root", SITE, "--mode", mode) as program:
                port = str(program.port)
                self.refused(1, port, "port", "serve", *options, "--port", port)
                self.refused(1, port, "serve", *options, "--listen", f"http://*:{port}/")
                self.assertEqual(program.get("/")[0], 200)  # and did the first no harm
                self.assertEqual(wrong_ending(program, program.stop()), "")


class Words(unittest.TestCase):
    def test_version_and_help(self):
        with open(os.path.join(SOURCE, "include/sluice/version.hpp"), encoding="utf-8") as file:
            version = re.search(r'SLUICE_VERSION "(.*)"', file.read())[1]
        ended = run("--version")
        self.assertEqual((ended.returncode, ended.stdout), (0, f"sluice {version}\n"), ended)
        for arguments in (("--help",), ("-h",), ("serve", "--help")):
            ended = run(*arguments)
            self.assertEqual((ended.returncode, ended.stderr), (0, ""), ended)
            for option in ("--root", "--list", "--listen", "--port", "--engine", "--shards", "--mode",
                           "--echo", "--broadcast", "--deflate", "--quiet"):
                self.assertIn(f"  {option} ", ended.stdout)

    def test_what_a_start_says(self):
        with serve("--root", SITE, "--shards", "3", "--mode", "classic") as program:
            printed = program.read_until("stop ")
            self.assertIn(f" http://127.0.0.1:{program.port}/\n", printed)
            self.assertRegex(printed, rf"engine +{served.ENGINE}: \S")
            self.assertRegex(printed, r"shards +3, classic")
            self.assertEqual(wrong_ending(program, program.stop()), "")

    def test_a_folder_is_served_below_the_path_of_its_url(self):
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        urls = [f"http://127.0.0.1:{port}/{path}" for path in ("a/", "b/c/")]
        listen = [word for url in urls for word in ("--listen", url)]
        with serve("--root", SITE, *listen, port=False) as program:
            printed = program.read_until("stop ")
            self.assertIn(f" serves {SITE}\n", printed)
            for url in urls:
                self.assertIn(f" {url}\n", printed)
            with open(os.path.join(SITE, "index.html"), "rb") as file:
                page = file.read()
            answers = {path: program.get(path) for path in ("/a/", "/b/c/", "/a/index.html", "/", "/b/")}
            for path in ("/a/", "/b/c/", "/a/index.html"):
                self.assertEqual((answers[path][0], answers[path][-1]), (200, page), path)
            for path in ("/", "/b/"):
                self.assertEqual(answers[path][0], 400, path)  # as of a host that nobody serves
            self.assertEqual(wrong_ending(program, program.stop()), "")

    def test_quiet(self):
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        with subprocess.Popen([os.path.join(BIN, "sluice"), "serve", "--quiet", "--root", SITE,
                               "--port", str(port), "--engine", served.ENGINE],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
            try:
                until = time.monotonic() + LIMIT  # nothing is printed: the port tells
                while program.poll() is None and time.monotonic() < until:
                    with contextlib.suppress(ConnectionRefusedError):
                        socket.create_connection(("127.0.0.1", port), LIMIT).close()
                        break
                program.send_signal(signal.SIGTERM)
                printed, errors = program.communicate(timeout=LIMIT)
                errors = served.CLIPPED.sub("", errors)
                self.assertEqual((program.returncode, printed, errors), (0, "", ""))
            finally:
                program.kill()


class Drains(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.large = large_file()

    def asked(self, program, target):
        """A connection that has sent one request and has read the head of its answer."""
        client = socket.create_connection(("127.0.0.1", program.port), LIMIT)
        self.addCleanup(client.close)
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received:
            piece = client.recv(2048)
            self.assertTrue(piece, received)
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
        return client, body

    def test_both_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), serve() as program:
                self.drain(program, number)

    def drain(self, program, number):
        slow, body = self.asked(program, "/download/large.bin")
        idle, answer = self.asked(program, "/api/counters")
        fresh = socket.create_connection(("127.0.0.1", program.port), LIMIT)  # has asked nothing
        self.addCleanup(fresh.close)
        program.process.send_signal(number)
        program.read_until("draining")
        for client in (idle, fresh):
            while piece := client.recv(65536):
                answer += piece
        self.assertEqual(answer.count(b"{"), 1)
        # They went, the download did not, and nobody else is let in.
        self.assertIsNone(program.process.poll())
        self.assertTrue(self.turned_away(program.port))
        pieces = [body]
        while piece := slow.recv(1 << 20):
            pieces.append(piece)
        self.assertTrue(b"".join(pieces) == self.large, "the download was broken off or changed")
        self.assertEqual(wrong_ending(program, program.ended()), "")

    def turned_away(self, port):
        """Whether those who connect are refused: at once, or once they were closed unread."""
        until = time.monotonic() + LIMIT
        while time.monotonic() < until:
            try:
                with socket.create_connection(("127.0.0.1", port), LIMIT) as late:
                    if late.recv(1):
                        return False
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:
                pass  # the listener was closed while this one waited
        return False

    def test_a_second_signal_does_not_wait(self):
        with serve() as program:
            slow, _ = self.asked(program, "/download/large.bin")
            program.process.send_signal(signal.SIGINT)
            program.read_until("draining")
            self.assertEqual(select.select([program.process.stdout], [], [], 0)[0], [])
            program.process.send_signal(signal.SIGINT)
            self.assertEqual(wrong_ending(program, program.ended(8), code=1), "")
            slow.close()

    def test_nobody_there(self):
        for mode in ("classic", "high-perf"):
            with self.subTest(mode), serve("--root", SITE, "--mode", mode) as program:
                self.assertEqual(wrong_ending(program, program.stop(signal.SIGINT)), "")


if __name__ == "__main__":
    main()
