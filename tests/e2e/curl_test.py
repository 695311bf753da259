#!/usr/bin/env python3
"""Every feature of the server as curl sees it: ranges, preconditions, bodies, versions, paths."""
import email
import email.policy
import os
import random
import re
import subprocess
import tempfile
import time

from served import SITE, Serving, main, read, serve, wrong_ending

LAST_YEAR = "Mon, 01 Jan 2024 00:00:00 GMT"
DATA = random.Random(1).randbytes(8 << 20)


class OfFolder(Serving):
    @classmethod
    def arguments(cls):
        cls.write("root/data.bin", DATA)
        cls.write("root/small.txt", b"0123456789" * 20)
        cls.write("root/a b%41#?.txt", b"odd")
        cls.write("root/sub/inner.txt", b"inner")
        cls.write("root/site/index.html", b"<title>index</title>")
        cls.write("root/page.css", b"body {}" * 1000)
        cls.write("root/page.css.gz", b"not really gzip, but its bytes are served")
        cls.write("secret/secret.txt", b"secret")
        os.symlink(cls.path("secret", "secret.txt"), cls.path("root", "link.txt"))
        os.symlink(cls.path("secret"), cls.path("root", "links"))
        os.mkfifo(cls.path("root", "fifo"))
        return "--root", cls.path("root"), "--list", "--echo", "/echo"

    def is_part(self, answer, first, last, size=len(DATA), data=DATA):
        self.assertEqual(answer.status, 206, answer)
        self.assertEqual(answer.fields["content-range"], f"bytes {first}-{last}/{size}", answer)
        self.assertEqual(int(answer.fields["content-length"]), last - first + 1, answer)
        self.same(answer.body, data[first:last + 1], answer.command)


class Ranges(OfFolder):
    def test_whole(self):
        answer = self.curl("/data.bin")
        self.assertEqual((answer.status, answer.fields["accept-ranges"]), (200, "bytes"), answer)
        self.same(answer.body, DATA)

    def test_single(self):
        end = len(DATA) - 1
        for asked, first, last in (("0-0", 0, 0), ("100-299", 100, 299), ("0-65535", 0, 65535),
                                   ("65536-", 65536, end), (f"{end}-", end, end),
                                   (f"1-{end + 100}", 1, end)):
            with self.subTest(asked):
                self.is_part(self.curl("/data.bin", "--range", asked), first, last)

    def test_suffix(self):
        end = len(DATA) - 1
        self.is_part(self.curl("/data.bin", "--range", "-1"), end, end)
        self.is_part(self.curl("/data.bin", "--range", "-70000"), end - 69999, end)
        self.is_part(self.curl("/small.txt", "--range", "-1000"), 0, 199, 200, b"0123456789" * 20)

    def test_several(self):
        asked = [(0, 9), (100, 4_000_000), (len(DATA) - 5, len(DATA) - 1)]
        answer = self.curl("/data.bin", "--range", "0-9,100-4000000,-5")
        self.assertEqual(answer.status, 206, answer)
        self.assertEqual(int(answer.fields["content-length"]), len(answer.body))
        kind = answer.fields["content-type"]
        boundary = re.fullmatch(r'multipart/byteranges; *boundary="?([^"]+)"?', kind)
        self.assertTrue(boundary, kind)
        rest = answer.body
        for first, last in asked:  # each part cut out by its length: the bytes are any bytes
            head, _, rest = rest.partition(b"\r\n\r\n")
            head = head.lstrip(b"\r\n").decode()
            self.assertTrue(head.startswith(f"--{boundary[1]}\r\n"), head)
            fields = email.message_from_string(head.split("\r\n", 1)[1], policy=email.policy.HTTP)
            self.assertEqual(fields["content-range"], f"bytes {first}-{last}/{len(DATA)}")
            self.assertIn("content-type", fields)
            size = last - first + 1
            self.same(rest[:size], DATA[first:last + 1], f"{first}-{last}")
            rest = rest[size:]
        self.assertEqual(rest.strip(b"\r\n"), f"--{boundary[1]}--".encode())

    def test_unsatisfiable(self):
        for asked in (f"{len(DATA)}-", f"{len(DATA) + 5}-{len(DATA) + 9}", "-0"):
            with self.subTest(asked):
                answer = self.curl("/data.bin", "--range", asked)
                self.assertEqual(answer.status, 416, answer)
                self.assertEqual(answer.fields["content-range"], f"bytes */{len(DATA)}")
                self.assertNotEqual(answer.body[:100], DATA[:100])

    def test_what_is_no_range_is_ignored(self):
        for field in ("bytes=9-1", "bytes=x-y", "lines=1-2", "bytes="):
            with self.subTest(field):
                answer = self.curl("/small.txt", "--header", f"Range: {field}")
                self.assertEqual((answer.status, answer.body), (200, b"0123456789" * 20), answer)

    def test_head_has_the_fields_and_no_body(self):
        get, head = self.curl("/data.bin"), self.curl("/data.bin", "--head")
        self.assertEqual((head.status, head.facts["size_download"]), (200, 0), head)
        for name in ("content-length", "content-type", "etag", "last-modified", "accept-ranges"):
            self.assertEqual(head.fields[name], get.fields[name], name)
        self.assertEqual(self.curl("/none", "--head").status, 404)

    def test_a_broken_download_is_resumed(self):
        copy = self.path("copy")
        with subprocess.Popen(["curl", "--silent", "--no-buffer", self.server.url("/data.bin")],
                              stdout=subprocess.PIPE) as broken:
            begun = broken.stdout.read(3_000_001)
            broken.kill()
        self.assertEqual(len(begun), 3_000_001)
        with open(copy, "wb") as file:
            file.write(begun)
        ended = subprocess.run(["curl", "--silent", "--show-error", "--fail", "--output", copy,
                                "--continue-at", "-", "--write-out", "%{http_code} %{size_download}",
                                self.server.url("/data.bin")],
                               capture_output=True, text=True, timeout=60)
        self.assertEqual(ended.stdout, f"206 {len(DATA) - 3_000_001}", ended.stderr)
        self.same(read(copy), DATA)


