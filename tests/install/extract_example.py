#!/usr/bin/env python3
"""Prints the first C++ example of a Markdown file that has a main(): README's, for the install test.

Usage: extract_example.py README.md [--port N]
--port replaces the port the example listens on, so that the test needs no fixed one.
"""
import re
import sys

FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*(?:cpp|c\+\+|cc|cxx)[^\n]*\n(.*?)^[ \t]*\1[ \t]*$",
                   re.DOTALL | re.MULTILINE | re.IGNORECASE)
PORT = re.compile(r"(\.port\s*=\s*)\d+")


def example(markdown):
    for _, code in FENCE.findall(markdown.replace("\r\n", "\n")):
        if re.search(r"\bint\s+main\s*\(", code):
            return code
    return None


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        code = example(file.read())
    if code is None:
        sys.exit(f"{sys.argv[1]}: no C++ example with a main()")
    if "--port" in sys.argv:
        port = sys.argv[sys.argv.index("--port") + 1]
        code, count = PORT.subn(rf"\g<1>{port}", code)
        if count != 1:
            sys.exit(f"{sys.argv[1]}: the example sets its port {count} times, expected once")
    sys.stdout.write(code)


if __name__ == "__main__":
    main()
