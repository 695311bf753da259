#!/usr/bin/env python3
"""`sluice passwd` from outside: files, names, the terminal."""
import hashlib
import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "examples"))
from running import BIN  # noqa: E402

LIMIT = 120  # seconds; sanitized programs on a busy machine are slow
SLUICE = os.path.join(BIN, "sluice")
YESCRYPT = r"\$y\$[./A-Za-z0-9]+\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{43}"
ARGON2ID = r"\$argon2id\$v=19\$m=65536,t=2,p=1\$[+/A-Za-z0-9]+\$[+/A-Za-z0-9]+"


def passwd(*arguments, password="secret\n"):
    ended = subprocess.run([SLUICE, "passwd", *arguments], input=password, text=True,
                           capture_output=True, timeout=LIMIT)
    return ended.returncode, ended.stdout, ended.stderr


class InAFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.file = os.path.join(self.folder, "users")

    def read(self):
        with open(self.file, encoding="utf-8") as file:
            return file.read()


class Files(InAFolder):
    def write(self, text, mode=0o600):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.file, mode)

    def mode(self):
        return stat.S_IMODE(os.stat(self.file).st_mode)

    def put(self, *arguments, word="added", **options):
        code, printed, errors = passwd(self.file, *arguments, "--stdin", **options)
        self.assertEqual((code, errors), (0, ""))
        self.assertTrue(printed.startswith(word), printed)
        self.assertNotIn("secret", printed)
        self.assertEqual(os.listdir(self.folder), ["users"])  # nothing is left over
        self.assertEqual(self.mode(), 0o600)

    def fails(self, code, word, *arguments, **options):
        with self.subTest(arguments):
            before = self.read() if os.path.exists(self.file) else None
            ended, printed, errors = passwd(*arguments, **options)
            self.assertEqual((ended, printed), (code, ""))
            self.assertEqual(errors.count("\n"), 1, errors)
            self.assertTrue(errors.startswith("sluice: "), errors)
            self.assertIn(word, errors)
            self.assertNotIn("secret", errors)
            after = self.read() if os.path.exists(self.file) else None
            self.assertEqual(before, after)

    def test_a_new_file(self):
        self.put("joe")
        self.assertRegex(self.read(), f"^joe:{YESCRYPT}\n$")

    def test_argon2id(self):
        self.put("joe", "--algorithm", "argon2id")
        self.assertRegex(self.read(), f"^joe:{ARGON2ID}\n$")

    def test_others_stay_as_they_are(self):
        self.write("# people\njo:$5$x\r\njoe:old\njoey:$6$x\n\njoe:older\nlast", 0o644)
        self.put("joe", word="changed")
        self.assertRegex(self.read(), "^# people\njo:\\$5\\$x\r?\njoe:" + YESCRYPT +
                         "\njoey:\\$6\\$x\n\nlast\n$")
        with open(self.file, "rb") as file:
            self.assertIn(b"jo:$5$x\r\n", file.read())
        self.put("J\u00f6rg")
        self.assertRegex(self.read(), f"\nlast\nJ\u00f6rg:{YESCRYPT}\n$")

    def test_digest(self):
        self.put("Mufasa", "--digest", "--realm", "http-auth@example.org",
                 password="Circle of Life\n")
        ha1 = hashlib.sha256(b"Mufasa:http-auth@example.org:Circle of Life").hexdigest()
        self.assertEqual(self.read(), f"Mufasa:http-auth@example.org:SHA-256:{ha1}\n")
        self.put("Mufasa", "--digest", "--realm", "http-auth@example.org", "--algorithm", "MD5",
                 password="Circle of Life")
        self.put("Mufasa", "--digest", "--realm", "http-auth@example.org", word="changed")
        lines = self.read().splitlines()
        self.assertEqual(len(lines), 2)
        self.assertEqual(lines[1], "Mufasa:http-auth@example.org:MD5:" +
                         hashlib.md5(b"Mufasa:http-auth@example.org:Circle of Life").hexdigest())
        self.assertNotIn(ha1, lines[0])

    def test_a_symbolic_link_stays_one(self):
        os.rename(self.folder, self.folder + ".d")
        os.mkdir(self.folder)
        self.addCleanup(subprocess.run, ["rm", "-r", self.folder + ".d"], check=True)
        target = os.path.join(self.folder + ".d", "target")
        os.symlink(target, self.file)
        with open(target, "w", encoding="utf-8"):
            pass
        self.put("joe")
        self.assertTrue(os.path.islink(self.file))
        self.assertEqual(os.listdir(self.folder + ".d"), ["target"])

    def test_two_at_a_time_lose_nobody(self):
        names = [f"user{i}" for i in range(8)]
        running = [threading.Thread(target=passwd, args=(self.file, name, "--stdin"))
                   for name in names]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        self.assertEqual(sorted(line.split(":")[0] for line in self.read().splitlines()), names)

    def test_names_that_are_refused(self):
        for name in ("a:b", "a\nb", "a\x7f", "#joe", "", "u" * 256):
            self.fails(2, "USER", self.file, name, "--stdin")
        self.put("u" * 255)

    def test_passwords_that_are_refused(self):
        self.write("joe:old\n")
        self.fails(2, "empty", self.file, "joe", "--stdin", password="\n")
        self.fails(1, "no password", self.file, "joe", "--stdin", password="")
        self.fails(2, "controls", self.file, "joe", "--stdin", password="a\x01b\n")
        self.fails(2, "511", self.file, "joe", "--stdin", password="p" * 512)
        self.put("joe", word="changed", password="p" * 511 + "\n")

    def test_usage(self):
        self.fails(2, "FILE USER", self.file)
        self.fails(2, "FILE USER")
        self.fails(2, "--realm", self.file, "joe", "--digest", "--stdin")
        self.fails(2, "--digest", self.file, "joe", "--realm", "r", "--stdin")
        self.fails(2, "--algorithm", self.file, "joe", "--algorithm", "md5crypt")
        self.fails(2, "without --digest", self.file, "joe", "--algorithm", "MD5", "--stdin")
        self.fails(2, "with --digest", self.file, "joe", "--algorithm", "yescrypt", "--digest",
                   "--realm", "r", "--stdin")
        self.fails(2, "realm", self.file, "joe", "--digest", "--realm", "", "--stdin")
        self.fails(2, "jim", self.file, "joe", "jim", "--stdin")

    def test_files_that_cannot_be(self):
        missing = os.path.join(self.folder, "missing", "users")
        self.fails(1, os.path.dirname(missing), missing, "joe", "--stdin")
        self.fails(1, self.folder, self.folder, "joe", "--stdin")
        self.fails(1, "/dev/null", "/dev/null", "joe", "--stdin")

    def test_without_a_terminal(self):
        ended = subprocess.run(["setsid", SLUICE, "passwd", self.file, "joe"], text=True,
                               capture_output=True, timeout=LIMIT, stdin=subprocess.DEVNULL)
        self.assertEqual((ended.returncode, ended.stdout), (1, ""))
        self.assertIn("--stdin", ended.stderr)