class Preconditions(OfFolder):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        first = cls().curl("/data.bin", "--head")
        cls.etag, cls.modified = first.fields["etag"], first.fields["last-modified"]

    def asked(self, *fields, status):
        arguments = [word for field in fields for word in ("--header", field)]
        answer = self.curl("/data.bin", "--range", "0-9", *arguments)
        self.assertEqual(answer.status, status, answer)
        if status == 304:
            self.assertEqual((answer.body, answer.fields["etag"]), (b"", self.etag), answer)
        if status == 206:
            self.assertEqual(answer.body, DATA[:10])
        if status == 200:
            self.same(answer.body, DATA)
        return answer

    def test_if_none_match(self):
        self.asked(f"If-None-Match: {self.etag}", status=304)
        self.asked(f'If-None-Match: "other", W/{self.etag.removeprefix("W/")}', status=304)
        self.asked("If-None-Match: *", status=304)
        self.asked('If-None-Match: "other"', status=206)

    def test_if_modified_since(self):
        self.asked(f"If-Modified-Since: {self.modified}", status=304)
        self.asked(f"If-Modified-Since: {LAST_YEAR}", status=206)
        self.asked("If-Modified-Since: yesterday", status=206)
        # The tag decides when both are there.
        self.asked('If-None-Match: "other"', f"If-Modified-Since: {self.modified}", status=206)

    def test_if_match(self):
        self.asked(f"If-Match: {self.etag}", status=206)
        self.asked("If-Match: *", status=206)
        self.asked('If-Match: "other"', status=412)
        self.asked(f"If-Match: W/{self.etag}", status=412)

    def test_if_unmodified_since(self):
        self.asked(f"If-Unmodified-Since: {self.modified}", status=206)
        self.asked(f"If-Unmodified-Since: {LAST_YEAR}", status=412)

    def test_if_range(self):
        self.asked(f"If-Range: {self.etag}", status=206)
        self.asked('If-Range: "other"', status=200)
        self.asked(f"If-Range: {LAST_YEAR}", status=200)
        self.asked("If-Range: W/" + self.etag, status=200)

    def test_curls_own_cache(self):
        kept = self.path("etag")
        self.assertEqual(self.curl("/data.bin", "--etag-save", kept).status, 200)
        self.assertEqual(self.curl("/data.bin", "--etag-compare", kept).status, 304)
        self.assertEqual(self.curl("/data.bin", "--time-cond", self.modified).status, 304)
        self.assertEqual(self.curl("/data.bin", "--time-cond", f"-{LAST_YEAR}").status, 412)

    def test_a_changed_file_has_other_validators(self):
        self.write("root/changing.txt", b"before")
        before = self.curl("/changing.txt")
        self.write("root/changing.txt", b"and after")
        os.utime(self.path("root", "changing.txt"), (1_000_000_000, 1_000_000_000))
        asked = "--header", f"If-None-Match: {before.fields['etag']}"
        until = time.monotonic() + 20  # a change is noticed within a second
        while (after := self.curl("/changing.txt", *asked)).status == 304:
            self.assertLess(time.monotonic(), until, after)
        self.assertEqual((after.status, after.body), (200, b"and after"), after)
        self.assertNotEqual(after.fields["etag"], before.fields["etag"])
        self.assertEqual(after.fields["last-modified"], "Sun, 09 Sep 2001 01:46:40 GMT")


