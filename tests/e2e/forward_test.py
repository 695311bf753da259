#!/usr/bin/env python3
"""`sluice serve` with [[forward]] in front of servers that others wrote: nginx, and npm's ws. Under a
load whose answers are all judged (forward_load.py), what is behind is killed, stopped, slow, closes
while idle, answers early or answers garbage: nothing wrong is answered, nobody waits for ever, and
memory stays bounded."""
import asyncio
import collections
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import websockets
from websockets.exceptions import ConnectionClosed

from served import HERE, LIMIT, SOURCE, main, node, serve, wrong_ending

FILES = {"zeros": 0, "1k": 1024, "5m": 5 << 20, "20m": 20 << 20}
HANG = 15  # seconds that no answer may take; nothing here waits longer than 1 s on purpose
GROWTH = 64  # MiB that may be had more than after the first requests
# Freed memory is kept back by the sanitizer, 256 MiB of it; with so little of that the memory of
# the process says something. What stays is rounded up, and in pieces: it is judged loosely.
LEAN = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"}

NGINX = """
daemon off; master_process off; worker_processes 1;
pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 4000; }}
http {{
  access_log off; {more}
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  default_type text/plain; gzip_min_length 1; gzip_types *; gzip_comp_level 1;
  add_header X-Id $http_x_id always; add_header X-Upstream {name} always;
  server {{
    listen {listen};
    location ~ ^/\\w+/small/ {{ return 200 "$request_uri $http_x_id\\n"; }}
    location ~ ^/\\w+/refused/ {{ client_max_body_size 1k; return 200 "not refused"; }}
    location ~ ^/\\w+/files/(.*)$ {{ alias {files}/$1; }}
    location ~ ^/\\w+/zipped/(.*)$ {{ alias {files}/$1; gzip on; }}
    location ~ ^/\\w+/closing/(.*)$ {{ alias {files}/$1; gzip on; chunked_transfer_encoding off; }}
    location ~ ^/\\w+/slow/(.*)$ {{ alias {files}/$1; limit_rate 1m; limit_rate_after 4m; }}
    location ~ ^/\\w+/origin/ {{ return 200 "$http_x_forwarded_for|$http_x_forwarded_proto|\
$http_x_forwarded_host|$http_forwarded|$host|$request_uri"; }}
  }}
}}
"""


def nginx_program():
    """Where nginx is: installed, or where ./test unpacked it."""
    for path in (shutil.which("nginx"), "/usr/sbin/nginx",
                 os.path.join(SOURCE, "build", "nginx", "usr", "sbin", "nginx")):
        if path and os.access(path, os.X_OK):
            return path
    raise AssertionError("there is no nginx: neither in PATH nor in /usr/sbin nor in build/nginx, "
                         "where ./test puts it")


def free_port():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return taken.getsockname()[1]


class Upstream:
    """A server of others on a port of its own, that may be killed and started again."""

    def __init__(self, listen, url):
        self.listen, self.url = listen, url
        self.process = None

    def command(self):
        raise NotImplementedError

    def connect(self):
        with contextlib.closing(socket.create_connection(("127.0.0.1", int(self.listen)))):
            pass

    def start(self):
        self.process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL)
        until = time.monotonic() + LIMIT
        while True:
            try:
                return self.connect()
            except OSError as failed:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise AssertionError(f"{self.command()} does not listen: {failed}") from None
                time.sleep(0.01)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Nginx(Upstream):
    def __init__(self, folder, name="one", more="", path=None):
        self.path = path
        port = None if path else free_port()
        super().__init__(port, f"unix:{path}" if path else f"http://127.0.0.1:{port}/up")
        own = os.path.join(folder, name)
        os.makedirs(own)
        self.conf = os.path.join(own, "nginx.conf")
        with open(self.conf, "w", encoding="ascii") as file:
            file.write(NGINX.format(folder=own, name=name, more=more,
                                    files=os.path.join(folder, "files"),
                                    listen=self.url if path else f"127.0.0.1:{port}"))

    def command(self):
        return [nginx_program(), "-e", "stderr", "-p", os.path.dirname(self.conf), "-c", self.conf]

    def start(self):
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)  # of one that was killed
        super().start()

    def connect(self):
        if not self.path:
            return super().connect()
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as tried:
            tried.connect(self.path)


