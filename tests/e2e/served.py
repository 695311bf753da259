"""What the end-to-end tests share: `sluice serve` on the engine that --engine names, and curl.

A test program imports Serving and ends with main(). The program under test must end with exit code
0 and say nothing on standard error: under the sanitizers that is the proof that it lost nothing.
"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "examples"))
from running import BIN, SOURCE, Program  # noqa: E402,F401

SITE = os.path.join(SOURCE, "examples", "site")
LARGE = 64 << 20  # of the demo's large file
LIMIT = 120  # seconds that any one client may take
SKIPPED = 77  # exit code that ctest shows as "Skipped"
ENGINE = "epoll"  # what --engine said
# The one line that a machine may cause: a kernel that is set to less than the asked for backlog.
CLIPPED = re.compile(r"^sluice: warning: .*net\.core\.somaxconn.*\n", re.MULTILINE)


def serve(*arguments, port=True, **options):
    """`sluice serve` on a free port, or on those that --listen names."""
    free = ["--port", "0"] if port else []
    return Program("sluice", "serve", *free, "--engine", ENGINE, *arguments, **options)


def wrong_ending(program, ended, code=0):
    """What was wrong with the end of a program, or an empty string."""
    exit_code, errors = ended
    errors = CLIPPED.sub("", errors)
    if (exit_code, errors) == (code, ""):
        return ""
    return f"exit code {exit_code}, not {code}; printed {program.printed!r}; errors:\n{errors}"


class Serving(unittest.TestCase):
    """Tests that share one server: arguments() says how it is started, below the folder `folder`."""

    maxDiff = 2000

    @classmethod
    def arguments(cls):
        return ()

    @classmethod
    def setUpClass(cls):
        cls.kept = tempfile.TemporaryDirectory(prefix="sluice-e2e-")
        cls.addClassCleanup(cls.kept.cleanup)
        cls.folder = cls.kept.name
        cls.server = serve(*cls.arguments())
        cls.addClassCleanup(cls.server.__exit__, None, None, None)

    @classmethod
    def tearDownClass(cls):
        wrong = wrong_ending(cls.server, cls.server.stop())
        if wrong:
            raise AssertionError(wrong)

    @classmethod
    def path(cls, *names):
        return os.path.join(cls.folder, *names)

    @classmethod
    def write(cls, name, content):
        path = cls.path(*name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def same(self, got, wanted, what=""):
        """Bytes, compared without printing megabytes of them."""
        if got != wanted:
            at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b),
                      min(len(got), len(wanted)))
            self.fail(f"{what}: {len(got)} bytes instead of {len(wanted)}, different from byte {at} "
                      f"on: {got[at:at + 40]!r} instead of {wanted[at:at + 40]!r}")

    def curl(self, path, *arguments, **options):
        url = path if "://" in path else self.server.url(path)
        return Answer(url, *arguments, **options)


class Answer:
    """One URL fetched by curl: `heads` (every head that came), `status`, `fields` of the last one,
    `body`, and `facts`, curl's own account of the transfer. `exit` is the exit code that curl must
    end with."""

    def __init__(self, url, *arguments, stdin=b"", exit=0):
        with tempfile.TemporaryDirectory(prefix="sluice-curl-") as folder:
            head, body = os.path.join(folder, "head"), os.path.join(folder, "body")
            command = ["curl", "--silent", "--show-error", "--path-as-is", "--dump-header", head,
                       "--output", body, "--write-out", "%{json}", *arguments, url]
            ended = subprocess.run(command, input=stdin, capture_output=True, timeout=LIMIT)
            self.command = shlex.join(command)
            self.errors = ended.stderr.decode(errors="replace")
            if ended.returncode != exit:
                raise AssertionError(f"curl ended with {ended.returncode}, not {exit}: "
                                     f"{self.errors}{self.command}")
            self.facts = json.loads(ended.stdout)
            self.body = read(body)
            self.heads = read(head).decode("latin-1").split("\r\n\r\n")[:-1]
        self.status = self.facts["http_code"]
        self.fields = {}
        for line in self.heads[-1].split("\r\n")[1:] if self.heads else ():
            name, _, value = line.partition(":")
            self.fields[name.lower()] = value.strip()

    def __repr__(self):
        return f"{self.command}\n{self.heads}\n{self.body[:300]!r}\n{self.errors}"


def read(path):
    """The bytes of a file; none if there is no such file."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def url_path(path):
    """A path of the file system, str or bytes, as one of a URL."""
    return urllib.parse.quote(os.fsencode(path), safe="/")


def node(script, *arguments):
    """A client in JavaScript; what it printed, or a failure with all that it said."""
    modules = os.path.join(HERE, "node_modules")
    if not os.path.isdir(modules):
        raise AssertionError(f"{modules} is missing: npm ci --ignore-scripts in {HERE}")
    ended = subprocess.run(["node", os.path.join(HERE, script), *arguments], text=True,
                           capture_output=True, timeout=LIMIT)
    if ended.returncode != 0:
        raise AssertionError(f"{script} ended with {ended.returncode}:\n"
                             f"{ended.stdout}{ended.stderr}")
    return ended.stdout


def main():
    """Runs the tests of the calling program; a machine without io_uring skips those on it."""
    global ENGINE
    if "--engine" in sys.argv:
        at = sys.argv.index("--engine")
        ENGINE = sys.argv[at + 1]
        del sys.argv[at:at + 2]
    if ENGINE == "uring":
        with tempfile.TemporaryDirectory() as folder:
            try:
                with serve("--root", folder) as program:
                    program.stop()
            except AssertionError as failed:
                if "--engine auto takes what" not in str(failed):
                    raise
                print(f"skipped: this machine has no io_uring: {failed}")
                sys.exit(SKIPPED)
    unittest.main(module="__main__", verbosity=2)