class Bodies(OfFolder):
    def echoed(self, answer, body):
        self.assertEqual(answer.status, 200, answer)
        self.same(answer.body, body, answer.command)

    def posted(self, size):
        return self.write(f"body-{size}", random.Random(size).randbytes(size))

    def test_posts(self):
        for size in (0, 1, 65_535, 65_536, 65_537, 10 << 20):
            with self.subTest(size):
                path = self.posted(size)
                self.echoed(self.curl("/echo", "--data-binary", f"@{path}"), read(path))

    def test_chunked_posts(self):
        for size in (0, 1, 65_536, 10 << 20):
            with self.subTest(size):
                body = random.Random(size).randbytes(size)
                self.echoed(self.curl("/echo", "--request", "POST", "--upload-file", "-",
                                      "--header", "Transfer-Encoding: chunked", stdin=body), body)

    def test_expect_is_answered_before_the_body_comes(self):
        path = self.posted(100_000)
        answer = self.curl("/echo", "--header", "Expect: 100-continue", "--expect100-timeout", "60",
                           "--data-binary", f"@{path}")
        self.echoed(answer, read(path))
        self.assertEqual([head.split("\r\n")[0] for head in answer.heads],
                         ["HTTP/1.1 100 Continue", "HTTP/1.1 200 OK"])
        self.assertLess(answer.facts["time_total"], 30)  # it did not wait the 60 s

    def test_what_is_refused_is_not_asked_for(self):
        large = self.write("large", b"")
        os.truncate(large, (64 << 20) + 1)
        for path, body, status in (("/echo", large, 413), ("/none", self.posted(100_000), 405)):
            with self.subTest(path):
                answer = self.curl(path, "--header", "Expect: 100-continue", "--request", "POST",
                                   "--expect100-timeout", "60", "--upload-file", body)
                self.assertEqual(answer.status, status, answer)
                self.assertEqual(len(answer.heads), 1, answer)
                self.assertEqual(answer.facts["size_upload"], 0, answer)

    def test_a_body_over_the_limit(self):
        large = self.write("large", b"")
        os.truncate(large, (64 << 20) + 1)
        self.assertEqual(self.curl("/echo", "--header", "Expect:", "--request", "POST",
                                   "--upload-file", large).status, 413)

    def test_content_type_comes_back(self):
        answer = self.curl("/echo", "--json", '{"a": 1}')
        self.assertEqual((answer.fields["content-type"], answer.body),
                         ("application/json", b'{"a": 1}'), answer)
        answer = self.curl("/echo", "--form", f"file=@{self.posted(1000)};filename=a.bin")
        self.assertTrue(answer.fields["content-type"].startswith("multipart/form-data; boundary"))
        self.assertIn(read(self.posted(1000)), answer.body)


