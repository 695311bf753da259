#!/usr/bin/env python3
"""Server-sent events in a real browser: it listens, is cut off, comes back, and has missed nothing."""
import tempfile
import unittest

import served
from served import Program, main, node, wrong_ending


class Events(unittest.TestCase):
    def test_event_source(self):
        with Program("e2e_events_server", served.ENGINE) as program, \
                tempfile.TemporaryDirectory(prefix="sluice-e2e-",
                                            ignore_cleanup_errors=True) as folder:
            self.assertEqual(node("events_client.js", program.url(), folder), "all well\n")
            self.assertEqual(wrong_ending(program, program.stop()), "")


if __name__ == "__main__":
    main()
