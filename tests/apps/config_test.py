#!/usr/bin/env python3
"""`sluice serve --config` from outside: what the file sets, what overrides it, what is wrong."""
import os
import re
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "examples"))
from running import SOURCE, Program, run  # noqa: E402

EXAMPLE = os.path.join(SOURCE, "examples", "sluice.toml")


class Config(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.file = os.path.join(self.folder, "sluice.toml")

    def write(self, toml):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(toml)

    def make(self, name, words):
        path = os.path.join(self.folder, name)
        os.mkdir(path)
        with open(os.path.join(path, "a.txt"), "w", encoding="utf-8") as file:
            file.write(words)
        return path

    def serve(self, *arguments):
        return Program("sluice", "serve", "--config", self.file, *arguments)

    def check(self, *arguments):
        return run("sluice", "serve", "--config", self.file, "--check-config", *arguments)

    def test_a_file_is_served_as_it_says(self):
        one, two = self.make("one", "first"), self.make("two", "second")
        self.write(f"""
port = 0
shards = 2
engine = "epoll"
[fine_tune]
operating_mode = "classic"
[limits]
body_bytes = "1KiB"
[serve]
echo = "/echo"
[[files]]
directory = "{one}"
[[files]]
prefix = "/two/"
directory = "{two}"
listing = true
cache_control = "max-age=7"
""")
        self.assertEqual(self.check(), (0, f"{self.file}: no mistakes\n", ""))
        with self.serve() as program:
            program.read_until("stop ")
            self.assertIn(f"serves {one}, {two}\n", program.printed)
            self.assertIn("engine  epoll: ", program.printed)
            self.assertIn("shards  2, classic", program.printed)
            self.assertEqual(program.get("/a.txt")[2], b"first")
            self.assertEqual(program.get("/")[0], 404)
            status, fields, body = program.get("/two/a.txt")
            self.assertEqual((status, fields["Cache-Control"], body), (200, "max-age=7", b"second"))
            self.assertIn(b"a.txt", program.get("/two/")[2])
            self.assertEqual(program.request("POST", "/echo", b"x" * 1024)[2], b"x" * 1024)
            self.assertEqual(program.request("POST", "/echo", b"x" * 1025)[0], 413)
            self.assertEqual(program.stop(), (0, ""))

    def test_sighup_reads_the_file_again(self):
        one = self.make("one", "first")
        files = f'[[files]]\ndirectory = "{one}"\n'
        self.write('port = 0\n[serve]\necho = "/echo"\n[limits]\nbody_bytes = 10\n' + files)
        with self.serve() as program:
            program.read_until("stop ")
            self.assertEqual(program.request("POST", "/echo", b"x" * 20)[0], 413)
            self.write('port = 0\n[serve]\necho = "/echo"\n[limits]\nbody_bytes = 20\n' + files)
            program.hang_up()
            program.read_until("read again")
            self.assertEqual(program.request("POST", "/echo", b"x" * 20)[0], 200)
            for wrong in ("[limits]\nbody_byte = 5\n",             # no such key
                          "[limits]\nhead_bytes = 1\n",             # out of bounds
                          "shards = 7\n",                           # needs a restart
                          "[serve]\necho = '/other'\n"):
                serve = "" if "[serve]" in wrong else '[serve]\necho = "/echo"\n'
                self.write("port = 0\n" + wrong + serve + files)
                program.hang_up()
                program.read_error_until("the settings stay as they were")
                self.assertEqual(program.request("POST", "/echo", b"x" * 20)[0], 200, wrong)
                self.assertEqual(program.request("POST", "/echo", b"x" * 21)[0], 413, wrong)
            program.stop()

    def test_options_override_the_file(self):
        one, two = self.make("one", "first"), self.make("two", "second")
        self.write(f"""
bindings = ["http://203.0.113.1:1/"]
shards = 2
engine = "uring"
[fine_tune]
operating_mode = "classic"
[serve]
echo = "/echo"
[[files]]
directory = "{one}"
listing = true
""")
        with self.serve("--port", "0", "--shards", "1", "--engine", "epoll", "--mode", "high-perf",
                        "--echo", "/other", "--root", two) as program:
            program.read_until("stop ")
            self.assertIn("engine  epoll: ", program.printed)
            self.assertIn("shards  1, high-perf", program.printed)
            self.assertEqual(program.get("/a.txt")[2], b"second")
            self.assertEqual(program.get("/")[0], 404)
            self.assertEqual(program.request("POST", "/other", b"x")[2], b"x")
            self.assertNotEqual(program.request("POST", "/echo", b"x")[0], 200)
            self.assertEqual(program.stop(), (0, ""))
        with self.serve("--listen", "http://127.0.0.1:0", "--engine", "epoll") as program:
            self.assertEqual(program.get("/a.txt")[2], b"first")
            self.assertIn("shards  2, classic", program.read_until("stop "))
            self.assertEqual(program.stop(), (0, ""))

    def test_the_example_is_right_and_serves_the_demo(self):
        code, printed, errors = run("sluice", "serve", "--config", EXAMPLE, "--check-config")
        self.assertEqual((code, printed, errors), (0, f"{EXAMPLE}: no mistakes\n", ""))
        with Program("sluice", "serve", "--config", EXAMPLE, "--port", "0") as program:
            self.assertIn("the demo site", program.printed)
            self.assertEqual(program.get("/")[0], 200)
            self.assertEqual(program.stop(), (0, ""))

    def test_every_mistake_is_one_line(self):
        self.write('prot = 80\nhost = 1\n[timeouts]\nheader_wait = "30"\n')
        for arguments in ((), ("--check-config",), ("--port", "0", "--root", self.folder)):
            code, printed, errors = run("sluice", "serve", "--config", self.file, *arguments)
            self.assertEqual((code, printed), (2, ""))
            lines = errors.splitlines()
            self.assertEqual(len(lines), 3, errors)
            for line, start in zip(lines, ("1:1: prot: ", "2:8: host: ",
                                           "4:15: timeouts.header_wait: ")):
                self.assertTrue(line.startswith(f"sluice: {self.file}:{start}"), line)
        self.assertIn("did you mean port?", lines[0])
        self.write("".join(f"x{i} = 1\n" for i in range(30)))
        code, _, errors = self.check()
        self.assertEqual((code, errors.count("\n")), (2, 21))
        self.assertIn("more mistakes", errors.splitlines()[-1])

    def test_what_cannot_be_served(self):
        missing = os.path.join(self.folder, "missing")
        self.write(f'[[files]]\ndirectory = "{missing}"\n')
        for arguments in ((), ("--check-config",)):
            code, printed, errors = run("sluice", "serve", "--config", self.file, *arguments)
            self.assertEqual((code, printed, errors.count("\n")), (1, "", 1))
            self.assertIn(f"{self.file}:2:13: files[0].directory: there is no folder {missing}: ",
                          errors)
        self.write('[serve]\necho = "/a"\nbroadcast = "/a"\n')
        code, _, errors = self.check()
        self.assertEqual((code, errors.count("\n")), (2, 1))
        self.assertIn(f"{self.file}:3:13: serve.broadcast: ", errors)
        self.assertIn("two different paths", errors)
        self.assertIn("--echo and", self.check("--echo", "/a")[2])

    def test_usage(self):
        for code, word, arguments in ((1, "missing.toml", ("--config", "missing.toml")),
                                      (1, "directory", ("--config", self.folder)),
                                      (2, "--config", ("--config", "")),
                                      (2, "--config", ("--check-config",))):
            with self.subTest(arguments):
                ended, printed, errors = run("sluice", "serve", *arguments)
                self.assertEqual((ended, printed, errors.count("\n")), (code, "", 1))
                self.assertIsNotNone(re.search(word, errors), errors)


if __name__ == "__main__":
    unittest.main()
