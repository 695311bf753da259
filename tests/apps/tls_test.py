#!/usr/bin/env python3
"""`sluice serve` with https from outside: options, the file, SIGHUP, and files that change."""
import http.client
import os
import socket
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "examples"))
from running import Program, run  # noqa: E402

LIMIT = 20


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=LIMIT)


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="sluice-tls-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.ca = cls.path("ca.pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", "/CN=Test CA", "-days", "400", "-keyout", cls.path("ca.key"), "-out", cls.ca)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    def issue(self, name, subject, host="localhost", usage="serverAuth"):
        """NAME.pem and NAME.key; each is replaced at once."""
        new = self.path("new")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                f"/CN={subject}", "-keyout", new + ".key", "-out", new + ".csr")
        with open(new + ".ext", "w", encoding="utf-8") as file:
            file.write(f"subjectAltName=DNS:{host}\nextendedKeyUsage={usage}\n")
        openssl("x509", "-req", "-in", new + ".csr", "-CA", self.ca, "-CAkey", self.path("ca.key"),
                "-CAcreateserial", "-days", "200", "-extfile", new + ".ext", "-out", new + ".pem")
        os.chmod(new + ".key", 0o600)
        os.replace(new + ".key", self.path(name + ".key"))
        os.replace(new + ".pem", self.path(name + ".pem"))
        return self.path(name + ".pem"), self.path(name + ".key")

    def serve(self, *arguments, port=True):
        free = ["--port", "0"] if port else []
        return Program("sluice", "serve", *free, "--engine", "epoll", *arguments)

    def port(self, program):
        program.read_until("stop ")
        self.assertIn(f"open    https://127.0.0.1:{program.port}/", program.printed)
        return program.port

    def connect(self, port, host="localhost", client=None):
        """A connection whose server is verified, and the subject of its certificate."""
        context = ssl.create_default_context(cafile=self.ca)
        if client:
            context.load_cert_chain(*client)
        connection = http.client.HTTPSConnection("localhost", port, timeout=LIMIT, context=context)
        # By the name of the certificate, on the loopback.
        connection._create_connection = lambda _, *rest: socket.create_connection(
            ("127.0.0.1", port), *rest)
        connection.host = host
        connection.connect()
        self.addCleanup(connection.close)
        subject = dict(pair[0] for pair in connection.sock.getpeercert()["subject"])
        return connection, subject["commonName"]

    def get(self, port, host="localhost", client=None):
        connection, subject = self.connect(port, host, client)
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, subject

    def eventually(self, test):
        until = time.monotonic() + LIMIT
        while not test():
            self.assertLess(time.monotonic(), until, "it never came")
            time.sleep(0.02)

    def test_certificates_by_name(self):
        one, two = self.issue("one", "one"), self.issue("two", "two", "b.test")
        with self.serve("--cert", one[0], "--key", one[1], "--cert", two[0], "--key",
                        two[1]) as program:
            port = self.port(program)
            self.assertEqual(self.get(port), (200, "one"))
            self.assertEqual(self.connect(port, "b.test")[1], "two")
            curl = subprocess.run(["curl", "--silent", "--show-error", "--cacert", self.ca,
                                   "--output", os.devnull, "--write-out", "%{http_code} %{scheme}",
                                   "--resolve", f"localhost:{port}:127.0.0.1",
                                   f"https://localhost:{port}/"],
                                  capture_output=True, text=True, timeout=LIMIT)
            self.assertEqual(curl.stdout.lower(), "200 https", curl.stderr)
            plain = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
            plain.request("GET", "/")
            self.assertEqual(plain.getresponse().status, 400)
            # SIGHUP: what the files say now; who is connected keeps what was shown.
            before, subject = self.connect(port)
            self.assertEqual(subject, "one")
            self.issue("one", "renewed")
            program.hang_up()
            program.read_until("certificates: read again")
            self.assertEqual(self.get(port), (200, "renewed"))
            before.request("GET", "/")
            self.assertEqual(before.getresponse().status, 200)
            self.assertEqual(program.stop(), (0, ""))

    def test_a_certificate_for_development(self):
        with self.serve("--tls-dev") as program:
            port = self.port(program)
            pem = ssl.get_server_certificate(("127.0.0.1", port))
            context = ssl.create_default_context(cadata=pem)
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=LIMIT,
                                                     context=context)
            connection.request("GET", "/")
            self.assertEqual(connection.getresponse().status, 200)
            self.assertEqual(program.stop(), (0, ""))

    def test_clients_must_show_a_certificate(self):
        own, client = self.issue("own", "own"), self.issue("me", "me", usage="clientAuth")
        with self.serve("--cert", own[0], "--key", own[1], "--client-ca", self.ca) as program:
            port = self.port(program)
            self.assertEqual(self.get(port, client=client), (200, "own"))
            with self.assertRaises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
                self.get(port)
            self.assertEqual(program.stop()[0], 0)

    def test_a_file_says_the_same(self):
        one, two = self.issue("f1", "one"), self.issue("f2", "two", "b.test")
        file = self.path("sluice.toml")

        def write(more=""):
            with open(file, "w", encoding="utf-8") as out:
                out.write(f"""
bindings = ["https://localhost:0/"]
[binding_options]
watch_interval = "20ms"
[ssl_options]
certificate_file = "{one[0]}"
private_key_file = "{one[1]}"
[[ssl_options.certificates]]
certificate_file = "{two[0]}"
private_key_file = "{two[1]}"
{more}
""")
        write()
        self.assertEqual(run("sluice", "serve", "--config", file, "--check-config"),
                         (0, f"{file}: no mistakes\n", ""))
        with self.serve("--config", file, port=False) as program:
            port = self.port(program)
            self.assertEqual(self.get(port), (200, "one"))
            self.assertEqual(self.connect(port, "b.test")[1], "two")
            before, _ = self.connect(port)
            self.issue("f1", "renewed")
            self.eventually(lambda: self.get(port) == (200, "renewed"))
            before.request("GET", "/")
            self.assertEqual(before.getresponse().status, 200)
            # A third one with SIGHUP.
            third = self.issue("f3", "three", "c.test")
            write(f'[[ssl_options.certificates]]\ncertificate_file = "{third[0]}"\n'
                  f'private_key_file = "{third[1]}"\n')
            program.hang_up()
            program.read_until("read again")
            self.assertEqual(self.connect(port, "c.test")[1], "three")
            # One that is not there: nothing changes.
            write('[[ssl_options.certificates]]\ncertificate_file = "/nowhere.pem"\n')
            program.hang_up()
            errors = program.read_error_until("stay as they were")
            self.assertEqual(self.connect(port, "c.test")[1], "three")
            self.assertEqual(program.stop()[0], 0)
            self.assertIn("ssl_options.certificates[1].certificate_file: cannot read /nowhere.pem",
                          errors)
        code, _, errors = run("sluice", "serve", "--config", file, "--check-config")
        self.assertEqual(code, 2)
        self.assertRegex(errors, r"sluice\.toml:12:\d+: ssl_options\.certificates\[1\]"
                                 r"\.certificate_file: cannot read /nowhere\.pem")

    def test_a_hundred_swaps_under_load(self):
        for engine in ("uring", "epoll"):
            with self.subTest(engine=engine):
                self.swap_under_load(engine)

    def swap_under_load(self, engine):
        pairs = [self.issue("s1", "first"), self.issue("s2", "second")]
        own = (self.path("own.pem"), self.path("own.key"))

        def swap(pair):
            for source, target in zip(pair, own):
                shutil.copyfile(source, target + ".new")
                os.chmod(target + ".new", 0o600)
                os.replace(target + ".new", target)

        swap(pairs[0])
        over, wrong, seen, answers = threading.Event(), [], set(), []

        def ask(port, keeps):
            try:
                connection, subject = self.connect(port)
                while not over.is_set():
                    if not keeps:
                        connection.close()
                        connection, subject = self.connect(port)
                        seen.add(subject)
                    connection.request("GET", "/")
                    answer = connection.getresponse()
                    answer.read()
                    answers.append(answer.status)
            except Exception as error:  # whatever it is, a connection was lost
                wrong.append(repr(error))

        with Program("sluice", "serve", "--port", "0", "--engine", engine, "--cert", own[0], "--key",
                     own[1]) as program:
            port = self.port(program)
            threads = [threading.Thread(target=ask, args=(port, i < 3)) for i in range(5)]
            for thread in threads:
                thread.start()
            for i in range(1, 101):
                swap(pairs[i % 2])
                program.printed = ""
                program.hang_up()
                program.read_until("read again")
            over.set()
            for thread in threads:
                thread.join()
            self.assertEqual(self.get(port), (200, "first"))
            self.assertEqual(program.stop(), (0, ""))
        self.assertEqual(wrong, [])
        self.assertEqual(set(answers), {200})
        self.assertEqual(seen, {"first", "second"})
        print(f"{engine}: {len(answers)} answers during 100 swaps", file=sys.stderr)

    def test_what_cannot_be_meant(self):
        one, two = self.issue("w1", "one"), self.issue("w2", "two")
        for arguments, words in (
                (["--cert", one[0], "--key", one[1], "--key", two[1]], "come in pairs"),
                (["--client-ca", self.ca], "--client-ca needs a certificate of the server"),
                (["--tls-dev", "--listen", "http://localhost:0/"], "must begin with https://"),
                (["--port", "0", "--cert", "/nowhere.pem"], "--cert: cannot read /nowhere.pem"),
                (["--port", "0", "--cert", one[0], "--key", two[1]], f"--key: {two[1]} is not"),
                (["--listen", "https://localhost:0/"], "has no certificate")):
            code, _, errors = run("sluice", "serve", "--engine", "epoll", *arguments)
            self.assertEqual(code, 2, errors)
            self.assertIn(words, errors)


if __name__ == "__main__":
    unittest.main()