class Terminal(InAFolder):
    """The program on a terminal of its own."""

    def start(self):
        child, self.terminal = pty.fork()
        if child == 0:
            os.execv(SLUICE, [SLUICE, "passwd", self.file, "joe"])
        self.shown = ""
        self.addCleanup(os.close, self.terminal)
        alarm = threading.Timer(LIMIT, os.kill, (child, signal.SIGKILL))
        alarm.start()
        self.addCleanup(alarm.cancel)
        return child

    def read_until(self, pattern):
        deadline = time.monotonic() + LIMIT
        while re.search(pattern, self.shown) is None:
            ready, _, _ = select.select([self.terminal], [], [], deadline - time.monotonic())
            self.assertTrue(ready, self.shown)
            try:
                self.shown += os.read(self.terminal, 4096).decode()
            except OSError as ended:
                raise AssertionError(self.shown) from ended

    def type(self, text):
        os.write(self.terminal, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.terminal)[3] & termios.ECHO)

    def ended(self, child):
        return os.waitpid(child, 0)[1]

    def test_asks_twice_and_shows_nothing(self):
        child = self.start()
        self.read_until("Password: $")
        self.assertFalse(self.echoes())
        self.type("secret\n")
        self.read_until("Again: $")
        self.type("secret\n")
        self.read_until("added joe")
        self.assertTrue(self.echoes())
        self.assertEqual(self.ended(child), 0)
        self.assertNotIn("secret", self.shown)
        self.assertRegex(self.read(), f"^joe:{YESCRYPT}\n$")

    def test_two_that_differ(self):
        child = self.start()
        self.read_until("Password: $")
        self.type("secret\n")
        self.read_until("Again: $")
        self.type("Secret\n")
        self.read_until("differ")
        self.assertEqual(os.waitstatus_to_exitcode(self.ended(child)), 2)
        self.assertFalse(os.path.exists(self.file))

    def test_interrupted(self):
        child = self.start()
        self.read_until("Password: $")
        self.type("sec\x03")
        status = self.ended(child)
        self.assertTrue(os.WIFSIGNALED(status))
        self.assertEqual(os.WTERMSIG(status), signal.SIGINT)
        self.assertFalse(os.path.exists(self.file))


if __name__ == "__main__":
    unittest.main()
