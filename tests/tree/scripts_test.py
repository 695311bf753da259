#!/usr/bin/env python3
"""Tests of the scripts that guard the tree: each rule is broken once in a tree made for it."""
import importlib.machinery
import importlib.util
import os
import re
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


sys.dont_write_bytecode = True


def load(path):
    loader = importlib.machinery.SourceFileLoader(os.path.basename(path).replace(".py", ""),
                                                  os.path.join(ROOT, path))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


layers = load("tools/check_layers.py")
extract = load("tests/install/extract_example.py")


class Layers(unittest.TestCase):
    FILES = {
        "include/sluice/bytes.hpp": "#include <span>\n",
        "include/sluice/server.hpp": "#include <sluice/bytes.hpp>\n",
        "src/base/arena.hpp": "#include <sluice/bytes.hpp>\n",
        "src/crypto/sha1.cpp": '#include <openssl/evp.h>\n#include "base/arena.hpp"\n',
        "src/proto/http/date.hpp": '#include "base/arena.hpp"\n',
        "src/proto/http1/decoder.hpp": '#include "proto/http/date.hpp"\n',
        "src/io/engine.hpp": '#include "base/arena.hpp"\n',
        "src/core/front.hpp": '#include "proto/http/date.hpp"\n#include <sluice/server.hpp>\n',
        "src/front/wire/connection.hpp":
            '#include "core/front.hpp"\n#include "io/engine.hpp"\n'
            '#include "proto/http1/decoder.hpp"\n',
        "src/api/server.cpp": '#include "front/wire/connection.hpp"\n',
    }

    def check(self, **more):
        with tempfile.TemporaryDirectory() as root:
            files = dict(self.FILES)
            files.update({name.replace("__", "/") + ".hpp": text for name, text in more.items()})
            for name, text in files.items():
                path = os.path.join(root, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            return layers.check(root)

    def one(self, text, **more):
        messages = self.check(**more)
        self.assertEqual(len(messages), 1, messages)
        self.assertIn(text, messages[0])

    def test_a_tree_in_order_is_accepted(self):
        self.assertEqual(self.check(), [])

    def test_an_arrow_upwards(self):
        self.one("src/base/x.hpp:2: src/base must not include src/io/engine.hpp",
                 src__base__x='#pragma once\n#include "io/engine.hpp"\n')

    def test_siblings_do_not_see_each_other(self):
        self.one("src/proto must not include src/io",
                 src__proto__ws__x='#include "io/engine.hpp"\n')
        self.one("src/io must not include src/proto",
                 src__io__x='#include "proto/http/date.hpp"\n')

    def test_core_does_not_know_http1(self):
        self.one("src/core must not include src/proto/http1",
                 src__core__x='#include "proto/http1/decoder.hpp"\n')

    def test_public_headers_are_std_only(self):
        self.one("a public header", include__sluice__x="#include <sys/socket.h>\n")
        self.one("a public header", include__sluice__x='#include "base/arena.hpp"\n')

    def test_third_parties_have_one_place(self):
        self.one("may be included in src/crypto", src__core__x="#include <openssl/evp.h>\n")
        self.one("may be included in src/tls", src__crypto__x="#include <openssl/ssl.h>\n")
        self.one("may be included in src/crypto", src__service__x="#include <crypt.h>\n")
        self.one("may be included in src/proto/auth", src__api__x="#include <nlohmann/json.hpp>\n")
        self.one("may be included in src/io/uring", src__io__x="#include <liburing.h>\n")
        self.one("may be included in src/io", src__service__x="#include <ares.h>\n")
        self.one("may be included in src/proto/coding", src__core__x="#include <brotli/decode.h>\n")
        self.one("may be included in src/proto/coding", src__proto__http__x="#include <zstd.h>\n")
        self.one("may be included in apps", src__api__x="#include <fmt/format.h>\n")

    def test_low_layers_do_not_know_the_server(self):
        self.one("must not know the public header",
                 src__io__x="#include <sluice/server.hpp>\n")

    def test_a_codec_does_no_io(self):
        self.one("a codec does no I/O", src__proto__ws__x="#include <unistd.h>\n")

    def test_an_unknown_folder_and_file(self):
        self.one("no layer", src__util__x="#include <vector>\n")
        self.one("is not a file", src__io__x='#include "engine.hpp"\n')

    def test_examples_use_the_public_api_only(self):
        self.one("examples must not include", examples__x='#include "base/arena.hpp"\n')


class Extract(unittest.TestCase):
    def test_takes_the_first_block_that_is_a_program(self):
        text = ("```sh\nint main() {}\n```\n```cpp\nint x;\n```\n"
                "```cpp title=a\nint main() {\n  s.port = 8080;\n}\n```\n```cpp\nint main() { 2; }\n```\n")
        self.assertEqual(extract.example(text), "int main() {\n  s.port = 8080;\n}\n")

    def test_nothing_there(self):
        self.assertIsNone(extract.example("```cpp\nint x;\n```\n"))


class Documents(unittest.TestCase):
    def test_every_link_leads_to_a_file_of_the_tree(self):
        pages = [name for name in os.listdir(ROOT) if name.endswith(".md")]
        for folder, folders, names in os.walk(os.path.join(ROOT, "docs")):
            folders.sort()
            pages += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names
                      if name.endswith(".md")]
        self.assertIn("README.md", pages)
        for page in pages:
            with open(os.path.join(ROOT, page), encoding="utf-8") as file:
                text = re.sub(r"^```.*?^```", "", file.read(), flags=re.DOTALL | re.MULTILINE)
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
                if re.match(r"[a-z]+:", target):
                    continue
                path = os.path.normpath(os.path.join(os.path.dirname(page), target))
                self.assertFalse(path.startswith(".."), f"{page}: {target} leaves the tree")
                self.assertTrue(os.path.exists(os.path.join(ROOT, path)), f"{page}: {target}")


if __name__ == "__main__":
    unittest.main()
