#!/usr/bin/env python3
"""Runs each program of examples/ as a client of it would."""
import asyncio
import base64
import glob
import http.client
import os
import random
import tempfile
import unittest

import websockets

from running import SOURCE, Program, curl


def session(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


class Examples(unittest.TestCase):
    def stops(self, program):
        self.assertEqual(program.stop(), (0, ""))

    def test_hello(self):
        with Program("example_hello", "0") as program:
            status, fields, body = program.get("/test.html")
            self.assertEqual((status, fields["Content-Type"], body),
                             (200, "text/html; charset=UTF-8", b"OK"))
            self.assertEqual(program.get("/other.html")[0], 404)

            async def talk():
                url = program.url(scheme="ws")
                async with websockets.connect(url) as one, websockets.connect(url) as two:
                    await one.send("good morning")
                    self.assertEqual(await one.recv(), "good morning")
                    self.assertEqual(await two.recv(), "good morning")

            session(talk())
            self.stops(program)

    def test_chat(self):
        with Program("example_chat", "0") as program:
            async def talk():
                kitchen = program.url("/chat/kitchen", "ws")
                async with websockets.connect(kitchen) as ann:
                    ann_is = f"guest {ann.local_address[1]}"
                    self.assertEqual(await ann.recv(), f"{ann_is} came in")
                    async with websockets.connect(program.url("/chat/garden", "ws")) as other:
                        other_is = f"guest {other.local_address[1]}"
                        self.assertEqual(await other.recv(), f"{other_is} came in")
                        async with websockets.connect(kitchen) as ben:
                            ben_is = f"guest {ben.local_address[1]}"
                            self.assertEqual(await ann.recv(), f"{ben_is} came in")
                            self.assertEqual(await ben.recv(), f"{ben_is} came in")
                            await ben.send("tea?")
                            self.assertEqual(await ann.recv(), f"{ben_is}: tea?")
                            self.assertEqual(await ben.recv(), f"{ben_is}: tea?")
                        self.assertEqual(await ann.recv(), f"{ben_is} left")
                        await other.send("weeds")  # the next that the garden hears is its own
                        self.assertEqual(await other.recv(), f"{other_is}: weeds")
                    await ann.send("quiet here")  # and nothing of the garden came to the kitchen
                    self.assertEqual(await ann.recv(), f"{ann_is}: quiet here")

            session(talk())
            self.assertEqual(program.get("/")[0], 404)
            self.stops(program)

    def test_events(self):
        with Program("example_events", "0") as program:
            def listen(**fields):
                connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=30)
                self.addCleanup(connection.close)
                connection.request("GET", "/events", headers=fields)
                response = connection.getresponse()
                self.assertEqual(response.headers["Content-Type"], "text/event-stream")
                return response

            def event(number, text):
                return f"event: line\nid: {number}\ndata: {text}\n\n".encode()

            def read(listener, wanted):
                self.assertEqual(b"".join(listener.readline() for _ in range(wanted.count(b"\n"))),
                                 wanted)

            one, two = listen(), listen()
            for number, text in enumerate(("good morning", "tea?"), 1):
                self.assertEqual(program.request("POST", "/say", text)[0], 204)
                for listener in (one, two):
                    read(listener, event(number, text))
            self.assertEqual(program.request("POST", "/say", "two\nlines")[0], 204)
            back = listen(**{"Last-Event-ID": "1"})
            read(back, event(2, "tea?") + event(3, "two\ndata: lines"))
            self.assertIn(b"EventSource", program.get("/")[2])
            self.stops(program)  # and ends the streams that are open
            self.assertEqual(back.read(), b"")

    def test_text_response(self):
        with Program("example_text_response", "0") as program:
            status, fields, body = program.get("/test.html")
            self.assertEqual((status, fields["Content-Type"], body),
                             (200, "text/html; charset=UTF-8", b"OK"))
            self.assertEqual(program.get("/other.html")[0], 404)
            self.assertEqual(program.request("POST", "/test.html", b"x")[0], 500)
            self.stops(program)

    def test_produced_body(self):
        with Program("example_produced_body", "0") as program:
            status, _, body = program.get("/?below=200000")
            self.assertEqual((status, body[:11], body.count(b"\n")),
                             (200, b"2\n3\n5\n7\n11\n", 17984))
            self.stops(program)

    def test_forwarding(self):
        with Program("example_custom_headers", "0") as behind, \
             Program("example_forwarding", "0", behind.url("")) as program:
            self.assertEqual(program.get("/")[2], b"This page is our own.\n")
            status, fields, _ = program.get("/api/")
            self.assertEqual((status, fields["X-Served-By"]), (200, "the others"))
            self.stops(behind)
            status, _, body = program.get("/api/")
            self.assertEqual((status, body[:22]), (502, b"Nobody is there just n"))
            self.stops(program)

    def test_authentication(self):
        with tempfile.TemporaryDirectory() as folder:
            users = os.path.join(folder, "users")
            with open(users, "w", encoding="utf-8") as file:  # "password", by openssl passwd
                file.write("joe:$5$saltsalt$gOjOtoMpVhru2uyjeJSEc/JaLQWOXMNmlOnj6T4AtC.\n")
            with Program("example_authentication", "0", users) as program:
                self.assertEqual(program.get("/")[2], b"hello\n")
                self.assertEqual(program.get("/admin")[0], 401)
                joe = "Basic " + base64.b64encode(b"joe:password").decode()
                self.assertEqual(program.get("/admin/", Authorization=joe)[2], b"hello joe\n")
                self.stops(program)

    def test_custom_headers(self):
        with Program("example_custom_headers", "0") as program:
            status, fields, body = program.get("/")
            self.assertEqual((status, body), (200, b""))
            self.assertEqual(fields["Access-Control-Allow-Origin"], "*")
            self.assertEqual(fields["Access-Control-Allow-Methods"],
                             "GET, POST, OPTIONS, PUT, PATCH, DELETE")
            self.assertEqual(fields["X-Greeting"], "hello")
            self.stops(program)

    def test_resumable_download(self):
        content = random.Random(1).randbytes(300_000)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "test.pdf")
            with open(path, "wb") as file:
                file.write(content)
            with Program("example_resumable_download", "0", path) as program:
                for document in ("/test.pdf", "/easy"):
                    with self.subTest(document):
                        self.download(program, document, content, os.path.join(folder, "copy"))
                self.stops(program)
        with Program("example_resumable_download", "0", path) as program:
            self.assertEqual(program.get("/test.pdf")[0], 404)  # the file has gone
            self.stops(program)

    def download(self, program, document, content, copy):
        size = len(content)
        status, fields, body = program.get(document)
        self.assertEqual((status, fields["Accept-Ranges"], body), (200, "bytes", content))
        self.assertEqual(fields["Content-Type"], "application/pdf")

        for asked, first, last in (("0-0", 0, 0), ("100-299", 100, 299), ("-5", size - 5, size - 1),
                                   ("299990-", 299990, size - 1), ("7-999999999", 7, size - 1)):
            status, fields, body = program.get(document, Range=f"bytes={asked}")
            self.assertEqual((status, fields["Content-Range"]),
                             (206, f"bytes {first}-{last}/{size}"), asked)
            self.assertEqual(body, content[first:last + 1], asked)

        status, fields, _ = program.get(document, Range=f"bytes={size}-")
        self.assertEqual((status, fields["Content-Range"]), (416, f"bytes */{size}"))
        status, fields, body = program.get(document, Range="bytes=0-9,100-109")
        self.assertEqual(status, 206)
        self.assertTrue(fields["Content-Type"].startswith("multipart/byteranges; boundary="))
        self.assertIn(content[100:110], body)

        with open(copy, "wb") as file:  # a download that broke off
            file.write(content[:123_456])
        curl("-C", "-", "-o", copy, program.url(document))
        with open(copy, "rb") as file:
            self.assertEqual(file.read(), content)

    def test_upload(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "to send")
            stored = os.path.join(folder, "stored")
            os.mkdir(stored)
            with open(path, "wb") as file:
                file.write(b"x" * 500_000)
            with Program("example_upload", stored, "0") as program:
                told = curl("-F", "note=hello", "-F", f"file=@{path}", program.url("/form"))
                self.assertEqual(told, b"note: hello\nto send: 500000 bytes\n")
                told = curl("-T", path, program.url("/put/"))
                self.assertIn(b'"stored": "to send (1)", "size": 500000', told)
                self.assertEqual(sorted(os.listdir(stored)), ["to send", "to send (1)"])
                self.stops(program)
                self.assertEqual(program.printed.count("saving to send\n"), 2)

    def test_fine_tuning(self):
        with Program("example_fine_tuning", "0") as program:
            self.assertEqual(program.get("/")[2], b"0 devices are connected\n")

            async def storm():
                url = program.url(scheme="ws")
                devices = await asyncio.gather(*(websockets.connect(url) for _ in range(200)))
                for device in devices:
                    await device.send("ping")
                self.assertEqual({await device.recv() for device in devices}, {"ping"})
                loop = asyncio.get_running_loop()
                answer = await loop.run_in_executor(None, program.get, "/")
                self.assertEqual(answer[2], b"200 devices are connected\n")
                await asyncio.gather(*(device.close() for device in devices))

            session(storm())
            code, errors = program.stop()
            self.assertEqual(code, 0)
            self.assertLessEqual(errors.count("\n"), 1, errors)  # at most: the backlog was clipped

    def test_each_example_is_short_and_run(self):
        names = {os.path.basename(path)[:-4]: path
                 for path in glob.glob(os.path.join(SOURCE, "examples", "*.cpp"))}
        self.assertTrue(names)
        for name, path in names.items():
            with self.subTest(name), open(path, encoding="utf-8") as file:
                self.assertLess(len(file.readlines()), 60)
                self.assertTrue(hasattr(self, f"test_{name}"), "no test runs it")


if __name__ == "__main__":
    unittest.main()
