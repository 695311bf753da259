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
LOOPBACK = re.compile(r"http://(?:localhost|127\.0\.0\.1|\[::1\]):(\d+)/")


class Program:
    """Starts `name` with `arguments` and waits for the line that says where it listens."""

    def __init__(self, name, *arguments, **options):
        self.process = subprocess.Popen([os.path.join(BIN, name), *arguments], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        self.printed = ""
        alarm = threading.Timer(START_LIMIT, self.process.kill)
        alarm.start()
        try:
            while (found := LOOPBACK.search(self.printed)) is None:
                line = self.process.stdout.readline()
                if not line:
                    raise AssertionError(f"{name} ended: {self.process.communicate()[1]}")
                self.printed += line
            self.port = int(found[1])
        finally:
            alarm.cancel()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def stop(self, number=signal.SIGTERM):
        """Sends the signal; answers exit code and what was on standard error."""
        self.process.send_signal(number)
        printed, errors = self.process.communicate(timeout=START_LIMIT)
        self.printed += printed
        return self.process.returncode, errors

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
