#!/usr/bin/env python3
"""Authentication with the clients of others: curl, npm's jose, python3-websockets."""
import asyncio
import json
import os
import subprocess
import urllib.parse

import websockets
from websockets.exceptions import InvalidStatusCode

import served
from served import BIN, LIMIT, Program, Serving, main, node

PASSWORD = "p\u00e4ss: w/ord"


class Authentication(Serving):
    @classmethod
    def setUpClass(cls):
        served.serve, kept = cls.serve, served.serve
        try:
            super().setUpClass()
        finally:
            served.serve = kept

    @classmethod
    def serve(cls):
        for file, more in (("users", ()), ("digests", ("--digest", "--realm", "e2e"))):
            made = subprocess.run([os.path.join(BIN, "sluice"), "passwd", cls.path(file), "joe",
                                   *more, "--stdin"], input=PASSWORD + "\n", text=True,
                                  capture_output=True, timeout=LIMIT)
            if made.returncode != 0:
                raise AssertionError(made)
        cls.tokens = json.loads(node("auth_tokens.js", cls.folder))
        return Program("e2e_auth_server", cls.folder, served.ENGINE)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        for secret in (PASSWORD, urllib.parse.quote(PASSWORD, safe=""), "wrong-one"):
            if secret in cls.server.printed:
                raise AssertionError(f"{secret} in the log: {cls.server.printed}")
        if "/sgc/auth/url/***/***/a/b" not in cls.server.printed:
            raise AssertionError(cls.server.printed)

    def asked(self, path, *arguments):
        answer = self.curl(path, *arguments)
        return answer.body.decode() if answer.status == 200 else answer.status

    def upgraded(self, path, **fields):
        async def talk():
            url = f"ws://127.0.0.1:{self.server.port}{path}"
            async with websockets.connect(url, extra_headers=fields) as client:
                await client.send("who am I?")
                return await client.recv()
        try:
            return asyncio.run(asyncio.wait_for(talk(), LIMIT))
        except InvalidStatusCode as refused:
            return refused.status_code

    def test_nothing(self):
        answer = self.curl("/a")
        self.assertEqual(answer.status, 401)
        schemes = [line.split(" ")[1] for line in answer.heads[-1].split("\r\n")
                   if line.lower().startswith("www-authenticate:")]
        self.assertEqual(schemes, ["Bearer", "Digest", "Digest", "Basic"])
        self.assertEqual(self.upgraded("/a"), 401)

    def test_basic(self):
        self.assertEqual(self.asked("/a", "--user", f"joe:{PASSWORD}"), "basic joe /a ")
        self.assertEqual(self.asked("/a", "--user", "joe:wrong"), 401)
        self.assertEqual(self.asked("/a", "--user", f"jim:{PASSWORD}"), 401)
        body = self.write("body", b"x" * 100_000)
        self.assertEqual(self.asked("/a", "--user", f"joe:{PASSWORD}", "--data-binary",
                                    f"@{body}"), "basic joe /a " + "x" * 100_000)

    def test_digest(self):
        answer = self.curl("/a?x=1", "--digest", "--user", f"joe:{PASSWORD}")
        self.assertEqual((answer.status, answer.body), (200, b"digest joe /a "), answer)
        self.assertEqual(len(answer.heads), 2)  # asked, and answered
        self.assertEqual(answer.facts["num_connects"], 1)
        self.assertEqual(self.asked("/a", "--digest", "--user", "joe:wrong"), 401)
        self.assertEqual(self.asked("/a", "--digest", "--user", f"jim:{PASSWORD}"), 401)
        self.assertEqual(self.asked("/b", "--digest", "--user", f"joe:{PASSWORD}", "--data", "x=1"),
                         "digest joe /b x=1")

    def test_whatever_is_offered(self):
        self.assertIn(self.asked("/a", "--anyauth", "--user", f"joe:{PASSWORD}"),
                      ("digest joe /a ", "basic joe /a "))

    def test_tokens(self):
        for name, token in self.tokens["good"].items():
            with self.subTest(name):
                self.assertEqual(self.asked("/a", "--oauth2-bearer", token), "bearer joe /a ")
                self.assertEqual(self.upgraded("/a", Authorization=f"Bearer {token}"),
                                 "bearer joe /a")
        for name, token in self.tokens["bad"].items():
            with self.subTest(name):
                answer = self.curl("/a", "--oauth2-bearer", token)
                self.assertEqual(answer.status, 401, answer)
                self.assertIn('error="invalid_token"', answer.heads[-1])
                self.assertEqual(self.upgraded("/a", Authorization=f"Bearer {token}"), 401)

    def test_sessions(self):
        quoted = urllib.parse.quote(PASSWORD, safe="")
        token = self.asked(f"/sgc/req/auth/session/joe/{quoted}")
        self.assertEqual(self.upgraded(f"/sgc/auth/session/{token}/chat"), "session joe /chat")
        self.assertEqual(self.upgraded(f"/sgc/auth/session/{token}/chat"), 401)
        token = self.asked("/auth/session", "--data-urlencode", "user=joe", "--data-urlencode",
                           f"password={PASSWORD}")
        self.assertEqual(self.upgraded(f"/sgc/auth/session/{token}"), "session joe /")
        self.assertEqual(self.asked("/auth/session", "--data", "user=joe&password=x"), 401)

    def test_urls(self):
        quoted = urllib.parse.quote(PASSWORD, safe="")
        self.assertEqual(self.asked(f"/sgc/auth/url/joe/{quoted}/a/b"), "url joe /a/b ")
        self.assertEqual(self.upgraded(f"/sgc/auth/url/joe/{quoted}"), "url joe /")
        self.assertEqual(self.asked("/sgc/auth/url/joe/wrong-one/a/b"), 401)


if __name__ == "__main__":
    main()