class Versions(OfFolder):
    def test_http_1_0(self):
        answer = self.curl("/small.txt", "--http1.0")
        self.assertEqual((answer.status, answer.body), (200, b"0123456789" * 20), answer)
        self.assertNotIn("transfer-encoding", answer.fields)
        self.assertNotEqual(answer.fields.get("connection", "close"), "keep-alive")
        path = self.write("post", b"x" * 100_000)
        answer = self.curl("/echo", "--http1.0", "--data-binary", f"@{path}")
        self.same(answer.body, read(path))
        self.assertEqual(self.curl("/small.txt", "--http1.0", "--header", "Host:").status, 200)

    def test_host_is_asked_for(self):
        self.assertEqual(self.curl("/small.txt", "--header", "Host:").status, 400)
        self.assertEqual(self.curl("/small.txt", "--header", "Host: a b").status, 400)

    def test_an_offered_upgrade_is_not_taken(self):
        answer = self.curl("/small.txt", "--http2")
        self.assertEqual((answer.status, answer.facts["http_version"]), (200, "1.1"), answer)
        self.assertEqual(answer.body, b"0123456789" * 20)

    def test_absolute_target(self):
        answer = self.curl("/small.txt", "--proxy", self.server.url(""))
        self.assertEqual((answer.status, answer.body), (200, b"0123456789" * 20), answer)

    def test_methods(self):
        answer = self.curl("/small.txt", "--request", "DELETE")
        self.assertEqual(answer.status, 405, answer)
        self.assertEqual(set(re.split(", *", answer.fields["allow"])), {"GET", "HEAD"})
        answer = self.curl("/echo")
        self.assertEqual((answer.status, answer.fields["allow"]), (405, "POST"), answer)
        answer = self.curl("/", "--request-target", "*", "--request", "OPTIONS")
        self.assertEqual((answer.status, answer.body), (200, b""), answer)
        self.assertNotIn(self.curl("/small.txt", "--request", "BREW").status, (200, 500))

    def test_keep_alive(self):
        urls = [self.server.url(path) for path in ("/small.txt", "/none", "/data.bin", "/sub/")]
        posts = ["--next", "--data", "x=1", "--output", "/dev/null", "--write-out",
                 "%{num_connects} %{http_code}\n", self.server.url("/echo")]
        ended = subprocess.run(["curl", "--silent", "--show-error", *["--output", "/dev/null"] * 4,
                                "--write-out", "%{num_connects} %{http_code}\n", *urls, *posts],
                               capture_output=True, text=True, timeout=60)
        self.assertEqual(ended.stdout.split("\n"),
                         ["1 200", "0 404", "0 200", "0 200", "0 200", ""], ended)

    def test_close_is_done(self):
        ended = subprocess.run(["curl", "--silent", "--show-error", *["--output", "/dev/null"] * 2,
                                "--header", "Connection: close", "--write-out", "%{num_connects}",
                                *[self.server.url("/small.txt")] * 2],
                               capture_output=True, text=True, timeout=60)
        self.assertEqual(ended.stdout, "11", ended)

    def test_many_at_once(self):
        url = self.server.url("/small.txt?[1-400]")
        ended = subprocess.run(["curl", "--silent", "--show-error", "--parallel", "--parallel-max",
                                "50", "--write-out", "%{http_code}\n", "--output", "/dev/null", url],
                               capture_output=True, text=True, timeout=60)
        self.assertEqual(ended.stdout.count("200\n"), 400, ended)


