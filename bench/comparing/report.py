"""What came of it, in words: the machine, the Markdown tables, the JSON."""
import json
import os
import platform
import subprocess

from . import workloads
from .servers import ROOT
from .verdicts import figures, spread


def machine():
    """Where it was measured."""
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return {"cpu": model, "cores": os.cpu_count(), "kernel": os.uname().release, "system": system,
            "commit": commit()}


def commit():
    """Of the tree that was measured; empty outside a repository."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    return done.stdout.decode().strip()


def markdown_table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def number(value, digits):
    return "" if value is None else f"{value:,.{digits}f}"


def cell(found, digits):
    """Median, and quartiles where there are any."""
    if found is None:
        return ""
    text = number(found.median, digits)
    if found.count > 1:
        text += f" ({number(found.low, digits)} to {number(found.high, digits)})"
    return text


def plain_works(results):
    return [work for work in results.works.values() if not work.variants]


def figures_table(results, names):
    rows = []
    for work in plain_works(results):
        row = [work.name, work.metric.unit]
        for name in names:
            samples = results.rows[work.name].get(name)
            text = cell(spread(results.values(work, name)), work.metric.digits)
            row.append("failed" if samples and not text else text)
        rows.append(row)
    return markdown_table(["work", "unit"] + names, rows)


def ratios_table(results, names):
    """Ours to the better floor and to the best peer, with the goals."""
    rows = []
    for work in plain_works(results):
        for name in names:
            if name not in results.rows[work.name]:
                continue
            row = [work.name, name]
            for group in ("floor", "peer"):
                opponent = results.lowest(work, group)
                text = cell(spread(results.ratio(work, name, opponent)), 2)
                row.append(f"{text} {opponent}" if text else "")
            verdicts = results.verdicts(work, name)
            row.append("<br>".join(verdict.goal for verdict in verdicts))
            row.append("<br>".join(emphasis(verdict) for verdict in verdicts))
            if any(row[2:]):
                rows.append(row)
    return markdown_table(["work", "engine", "of the better floor", "of the best peer", "goal",
                           "verdict"], rows)


def emphasis(verdict):
    text = verdict.text()
    return f"**{text}**" if verdict.state == "missed" else text


def sizes_table(results, names):
    """Bytes of a response and resident memory at the end of a run."""
    rows = []
    for work in plain_works(results):
        row = [work.name]
        for name in names:
            samples = results.rows[work.name].get(name, [])
            size = spread(figures(samples, "response_bytes"))
            memory = spread(figures(samples, "rss_kib"))
            parts = [f"{size.median:,.0f} B"] if size else []
            parts += [f"{memory.median / 1024:,.1f} MiB"] if memory else []
            row.append(", ".join(parts))
        rows.append(row)
    return markdown_table(["work"] + names, rows)


def knobs_table(results):
    rows = []
    for work in results.works.values():
        if not work.variants:
            continue
        # Per engine: the ratio is to the engine's first value.
        for name in results.rows[work.name]:
            engine, value = name.rsplit(", ", 1)
            first = f"{engine}, {work.variants[0][0]}"
            found = spread(results.values(work, name))
            ratio = "" if name == first else cell(spread(results.ratio(work, name, first)), 2)
            shown = cell(found, work.metric.digits) or failures(results.rows[work.name][name])
            rows.append([work.name, engine, value, shown, work.metric.unit, ratio])
    return markdown_table(["knob: work", "engine", "value", "figure", "unit",
                           "of the first value"], rows) if rows else ""


def failures(samples):
    return f"failed {samples.count(None)} of {len(samples)} times"


def across_table(results, names):
    rows = []
    for goal in workloads.ACROSS:
        for name in names:
            verdict = results.across(goal, name)
            if verdict is not None:
                rows.append([verdict.goal, name, cell(verdict.spread, 2), emphasis(verdict)])
    return markdown_table(["goal across rows", "engine", "found", "verdict"], rows) if rows else ""


def settled(options):
    if not options.settle:
        return ""
    return (f" A peer that was more than 30 % behind ours in each of the first {options.settle} "
            "rounds ran no further.")


def text(results, servers, absent, options):
    """The whole report."""
    where = machine()
    names = [server.name for server in servers]
    ours = [server.name for server in servers if server.group == "ours"]
    versions = ", ".join(f"{server.name} {version}" for server in servers
                         for version in [server.version_text()] if version)
    parts = [
        f"{where['cpu']}, {where['cores']} cores, {where['system']}, kernel {where['kernel']}, "
        f"commit {where['commit'] or 'unknown'}; loopback, server on core 0, load on core 1, one shard. {options.rounds} paired rounds of "
        f"{options.seconds} s: medians, quartiles in brackets. CPU time is that of all threads of "
        f"the server, kernel included." + settled(options),
        f"Versions: {versions}." if versions else "",
        f"Not there, so not measured: {', '.join(absent)}." if absent else "",
        figures_table(results, names),
        ratios_table(results, ours),
        across_table(results, ours),
        knobs_table(results),
        "Bytes of one response, and memory of the server when the load ended:",
        sizes_table(results, names),
    ]
    return "\n\n".join(part for part in parts if part)


def summary(found):
    return None if found is None else {
        "median": found.median, "low": found.low, "high": found.high, "rounds": found.count}


def verdict_json(verdict):
    return {"goal": verdict.goal, "state": verdict.state, "why": verdict.why,
            "against": verdict.against, "found": summary(verdict.spread)}


def row_json(results, work):
    names = results.rows[work.name]
    ours = [name for name in names if results.groups.get(name) == "ours"]
    return {
        "work": work.name, "metric": work.metric.key, "unit": work.metric.unit,
        "samples": names,
        "figures": {name: summary(spread(results.values(work, name))) for name in names},
        "ratios": {name: {group: {
            "to": results.lowest(work, group),
            "ratio": summary(spread(results.ratio(work, name, results.lowest(work, group))))}
            for group in ("floor", "peer")} for name in ours},
        "verdicts": {name: [verdict_json(verdict) for verdict in results.verdicts(work, name)]
                     for name in ours},
    }


def read_rows(path):
    """{work: {contender: samples}} of a file that write_json made; nothing if there is none."""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return {row["work"]: row["samples"] for row in json.load(file)["rows"]}


def write_json(path, results, servers, absent, options):
    ours = [server.name for server in servers if server.group == "ours"]
    whole = {
        "machine": machine(),
        "rounds": options.rounds, "seconds": options.seconds, "missing": absent,
        "versions": {server.name: server.version_text() for server in servers},
        "rows": [row_json(results, work) for work in results.works.values()],
        "across": {name: [verdict_json(verdict) for goal in workloads.ACROSS
                          for verdict in [results.across(goal, name)] if verdict]
                   for name in ours},
    }
    with open(path + ".new", "w", encoding="utf-8") as out:
        json.dump(whole, out, indent=1)
    os.replace(path + ".new", path)  # a file that was there stays whole until this one is
