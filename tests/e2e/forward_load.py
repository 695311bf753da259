"""Clients that judge each answer by their own request: forward_load.py JSON, from forward_test.py.

Keep-alive connections with one request at a time, each with an id of its own. Standard input has
lines {"answers": N, "of": OUTCOME or null}: when so many more have come, a line says how many of
each outcome there were since the last one. An outcome is the status of a complete and right answer,
or `broken` (the connection ended in the middle, or before), `hang`, `wrong: ...`, and who gave it:
"200 one". The end of standard input ends it.
"""
import asyncio
import collections
import gzip
import json
import random
import sys
import threading

FACTS = json.loads(sys.argv[1])
HANG = FACTS["hang"]  # seconds
FILES = {name: bytes(size) if name == "zeros" else random.Random(name).randbytes(size)
         for name, size in FACTS["files"].items()}


class Wrong(Exception):
    pass


class Client:
    """The requests of one connection."""

    def __init__(self, number):
        self.number = number
        self.sent = 0
        self.random = random.Random(number)
        self.reader = self.writer = None

    async def one(self):
        kind = self.random.choice(FACTS["kinds"])
        self.sent += 1
        name = f"{self.number}-{self.sent}"
        try:
            return await asyncio.wait_for(self.exchange(kind, name), HANG)
        except asyncio.TimeoutError:
            self.close()
            return f"hang: {kind}"
        except Wrong as wrong:
            self.close()
            return f"wrong: {kind} {name}: {wrong}"
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return "broken"

    async def exchange(self, kind, name):
        method, path, body = self.request(kind, name)
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", FACTS["port"])
        length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
        self.writer.write(f"{method} {FACTS['prefix']}{path} HTTP/1.1\r\nHost: e2e\r\n"
                          f"X-Id: {name}\r\nAccept-Encoding: gzip\r\n{length}\r\n".encode() + body)
        # An answer may come before all of it has gone.
        status, fields, content = await self.answer(method)
        who = fields.get("x-upstream", "")
        if fields.get("connection", "").lower() == "close":
            self.close()
        if status in (502, 503, 504) and not who:
            return str(status)
        if fields.get("x-id") != name:
            raise Wrong(f"{status} with the id {fields.get('x-id')}")
        if fields.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        if status != FACTS["statuses"].get(kind, 200):
            raise Wrong(f"{status} {content[:80]!r}")
        if status == 200 and content != self.wanted(kind, method, name, body):
            raise Wrong(f"{len(content)} bytes, {content[:80]!r}")
        return f"{status} {who}".strip()

    def request(self, kind, name):
        if kind in ("small", "head"):
            return "HEAD" if kind == "head" else "GET", f"small/{name}?of={name}", b""
        if kind == "refused":
            return "POST", f"refused/{name}", self.random.randbytes(300_000)
        if kind in ("post", "early"):
            size = self.random.choice((0, 1, 1000, 100_000, 1_000_000))
            return "POST", f"{kind}/{name}", self.random.randbytes(size)
        if kind == "unread":
            return "POST", f"small/{name}", self.random.randbytes(50_000)
        return "GET", kind, b""  # "files/1k"

    def wanted(self, kind, method, name, body):
        if method == "HEAD":
            return b""
        if kind == "small":
            return f"{FACTS['seen']}small/{name}?of={name} {name}\n".encode()
        if kind == "unread":
            return f"{FACTS['seen']}small/{name} {name}\n".encode()
        return body if kind == "post" else FILES[kind.rpartition("/")[2]]

    async def answer(self, method):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        if not head[0].startswith("HTTP/1.1 "):
            raise Wrong(f"{head[0]!r}")
        fields = {}
        for line in head[1:-2]:
            key, _, value = line.partition(":")
            fields[key.lower()] = value.strip()
        status = int(head[0].split()[1])
        if status < 200:
            return await self.answer(method)
        if method == "HEAD":
            return status, fields, b""
        if "content-length" in fields:
            return status, fields, await self.reader.readexactly(int(fields["content-length"]))
        if fields.get("transfer-encoding") == "chunked":
            content = bytearray()
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                content += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readuntil(b"\r\n")
            return status, fields, bytes(content)
        raise Wrong(f"{status} without a length: {fields}")

    def close(self):
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None


class Count:
    """What came since it was told last, and what is waited for."""

    def __init__(self):
        self.outcomes = collections.Counter()
        self.came = collections.Counter()
        self.wanted = None

    def add(self, outcome):
        self.outcomes[outcome] += 1
        self.came[outcome.split()[0]] += 1
        self.came[None] += 1
        self.tell()

    def want(self, line):
        self.wanted = json.loads(line)
        self.came.clear()
        self.tell()

    def tell(self):
        if self.wanted and self.came[self.wanted["of"]] >= self.wanted["answers"]:
            print(json.dumps(self.outcomes), flush=True)
            self.outcomes.clear()
            self.wanted = None


async def client(number, count, ended):
    here = Client(number)
    while not ended.is_set():
        count.add(await here.one())
        if FACTS["pause"]:
            await asyncio.sleep(here.random.uniform(*FACTS["pause"]))
    here.close()


async def all_of_them():
    loop, ended, count = asyncio.get_running_loop(), asyncio.Event(), Count()

    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(count.want, line)
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=read, daemon=True).start()
    await asyncio.gather(*(client(i, count, ended) for i in range(FACTS["connections"])))
    print(json.dumps(count.outcomes), flush=True)


asyncio.run(all_of_them())
