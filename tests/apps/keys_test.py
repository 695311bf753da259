#!/usr/bin/env python3
"""`sluice keys` from outside: what it prints where, what it keeps, and what it refuses."""
import datetime
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "examples"))
from running import BIN  # noqa: E402

LIMIT = 120  # seconds; sanitized programs on a busy machine are slow
SLUICE = os.path.join(BIN, "sluice")
BASE32 = "[0-9a-hjkmnp-tv-z]"
KEY = re.compile(f"slk_{BASE32}{{38}}\n")
ID = f"{BASE32}{{16}}"


def run(*arguments, **options):
    options.setdefault("stdout", subprocess.PIPE)
    ended = subprocess.run([SLUICE, "keys", *arguments], text=True, stderr=subprocess.PIPE,
                           timeout=LIMIT, check=False, **options)
    return ended.returncode, ended.stdout, ended.stderr


class Keys(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.store = os.path.join(self.folder, "keys.db")

    def issue(self, *arguments, owner="joe"):
        """The key and its id."""
        code, key, said = run("issue", "--store", self.store, "--owner", owner, *arguments)
        self.assertEqual(code, 0, said)
        self.assertRegex(said, f"^issued {ID} for .*; the key is not shown again\n$")
        self.assertNotIn(key.strip(), said)
        return key.strip(), said.split()[1]

    def list(self, *arguments):
        code, printed, said = run("list", "--store", self.store, "--json", *arguments)
        self.assertEqual((code, said), (0, ""))
        return json.loads(printed)

    def fails(self, code, word, *arguments, **options):
        with self.subTest(arguments):
            ended, printed, said = run(*arguments, **options)
            self.assertEqual((ended, printed or ""), (code, ""))
            self.assertEqual(said.count("\n"), 1, said)
            self.assertTrue(said.startswith("sluice: "), said)
            self.assertIn(word, said)

    def test_the_key_is_shown_once(self):
        code, key, said = run("issue", "--store", self.store, "--owner", "joe")
        self.assertEqual(code, 0, said)
        self.assertRegex(key, KEY)
        self.assertIn("expires never", said)
        self.assertEqual(sorted(os.listdir(self.folder)), ["keys.db", "keys.db.secret"])
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600, name)
            with open(path, "rb") as file:
                self.assertNotIn(key[4:36].encode(), file.read())
        for arguments in ([], ["--json"]):
            self.assertNotIn(key[4:36], run("list", "--store", self.store, *arguments)[1])

    def test_all_that_a_key_has(self):
        key, name = self.issue("--scope", "orders:*", "--scope", "read", "--allow", "10.0.0.0/8",
                               "--allow", "2001:db8::/32", "--rate", "100/1h", "--expires", "90d",
                               "--prefix", "live", owner='J\u00f6rg "the\\key"')
        self.assertTrue(key.startswith("live_"))
        [one] = self.list()
        created = datetime.datetime.fromisoformat(one["created"].replace("Z", "+00:00"))
        expires = datetime.datetime.fromisoformat(one["expires"].replace("Z", "+00:00"))
        self.assertEqual(expires - created, datetime.timedelta(days=90))
        del one["created"], one["expires"]
        self.assertEqual(one, {
            "id": name, "state": "valid", "owner": 'J\u00f6rg "the\\key"', "prefix": "live",
            "scopes": ["orders:*", "read"], "networks": ["10.0.0.0/8", "2001:db8::/32"],
            "rate": {"requests": 100, "seconds": 3600}, "revoked": None, "replaced_by": None,
            "grace_until": None})

    def test_times_and_rates(self):
        self.issue("--expires", "never", "--rate", "5/s")
        self.issue("--expires", "9999-12-31")
        self.issue("--rate", "1/1d")
        self.assertEqual([one["expires"] for one in self.list()],
                         [None, "9999-12-31T00:00:00Z", None])
        self.assertEqual([one["rate"] for one in self.list()],
                         [{"requests": 5, "seconds": 1}, None, {"requests": 1, "seconds": 86400}])

    def test_lists(self):
        self.issue()
        self.issue("--scope", "read", owner="jim")
        self.assertEqual([one["owner"] for one in self.list()], ["joe", "jim"])
        self.assertEqual([one["owner"] for one in self.list("--owner", "jim")], ["jim"])
        self.assertEqual(self.list("--owner", "nobody"), [])
        code, printed, said = run("list", "--store", self.store)
        self.assertEqual((code, said), (0, ""))
        lines = printed.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertRegex(lines[0], "^ID +STATE +CREATED +ENDS +OWNER$")
        self.assertRegex(lines[2], f"^{ID} +valid +2.*Z +never +jim  scopes read$")

    def test_revoke(self):
        _, name = self.issue()
        for _ in range(2):  # a second time changes nothing
            self.assertEqual(run("revoke", "--store", self.store, name),
                             (0, "", f"revoked {name} of joe\n"))
        [one] = self.list()
        self.assertEqual(one["state"], "revoked")
        self.assertIsNotNone(one["revoked"])
        self.fails(1, "has no key", "revoke", "--store", self.store, "0123456789abcdef")
        self.fails(1, "revoked", "rotate", "--store", self.store, name)

    def test_rotate(self):
        old_key, old = self.issue("--scope", "read", "--expires", "10d")
        code, key, said = run("rotate", "--store", self.store, old)
        self.assertEqual(code, 0, said)
        self.assertRegex(key, KEY)
        self.assertNotEqual(key.strip(), old_key)
        new = said.split()[1]
        self.assertRegex(said, f"^issued {ID} for joe, expires 2.*; {old} ends 2.*\n$")
        before, after = self.list()
        self.assertEqual((before["state"], before["replaced_by"]), ("grace", new))
        self.assertEqual((after["id"], after["state"], after["scopes"]), (new, "valid", ["read"]))
        self.fails(2, "replaced by " + new, "rotate", "--store", self.store, old)
        code, _, said = run("rotate", "--store", self.store, "--grace", "0s", new)
        self.assertEqual(code, 0, said)
        self.assertEqual([one["state"] for one in self.list()], ["grace", "expired", "valid"])

    def test_who_did_what(self):
        _, name = self.issue()
        run("revoke", "--store", self.store, name)
        with sqlite3.connect(self.store) as database:
            rows = database.execute("SELECT actor, action, key FROM audit ORDER BY number")
            actors, actions, keys = zip(*rows)
        database.close()
        self.assertEqual((actions, set(keys)), (("issue", "revoke"), {name}))
        self.assertNotIn("", actors)

    def test_a_key_that_nobody_took_is_revoked(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            self.fails(1, "was revoked", "issue", "--store", self.store, "--owner", "joe",
                       stdout=full)
        reading, writing = os.pipe()
        os.close(reading)
        self.fails(1, "was revoked", "issue", "--store", self.store, "--owner", "joe",
                   stdout=writing)
        os.close(writing)
        self.assertEqual([one["state"] for one in self.list()], ["revoked", "revoked"])

    def test_many_at_a_time_lose_none(self):
        seen = []
        running = [threading.Thread(target=lambda: seen.append(self.issue()[1]))
                   for _ in range(6)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        self.assertEqual(len(seen), 6)
        self.assertEqual(sorted(one["id"] for one in self.list()), sorted(seen))

    def test_another_place_for_the_secret(self):
        secret = os.path.join(self.folder, "elsewhere")
        self.issue("--secret", secret)
        self.assertEqual(sorted(os.listdir(self.folder)), ["elsewhere", "keys.db"])
        self.fails(1, "keys.db.secret", "list", "--store", self.store)
        self.assertEqual(len(self.list("--secret", secret)), 1)

    def test_what_is_refused(self):
        def refused(word, *arguments):
            self.fails(2, word, "issue", "--store", self.store, *arguments)
        refused("--owner")
        refused("owner", "--owner", "")
        refused("owner", "--owner", "a\nb")
        refused("scope", "--owner", "joe", "--scope", "a b")
        refused("10.0.0.1/8", "--owner", "joe", "--allow", "10.0.0.1/8")
        for rate in ("5", "0/s", "/s", "5/", "5/x", "-1/s", "5/1w", "x/s", "99999999999/s"):
            refused("--rate", "--owner", "joe", "--rate", rate)
        refused("period", "--owner", "joe", "--rate", "5/2d")
        for time in ("yesterday", "10", "2027-02-30", "2027-1-1", "-5d", "5w", "d"):
            refused("--expires", "--owner", "joe", "--expires=" + time)
        refused("expired", "--owner", "joe", "--expires", "2020-01-01")
        refused("expired", "--owner", "joe", "--expires", "0s")
        refused("prefix", "--owner", "joe", "--prefix", "A")
        refused("--json", "--owner", "joe", "--json")
        self.assertEqual(os.listdir(self.folder), [])  # and nothing is made for it

    def test_usage(self):
        self.fails(2, "sluice keys")
        self.fails(2, "sluice keys", "delete")
        for verb in ("issue", "list", "revoke", "rotate"):
            self.fails(2, "--store", verb)
        self.issue()
        self.fails(2, "ID", "revoke", "--store", self.store)
        self.fails(2, "ID", "rotate", "--store", self.store)
        self.fails(2, "--grace", "rotate", "--store", self.store, "--grace", "soon", "0" * 16)
        self.fails(2, "more", "revoke", "--store", self.store, "0" * 16, "more")

    def test_stores_that_cannot_be(self):
        for verb in (["list"], ["revoke", "0" * 16], ["rotate", "0" * 16]):
            self.fails(1, "issue", verb[0], "--store", self.store, *verb[1:])
            self.assertEqual(os.listdir(self.folder), [])
        missing = os.path.join(self.folder, "missing", "keys.db")
        self.fails(1, os.path.dirname(missing), "issue", "--store", missing, "--owner", "joe")
        self.fails(1, self.folder, "issue", "--store", self.folder, "--owner", "joe")
        self.issue()
        os.chmod(self.store, 0o644)
        self.fails(1, "chmod 600", "list", "--store", self.store)
        os.chmod(self.store, 0o600)
        os.unlink(self.store + ".secret")
        self.fails(1, "restore it from a backup", "list", "--store", self.store)


if __name__ == "__main__":
    unittest.main()
