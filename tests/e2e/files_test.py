#!/usr/bin/env python3
"""The main job on real input. Every file of /usr/share/doc is fetched by curl and compared byte for
byte, and so is a tree of odd names; then `wget --recursive` copies both by their listings.

What cannot be asked for is left out, and counted: names that are not valid UTF-8 or that have control
characters (no path may), names that begin with a dot (not served unless the settings say so), and
files that this user may not read. wget cannot see what is beside or below an index.html, which is
shown in place of the listing; and it changes some names of its own accord, so that those with %XX in
them and the longest ones are for curl alone.
"""
import os
import random
import re
import subprocess
import urllib.parse

from served import LIMIT, SOURCE, Serving, main, read, url_path

SYSTEM_DOC = "/usr/share/doc"
ODD_NAMES = ["plain", "two words", " leading", "trailing ", "per%cent", "%41", "%2F", "%252F", "%00",
             "question?", "?", "hash#", "#", "semi;colon", "co:lon", "a&b=c+d", "+", "at@", "tilde~",
             "'single'", '"double"', "<b>&amp;", "back\\slash", "\\", "pipe|", "[brackets]", "{}",
             "^caret`", "$HOME", "!", "*", ".hidden", "...", "..x", "x..", "comma,", "=", "-dash",
             "\u00e4\u00f6\u00fc.txt", "\u65e5\u672c\u8a9e", "\u0645\u0631\u062d\u0628\u0627",
             "\U0001f600", "e\u0301", "\u00a0", "\u200b", "n" * 255, "\u00e9" * 127, "x.gz",
             "archive.tar.gz", "x.br", "no extension.", "UPPER.TXT", "http:", "1234567890"]


def make_odd_tree(root, names):
    """Files of odd names and sizes, in folders of odd names."""
    bytes_of = random.Random(2)
    sizes = [0, 1, 4095, 4096, 65_535, 65_536, 65_537, 300_000]
    for folder in ("", "more words", "100%?#", "\u65e5\u672c", "deep/" * 12):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
        for number, name in enumerate(names):
            with open(os.path.join(root, folder, name), "wb") as file:
                file.write(bytes_of.randbytes(sizes[number % len(sizes)] if not folder else number))
    with open(os.path.join(root, "large"), "wb") as file:
        file.write(bytes_of.randbytes(5_000_001))


