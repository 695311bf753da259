#!/usr/bin/env python3
"""Uploads as curl sends them: names of any kind, files larger than the memory they may take, and a
server that is killed in the middle."""
import json
import os
import subprocess
import time
import unittest

import served
from served import LIMIT, Serving, main, read, serve, wrong_ending

LARGE = 256 << 20
# What the server may keep while a file of LARGE arrives: batches, receive blocks, stacks. On io_uring
# the blocks of a ring that grows while one client is faster than the shard are more.
ALLOWED = {"epoll": 2 << 20, "uring": 6 << 20}
# A sanitizer keeps freed memory for a while (its quarantine alone may take 256 MiB) and has shadows
# of what is used: there only something that grows with the file would be seen.
ALLOWED_SANITIZED = 128 << 20
# A name on the client's disk, and the name in the folder.
NAMES = {
    "plain.txt": "plain.txt",
    "with blank.txt": "with blank.txt",
    "\u00fcml\u00e4ut \u65e5\u672c.txt": "\u00fcml\u00e4ut \u65e5\u672c.txt",
    "semi;colon,comma=a&b.txt": "semi;colon,comma=a&b.txt",
    "-rf": "-rf",
    ".hidden": ".hidden",
    "percent%41%2F.txt": "percent%41%2F.txt",
    "what?*<>|:.txt": "what______.txt",
    "dots..": "dots",
    "x" * 251 + ".txt": "x" * 251 + ".txt",
}
# Names that a client claims; nothing may come of them.
REFUSED = ("..", "a/..", "con", "NUL.txt", "COM1", "y" * 256, "line\nend", ".sluice-upload-1", "\udcff")


class OfFolder(Serving):
    @classmethod
    def arguments(cls):
        cls.write("to/send.txt", b"0123456789" * 1000)
        cls.write("sluice.toml", f"""
[[upload]]
prefix = "/in/"
directory = "{cls.path('in')}"
[[upload]]
prefix = "/small/"
directory = "{cls.path('in')}"
file_bytes = 1000
""".encode())
        os.makedirs(cls.path("in"), exist_ok=True)
        return "--config", cls.path("sluice.toml")

    def tearDown(self):
        for name in os.listdir(self.path("in")):
            os.unlink(self.path("in", name))

    def told(self, answer):
        self.assertEqual(answer.status, 201, answer)
        self.assertEqual(answer.fields["content-type"], "application/json", answer)
        return json.loads(answer.body)["files"]


class Names(OfFolder):
    def test_ten_odd_names(self):
        arguments = []
        for at, name in enumerate(NAMES):
            content = f"{at}: {name}".encode() * 1000
            path = self.path("to", name)
            with open(path, "wb") as file:
                file.write(content)
            quoted = path.replace("\\", "\\\\").replace('"', '\\"')
            arguments += ["-F", f'file{at}=@"{quoted}"']
        files = self.told(self.curl("/in/", "-F", "field=value", *arguments))
        self.assertEqual([file["file_name"] for file in files], list(NAMES))
        self.assertEqual([file["stored"] for file in files], list(NAMES.values()))
        self.assertEqual(sorted(os.listdir(self.path("in"))), sorted(NAMES.values()))
        for at, (name, stored) in enumerate(NAMES.items()):
            self.assertEqual(files[at]["name"], f"file{at}")
            self.same(read(self.path("in", stored)), f"{at}: {name}".encode() * 1000, name)
            self.assertEqual(files[at]["size"], os.path.getsize(self.path("in", stored)))

    def test_refused(self):
        for name in REFUSED:
            with self.subTest(name):
                body = (b'--B\r\nContent-Disposition: form-data; name=f; filename="' +
                        os.fsencode(name) + b'"\r\n\r\n1\r\n--B--\r\n')
                answer = self.curl("/in/", "--data-binary", "@-", "-H",
                                   "Content-Type: multipart/form-data; boundary=B", stdin=body)
                self.assertEqual(answer.status, 400, answer)
        self.assertEqual(os.listdir(self.path("in")), [])
        self.assertFalse(os.path.exists(self.path("1")))

    def test_never_outside(self):
        for name in ("../../escaped", "/etc/escaped", "..\\..\\escaped", "a/b/../../../escaped"):
            answer = self.curl("/in/", "-F", f"f=@{self.path('to', 'send.txt')};filename=\"{name}\"")
            self.assertTrue(self.told(answer)[0]["stored"].startswith("escaped"), answer)
        self.assertEqual(sorted(os.listdir(self.path("in"))),
                         ["escaped", "escaped (1)", "escaped (2)", "escaped (3)"])

    def test_bodies(self):
        answer = self.curl("/in/", "--upload-file", self.path("to", "send.txt"), "--path-as-is")
        self.assertEqual(self.told(answer), [{"name": "", "file_name": "send.txt",
                                              "stored": "send.txt", "size": 10000}])
        answer = self.curl("/in/chunked", "-T", "-", stdin=b"x" * 100_000)
        self.assertEqual(self.told(answer)[0]["size"], 100_000)
        self.same(read(self.path("in", "chunked")), b"x" * 100_000)

    def test_limits(self):
        # Refused by its length: curl, which asks first, has sent nothing.
        answer = self.curl("/small/a", "-T", self.path("to", "send.txt"), "-H", "Expect: 100-continue")
        self.assertEqual((answer.status, answer.facts["size_upload"]), (413, 0), answer)
        self.assertEqual(self.curl("/small/", "-F", f"f=@{self.path('to', 'send.txt')}").status, 413)
        self.assertEqual(self.curl("/in/").status, 405)
        self.assertEqual(os.listdir(self.path("in")), [])