class Paths(OfFolder):
    def test_names(self):
        self.assertEqual(self.curl("/a%20b%2541%23%3F.txt").body, b"odd")
        self.assertEqual(self.curl("/%73mall.txt?x=%00&y=/../").body, b"0123456789" * 20)
        self.assertEqual(self.curl("/sub/../sub/./inner.txt").body, b"inner")
        self.assertEqual(self.curl("/none").status, 404)

    def test_folders(self):
        self.assertEqual(self.curl("/site/").body, b"<title>index</title>")
        answer = self.curl("/site", "--location")
        self.assertEqual((answer.body, answer.facts["num_redirects"]), (b"<title>index</title>", 1))
        self.assertIn(b"inner.txt", self.curl("/sub/").body)

    def test_precompressed(self):
        plain, packed = self.curl("/page.css"), self.curl("/page.css", "--header",
                                                          "Accept-Encoding: gzip")
        self.assertEqual(plain.body, b"body {}" * 1000)
        self.assertNotIn("content-encoding", plain.fields)
        self.assertEqual(packed.fields["content-encoding"], "gzip", packed)
        self.assertEqual(packed.body, b"not really gzip, but its bytes are served")
        self.assertEqual(packed.fields["content-type"], plain.fields["content-type"])
        for answer in (plain, packed):
            self.assertIn("accept-encoding", answer.fields["vary"].lower(), answer)
        refused = self.curl("/page.css", "--header", "Accept-Encoding: gzip;q=0")
        self.same(refused.body, b"body {}" * 1000)

    def test_no_way_out(self):
        up = "/".join([".."] * 12)
        ups = (f"/{up}/etc/passwd", f"/sub/{up}/etc/passwd", "/../secret/secret.txt",
               "/..%2fsecret%2fsecret.txt", "/%2e%2e/secret/secret.txt", "/.%2e/secret/secret.txt",
               "/%2e%2e%2fsecret%2fsecret.txt", "/..%5csecret%5csecret.txt", "/..;/secret/secret.txt",
               "/sub/..%2f..%2fsecret/secret.txt", "/%252e%252e/secret/secret.txt",
               "/..%c0%afsecret/secret.txt", "/%c0%ae%c0%ae/secret/secret.txt", "/..\\secret\\secret.txt",
               "//etc/passwd", "/%2fetc/passwd", "/./../etc/passwd", "/small.txt%00", "/small.txt%0a",
               "/%u002e%u002e/secret/secret.txt", "/link.txt", "/links/secret.txt", "/links/",
               "/fifo", "/small.txt/", "/small.txt/x", "/\u2025/secret/secret.txt")
        for path in ups:
            with self.subTest(path):
                answer = self.curl(path)
                self.assertIn(answer.status, (400, 403, 404), answer)
                self.assertNotIn(b"secret", answer.body.replace(path.encode(), b""))
                self.assertNotIn(b"root:", answer.body)

    def test_a_long_target(self):
        self.assertEqual(self.curl("/" + "a" * 8000).status, 404)
        self.assertIn(self.curl("/" + "a" * 20000).status, (414, 431))
        self.assertEqual(self.curl("/", "--header", "X: " + "a" * 20000).status, 431)


class Listeners(Serving):
    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def test_several(self):
        with tempfile.TemporaryDirectory() as folder:
            os.symlink(os.path.join(SITE, "favicon.svg"), os.path.join(folder, "icon.svg"))
            with serve("--listen", "http://127.0.0.1:0/", "--listen", "http://localhost:0/",
                       "--listen", "http://*:0/", "--root", folder, "--follow-symlinks",
                       port=False) as program:
                self.server = program
                printed = program.read_until("stop ")
                ports = re.findall(r"open +http://127\.0\.0\.1:(\d+)/", printed)
                self.assertEqual(len(set(ports)), 3, printed)
                icon = read(os.path.join(SITE, "favicon.svg"))
                for port in ports:
                    answer = self.curl(f"http://127.0.0.1:{port}/icon.svg")
                    self.assertEqual((answer.status, answer.body), (200, icon), answer)
                if b" lo\n" in read("/proc/net/if_inet6"):  # ::1 is there
                    answer = self.curl(f"http://[::1]:{ports[1]}/icon.svg")
                    self.assertEqual((answer.status, answer.body), (200, icon), answer)
                self.assertEqual(wrong_ending(program, program.stop()), "")

    def test_a_name_serves_that_host_only(self):
        with serve("--listen", "http://127.0.0.1:0/", "--listen", "http://shop.example:0/", "--root",
                   SITE, port=False) as program:
            self.server = program
            port = re.search(r"http://shop\.example:(\d+)/", program.read_until("stop "))[1]
            for host, status in ((f"shop.example:{port}", 200), (f"SHOP.example:{port}", 200),
                                 (f"evil.example:{port}", 400), (f"127.0.0.1:{port}", 400)):
                answer = self.curl(f"http://127.0.0.1:{port}/", "--header", f"Host: {host}")
                self.assertEqual(answer.status, status, answer)
            # An address serves any host.
            self.assertEqual(self.curl("/", "--header", "Host: evil.example").status, 200)
            self.assertEqual(wrong_ending(program, program.stop()), "")


if __name__ == "__main__":
    main()
