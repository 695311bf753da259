#!/usr/bin/env python3
"""`sluice serve --config` with who may come in, how often and where: driven by curl with users that
`sluice passwd` made, keys that `sluice keys` issued, and tokens of npm's jose; and the same changed
by SIGHUP."""
import contextlib
import json
import os
import re
import socket
import subprocess
import tempfile
import unittest

import served
from served import BIN, LIMIT, Answer, main, node, serve, wrong_ending

PASSWORD = "correct horse"


def sluice(*arguments, stdin=""):
    """What the program prints; it must succeed."""
    ended = subprocess.run([os.path.join(BIN, "sluice"), *arguments], input=stdin, text=True,
                           capture_output=True, timeout=LIMIT)
    if ended.returncode != 0:
        raise AssertionError(ended)
    return ended


def free_port():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return taken.getsockname()[1]


class Configured(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sluice-e2e-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.file = self.path("sluice.toml")
        for name in ("open", "private", "api", "limited"):
            os.makedirs(self.path("site", name))
            with open(self.path("site", name, "a.txt"), "w", encoding="utf-8") as file:
                file.write(f"of {name}")
        self.passwd("users", "joe")
        sluice("passwd", self.path("digests"), "joe", "--digest", "--realm", "e2e", "--stdin",
               stdin=PASSWORD + "\n")
        self.store = ("--store", self.path("keys.db"))
        self.key = self.issue("--scope", "read")
        self.port = free_port()

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def passwd(self, file, user):
        sluice("passwd", self.path(file), user, "--stdin", stdin=PASSWORD + "\n")

    def issue(self, *more):
        return sluice("keys", "issue", *self.store, "--owner", "joe", *more).stdout.strip()

    def write(self, toml="", realm="e2e", users="users", paths="/private", scope="read", most=10,
              requests=2):
        """A file with everything, and `toml` in front of it."""
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(f"""
bindings = ["http://127.0.0.1:{self.port}/",
            {{ prefix = "http://127.0.0.1:{self.port}/small/", url_group = "small" }}]
{toml}
[authentication]
enabled = true
realm = "{realm}"
paths = ["{paths}"]
users = "{self.path(users)}"
basic.enabled = true
session.enabled = true
url.enabled = true
digest = {{ enabled = true, users = "{self.path("digests")}" }}
failures = {{ free = 1000, refuse_after = 0 }}
[authentication.bearer]
enabled = true
algorithms = ["rs256", "es256", "eddsa", "hs256"]
issuer = "tests"
audience = ["e2e"]
key_files = ["{self.path("rsa.pem")}"]
jwks_file = "{self.path("keys.json")}"
[api_keys]
store = "{self.path("keys.db")}"
check_interval = "10ms"
paths = [{{ prefix = "/api", scope = "{scope}" }}]
[serve]
echo = "/small/echo"
[[url_groups]]
name = "small"
body_bytes = {most}
[[rate_limits]]
name = "kept"
prefix = "/limited"
requests = 2
window = "1h"
[[rate_limits]]
name = "each-user"
key = "user"
prefix = "/private/b.txt"
requests = {requests}
window = "1h"
[[files]]
directory = "{self.path("site")}"
""")

    def start(self):
        return serve("--config", self.file, port=False)

    def check(self):
        return subprocess.run([os.path.join(BIN, "sluice"), "serve", "--config", self.file,
                               "--check-config"], text=True, capture_output=True, timeout=LIMIT)

    def curl(self, path, *arguments, **options):
        return Answer(f"http://127.0.0.1:{self.port}{path}", *arguments, **options)

    def status(self, path, *arguments):
        return self.curl(path, *arguments).status

    def post(self, bytes):
        return self.status("/small/echo", "--data-binary", "x" * bytes)

    def test_authentication(self):
        tokens = json.loads(node("auth_tokens.js", self.folder))
        self.write()
        self.assertEqual(self.check().stdout, f"{self.file}: no mistakes\n")
        joe = ("--user", f"joe:{PASSWORD}")
        with self.start() as program:
            self.assertEqual(self.curl("/open/a.txt").body, b"of open")
            answer = self.curl("/private/a.txt")
            self.assertEqual(answer.status, 401)
            schemes = re.findall(r"(?im)^www-authenticate: (\w+)", answer.heads[-1])
            self.assertEqual(schemes, ["Bearer", "Digest", "Basic"], answer)
            self.assertEqual(self.curl("/private/a.txt", *joe).body, b"of private")
            self.assertEqual(self.status("/private/a.txt", "--user", "joe:x"), 401)
            self.assertEqual(self.status("/private/a.txt", "--user", f"jim:{PASSWORD}"), 401)
            self.assertEqual(self.curl("/private/a.txt", "--digest", *joe).body, b"of private")
            for token in tokens["good"].values():
                self.assertEqual(self.status("/private/a.txt", "--oauth2-bearer", token), 200)
            for token in tokens["bad"].values():
                self.assertEqual(self.status("/private/a.txt", "--oauth2-bearer", token), 401)
            quoted = PASSWORD.replace(" ", "%20")
            self.assertEqual(self.status(f"/sgc/auth/url/joe/{quoted}/private/a.txt"), 200)
            token = self.curl(f"/sgc/req/auth/session/joe/{quoted}").body.decode()
            self.assertEqual(self.status(f"/sgc/auth/session/{token}/private/a.txt"), 200)
            self.assertEqual(self.status(f"/sgc/auth/session/{token}/private/a.txt"), 401)
            upgrade = ("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H",
                       "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: "
                       "dGhlIHNhbXBsZSBub25jZQ==", "--http1.1")
            self.assertEqual(self.status("/private/chat", *upgrade), 401)
            self.assertEqual(wrong_ending(program, program.stop()), "")

    def test_keys_groups_and_rates(self):
        node("auth_tokens.js", self.folder)
        self.write()
        with self.start() as program:
            self.assertEqual(self.status("/api/a.txt"), 401)
            self.assertEqual(self.status("/api/a.txt", "-H", "X-API-Key: slk_x"), 401)
            self.assertEqual(self.curl("/api/a.txt", "-H", f"X-API-Key: {self.key}").body,
                             b"of api")
            self.assertEqual(self.status(f"/api/a.txt?api_key={self.key}"), 200)
            # What another process does with the store is seen here.
            other = self.issue("--scope", "write")
            for _ in range(1000):
                if self.status("/api/a.txt", "-H", f"X-API-Key: {other}") == 403:
                    break
            else:
                self.fail("the key of another process was never known")
            self.assertEqual([self.post(10), self.post(11)], [200, 413])
            statuses = [self.status("/limited/a.txt") for _ in range(3)]
            self.assertEqual(statuses, [200, 200, 429])
            self.assertEqual(self.curl("/limited/a.txt").fields["ratelimit-policy"],
                             '"kept";q=2;w=3600')
            self.assertEqual(wrong_ending(program, program.stop()), "")

    def test_sighup(self):
        node("auth_tokens.js", self.folder)
        self.passwd("others", "ann")
        joe, ann = ("--user", f"joe:{PASSWORD}"), ("--user", f"ann:{PASSWORD}")
        with_key = ("-H", f"X-API-Key: {self.key}")
        self.write()

        def state():
            return [self.status("/private/a.txt", *joe), self.status("/private/a.txt", *ann),
                    self.status("/open/a.txt"), self.status("/api/a.txt", *with_key),
                    self.post(11), self.status("/limited/a.txt")]

        with self.start() as program:
            self.assertEqual(state(), [200, 401, 200, 200, 413, 200])
            self.assertEqual(self.status("/limited/a.txt"), 200)
            self.assertEqual(state(), [200, 401, 200, 200, 413, 429])
            self.assertEqual([self.status("/private/b.txt", *joe) for _ in range(3)],
                             [404, 404, 429])
            # What is wrong with a file, or with what it names, changes nothing.
            for wrong, said in (
                    (lambda: self.write("prot = 1"), r":4:1: prot: unknown key; did you mean port"),
                    (lambda: self.write("shards = 7"), r":4:10: shards: cannot change"),
                    (lambda: self.write(users="missing"),
                     r":9:9: authentication\.users: cannot be used: .*missing: No such file"),
                    (lambda: self.write(users="rsa.pem"),
                     r":9:9: authentication\.users: cannot be used: .*rsa\.pem:1: "),
                    (lambda: self.write(scope="no scope"), r"paths\[0\]\.scope: \"no scope\" is")):
                wrong()
                program.hang_up()
                self.assertRegex(program.read_error_until("the settings stay as they were"), said)
                self.assertEqual(state(), [200, 401, 200, 200, 413, 429])
            # Everything else: other users, another realm and path, scope, limit and rate.
            self.write(realm="other", users="others", paths="/", scope="write", most=11,
                       requests=1000)
            program.hang_up()
            program.read_until("read again")
            self.assertEqual(state(), [401, 200, 401, 401, 401, 429])
            self.assertIn('realm="other"', self.curl("/open/a.txt").heads[-1])
            self.assertEqual(self.status("/api/a.txt", *ann, *with_key), 403)
            self.assertEqual(self.status("/small/echo", *ann, "--data-binary", "x" * 11), 200)
            self.assertEqual([self.status("/private/b.txt", *ann) for _ in range(3)], [404] * 3)
            # The list is the same file: who is new in it comes in, nothing else has changed.
            self.passwd("others", "joe")
            program.printed = ""
            program.hang_up()
            program.read_until("read again")
            self.assertEqual(self.status("/private/a.txt", *joe), 200)
            # And all of it off.
            with open(self.file, encoding="utf-8") as file:
                toml = file.read()
            toml = toml.replace("enabled = true\nrealm", "enabled = false\nrealm")
            toml = toml.replace("store = ", "store = '' #").replace("requests = 2", "requests = 3")
            with open(self.file, "w", encoding="utf-8") as file:
                file.write(toml)
            program.printed = ""
            program.hang_up()
            program.read_until("read again")
            self.assertEqual(state(), [200, 200, 200, 200, 200, 200])
            self.assertEqual(wrong_ending(program, program.stop()), "")

    def test_prefixes_of_a_file_are_the_files(self):
        """What is wrong with a prefix is told with its line, and not as an option's."""
        with open(self.file, "w", encoding="utf-8") as file:
            file.write('bindings = ["http://127.0.0.1:1/path"]\n')
        ended = self.check()
        self.assertEqual((ended.returncode, ended.stdout), (2, ""))
        self.assertIn(f"{self.file}:1:13: bindings[0]: ", ended.stderr)
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = taken.getsockname()[1]
            for toml, said in ((f'bindings = [\n "http://127.0.0.1:{port}/"]\n', "2:2: bindings[0]"),
                               (f"port = {port}\n", "1:8: port")):
                with open(self.file, "w", encoding="utf-8") as file:
                    file.write(toml)
                ended = subprocess.run([os.path.join(BIN, "sluice"), "serve", "--config", self.file,
                                        "--engine", served.ENGINE], text=True, capture_output=True,
                                       timeout=LIMIT)
                self.assertEqual((ended.returncode, ended.stdout), (1, ""), ended)
                self.assertIn(f"{self.file}:{said}: 127.0.0.1:{port} is taken", ended.stderr)
                self.assertNotIn("--", ended.stderr)


if __name__ == "__main__":
    main()
