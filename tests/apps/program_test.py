#!/usr/bin/env python3
"""The program `sluice` from outside: its command line, what it serves, and how it ends."""
import asyncio
import contextlib
import glob
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

import websockets

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "examples"))
from running import BIN, SOURCE, Program, curl, run  # noqa: E402

SITE = os.path.join(SOURCE, "examples", "site")
LARGE = 64 << 20


def session(coroutine, limit=60):
    return asyncio.run(asyncio.wait_for(coroutine, limit))


def serve(*arguments, **options):
    return Program("sluice", "serve", "--port", "0", *arguments, **options)


def engines():
    """Those that this machine offers."""
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for engine in ("uring", "epoll"):
            with contextlib.suppress(AssertionError):
                with serve("--root", folder, "--engine", engine) as program:
                    program.stop()
                found.append(engine)
    return found


ENGINES = engines()


class CommandLine(unittest.TestCase):
    def fails(self, code, word, *arguments):
        with self.subTest(arguments):
            ended, printed, errors = run("sluice", *arguments)
            self.assertEqual((ended, printed), (code, ""))
            self.assertEqual(errors.count("\n"), 1, errors)
            self.assertTrue(errors.startswith("sluice: "), errors)
            self.assertIn(word, errors)

    def test_version(self):
        with open(os.path.join(SOURCE, "include/sluice/version.hpp"), encoding="utf-8") as file:
            version = re.search(r'SLUICE_VERSION "(.*)"', file.read())[1]
        self.assertEqual(run("sluice", "--version"), (0, f"sluice {version}\n", ""))

    def test_help_and_manual_name_the_same_options(self):
        code, printed, errors = run("sluice", "serve", "--help")
        self.assertEqual((code, errors), (0, ""))
        options = set(re.findall(r"--[a-z-]+", printed.split("Options:")[1]))
        with open(os.path.join(SOURCE, "docs/man/sluice.1"), encoding="utf-8") as file:
            manual = set(re.findall(r"^\.It (?:Fl h , )?Fl -([a-z-]+)", file.read(), re.MULTILINE))
        self.assertEqual({f"--{name}" for name in manual - {"version"}}, options)
        self.assertEqual(run("sluice", "--help")[0], 0)

    def test_usage_errors(self):
        self.fails(2, "sluice serve")
        self.fails(2, "--speed", "serve", "--speed")
        self.fails(2, "folder", "serve", "folder")
        self.fails(2, "--port", "serve", "--port", "65536")
        self.fails(2, "--port", "serve", "--port", "http")
        self.fails(2, "--port", "serve", "--port")
        self.fails(2, "--engine", "serve", "--engine", "kqueue")
        self.fails(2, "--mode", "serve", "--mode", "fast")
        self.fails(2, "--shards", "serve", "--shards", "0")
        self.fails(2, "--list", "serve", "--list")
        self.fails(2, "--root", "serve", "--root", "")
        self.fails(2, "--echo", "serve", "--echo", "echo")
        self.fails(2, "two different paths", "serve", "--echo", "/a", "--broadcast", "/a")
        self.fails(2, "exclude each other", "serve", "--listen", "http://127.0.0.1:0/",
                   "--port", "0")

    def test_bad_urls(self):
        for url in ("127.0.0.1:8080", "ftp://127.0.0.1:8080/", "http://127.0.0.1:99999/",
                    "http://:8080/", "http://127.0.0.1:x/", ""):
            self.fails(2, "http://localhost:8080/", "serve", "--root", SITE, "--listen", url)

    def test_path_that_is_taken(self):
        self.fails(2, "--echo", "serve", "--port", "0", "--echo", "/chat")
        self.fails(2, "--echo", "serve", "--port", "0", "--echo", "/{}")

    def test_address_of_another_machine(self):
        self.fails(1, "203.0.113.1", "serve", "--root", SITE, "--listen", "http://203.0.113.1:0/")

    def test_folder_that_cannot_be_served(self):
        with tempfile.TemporaryDirectory() as folder:
            missing = os.path.join(folder, "missing")
            self.fails(1, missing, "serve", "--root", missing)
            with open(missing, "w", encoding="utf-8"):
                pass
            self.fails(1, "no folder", "serve", "--root", missing)

    def test_port_in_use(self):
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = taken.getsockname()[1]
            for mode in ("classic", "high-perf"):
                self.fails(1, str(port), "serve", "--root", SITE, "--mode", mode,
                           "--port", str(port))
        for mode in ("classic", "high-perf"):
            with serve("--root", SITE, "--mode", mode) as program:  # also one of its own kind
                self.fails(1, "another port", "serve", "--root", SITE, "--mode", mode,
                           "--port", str(program.port))

    def test_start_lines(self):
        with serve("--root", SITE, "--engine", ENGINES[-1], "--shards", "2") as program:
            self.assertEqual(program.get("/")[0], 200)
            code, errors = program.stop()
        self.assertEqual((code, errors), (0, ""))
        self.assertIn(f"http://127.0.0.1:{program.port}/", program.printed)
        self.assertIn(f"engine  {ENGINES[-1]}: ", program.printed)
        self.assertIn("shards  2, high-perf", program.printed)

    def test_quiet_prints_nothing(self):
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        process = subprocess.Popen([os.path.join(BIN, "sluice"), "serve", "--quiet", "--root", SITE,
                                    "--port", str(port)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            curl("--retry", "40", "--retry-connrefused", "--retry-delay", "1",
                 f"http://127.0.0.1:{port}/")
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.communicate(timeout=30), (b"", b""))
            self.assertEqual(process.returncode, 0)
        finally:
            process.kill()
            process.communicate()

    def test_several_prefixes(self):
        with Program("sluice", "serve", "--root", SITE, "--listen", "http://127.0.0.1:0/",
                     "--listen", "http://localhost:0") as program:
            ports = re.findall(r"open +http://127\.0\.0\.1:(\d+)/", program.read_until("stop "))
            self.assertEqual(len(set(ports)), 2, program.printed)
            for port in ports:
                self.assertIn(b"<title>Sluice</title>", curl(f"http://127.0.0.1:{port}/"))
            self.assertEqual(program.stop(), (0, ""))


class Root(unittest.TestCase):
    def test_files_and_listing(self):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as outside:
            os.mkdir(os.path.join(folder, "sub"))
            for path in (os.path.join(folder, "sub", "a b.txt"),
                         os.path.join(outside, "secret.txt")):
                with open(path, "w", encoding="utf-8") as file:
                    file.write("words")
            os.symlink(os.path.join(outside, "secret.txt"), os.path.join(folder, "link.txt"))
            with serve("--root", folder) as program:
                self.assertEqual(program.get("/sub/a%20b.txt")[2], b"words")
                self.assertEqual(program.get("/sub/")[0], 404)
                self.assertEqual(program.get("/link.txt")[0], 403)
                self.assertEqual(program.get("/api/counters")[0], 404)  # no demo here
            with serve("--root", folder, "--list", "--follow-symlinks") as program:
                status, _, body = program.get("/sub/")
                self.assertEqual(status, 200)
                self.assertIn(b"a%20b.txt", body)
                self.assertEqual(program.get("/link.txt")[2], b"words")
                self.assertEqual(program.stop(), (0, ""))


class Endpoints(unittest.TestCase):
    def test_echo(self):
        for engine in ENGINES:
            with self.subTest(engine), serve("--root", SITE, "--echo", "/echo",
                                             "--engine", engine) as program:
                self.echo_http(program)
                session(self.echo_websocket(program), 240)
                self.assertEqual(program.stop(), (0, ""))

    def echo_http(self, program):
        for size in (0, 1, 65_536, 65_537, 5_000_000):
            body = random.Random(size).randbytes(size)
            status, fields, answer = program.request("POST", "/echo", body,
                                                     {"Content-Type": "image/x-test"})
            self.assertEqual((status, fields["Content-Type"]), (200, "image/x-test"))
            self.assertTrue(answer == body, size)
        pieces = [b"one,", b"two,", b"three"]
        status, _, answer = program.request("POST", "/echo", iter(pieces))
        self.assertEqual((status, answer), (200, b"one,two,three"))
        self.assertEqual(program.get("/echo")[0], 405)

    async def echo_websocket(self, program):
        async with websockets.connect(program.url("/echo", "ws"), max_size=None,
                                      compression=None) as client:
            for size in (0, 1, 125, 126, 65_535, 65_536, 1_000_000, LARGE):
                message = random.Random(size).randbytes(size)
                await client.send(message)
                self.assertTrue(await client.recv() == message, size)
                await client.send("\u00e9" * (size // 2))
                self.assertTrue(await client.recv() == "\u00e9" * (size // 2), size)

    def test_broadcast(self):
        for engine in ENGINES:
            with self.subTest(engine), serve("--root", SITE, "--broadcast", "/all", "--echo",
                                             "/echo", "--engine", engine) as program:
                session(self.broadcast(program.url("/all", "ws"), program.url("/echo", "ws")))
                self.assertEqual(program.stop(), (0, ""))

    async def broadcast(self, url, echo):
        clients = await asyncio.gather(*(websockets.connect(url) for _ in range(20)))
        async with websockets.connect(echo) as stranger:
            await clients[0].send("to all")
            await clients[0].send(b"\x00\xff")
            for client in clients:
                self.assertEqual([await client.recv(), await client.recv()],
                                 ["to all", b"\x00\xff"])
            await stranger.send("alone")
            self.assertEqual(await stranger.recv(), "alone")
        await asyncio.gather(*(client.close() for client in clients))


class Demo(unittest.TestCase):
    def test_page_counters_and_download(self):
        with serve() as program:
            for name in os.listdir(SITE):
                with open(os.path.join(SITE, name), "rb") as file:
                    self.assertEqual(program.get(f"/{name}")[2], file.read())
            status, fields, body = program.get("/")
            self.assertEqual((status, fields["Content-Type"].split(";")[0]), (200, "text/html"))
            self.assertIn(b'id="chat-input"', body)

            first = json.loads(program.get("/api/counters")[2])
            second = json.loads(program.get("/api/counters")[2])
            self.assertGreater(second["requests"], first["requests"])
            self.assertIn(f"engine  {first['engine']}: {first['engine_reason']}",
                          program.read_until("stop "))

            path = "/download/large.bin"
            status, fields, body = program.get(path, Range="bytes=4194300-4194311")
            self.assertEqual((status, fields["Content-Range"]),
                             (206, f"bytes 4194300-4194311/{LARGE}"))
            words = (4194300 // 4 + i for i in range(3))
            self.assertEqual(body, b"".join((word * 2654435761 % 2**32).to_bytes(4, "little")
                                            for word in words))
            with tempfile.TemporaryDirectory() as folder:
                copy = os.path.join(folder, "copy")
                whole = program.get(path)[2]
                self.assertEqual(len(whole), LARGE)
                with open(copy, "wb") as file:
                    file.write(whole[:LARGE // 3])
                curl("-C", "-", "-o", copy, program.url(path))
                with open(copy, "rb") as file:
                    self.assertTrue(file.read() == whole)
            self.assertEqual(program.stop(), (0, ""))

    def test_chat(self):
        with serve() as program:
            session(self.chat(program.url("/chat", "ws")))
            self.assertEqual(program.stop(), (0, ""))

    async def chat(self, url):
        async with websockets.connect(url) as ann, websockets.connect(url) as ben:
            await ann.send("say\tnobody hears")
            self.assertEqual(await ann.recv(), "error\tjoin a room first")
            for bad in ("join\t\tAnn", "join\tLobby!\tAnn", "join\tlobby\t", "join\tlobby\ta\x01",
                        "join\tlobby\t" + "a" * 41, "join\t" + "a" * 33 + "\tAnn", "dance", ""):
                await ann.send(bad)
                self.assertTrue((await ann.recv()).startswith("error\t"), bad)

            await ann.send("join\tlobby\tAnn")
            self.assertEqual([await ann.recv(), await ann.recv()],
                             ["room\tlobby\t1", "join\tAnn\t1"])
            await ben.send("join\tlobby\tBen\u00e9")
            self.assertEqual([await ben.recv(), await ben.recv()],
                             ["room\tlobby\t2", "join\tBen\u00e9\t2"])
            self.assertEqual(await ann.recv(), "join\tBen\u00e9\t2")
            await ben.send("say\t<b>hi</b>\tthere")
            self.assertEqual(await ann.recv(), "say\tBen\u00e9\t<b>hi</b>\tthere")
            self.assertEqual(await ben.recv(), "say\tBen\u00e9\t<b>hi</b>\tthere")
            await ben.send("say\t" + "a" * 2001)
            self.assertTrue((await ben.recv()).startswith("error\t"))

            await ben.send("join\ttailwater\tBen")
            self.assertEqual(await ann.recv(), "leave\tBen\u00e9\t1")
            self.assertEqual([await ben.recv(), await ben.recv()],
                             ["room\ttailwater\t1", "join\tBen\t1"])
            await ben.close()
            async with websockets.connect(url) as cleo:
                await cleo.send("join\tlobby\tCleo")
                self.assertEqual(await ann.recv(), "join\tCleo\t2")
                cleo.transport.abort()  # goes without a word
                self.assertEqual(await ann.recv(), "leave\tCleo\t1")
            await ann.send(b"bytes")
            with self.assertRaises(websockets.ConnectionClosed) as closed:
                await ann.recv()
            self.assertEqual(closed.exception.rcvd.code, 1003)

    def test_live_counters(self):
        with serve() as program:
            async def listen():
                async with websockets.connect(program.url("/live", "ws")) as client:
                    reports = [json.loads(await client.recv()) for _ in range(3)]
                self.assertLess(reports[0]["uptime"], reports[2]["uptime"])
                self.assertEqual(reports[2]["websockets"], 1)

            session(listen())
            self.assertEqual(program.stop(), (0, ""))


class Ending(unittest.TestCase):
    def test_both_signals_drain(self):
        for engine in ENGINES:
            for number in (signal.SIGINT, signal.SIGTERM):
                with self.subTest(engine=engine, signal=number), \
                        tempfile.TemporaryDirectory() as folder, \
                        serve("--engine", engine,
                              env={**os.environ, "TMPDIR": folder}) as program:
                    self.assertEqual(len(glob.glob(f"{folder}/sluice-*/large.bin")), 1)
                    self.assertEqual(session(self.closed_by(program, number)), 1001)
                    self.assertEqual(program.ended(), (0, ""))
                    self.assertEqual(os.listdir(folder), [])  # the large file has gone

    async def closed_by(self, program, number):
        async with websockets.connect(program.url("/chat", "ws")) as client:
            program.process.send_signal(number)
            with self.assertRaises(websockets.ConnectionClosed) as closed:
                await client.recv()
            return closed.exception.rcvd.code

    def test_second_signal_ends_at_once(self):
        with tempfile.TemporaryDirectory() as folder, \
                serve(env={**os.environ, "TMPDIR": folder}) as program, \
                contextlib.closing(socket.create_connection(("127.0.0.1", program.port))) as slow:
            # A download that is not read keeps the drain waiting.
            slow.sendall(b"GET /download/large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertTrue(slow.recv(1024).startswith(b"HTTP/1.1 200 "))
            program.process.send_signal(signal.SIGTERM)
            program.read_until("draining")
            program.process.send_signal(signal.SIGTERM)
            self.assertEqual(program.ended(8), (1, ""))  # the drain alone would take 10 s
            self.assertEqual(os.listdir(folder), [])

    def test_full_disk(self):
        folder = "/proc/self"  # nobody can make a folder there
        ended = subprocess.run([os.path.join(BIN, "sluice"), "serve", "--port", "0"], text=True,
                               capture_output=True, timeout=60,
                               env={**os.environ, "TMPDIR": folder})
        self.assertEqual((ended.returncode, ended.stdout), (1, ""))
        self.assertIn("TMPDIR", ended.stderr)
        self.assertEqual(ended.stderr.count("\n"), 1)


if __name__ == "__main__":
    unittest.main()
