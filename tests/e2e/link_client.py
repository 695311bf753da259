#!/usr/bin/env python3
"""A WebSocket client in a network namespace of its own, at the far end of a link that can be cut.

It says "here", and does what the lines of its standard input say, each of which it answers with one:
`up ADDRESS` (its end of the link), `connect HOST PORT PATH`, `say TEXT`, `hear` (the answer is the next
message), `pong` (all that came is acknowledged by it, and nothing follows), and `cut` and `mend` (its end of the link again). Pings are answered all the time.
"""
import asyncio
import subprocess
import sys

import websockets

from namespaces import ip, unshare

LINK = "far"


class Client:
    def __init__(self):
        self.socket = None

    async def up(self, address):
        ip("link", "set", "lo", "up")
        ip("address", "add", address, "dev", LINK)
        ip("link", "set", LINK, "up")

    async def connect(self, host, port, path):
        self.socket = await websockets.connect(f"ws://{host}:{port}{path}", compression=None,
                                               ping_interval=None)

    async def say(self, text):
        await self.socket.send(text)

    async def hear(self):
        return await self.socket.recv()

    async def pong(self):
        await self.socket.pong()

    async def cut(self):
        ip("link", "set", LINK, "down")

    async def mend(self):
        ip("link", "set", LINK, "up")

    async def obey(self):
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            command, *words = line.split()
            print(await getattr(self, command)(*words) or "done", flush=True)


if __name__ == "__main__":
    unshare()
    print("here", flush=True)
    try:
        asyncio.run(Client().obey())
    except subprocess.CalledProcessError as failed:
        sys.exit(f"{failed}: {failed.stderr}")
