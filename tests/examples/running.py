"""A program of ours while a test runs it: started on a free port, stopped by its process id."""
import contextlib
import http.client
import os
import re
import signal
import subprocess
import threading

BIN = os.environ["SLUICE_BIN_DIR"]
SOURCE = os.environ["SLUICE_SOURCE_DIR"]
START_LIMIT = 60  # seconds; sanitized programs on a busy machine are slow
# Not one that is forwarded to.
LOOPBACK = re.compile(r"(?<!from )https?://(?:localhost|127\.0\.0\.1|\[::1\]):(\d+)/")


class Program:
    """Starts `name` with `arguments` and waits for the line that says where it listens."""

    def __init__(self, name, *arguments, **options):
        self.process = subprocess.Popen([os.path.join(BIN, name), *arguments], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        self.printed = ""
        self.port = int(LOOPBACK.search(self.read_until(LOOPBACK))[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    @contextlib.contextmanager
    def limit(self, seconds):
        """Kills the program if the block takes longer: what it waits for will never come."""
        alarm = threading.Timer(seconds, self.process.kill)
        alarm.start()
        try:
            yield
        finally:
            alarm.cancel()

    def read_until(self, pattern):
        """Reads standard output until `pattern` is found in it; answers all that was printed."""
        with self.limit(START_LIMIT):
            while re.search(pattern, self.printed) is None:
                line = self.process.stdout.readline()
                if not line:
                    raise AssertionError(f"ended after {self.printed!r}: "
                                         f"{self.process.stderr.read()}")
                self.printed += line
        return self.printed

    def read_error_until(self, pattern):
        """Reads lines of standard error until one has `pattern`; answers all of them."""
        lines = ""
        with self.limit(START_LIMIT):
            while re.search(pattern, lines) is None:
                line = self.process.stderr.readline()
                if not line:
                    raise AssertionError(f"ended after {lines!r}")
                lines += line
        return lines

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def ended(self, seconds=START_LIMIT):
        """Waits for its end; answers exit code and what was on standard error."""
        with self.limit(seconds):
            self.printed += self.process.stdout.read()
            errors = self.process.stderr.read()
            return self.process.wait(), errors

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.ended()

    def url(self, path="/", scheme="http"):
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def request(self, method, path, body=None, headers=None):
        """One request on a connection of its own: (status, fields, body)."""
        with contextlib.closing(
                http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def get(self, path, **headers):
        return self.request("GET", path, None, {k.replace("_", "-"): v for k, v in headers.items()})


def curl(*arguments):
    """curl's standard output; it must succeed."""
    return subprocess.run(["curl", "--silent", "--show-error", "--fail", *arguments],
                          check=True, capture_output=True, timeout=120).stdout


def run(name, *arguments):
    """A program that is expected to end by itself: (exit code, standard output, standard error)."""
    ended = subprocess.run([os.path.join(BIN, name), *arguments], text=True, capture_output=True,
                           timeout=START_LIMIT)
    return ended.returncode, ended.stdout, ended.stderr
