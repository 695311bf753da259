#!/usr/bin/env python3
"""Checks which folder includes which: the table of docs/reference/architecture.md, section 2.

Three rules:
  1. a layer includes only the layers the table gives it (LAYERS below);
  2. each third-party library is included in one place only (THIRD_PARTY), and codecs include no
     header of the operating system;
  3. public headers include the standard library and each other, nothing else; the low layers know only
     the public headers that carry values (VALUE_HEADERS).

Prints FILE:LINE: message for each arrow that points the wrong way; exits 1 if there is one.
Usage: check_layers.py [ROOT]
"""
import os
import re
import sys

# Folder -> folders it may include, by longest prefix. "!" in front takes one out again.
LAYERS = {
    "src/base": [],
    "src/crypto": ["src/base"],
    "src/proto": ["src/base", "src/crypto", "src/proto"],
    "src/tls": ["src/base", "src/crypto"],
    "src/io": ["src/base"],
    "src/core": ["src/base", "src/proto", "!src/proto/http1", "!src/proto/http2",
                 "!src/proto/control"],
    "src/service": ["src/core", "src/proto", "src/crypto", "src/base"],
    "src/front/wire": ["src/core", "src/proto", "src/tls", "src/io", "src/base"],
    "src/front/broker": ["src/front/wire", "src/core", "src/proto/control", "src/io", "src/base"],
    "src/front/httpsys": ["src/core", "src/proto/http", "src/base"],
    "src/api": ["src/base", "src/crypto", "src/proto", "src/tls", "src/io", "src/core",
                "src/service", "src/front"],
    "src/capi": ["src/api"],
    "src/config": ["src/api", "src/base"],
    "apps/sluice": ["src/api", "src/config", "src/proto/control", "src/service/auth",
                    "src/service/api_keys", "src/crypto"],
    "apps/sluiced": ["src", "!src/capi"],
    "bindings": ["src/capi"],
    "examples": [],
}

# Headers of third parties -> the only folders that may include them.
THIRD_PARTY = [
    (r"openssl/(ssl|tls1|ssl3|dtls1)\.h$", ["src/tls"]),
    (r"openssl/", ["src/crypto", "src/tls"]),
    (r"(liburing\.h|liburing/|linux/io_uring\.h)", ["src/io/uring"]),
    (r"nghttp2/", ["src/proto/http2"]),
    (r"(zlib\.h|brotli/|zstd(_errors)?\.h|libdeflate\.h)", ["src/proto/coding"]),
    (r"(sodium(\.h|/)|crypt\.h)", ["src/crypto"]),
    (r"nlohmann/", ["src/proto/auth"]),
    (r"sqlite3\.h", ["src/service"]),
    (r"ares(_[a-z]+)?\.h", ["src/io"]),
    (r"toml(\+\+|\.hpp)", ["src/config"]),
    (r"CLI/", ["apps"]),
    (r"fmt/", ["apps"]),
]

# Public headers that every layer may include: values and markers without behaviour.
VALUE_HEADERS = {"sluice/bytes.hpp", "sluice/error.hpp", "sluice/result.hpp",
                 "sluice/export.hpp", "sluice/version.hpp"}
# Layers that may include every public header.
KNOW_PUBLIC = ["src/core", "src/service", "src/front", "src/api", "src/capi", "src/config", "apps",
               "examples", "bindings"]

OS_HEADER = re.compile(r"^(sys/|netinet/|arpa/|net/|linux/|unistd\.h|poll\.h|fcntl\.h|pthread\.h|"
                       r"signal\.h|dirent\.h|thread$|fstream$|iostream$|filesystem$)")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
STANDARD = re.compile(r"^[a-z0-9_]+$")
SOURCE = (".hpp", ".cpp", ".h")


def within(path, folder):
    return path == folder or path.startswith(folder + "/")


def layer_of(path):
    found = [layer for layer in LAYERS if within(path, layer)]
    return max(found, key=len) if found else None


def allowed(layer, target):
    """Whether a file of `layer` may include `target`, a path below the root."""
    if within(target, layer):
        return True
    verdict, length = False, -1
    for rule in LAYERS[layer]:
        folder = rule.lstrip("!")
        if within(target, folder) and len(folder) > length:
            verdict, length = not rule.startswith("!"), len(folder)
    return verdict


def resolve(root, path, name):
    """The path below the root that `#include "name"` means in file `path`, or None."""
    bases = ["src", "include"]
    if within(path, "apps"):
        bases = [os.path.dirname(path), "apps"] + bases
    for base in bases:
        candidate = os.path.normpath(os.path.join(base, name))
        if os.path.isfile(os.path.join(root, candidate)):
            return candidate
    return None


def check_public(path, name, quoted):
    if quoted or not (name.startswith("sluice/") or STANDARD.match(name)):
        return f"a public header includes the standard library and <sluice/...> only, not {name}"
    return None


def check_system(path, layer, name):
    for pattern, folders in THIRD_PARTY:
        if re.match(pattern, name):
            if any(within(path, folder) for folder in folders):
                return None
            return f"<{name}> may be included in {' and '.join(folders)} only"
    if name.startswith("sluice/"):
        if name in VALUE_HEADERS or any(within(path, folder) for folder in KNOW_PUBLIC):
            return None
        return f"{layer} must not know the public header <{name}>"
    if within(path, "src/proto") and OS_HEADER.match(name):
        return f"a codec does no I/O: <{name}>"
    return None


def check_line(root, path, layer, line):
    found = INCLUDE.match(line)
    if not found:
        return None
    quoted, name = found.group(1) == '"', found.group(2)
    if within(path, "include"):
        # include/sluice.h is the C ABI and stands alone.
        return check_public(path, name, quoted) if within(path, "include/sluice") else None
    if not quoted:
        return check_system(path, layer, name)
    target = resolve(root, path, name)
    if target is None:
        return f'"{name}" is not a file below src/ (includes are written from src/)'
    if within(target, "include"):
        return f'public headers are included as <{name}>'
    return None if allowed(layer, target) else f"{layer} must not include {target}"


def files(root):
    for top in ("include", "src", "apps", "examples", "bindings"):
        for folder, _, names in sorted(os.walk(os.path.join(root, top))):
            for name in sorted(names):
                if name.endswith(SOURCE):
                    yield os.path.relpath(os.path.join(folder, name), root)


def check(root):
    """All violations below `root`, as FILE:LINE: message."""
    messages = []
    for path in files(root):
        layer = layer_of(path)
        if layer is None and not within(path, "include"):
            messages.append(f"{path}:1: this folder is no layer of the table")
            continue
        with open(os.path.join(root, path), encoding="utf-8") as source:
            for number, line in enumerate(source, 1):
                message = check_line(root, path, layer, line)
                if message:
                    messages.append(f"{path}:{number}: {message}")
    return messages


def main():
    default = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    root = sys.argv[1] if len(sys.argv) > 1 else default
    messages = check(root)
    for message in messages:
        print(message)
    if messages:
        print(f"{len(messages)} arrows point the wrong way "
              "(docs/reference/architecture.md, section 2)", file=sys.stderr)
        return 1
    print(f"layers: {sum(1 for _ in files(root))} files, every arrow points down")
    return 0


if __name__ == "__main__":
    sys.exit(main())
