#!/usr/bin/env python3
"""The demo site in a real browser: it loads, tabs chat, a download is paused and resumed, counters live,
and the page notices when the server goes. SLUICE_SHOTS names a folder that keeps the screenshots."""
import os
import shutil
import subprocess
import tempfile
import threading
import unittest

import served
from served import HERE, LIMIT, main, serve, wrong_ending


class Browser(unittest.TestCase):
    def test_demo_site(self):
        self.assertTrue(os.path.isdir(os.path.join(HERE, "node_modules")),
                        f"npm ci --ignore-scripts in {HERE} has not been run")
        with tempfile.TemporaryDirectory(prefix="sluice-e2e-", ignore_cleanup_errors=True) as folder:
            with serve() as program:
                self.visit(program, folder)
            if "SLUICE_SHOTS" in os.environ:
                for name in os.listdir(folder):
                    if name.endswith(".png"):
                        shutil.copy(os.path.join(folder, name), os.environ["SLUICE_SHOTS"])

    def visit(self, program, folder):
        said, ended = "", None
        with open(os.path.join(folder, "errors"), "w+", encoding="utf-8") as errors, \
                subprocess.Popen(["node", os.path.join(HERE, "browser_client.js"), program.url(),
                                  served.ENGINE, folder],
                                 text=True, stdout=subprocess.PIPE, stderr=errors) as client:
            alarm = threading.Timer(LIMIT, client.terminate)  # playwright takes the browser along
            alarm.start()
            try:
                for line in client.stdout:
                    said += line
                    if line == "stop me\n":
                        ended = program.stop()
                client.wait()
            finally:
                alarm.cancel()
                client.terminate()
            errors.seek(0)
            self.assertEqual((client.returncode, said[-9:]), (0, "all well\n"),
                             f"\n{said}{errors.read()}")
        self.assertEqual(wrong_ending(program, ended), "")
        print(said.replace("\n", ", "), end="", flush=True)


if __name__ == "__main__":
    main()