class Tree:
    """The regular files below a folder, as bytes relative to it: `files`, and what was left out."""

    def __init__(self, root):
        self.root = os.fsencode(root)
        found = subprocess.run(["find", "-L", root, "-type", "f", "-printf", "%P\\0"], timeout=LIMIT,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        self.files = []
        self.left_out = {"not UTF-8": 0, "control characters": 0, "dot names": 0, "unreadable": 0}
        for name in found.split(b"\0")[:-1]:
            try:
                name.decode()
            except UnicodeDecodeError:
                self.left_out["not UTF-8"] += 1
                continue
            if any(byte < 0x20 or byte == 0x7F for byte in name):
                self.left_out["control characters"] += 1
            elif name.startswith(b".") or b"/." in name:
                self.left_out["dot names"] += 1
            elif not os.access(os.path.join(self.root, name), os.R_OK):
                self.left_out["unreadable"] += 1
            else:
                self.files.append(name)

    def leave_out(self, why, wanted):
        kept = [name for name in self.files if wanted(name)]
        self.left_out[why] = len(self.files) - len(kept)
        self.files = kept

    def __str__(self):
        left = ", ".join(f"{count} {why}" for why, count in self.left_out.items())
        return f"{len(self.files)} files below {os.fsdecode(self.root)} (left out: {left})"


# A machine that has none of it (some containers are stripped) takes the documents of the project.
DOC = SYSTEM_DOC if Tree(SYSTEM_DOC).files else os.path.join(SOURCE, "docs")


class Files(Serving):
    def differences(self, pairs):
        """Of (wanted, got) paths: what is wrong with each that is not the same."""
        wrong = []
        for wanted, got in pairs:
            if not os.path.exists(got):
                wrong.append(f"{os.fsdecode(wanted)}: did not arrive")
                continue
            one, other = read(wanted), read(got)
            if one != other:
                wrong.append(f"{os.fsdecode(wanted)}: {len(other)} bytes instead of {len(one)}, "
                             f"beginning with {other[:80]!r}")
        return wrong

    def all_the_same(self, pairs, said=""):
        pairs = list(pairs)
        wrong = self.differences(pairs)
        if wrong:
            self.fail("\n".join([f"{len(wrong)} of {len(pairs)} files:", *wrong[:20], said[-2000:]]))


class Curl(Files):
    def fetch(self, tree, out):
        """Each file by its URL, four at a time, into numbered files of `out`."""
        os.mkdir(out)
        config = os.path.join(self.folder, "config")
        pairs = []
        with open(config, "w", encoding="ascii") as file:
            for number, name in enumerate(tree.files):
                got = os.path.join(out, str(number))
                pairs.append((os.path.join(tree.root, name), got))
                file.write(f'url = "{self.server.url("/")}{url_path(name)}"\noutput = "{got}"\n')
        ended = subprocess.run(["curl", "--silent", "--show-error", "--fail", "--path-as-is",
                                "--parallel", "--parallel-max", "4", "--no-progress-meter",
                                "--config", config],
                               capture_output=True, text=True, timeout=LIMIT + len(pairs) / 50)
        self.all_the_same(pairs, ended.stderr)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        print(f"{tree}: the same", end=" ... ", flush=True)


class Doc(Curl):
    @classmethod
    def arguments(cls):
        return "--root", DOC, "--follow-symlinks"

    def test_every_file(self):
        self.fetch(Tree(DOC), self.path("out"))


class Odd(Curl):
    @classmethod
    def arguments(cls):
        os.mkdir(cls.path("odd"))
        make_odd_tree(cls.path("odd"), ODD_NAMES)
        with open(os.path.join(os.fsencode(cls.path("odd")), b"caf\xe9"), "wb"):
            pass  # not UTF-8: counted, never asked for
        return "--root", cls.path("odd")

    def test_every_name(self):
        tree = Tree(self.path("odd"))
        dotted = [name for name in ODD_NAMES if name.startswith(".")]
        self.assertEqual((tree.left_out["not UTF-8"], tree.left_out["dot names"]),
                         (1, 5 * len(dotted)))
        self.assertEqual(len(tree.files), 5 * (len(ODD_NAMES) - len(dotted)) + 1)
        self.fetch(tree, self.path("out"))

    def test_names_that_cannot_be_asked_for(self):
        for path in ("/caf%E9", "/line%0Abreak", "/tab%09"):
            self.assertEqual(self.curl(path).status, 400)
        self.assertEqual(self.curl("/.hidden").status, 404)


class Wget(Files):
    def copy(self, tree, limit=LIMIT):
        """The whole site by its links; answers where the copy is, the exit code, and the log.

        No deeper than the tree: folders that link to each other would never end.
        """
        level = 1 + max(name.count(b"/") for name in tree.files)
        out, log = self.path("out"), self.path("log")
        ended = subprocess.run(
            ["wget", "--recursive", f"--level={level}", "--no-parent", "--no-host-directories",
             "--restrict-file-names=unix,nocontrol", "--no-iri", "-e", "robots=off", "--tries=3",
             "--no-verbose", f"--output-file={log}", f"--directory-prefix={out}",
             self.server.url("/")], timeout=limit, env={**os.environ, "LC_ALL": "C.UTF-8"})
        return out, ended.returncode, read(log).decode(errors="replace")

    def arrived(self, tree, out, said):
        self.all_the_same(((os.path.join(tree.root, name), os.path.join(os.fsencode(out), name))
                           for name in tree.files), said)
        print(f"{tree}: the same", end=" ... ", flush=True)


class WgetOdd(Wget):
    @classmethod
    def arguments(cls):
        os.mkdir(cls.path("odd"))
        make_odd_tree(cls.path("odd"), [name for name in ODD_NAMES
                                        if not re.search("%[0-9A-F]{2}|per%ce", name)
                                        and len(os.fsencode(name)) < 200])
        return "--root", cls.path("odd"), "--list"

    def test_the_tree(self):
        tree = Tree(self.path("odd"))
        out, code, said = self.copy(tree)
        self.assertEqual(code, 0, said[-2000:])
        self.assertGreater(len(tree.files), 5 * 40)
        self.arrived(tree, out, said)
        # And nothing else but the listings, which wget calls index.html.
        more = set(Tree(out).files) - set(tree.files)
        self.assertEqual({os.path.basename(name) for name in more}, {b"index.html"})


class WgetDoc(Wget):
    @classmethod
    def arguments(cls):
        return "--root", DOC, "--list", "--follow-symlinks"

    def test_every_file_that_is_listed(self):
        tree = Tree(DOC)
        out, _, said = self.copy(tree, LIMIT + len(tree.files) / 50)
        # The pages among the files have links that lead nowhere; no other answer was an error.
        self.assertEqual(set(re.findall(r"ERROR (\d+)", said)) - {"404"}, set(), said[-2000:])
        for url in re.findall(r"^(http://\S+):\n.* ERROR 404", said, re.MULTILINE):
            path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
            self.assertTrue("/." in path or not os.path.exists(DOC + path), f"404 for {url}")
        indexed = {os.path.dirname(name) for name in tree.files
                   if os.path.basename(name) == b"index.html"}

        def listed(name):
            folder = os.path.dirname(name)
            while folder and folder not in indexed:
                folder = os.path.dirname(folder)
            return folder not in indexed or os.path.basename(name) == b"index.html"

        tree.leave_out("below an index.html", listed)
        self.arrived(tree, out, said)


if __name__ == "__main__":
    main()
