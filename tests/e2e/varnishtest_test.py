#!/usr/bin/env python3
"""HTTP/2 frame by frame from varnishtest, whose frames and HPACK nobody here has written: vtc/*.vtc. What
they ask for is what http2_frames_test.py asks for, too; two clients do not err in the same way."""
import glob
import os
import shutil
import subprocess
import unittest

from served import HERE, LIMIT, SOURCE, Serving, main

UNPACKED = os.path.join(SOURCE, "build", "varnish", "usr")  # tools/packages.sh, unpack_varnish


def program():
    """The command, and the environment it runs in."""
    unpacked = os.path.join(UNPACKED, "bin", "varnishtest")
    if not os.path.exists(unpacked):
        installed = shutil.which("varnishtest")
        if installed is None:
            raise AssertionError(f"varnishtest is neither in PATH nor {unpacked}; ./test unpacks it")
        return installed, os.environ
    libraries = ":".join(glob.glob(os.path.join(UNPACKED, "lib", "*", "")))
    return unpacked, {**os.environ, "LD_LIBRARY_PATH": libraries}


class Varnishtest(Serving):
    @classmethod
    def arguments(cls):
        cls.write("root/small.txt", b"0123456789" * 20)
        return "--root", cls.path("root"), "--echo", "/echo"

    def ran(self, name):
        command, environment = program()
        ended = subprocess.run([command, "-q", "-b", "16M", "-t", str(LIMIT), "-D",
                                f"port={self.server.port}", os.path.join(HERE, "vtc", name)],
                               env=environment, capture_output=True, timeout=2 * LIMIT, check=False)
        said = (ended.stdout + ended.stderr).decode(errors="replace")
        self.assertEqual(ended.returncode, 0, said[-4000:])
        # Whoever comes next is served.
        answer = self.curl("/small.txt", "--http2-prior-knowledge")
        self.assertEqual((answer.status, answer.facts["http_version"]), (200, "2"), answer)

    def test_connection_errors(self):
        self.ran("connection_errors.vtc")

    def test_stream_frame_errors(self):
        self.ran("stream_frame_errors.vtc")

    def test_stream_errors(self):
        self.ran("stream_errors.vtc")

    def test_ignored(self):
        self.ran("ignored.vtc")

    def test_floods(self):
        self.ran("floods.vtc")


if __name__ == "__main__":
    main()
