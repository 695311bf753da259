#!/usr/bin/env python3
"""WebSocket clients of others: python3-websockets here, npm's ws in ws_client.js."""
import asyncio
import random

import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatusCode

from served import LIMIT, Serving, main, node, serve, wrong_ending

LARGE = 16 << 20


def session(test):
    """Runs a coroutine of a test, with a deadline."""
    def run(self):
        asyncio.run(asyncio.wait_for(test(self), LIMIT))
    return run


class OfEndpoints(Serving):
    @classmethod
    def arguments(cls):
        return "--echo", "/echo", "--broadcast", "/all"

    def connect(self, path="/echo", **options):
        options = {"max_size": None, "compression": None, "ping_interval": None, **options}
        return websockets.connect(self.server.url(path, "ws"), **options)


class Python(OfEndpoints):
    @session
    async def test_text(self):
        async with self.connect() as client:
            for text in ("", "a", "\u00e4\u20ac\U0001f600", "\x00\x7f", "x" * 125, "y" * 126,
                         "z" * 65_535, "\u00e9" * 100_000):
                await client.send(text)
                answer = await client.recv()
                self.assertTrue(answer == text, (len(answer), len(text), answer[:50]))

    @session
    async def test_binary(self):
        async with self.connect() as client:
            for size in (0, 1, 125, 126, 127, 65_535, 65_536, 1_000_003):
                message = random.Random(size).randbytes(size)
                await client.send(message)
                self.same(await client.recv(), message, size)

    @session
    async def test_16_mib(self):
        async with self.connect() as client:
            message = random.Random(16).randbytes(LARGE)
            await client.send(message)
            self.same(await client.recv(), message)
            await client.send(["a" * 1_000_000] * 16)  # in sixteen fragments
            self.assertTrue(await client.recv() == "a" * 16_000_000)

    @session
    async def test_fragments(self):
        async with self.connect() as client:
            await client.send(["one ", "", "two ", "thr\u20ac\u20ac"])
            self.assertEqual(await client.recv(), "one two thr\u20ac\u20ac")
            await client.send([b"\x00", b"\xff" * 70_000, b""])
            self.assertEqual(await client.recv(), b"\x00" + b"\xff" * 70_000)
            await client.send(["."] * 3000)
            self.assertEqual(await client.recv(), "." * 3000)

    @session
    async def test_pings_between_fragments(self):
        async with self.connect() as client:
            pongs = []

            async def fragments():
                for i in range(5):
                    yield f"{i} "
                    pongs.append(await client.ping(f"ping {i}".encode()))

            await client.send(fragments())
            self.assertEqual(await client.recv(), "0 1 2 3 4 ")
            await asyncio.gather(*pongs)
            await (await client.ping(b"p" * 125))
            await (await client.ping(b""))

    @session
    async def test_messages_keep_their_order(self):
        async with self.connect() as client:
            async def send():
                for i in range(5000):
                    await client.send(str(i))

            sending = asyncio.create_task(send())
            self.assertEqual([int(await client.recv()) for _ in range(5000)], list(range(5000)))
            await sending

    @session
    async def test_close_codes_come_back(self):
        for code in (1000, 1001, 1003, 1007, 1011, 3000, 4999):
            async with self.connect() as client:
                await client.close(code, "because")
                self.assertEqual((client.close_rcvd.code, client.close_sent.code), (code, code))

    @session
    async def test_mistakes_have_their_close_codes(self):
        for frame, code in ((b"\x81\x82\0\0\0\0\xc3\x28", 1007),   # text that is not UTF-8
                            (b"\x83\x80\0\0\0\0", 1002),          # an opcode that is reserved
                            (b"\xc1\x80\0\0\0\0", 1002),          # RSV1 without an extension
                            (b"\x81\x01a", 1002),                  # not masked
                            (b"\x80\x80\0\0\0\0", 1002),          # continues nothing
                            (b"\x09\x80\0\0\0\0", 1002),          # a fragmented ping
                            (b"\x88\x81\0\0\0\0\x03", 1002),       # half a close code
                            (b"\x88\x82\0\0\0\0\x03\xed", 1002),   # 1005 may not be sent
                            (b"\x82\xff\0\0\0\0\x04\0\0\x01\0\0\0\0", 1009)):  # 64 MiB and a byte
            async with self.connect() as client:
                client.transport.write(frame)
                with self.assertRaises(ConnectionClosed) as closed:
                    await client.recv()
                self.assertEqual(closed.exception.rcvd.code, code, frame)

    @session
    async def test_several_at_once(self):
        async def one(number):
            async with self.connect() as client:
                for turn in range(20):
                    message = random.Random(number * 100 + turn).randbytes(number * 97)
                    await client.send(message)
                    self.same(await client.recv(), message, number)

        await asyncio.gather(*(one(number) for number in range(100)))

    @session
    async def test_broadcast(self):
        clients = await asyncio.gather(*(self.connect("/all") for _ in range(50)))
        async with self.connect() as stranger:
            for number, sender in enumerate(clients[:10]):
                await sender.send(f"from {number}")
            await clients[10].send(b"\x00" * 100_000)
            for client in clients:
                got = [await client.recv() for _ in range(11)]
                self.assertIn(b"\x00" * 100_000, got)
                self.assertEqual({text for text in got if isinstance(text, str)},
                                 {f"from {number}" for number in range(10)})
            await stranger.send("still alone")
            self.assertEqual(await stranger.recv(), "still alone")
        await asyncio.gather(*(client.close() for client in clients))

    @session
    async def test_offers_that_are_not_taken(self):
        async with self.connect(compression="deflate", subprotocols=["a", "b"]) as client:
            self.assertEqual((client.extensions, client.subprotocol), ([], None))
            await client.send("plain")
            self.assertEqual(await client.recv(), "plain")

    @session
    async def test_where_there_is_no_websocket(self):
        for path in ("/", "/none", "/api/counters"):
            with self.assertRaises(InvalidStatusCode) as refused:
                async with self.connect(path):
                    pass
            self.assertGreaterEqual(refused.exception.status_code, 200)

    @session
    async def test_the_server_stays_when_clients_vanish(self):
        for _ in range(20):
            client = await self.connect("/all")
            await client.send(b"x" * 100_000)
            client.transport.abort()
        async with self.connect() as client:
            await client.send("still here")
            self.assertEqual(await client.recv(), "still here")


class Npm(OfEndpoints):
    def test_ws(self):
        printed = node("ws_client.js", self.server.url("/echo", "ws"),
                       self.server.url("/all", "ws"))
        self.assertTrue(printed.endswith("all well\n"), printed)


class Ending(OfEndpoints):
    @session
    async def test_a_drain_says_1001(self):
        with serve("--echo", "/echo", "--broadcast", "/all") as program:
            clients = [await websockets.connect(program.url(path, "ws"))
                       for path in ("/echo", "/all", "/live", "/chat")]
            ending = asyncio.get_running_loop().run_in_executor(None, program.stop)
            for client in clients:
                with self.assertRaises(ConnectionClosed) as closed:
                    while True:
                        await client.recv()
                self.assertEqual(closed.exception.rcvd.code, 1001)
            self.assertEqual(wrong_ending(program, await ending), "")


if __name__ == "__main__":
    main()