def anonymous(pid):
    """Bytes of the process that are no file's."""
    for line in read(f"/proc/{pid}/status").decode().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"no RssAnon of {pid}")


class Memory(OfFolder):
    def largest(self, *arguments):
        """The most that the server had while curl ran."""
        pid, most = self.server.process.pid, 0
        with subprocess.Popen(["curl", "--silent", "--show-error", *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            until = time.monotonic() + LIMIT
            while client.poll() is None and time.monotonic() < until:
                most = max(most, anonymous(pid))
                time.sleep(0.005)
            client.kill()
            out, errors = client.communicate()
        self.assertEqual(client.returncode, 0, errors)
        files = json.loads(out)["files"]
        self.assertEqual(files[0]["size"], LARGE)
        path = self.path("in", files[0]["stored"])
        self.assertEqual(os.path.getsize(path), LARGE)
        os.unlink(path)
        return most

    def test_does_not_grow_with_the_file(self):
        sparse = self.path("sparse")
        with open(sparse, "wb") as file:
            file.truncate(LARGE)
        self.told(self.curl("/in/", "-F", f"f=@{self.path('to', 'send.txt')}"))  # all is set up
        maps = read(f"/proc/{self.server.process.pid}/maps")
        allowed = ALLOWED_SANITIZED if b"asan" in maps else ALLOWED[served.ENGINE]
        for arguments in (("-F", f"f=@{sparse}", self.server.url("/in/")),
                          ("--upload-file", sparse, self.server.url("/in/"))):
            with self.subTest(arguments[0]):
                before = anonymous(self.server.process.pid)
                self.assertLess(self.largest(*arguments) - before, allowed)


class Killed(unittest.TestCase):
    def test_leaves_no_final_name(self):
        # Not within Serving: this server does not end as it should.
        OfFolder.setUpClass()
        self.addCleanup(OfFolder.doClassCleanups)
        folder = OfFolder.path("in")
        sparse = OfFolder.path("sparse")
        with open(sparse, "wb") as file:
            file.truncate(LARGE)
        with serve("--config", OfFolder.path("sluice.toml")) as server:
            pid = server.process.pid
            with subprocess.Popen(["curl", "--silent", "--limit-rate", "50M", "-F", f"f=@{sparse}",
                                   server.url("/in/")], stdout=subprocess.DEVNULL) as client:
                until = time.monotonic() + LIMIT
                while written(pid) < 10 << 20:
                    self.assertIsNone(client.poll(), "the upload ended before it was large")
                    self.assertLess(time.monotonic(), until)
                    time.sleep(0.01)
                server.process.kill()
                server.process.wait()
                client.wait(LIMIT)
        for name in os.listdir(folder):  # where the file system knows no nameless files
            self.assertTrue(name.startswith(".sluice-upload-"), name)
        with serve("--config", OfFolder.path("sluice.toml")) as server:
            self.assertEqual(os.listdir(folder), [])
            self.assertEqual(server.request("PUT", "/in/next", b"1")[0], 201)
            self.assertEqual(os.listdir(folder), ["next"])
            self.assertEqual(wrong_ending(server, server.stop()), "")
        OfFolder.tearDownClass()


def written(pid):
    """Bytes that the process has given to write(2) and the like."""
    for line in read(f"/proc/{pid}/io").decode().splitlines():
        if line.startswith("wchar:"):
            return int(line.split()[1])
    raise AssertionError(f"no wchar of {pid}")


if __name__ == "__main__":
    main()