class Node(Upstream):
    def __init__(self):
        port = free_port()
        super().__init__(port, f"http://127.0.0.1:{port}/up")

    def command(self):
        return ["node", os.path.join(HERE, "ws_upstream.js"), str(self.listen)]


class Garbage(threading.Thread):
    """Answers each request with something else that is no answer, and closes."""

    ANSWERS = (b"\x15\x03\x01\x00\x02\x02\x16", b"HTTP/1.1 200\r\nContent-Length: x\r\n\r\n",
               b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
               b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0",
               b"SSH-2.0-OpenSSH\r\n", b"a" * 300_000, b"HTTP/1.1 101 Yes\r\n\r\nx",
               b"HTTP/1.1 999 No\r\n\r\n")

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/"
        self.given = 0

    def run(self):
        while True:
            try:
                peer = self.socket.accept()[0]
            except OSError:
                return
            with contextlib.closing(peer), contextlib.suppress(OSError):
                peer.recv(65536)
                peer.sendall(self.ANSWERS[self.given % len(self.ANSWERS)])
                self.given += 1

    def stop(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self.socket.close()


class Load:
    """forward_load.py in a process of its own."""

    def __init__(self, port, prefix, kinds, connections=16, pause=None, statuses=None,
                 seen="/up/"):
        facts = {"port": port, "prefix": prefix, "seen": seen, "kinds": kinds, "connections": connections,
                 "pause": pause, "hang": HANG, "files": FILES, "statuses": statuses or {}}
        self.total = collections.Counter()
        self.process = subprocess.Popen(
            [sys.executable, "-B", os.path.join(HERE, "forward_load.py"), json.dumps(facts)],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self):
        alarm = threading.Timer(LIMIT, self.process.kill)
        alarm.start()
        line = self.process.stdout.readline()
        alarm.cancel()
        if not line:
            raise AssertionError(f"the load has ended; before: {self.total}")
        outcomes = collections.Counter(json.loads(line))
        self.total += outcomes
        bad = [each for each in outcomes if each.startswith(("wrong", "hang"))]
        if bad:
            raise AssertionError(f"{bad[:5]} among {sum(self.total.values())}")
        return outcomes

    def next(self, answers, of=None):
        """What came since the last call, until there were `answers` more (of one outcome)."""
        self.process.stdin.write(json.dumps({"answers": answers, "of": of}) + "\n")
        self.process.stdin.flush()
        return self.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def end(self):
        self.process.stdin.close()
        self.read()
        self.process.wait()
        return self.total


def statuses(outcomes):
    """Without who answered."""
    out = collections.Counter()
    for outcome, count in outcomes.items():
        out[outcome.split()[0]] += count
    return dict(out)


def memory(program):
    with open(f"/proc/{program.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


class Forwarded(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nginx_program()

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sluice-e2e-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.mkdir(self.path("files"))
        ended = subprocess.run([sys.executable, "-c", FILL, self.path("files"), json.dumps(FILES)])
        self.assertEqual(ended.returncode, 0)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def started(self, upstream):
        upstream.start()
        self.addCleanup(upstream.kill)
        return upstream

    def nginx(self, *arguments, **options):
        return self.started(Nginx(self.folder, *arguments, **options))

    @contextlib.contextmanager
    def sluice(self, **rules):
        """Started with rule /NAME/ for each NAME: (upstreams, more lines); must end well."""
        file = self.path("sluice.toml")
        with open(file, "w", encoding="ascii") as out:
            out.write("[timeouts]\nmin_send_rate = 0\n")  # some do not read on purpose
            for name, (upstreams, more) in rules.items():
                urls = [each if isinstance(each, str) else each.url for each in upstreams]
                out.write(f'[[forward]]\nprefix = "/{name}/"\nupstreams = {json.dumps(urls)}\n'
                          f"{more}\n")
        with serve("--config", file, env=LEAN) as program:
            yield program
            self.assertEqual(wrong_ending(program, program.stop()), "")

    def serves_again(self, load, answers=300):
        """Once only good answers come, no other follows."""
        for _ in range(200):
            if set(statuses(load.next(4 * 16))) == {"200"}:
                break
        else:
            self.fail(f"it is not served again: {load.total}")
        self.assertEqual(set(statuses(load.next(answers))), {"200"})

    def no_more_than(self, before, program, most=GROWTH):
        now = memory(program)
        print(f"{before:.0f} to {now:.0f} MiB", end=", ", flush=True)
        self.assertLess(now - before, most)


FILL = """
import json, os, random, sys
for name, size in json.loads(sys.argv[2]).items():
    with open(os.path.join(sys.argv[1], name), "wb") as file:
        file.write(bytes(size) if name == "zeros" else random.Random(name).randbytes(size))
"""
LARGE = ["files/5m", "zipped/5m", "closing/5m", "closing/1k", "closing/zeros", "refused"]
KINDS = ["small"] * 20 + ["head"] * 4 + ["unread"] * 2 + ["files/zeros", "files/1k", "zipped/1k"] * 4


class InFrontOfNginx(Forwarded):
    def test_answers_are_passed_on(self):
        """Lengths, chunks and ends of connections, early answers; over TCP, by name, over unix."""
        tcp = self.nginx(more="keepalive_requests 7;")
        unix = self.nginx("two", path=self.path("nginx.sock"))
        named = f"http://localhost:{tcp.listen}"
        with self.sluice(tcp=([tcp], ""), name=([named], ""), unix=([unix], "")) as program:
            # Without a path, the target goes on as it came.
            for rule, seen in (("tcp", "/up/"), ("name", "/name/"), ("unix", "/unix/")):
                with self.subTest(rule), Load(program.port, f"/{rule}/", KINDS + LARGE, seen=seen,
                                              statuses={"refused": 413}) as load:
                    load.next(300)
                    total = statuses(load.end())
                    print(rule, total, end=" ", flush=True)
                    self.assertEqual(set(total), {"200", "413"})

    def test_origin(self):
        nginx = self.nginx()
        with self.sluice(plain=([nginx], ""), host=([nginx], "keep_host = false"),
                         trusted=([nginx], 'trusted = ["127.0.0.0/8"]'),
                         other=([nginx], 'trusted = ["10.0.0.0/8"]')) as program:
            def seen(rule):
                status, fields, body = program.get(
                    f"/{rule}/origin/", Host="asked.example", X_Forwarded_For="192.0.2.1",
                    X_Forwarded_Proto="https", X_Forwarded_Host="first.example",
                    Forwarded="for=192.0.2.1;proto=https")
                self.assertEqual((status, fields["x-upstream"]), (200, "one"))
                return body.decode().split("|")

            for rule in ("plain", "other"):
                got = seen(rule)
                self.assertEqual(got[:3] + got[4:],
                                 ["127.0.0.1", "http", "asked.example", "asked.example",
                                  "/up/origin/"])
                self.assertNotIn("192.0.2.1", got[3])
                self.assertIn("for=127.0.0.1", got[3])
            self.assertEqual(seen("host")[4], "127.0.0.1")
            got = seen("trusted")
            self.assertEqual(got[:3], ["192.0.2.1, 127.0.0.1", "https", "first.example"])
            self.assertRegex(got[3], r"^for=192\.0\.2\.1;proto=https, for=127\.0\.0\.1")

    def test_killed_and_started_again(self):
        nginx = self.nginx(more="keepalive_requests 7;")
        with self.sluice(a=([nginx], "")) as program:
            with Load(program.port, "/a/", KINDS + ["files/5m"]) as load:
                self.serves_again(load)
                before = memory(program)
                for _ in range(5):
                    load.next(100)
                    nginx.kill()
                    load.next(50, "502")
                    nginx.start()
                    self.serves_again(load)
                self.no_more_than(before, program)
                total = statuses(load.end())
        print(total, end=" ", flush=True)
        self.assertLessEqual(set(total), {"200", "502", "504", "broken"})

    def test_stopped_and_continued(self):
        nginx = self.nginx()
        with self.sluice(a=([nginx], 'response_timeout = "3s"\nidle_timeout = "3s"')) as program:
            with Load(program.port, "/a/", KINDS + ["files/5m"]) as load:
                self.serves_again(load)
                before = memory(program)
                for _ in range(2):
                    nginx.signal(signal.SIGSTOP)
                    load.next(24, "504")
                    nginx.signal(signal.SIGCONT)
                    self.serves_again(load)
                self.no_more_than(before, program)
                total = statuses(load.end())
        print(total, end=" ", flush=True)
        self.assertLessEqual(set(total), {"200", "502", "504", "broken"})

    def test_one_of_two_killed(self):
        one, two = self.nginx(), self.nginx("two")
        with self.sluice(a=([one, two], 'fail_time = "200ms"')) as program:
            with Load(program.port, "/a/", ["small", "files/1k", "head"]) as load:
                self.assertEqual(set(load.next(200)), {"200 one", "200 two"})
                for dead, alive in ((one, "200 two"), (two, "200 one")):
                    dead.kill()
                    failed = load.next(500)
                    # What was under way to it, one request of each client at most.
                    self.assertLessEqual(set(statuses(failed)), {"200", "502", "broken"})
                    self.assertLessEqual(failed["502"] + failed["broken"], 16)
                    self.assertEqual(set(load.next(500)), {alive})
                    dead.start()
                    while set(outcomes := load.next(100)) != {"200 one", "200 two"}:
                        self.assertEqual(set(outcomes), {alive})
                total = statuses(load.end())
        print(total, end=" ", flush=True)

    def test_closes_while_idle(self):
        """Right when a connection is to be used again: it is asked once more on another one."""
        nginx = self.nginx(more="keepalive_timeout 100ms;")
        with self.sluice(a=([nginx], "")) as program:
            with Load(program.port, "/a/", ["small", "files/1k"], connections=32,
                      pause=[0.09, 0.14]) as load:
                load.next(1500)
                total = statuses(load.end())
        print(total, end=" ", flush=True)
        self.assertEqual(set(total), {"200"})

    def test_slow(self):
        """An answer that takes longer than any timeout is no reason to end it while it goes on."""
        nginx = self.nginx()
        with self.sluice(a=([nginx], 'response_timeout = "1s"\nidle_timeout = "1s"')) as program:
            with Load(program.port, "/a/", ["slow/5m"], connections=4) as load:
                load.next(4)
                self.assertEqual(set(statuses(load.end())), {"200"})

    def test_memory_is_bounded(self):
        """Of readers that do not read, and of bodies that nobody takes: 640 MiB of each. A MiB may wait for
        each of 32 clients, in blocks that are larger than what is in them."""
        nginx = self.nginx()
        with self.sluice(a=([nginx], "")) as program, contextlib.ExitStack() as opened:
            with Load(program.port, "/a/", KINDS) as load:
                self.serves_again(load)
                before = memory(program)

                def clients(head):
                    made = [opened.enter_context(
                        socket.create_connection(("127.0.0.1", program.port), timeout=HANG))
                            for _ in range(32)]
                    for each in made:
                        each.sendall(head)
                    return made

                readers = clients(b"GET /a/files/20m HTTP/1.1\r\nHost: e2e\r\n"
                                  b"Connection: close\r\n\r\n")
                self.serves_again(load, 500)
                self.no_more_than(before, program, 192)
                with open(self.path("files", "20m"), "rb") as file:
                    wanted = file.read()
                for each in readers:
                    with each.makefile("rb") as stream:
                        got = stream.read()
                    self.assertTrue(got.endswith(wanted), len(got))
                nginx.signal(signal.SIGSTOP)
                writers = clients(b"POST /a/small/late HTTP/1.1\r\nHost: e2e\r\nX-Id: late\r\n"
                                  b"Connection: close\r\nContent-Length: 20971520\r\n\r\n")
                taken = 0
                for each in writers:
                    each.settimeout(0.05)
                    with contextlib.suppress(TimeoutError):
                        for at in range(0, len(wanted), 65536):
                            taken += each.send(wanted[at:at + 65536])
                print(f"{taken >> 20} MiB on the way", end=", ", flush=True)
                self.no_more_than(before, program, 192)
                nginx.signal(signal.SIGCONT)
                self.serves_again(load)
                for each in writers:
                    each.close()
                self.serves_again(load)
                self.no_more_than(before, program, 192)
                self.assertEqual(set(statuses(load.end())), {"200"})

    def test_garbage(self):
        nginx, garbage = self.nginx(), Garbage()
        garbage.start()
        self.addCleanup(garbage.stop)
        with self.sluice(a=([nginx], ""), bad=([garbage], "")) as program:
            with Load(program.port, "/a/", KINDS) as good, \
                    Load(program.port, "/bad/", ["small", "files/1k", "unread"]) as bad:
                self.serves_again(good)
                before = memory(program)
                bad.next(300)
                self.assertEqual(set(statuses(good.next(500))), {"200"})
                self.assertEqual(set(bad.end()), {"502"})
                self.assertEqual(set(statuses(good.end())), {"200"})
                self.no_more_than(before, program)
        self.assertGreaterEqual(garbage.given, 300)


def session(test):
    """Runs a coroutine of a test, with a deadline."""
    def run(self):
        asyncio.run(asyncio.wait_for(test(self), LIMIT))
    return run


class InFrontOfNode(Forwarded):
    def connect(self, program, path="/echo"):
        return websockets.connect(program.url(f"/n{path}", "ws"), max_size=None, compression=None,
                                  ping_interval=None, open_timeout=LIMIT)

    def test_bodies(self):
        """Both ways at once, and an answer before the body."""
        server = self.started(Node())
        with self.sluice(n=([server], "")) as program:
            with Load(program.port, "/n/", ["post"]) as load:
                load.next(200)
                self.assertEqual(set(load.end()), {"200"})
            with Load(program.port, "/n/", ["early"], statuses={"early": 403}) as load:
                load.next(200)
                total = load.end()
        print(dict(total), end=" ", flush=True)
        self.assertLessEqual(set(total), {"403", "502", "broken"})
        self.assertGreater(total["403"], 100)

    def test_npm_ws(self):
        server = self.started(Node())
        with self.sluice(n=([server], "")) as program:
            tests = ("text", "binary", "fragments", "pings", "severalAtOnce", "broadcast")
            urls = [program.url(f"/n/{path}", "ws") for path in ("echo", "all", "deflated")]
            printed = node("ws_client.js", *urls[:2], *tests, "deflateIsDeclined")
            self.assertTrue(printed.endswith("all well\n"), printed)
            printed = node("ws_client.js", urls[2], urls[1], *tests)
            self.assertTrue(printed.endswith("all well\n"), printed)

    @session
    async def test_messages_and_closing(self):
        server = self.started(Node())
        with self.sluice(n=([server], "")) as program:
            async with self.connect(program) as client:
                before = memory(program)
                for size in (0, 125, 65_536, 16 << 20, 16 << 20):
                    message = os.urandom(size)
                    await client.send(message)
                    self.assertTrue(await client.recv() == message, size)
                # More than anybody reads.
                for _ in range(4):
                    await client.send(os.urandom(16 << 20))
                self.no_more_than(before, program)
                for _ in range(4):
                    self.assertEqual(len(await client.recv()), 16 << 20)
                await client.send("close")
                with self.assertRaises(ConnectionClosed) as closed:
                    await client.recv()
                self.assertEqual((closed.exception.rcvd.code, closed.exception.rcvd.reason),
                                 (4001, "as you wish"))

    @session
    async def test_killed_in_the_middle(self):
        server = self.started(Node())
        loop = asyncio.get_running_loop()
        with self.sluice(n=([server], "")) as program:
            before = None
            for _ in range(3):
                clients = await asyncio.gather(*(self.connect(program) for _ in range(200)))
                for number, client in enumerate(clients):
                    await client.send(f"{number}")
                for number, client in enumerate(clients):
                    self.assertEqual(await client.recv(), f"{number}")
                before = before or memory(program)
                # Half of them in the middle of a message.
                sending = [asyncio.ensure_future(client.send(bytes(200_000)))
                           for client in clients[::2]]
                await loop.run_in_executor(None, server.kill)
                await asyncio.gather(*sending, return_exceptions=True)
                for client in clients:
                    with self.assertRaises(ConnectionClosed) as closed:
                        while True:
                            await client.recv()
                    self.assertEqual((client.close_code, closed.exception.rcvd), (1006, None))
                await loop.run_in_executor(None, server.start)
                async with self.connect(program) as client:
                    await client.send("again")
                    self.assertEqual(await client.recv(), "again")
            self.no_more_than(before, program)


if __name__ == "__main__":
    main()
