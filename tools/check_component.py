#!/usr/bin/env python3
"""Compares docs/component.md with the headers, the tests and the reference.

Each name of docs/reference/component.md stands in a row; each name in the column "here" is in
include/sluice; each test in the last column exists; a row without tests says what it waits for.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "component.md"
REFERENCE = ROOT / "docs" / "reference" / "component.md"


def rows(text):
    for line in text.splitlines():
        if line.startswith("|") and not re.match(r"\|[-|\s]+\|$", line):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if cells[0] not in ("specification", "what"):
                yield cells


def known_tests():
    found = set()
    for path in (ROOT / "tests").rglob("*_test.cpp"):
        if "node_modules" not in path.parts:
            found |= set(re.findall(r"^TEST(?:_P|_F)?\((\w+),\s*(\w+)\)", path.read_text(), re.M))
    return {f"{suite}.{name}" for suite, name in found}


def wanted_names():
    """The names in the first column of the reference's tables of sections 2 to 4."""
    text = REFERENCE.read_text()
    text = text[text.index("## 2. ") : text.index("## 5. ")]
    for cells in rows(text):
        last = ""
        for name in re.split(r",\s*", cells[0]):
            if name.startswith("("):
                continue
            if "." in name:
                last = name.split(".")[0] + "."
            elif last:
                name = last + name
            yield name


def main():
    headers = "\n".join(path.read_text() for path in (ROOT / "include" / "sluice").glob("*.hpp"))
    tests = known_tests()
    page = list(rows(PAGE.read_text()))
    wrong = []
    named = {name.strip() for cells in page for name in cells[0].split(",")}
    wrong += [f"{name} has no row" for name in wanted_names() if name not in named]
    shown = 0
    for cells in page:
        here = cells[1] if len(cells) > 2 else ""
        by = cells[-1]
        if here.startswith("later: ") or by.startswith("later: "):
            continue
        for name in re.findall(r"`(\w+)`", here):
            if not re.search(rf"\b{name}\b", headers):
                wrong.append(f"{cells[0]}: `{name}` is in no header")
        names = re.findall(r"`([^`]+)`", by)
        if not names:
            wrong.append(f"{cells[0]}: no test, and not said to come later")
        for name in names:
            shown += 1
            if name not in tests and not (ROOT / name).is_file():
                wrong.append(f"{cells[0]}: there is no test {name}")
    for line in wrong:
        print(f"docs/component.md: {line}", file=sys.stderr)
    later = sum(any(cell.startswith("later: ") for cell in cells) for cells in page)
    print(f"component: {len(page)} rows, {shown} tests named, {later} rows are to come")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
