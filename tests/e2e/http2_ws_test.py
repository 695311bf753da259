#!/usr/bin/env python3
"""WebSockets over HTTP/2 (RFC 8441): node's http2 as the client, over TLS and in clear; and a page with
its WebSocket in chromium, whose net log says which protocol they went over."""
import json
import os
import subprocess
import tempfile
import threading
import unittest

from served import HERE, LIMIT, main, serve, wrong_ending


class WebSockets(unittest.TestCase):
    def visit(self, program, url):
        said, ended = "", None
        with tempfile.TemporaryFile("w+", encoding="utf-8") as errors, \
                subprocess.Popen(["node", os.path.join(HERE, "http2_ws_client.js"), url],
                                 text=True, stdout=subprocess.PIPE, stderr=errors) as client:
            alarm = threading.Timer(LIMIT, client.kill)
            alarm.start()
            try:
                for line in client.stdout:
                    said += line
                    if line == "stop me\n":
                        ended = program.stop()
                client.wait()
            finally:
                alarm.cancel()
            errors.seek(0)
            self.assertEqual((client.returncode, said[-9:]), (0, "all well\n"),
                             f"\n{said}{errors.read()}")
        self.assertEqual(wrong_ending(program, ended), "")

    def test_in_clear(self):
        with serve("--echo", "/echo", "--broadcast", "/all") as program:
            self.visit(program, program.url())

    def test_over_tls(self):
        with serve("--echo", "/echo", "--broadcast", "/all", "--tls-dev") as program:
            self.visit(program, program.url("/", "https"))

    def test_in_chromium(self):
        with tempfile.TemporaryDirectory(prefix="sluice-e2e-", ignore_cleanup_errors=True) as folder, \
                serve("--echo", "/echo", "--tls-dev") as program:
            log = os.path.join(folder, "net.json")
            seen = subprocess.run(["node", os.path.join(HERE, "http2_browser_client.js"),
                                   program.url("/", "https"), folder, log],
                                  text=True, capture_output=True, timeout=LIMIT, check=False)
            self.assertEqual((seen.returncode, seen.stdout), (0, "h2\nhello\n"), seen.stderr)
            with open(log, encoding="utf-8") as file:
                net = json.load(file)
            names = {number: name for name, number in net["constants"]["logEventTypes"].items()}
            sent = [event.get("params", {}).get("headers", []) for event in net["events"]
                    if names[event["type"]] == "HTTP2_SESSION_SEND_HEADERS"]
            self.assertTrue(any(":path: /" in fields for fields in sent), sent)
            self.assertTrue(any(":protocol: websocket" in fields for fields in sent), sent)
            self.assertEqual(wrong_ending(program, program.stop()), "")


if __name__ == "__main__":
    main()
