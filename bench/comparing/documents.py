"""The tables of README.md and docs/performance.md, between their markers."""
import os
import sys

from . import report, workloads
from .servers import ROOT
from .verdicts import spread

README, PERFORMANCE = "README.md", os.path.join("docs", "performance.md")
FLOORS = ("floor io_uring", "floor epoll")


def replaced(text, marker, body):
    """`text` with what stands between <!-- MARKER: begin --> and its end exchanged for `body`."""
    begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the document needs {begin} and {end}, once each")
    head, rest = text.split(begin)
    return f"{head}{begin}\n{body}\n{end}{rest.split(end)[1]}"


def rewrite(name, marker, body):
    path = os.path.join(ROOT, name)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(replaced(text, marker, body))


def command():
    """What was called, without what says where files go."""
    words, rest = ["bench/compare"], sys.argv[1:]
    while rest:
        word = rest.pop(0)
        if word in ("--json", "--plots"):
            rest[:1] = []
        elif word not in ("--docs", "--resume", "--no-build"):
            words.append(f"'{word}'" if set(word) & set("|*$ ") else word)
    return " ".join(words)


def median(results, work, name):
    found = spread(results.values(work, name)) if name else None
    if found is None:
        return ""
    return report.number(found.median, 0 if found.median >= 100 else work.metric.digits)


def ratio(results, work, name, opponent):
    found = spread(results.ratio(work, name, opponent))
    return report.number(found.median, 2) if found else ""


def compact_table(results, ours):
    """A line for each work: ours, the floors, the best peer."""
    rows = []
    for work in report.plain_works(results):
        floor = results.lowest(work, "floor")
        best = results.lowest(work, "peer")
        shown = f"{median(results, work, best)} {best}" if best else ""
        row = [work.name, work.metric.unit]
        row += [median(results, work, name) for name in (*ours, *FLOORS)] + [shown]
        row += [ratio(results, work, name, floor) for name in ours]
        rows.append(row)
    return report.markdown_table(
        ["work", "unit", *ours, *FLOORS, "best peer"] +
        [f"{name.split()[-1]} / better floor" for name in ours], rows)


def counts(results, ours):
    """How many goals are met, missed, not resolved."""
    found = {}
    for name in ours:
        verdicts = [verdict for work in report.plain_works(results)
                    for verdict in results.verdicts(work, name)]
        verdicts += [verdict for goal in workloads.ACROSS
                     for verdict in [results.across(goal, name)] if verdict]
        for verdict in verdicts:
            found[verdict.state] = found.get(verdict.state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in sorted(found.items()))


def update(results, present, absent, options):
    ours = [server.name for server in present if server.group == "ours"]
    where = report.machine()
    whole = report.text(results, present, absent, options).replace("-dirty", "")
    rewrite(PERFORMANCE, "figures",
            f"## Timed\n\nBy `{command()}`. Goals: {counts(results, ours)}.\n\n{whole}\n")
    rewrite(README, "compare",
            "`bench/compare` measures CPU time of the server per operation, kernel included, in turn with "
            "the least that a server on\nepoll or io_uring can do (the floors parse nothing and answer a "
            "fixed response) and with what Debian and npm have of\npeers. "
            f"One shard, {where['cpu']}, {where['cores']} cores (a shared virtual machine), "
            f"{where['system']}, kernel\n{where['kernel'].split('-')[0]}. Medians of {options.rounds} "
            f"paired rounds of {options.seconds} s; the machine moves by 10 to 20 % from round to "
            "round. All\nservers, versions, quartiles, goals and what was missed: "
            "[docs/performance.md](docs/performance.md).\n\n" + compact_table(results, ours))
