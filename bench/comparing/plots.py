"""Two kinds of plot, written as SVG by hand: nothing has to be installed for them."""
import math
import os
from xml.sax.saxutils import escape

from . import workloads
from .verdicts import spread

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 44, 52
COLOURS = {"sluice uring": "#1b6ca8", "sluice epoll": "#5aa9e6", "floor io_uring": "#333333",
           "floor epoll": "#999999", "nginx": "#d1495b", "h2o": "#edae49", "haproxy": "#00798c",
           "caddy": "#8f5db7", "Beast": "#66a182", "libwebsockets": "#b5651d", "npm ws": "#e07be0"}


class Scale:
    """From values to pixels, linear or logarithmic."""

    def __init__(self, values, first, last, log):
        self.log = log
        low, high = (min(values), max(values)) if log else (0, max(values) * 1.05)
        self.low, self.high = self.place(low), self.place(high)
        if self.high <= self.low:
            self.high = self.low + 1
        self.first, self.last = first, last

    def place(self, value):
        return math.log10(value) if self.log else value

    def __call__(self, value):
        share = (self.place(value) - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self):
        """Round numbers inside the range."""
        if self.log:
            found = [m * 10 ** e for e in range(math.floor(self.low), math.ceil(self.high) + 1)
                     for m in (1, 2, 5)]
            return [tick for tick in found
                    if self.low - 1e-9 <= math.log10(tick) <= self.high + 1e-9]
        rough = self.high / 6
        unit = 10 ** math.floor(math.log10(rough))
        step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= rough)
        return [step * n for n in range(int(self.high / step) + 1)]


def label(value):
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"


def chart(title, x_title, y_title, series, x_ticks, log_x, log_y):
    """One SVG. `series` is {name: [(x, y), ...]}."""
    points = [point for line in series.values() for point in line]
    x = Scale([point[0] for point in points], LEFT, WIDTH - RIGHT, log_x)
    y = Scale([point[1] for point in points], HEIGHT - BOTTOM, TOP, log_y)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           f'font-family="sans-serif" font-size="12" fill="#222222">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
           words(LEFT, 24, title, size=15)]
    out += grid(x, y, x_ticks)
    out.append(words((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_title, anchor="middle"))
    out.append(words(16, (TOP + HEIGHT - BOTTOM) / 2, y_title, anchor="middle", turned=True))
    for index, (name, line) in enumerate(series.items()):
        out += curve(name, line, x, y, index)
    return "\n".join(out + ["</svg>", ""])


def words(x, y, text, anchor="start", size=12, turned=False):
    turn = f' transform="rotate(-90 {x:.0f} {y:.0f})"' if turned else ""
    return (f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}"{turn}>'
            f"{escape(text)}</text>")


def grid(x, y, x_ticks):
    out = []
    for tick in y.ticks():
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" '
                   f'stroke="#dddddd"/>')
        out.append(words(LEFT - 6, y(tick) + 4, label(tick), anchor="end"))
    for tick in x_ticks:
        out.append(words(x(tick), HEIGHT - BOTTOM + 18, label(tick), anchor="middle"))
    return out


def curve(name, line, x, y, index):
    colour = COLOURS.get(name, "#000000")
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line)
    legend = TOP + 16 * index + 8
    out = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    out += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{colour}"/>' for a, b in line]
    out.append(f'<line x1="{WIDTH - RIGHT + 16}" x2="{WIDTH - RIGHT + 36}" y1="{legend}" '
               f'y2="{legend}" stroke="{colour}" stroke-width="2"/>')
    out.append(words(WIDTH - RIGHT + 42, legend + 4, name))
    return out


def cpu_series(results, works, names):
    """{server: [(connections, median), ...]} of those that ran in at least two of the works."""
    series = {}
    for name in names:
        line = [(work.conns, found.median) for work in works
                for found in [spread(results.values(work, name))] if found]
        if len(line) > 1:
            series[name] = line
    return series


def latency_series(results, work, names):
    """{server: [(share of saturation, median p99), ...]}."""
    series = {}
    for name in names:
        shares = {}
        for sample in results.rows[work.name].get(name, []):
            for share, _, p99 in (sample or {}).get("curve", []):
                shares.setdefault(share, []).append(p99)
        line = [(share, spread(row).median) for share, row in sorted(shares.items())]
        line = [(share, value) for share, value in line if value > 0]
        if len(line) > 1:
            series[name] = line
    return series


def write(folder, results, names):
    """The plots for which there are figures; returns their paths."""
    os.makedirs(folder, exist_ok=True)
    drawings = {}
    for file, (title, rows) in workloads.CURVES.items():
        works = [results.works[row] for row in rows if row in results.works]
        series = cpu_series(results, works, names)
        if series:
            drawings[file] = chart(f"{title}: CPU time per operation", "connections",
                                   "microseconds", series, [work.conns for work in works],
                                   log_x=True, log_y=True)
    for work in results.works.values():
        series = latency_series(results, work, names) if work.kind == "latency" else {}
        if series:
            drawings["latency.svg"] = chart(
                "GET keep-alive, 64 connections: latency against load",
                "percent of the server's own saturation", "p99 in microseconds", series,
                sorted({share for line in series.values() for share, _ in line}),
                log_x=False, log_y=True)
    for file, drawing in drawings.items():
        with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
            out.write(drawing)
    return [os.path.join(folder, file) for file in drawings]
