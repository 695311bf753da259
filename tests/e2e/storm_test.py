#!/usr/bin/env python3
"""10,000 WebSockets connect as fast as they can, from another process; each gets an echo, none fails.
Then the server is told to stop, and closes each of them with 1001."""
import json
import os
import resource
import signal
import subprocess

from served import BIN, LIMIT, Serving, main, serve, wrong_ending

COUNT = 10_000
CLIENT = os.path.join(BIN, "e2e_storm_client")


class Storm(Serving):
    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def test_storm(self):
        self.assertGreaterEqual(resource.getrlimit(resource.RLIMIT_NOFILE)[1], COUNT + 100,
                                "this machine allows too few descriptors: ulimit -Hn")
        for mode in ("high-perf", "classic"):
            with self.subTest(mode), serve("--echo", "/ws", "--mode", mode) as program:
                self.storm(program)

    def storm(self, program):
        with subprocess.Popen([CLIENT, str(program.port), "/ws", str(COUNT), str(LIMIT)],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            try:
                echoed = client.stdout.readline()
                if not echoed.startswith(f"echoed {COUNT} "):
                    said = client.communicate()
                    still = program.process.poll() is None
                    self.fail(f"{echoed!r} {said}; the server {'still ran' if still else 'was gone'}"
                              f": {program.stop()}, {program.printed}")
                print(echoed.strip(), end=", ", flush=True)
                counters = json.loads(program.get("/api/counters")[2])
                self.assertEqual((counters["websockets"], counters["rejected"]), (COUNT, 0))
                ended = program.stop(signal.SIGTERM)
                printed, errors = client.communicate(timeout=LIMIT)
            finally:
                client.kill()
        self.assertEqual((client.returncode, printed, errors),
                         (0, f"closed {COUNT} with 1001\n", ""), ended)
        self.assertEqual(wrong_ending(program, ended), "")
        print(printed.strip(), end=", ", flush=True)


if __name__ == "__main__":
    main()
