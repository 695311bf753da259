#!/usr/bin/env python3
"""permessage-deflate as others understand it: python3-websockets here, npm's ws in deflate_client.js."""
import asyncio
import contextlib
import itertools
import random
import unittest

import websockets
from websockets.exceptions import ConnectionClosed, InvalidState
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

import served
from served import LIMIT, Program, Serving, main, node, serve, wrong_ending

MOST = 256 << 10  # bytes of a message that e2e_deflate_server takes
SERVERS = tuple(itertools.product(("9", "12", "15"), ((), ("takeover",))))


def text_of(number, size):
    """Much that comes again, within a message and from one to the next."""
    choice = random.Random(number)
    text = "".join(f'{{"item":{choice.randrange(40)},"name":"n\u00e4me {choice.randrange(9)}"}},'
                   for _ in range(size // 20 + 1))
    return text[:size]


async def receive(client, number):
    """The next message, but for broadcasts of the exchange before: a shard that had no client then
    may come to them when this client is there."""
    while True:
        message = await client.recv()
        if not isinstance(message, str) or not message.startswith(f"all:{number - 1}:"):
            return message


async def exchange(client, others, number):
    """Answers to its own messages, broadcasts, and what another thread sends, by turns."""
    for turn in range(6):
        for size in (1, 50, 700, 40_000):
            await client.send(text_of(number + turn, size))
            assert await receive(client, number) == text_of(number + turn, size), (turn, size)
        for word, all_get_it in (("later:", False), ("all:", True)):
            message = f"{word}{number}:{text_of(number + turn, 900)}"
            await client.send(message)
            for each in [client, *others] if all_get_it else [client]:
                assert await each.recv() == message, (turn, word)
        noise = random.Random(turn).randbytes(2000) + bytes(3000)
        await client.send(noise)
        assert await client.recv() == noise, turn
        await client.send([text_of(turn, 300), "", text_of(turn, 5000)])  # in three fragments
        assert await client.recv() == text_of(turn, 300) + text_of(turn, 5000), turn


def connect(program, **parameters):
    return websockets.connect(program.url("/", "ws"), max_size=None, ping_interval=None,
                              compression=None,
                              extensions=[ClientPerMessageDeflateFactory(**parameters)])


def with_each_server(test):
    def run(self):
        for bits, takeover in SERVERS:
            with self.subTest(bits=bits, takeover=takeover), \
                    Program("e2e_deflate_server", served.ENGINE, bits, *takeover) as program:
                test(self, program, bits, takeover)
                self.assertEqual(wrong_ending(program, program.stop()), "")
    return run


class Python(unittest.TestCase):
    @with_each_server
    def test_every_combination(self, program, bits, takeover):
        async def all_of_them():
            # zlib, which python uses, compresses with no raw window of 8 bits.
            client_bits = (None, True, 9, 15)
            plain = await websockets.connect(program.url("/", "ws"), compression=None,
                                             ping_interval=None)
            other = await connect(program, server_max_window_bits=10, client_max_window_bits=True)
            for number, (server, client, ours, theirs) in enumerate(itertools.product(
                    (None, 8, 15), client_bits, (False, True), (False, True))):
                async with connect(program, server_max_window_bits=server,
                                   client_max_window_bits=client,
                                   server_no_context_takeover=ours,
                                   client_no_context_takeover=theirs) as one:
                    agreed, = one.extensions
                    self.assertEqual(agreed.name, "permessage-deflate")
                    self.assertLessEqual(agreed.remote_max_window_bits, min(server or 15, int(bits)))
                    if client is not None:
                        self.assertLessEqual(agreed.local_max_window_bits, int(bits))
                    self.assertEqual(agreed.remote_no_context_takeover, ours or not takeover)
                    self.assertEqual(agreed.local_no_context_takeover, theirs or not takeover)
                    await exchange(one, [plain, other], number)
            await plain.close()
            await other.close()

        asyncio.run(asyncio.wait_for(all_of_them(), LIMIT))

    def test_bombs_and_broken_messages(self):
        async def pieces():
            for _ in range(100):
                yield "x" * (1 << 20)
                await asyncio.sleep(0)  # else this client reads nothing until it has sent all

        async def all_of_them(program):
            async with connect(program, client_max_window_bits=True) as client:
                await client.send("x" * MOST)
                self.assertEqual(await client.recv(), "x" * MOST)
            for message in ("x" * (MOST + 1), "x" * (100 << 20), pieces(),
                            b"\0" * (100 << 20)):
                async with connect(program, client_max_window_bits=True) as client:
                    receiving = asyncio.ensure_future(client.recv())  # while it is being sent
                    # The Close may come before all is sent.
                    with contextlib.suppress(ConnectionClosed, InvalidState):
                        await client.send(message)
                    with self.assertRaises(ConnectionClosed) as closed:
                        await receiving
                    self.assertEqual(closed.exception.rcvd.code, 1009)
            for frame, code in ((b"\xc1\x83\0\0\0\0\xff\xff\xff", 1007),  # no DEFLATE
                                (b"\xc9\x80\0\0\0\0", 1002),              # RSV1 on a ping
                                (b"\x41\x81\0\0\0\0\0\xc0\x81\0\0\0\0\0", 1002)):  # twice
                async with connect(program) as client:
                    client.transport.write(frame)
                    with self.assertRaises(ConnectionClosed) as closed:
                        await client.recv()
                    self.assertEqual(closed.exception.rcvd.code, code, frame)

        with Program("e2e_deflate_server", served.ENGINE, "12") as program:
            asyncio.run(asyncio.wait_for(all_of_them(program), LIMIT))
            self.assertEqual(wrong_ending(program, program.stop()), "")


class Npm(unittest.TestCase):
    @with_each_server
    def test_ws(self, program, bits, takeover):
        printed = node("deflate_client.js", program.url("/", "ws"), bits, *takeover)
        self.assertTrue(printed.endswith("all well\n"), printed)


class OfTheProgram(Serving):
    @classmethod
    def arguments(cls):
        return "--echo", "/echo", "--deflate"

    def test_deflate(self):
        async def echo():
            async with websockets.connect(self.server.url("/echo", "ws")) as client:
                self.assertEqual(len(client.extensions), 1)
                self.assertTrue(client.extensions[0].remote_no_context_takeover)
                self.assertTrue(client.extensions[0].local_no_context_takeover)
                self.assertEqual(client.extensions[0].remote_max_window_bits, 12)
                for size in (0, 10, 1000, 1_000_000):
                    await client.send(text_of(1, size))
                    self.assertTrue(await client.recv() == text_of(1, size))

        asyncio.run(asyncio.wait_for(echo(), LIMIT))

    def test_of_a_file(self):
        path = self.write("sluice.toml", b"[extensions.permessage_deflate]\nenabled = true\n"
                                         b"server_max_window_bits = 9\nlevel = 9\n"
                                         b"server_no_context_takeover = false\n")
        with serve("--echo", "/echo", "--config", path) as program:
            async def echo():
                async with websockets.connect(program.url("/echo", "ws")) as client:
                    self.assertEqual(client.extensions[0].remote_max_window_bits, 9)
                    self.assertFalse(client.extensions[0].remote_no_context_takeover)
                    for _ in range(5):
                        await client.send(text_of(1, 3000))
                        self.assertEqual(await client.recv(), text_of(1, 3000))

            asyncio.run(asyncio.wait_for(echo(), LIMIT))
            self.assertEqual(wrong_ending(program, program.stop()), "")


if __name__ == "__main__":
    main()
