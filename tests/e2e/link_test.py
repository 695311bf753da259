#!/usr/bin/env python3
"""A client behind a link that is cut: no FIN, no RST, nothing at all comes of it any more.

The test moves into a network namespace of its own, the client into another, and two ends of a virtual
cable join them. Another client comes over the loopback, and nothing happens to it.
"""
import asyncio
import os
import re
import subprocess
import sys
import threading
import unittest

import websockets

import namespaces
import served
from served import HERE, LIMIT, SKIPPED, Program, main, wrong_ending

NEAR, FAR = "192.0.2.1", "192.0.2.2"  # RFC 5737


class Far:
    """The client on the other side, joined to this namespace by a cable whose end here is `near`."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-B", os.path.join(HERE, "link_client.py")], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.alarm = threading.Timer(LIMIT, self.process.kill)
        self.alarm.start()
        try:
            self.answer()
            namespaces.ip("link", "add", "near", "type", "veth", "peer", "name", "far",
                          "netns", str(self.process.pid))
            namespaces.ip("address", "add", f"{NEAR}/24", "dev", "near")
            namespaces.ip("link", "set", "near", "up")
            self.do("up", f"{FAR}/24")
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.alarm.cancel()
        self.process.kill()
        self.process.communicate()
        # The kernel takes the cable away a moment after the namespace, and at once if it is told to.
        subprocess.run(["ip", "link", "delete", "near"], check=False, capture_output=True)

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the client ended: {self.process.stderr.read()}")
        return line.rstrip("\n")

    def do(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.answer()


def cut_there(far):
    far.do("cut")


def cut_here(_):
    namespaces.ip("link", "set", "near", "down")


async def said(client, text):
    """What comes back."""
    await client.send(text)
    return await client.recv()


class CutLink(unittest.TestCase):
    def run_with(self, way, story):
        """A server that finds out by `way`, a client on each side, and what `story` does with them."""
        async def run(server, far):
            async with websockets.connect(server.url("/near", "ws"), compression=None,
                                          max_size=None, ping_interval=None) as near:
                self.assertEqual(await said(near, "before"), "before")
                self.assertEqual(far.do("hear"), "before")
                far.do("pong")  # what is not acknowledged would be sent again instead of a probe
                await story(server, far, near)
                self.assertEqual(await said(near, "after"), "after")
                server.process.terminate()
                await near.wait_closed()
                self.assertEqual(near.close_rcvd.code, 1001)

        with Program("e2e_link_server", served.ENGINE, way) as server, Far() as far:
            far.do("connect", NEAR, server.port, "/far")
            far.do("say", "hello")
            self.assertEqual(far.do("hear"), "hello")
            asyncio.run(asyncio.wait_for(run(server, far), LIMIT))
            self.assertEqual(wrong_ending(server, server.ended()), "")
            return [line for line in server.printed.splitlines()
                    if re.match("/(far|near) (error|disconnect)", line)]

    def found_by(self, way, error, cut, say=None):
        """The server notices by `way` that the far client has gone, and says so once; the near one
        stays until the server ends."""
        async def story(server, far, near):
            cut(far)
            if say:
                self.assertEqual(await said(near, say), say)
            await asyncio.get_running_loop().run_in_executor(
                None, server.read_until, "(?m)^/far disconnect .*$")

        told = self.run_with(way, story)
        self.assertEqual(told, [f"/far error: {error}", "/far disconnect 1006",
                                "/near disconnect 1001"])
        print(*told[:2], sep=", ", end=" ", flush=True)

    def test_heartbeat(self):
        error = "the peer did not answer a ping in time"
        self.found_by("heartbeat", error, cut_there)

    def test_heartbeat_when_our_end_is_cut(self):
        error = "the peer did not answer a ping in time"
        self.found_by("heartbeat", error, cut_here)

    def test_tcp_keep_alive(self):
        self.found_by("keep-alive", "it took too long: Connection timed out", cut_there)

    def test_write_timeout(self):
        error = "the peer took nothing of what was sent for too long"
        self.found_by("write-timeout", error, cut_there, say="more than any socket holds")

    def test_a_link_that_comes_back_in_time(self):
        async def story(_, far, near):
            cut_there(far)
            self.assertEqual(await said(near, "news"), "news")  # it is on its way to the far one, too
            far.do("mend")
            self.assertEqual(far.do("hear"), "news")

        told = self.run_with("patience", story)
        self.assertEqual(sorted(told), ["/far disconnect 1001", "/near disconnect 1001"])


if __name__ == "__main__":
    try:
        namespaces.unshare()
        namespaces.ip("link", "set", "lo", "up")
        namespaces.ip("link", "add", "try0", "type", "veth", "peer", "name", "try1")
        namespaces.ip("link", "delete", "try0")
    except (OSError, subprocess.CalledProcessError) as failed:
        print(f"skipped: no network namespace with a virtual cable can be made here: {failed} "
              f"{getattr(failed, 'stderr', '')}")
        sys.exit(SKIPPED)
    main()
