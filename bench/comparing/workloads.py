"""What is measured: each kind of work, how its load is made, and what is promised of it.

A goal of one row stands with its work; a goal that compares two rows stands in ACROSS.
"""
from dataclasses import dataclass

HELLO = b"Hello, World!"
# As bench/answers.hpp makes it: 23 articles of 88 bytes.
JSON = ("[" + ",".join(
    f'{{"id":{10000000 + i},"name":"item {10000000 + i}","price":{1000000 + i}.50,'
    f'"stock":{100000 + 7 * i},"in_stock":true}}' for i in range(23)) + "]").encode()

KIB, MIB = 1 << 10, 1 << 20
FILE_SIZES = {"1k.bin": KIB, "64k.bin": 64 * KIB, "1m.bin": MIB, "100m.bin": 100 * MIB}


@dataclass(frozen=True)
class Metric:
    """A figure of a run: its key in the JSON of the load generator, and how it is shown."""
    key: str
    unit: str
    digits: int = 2


PER_REQUEST = Metric("server_cpu_us_per_req", "us CPU a request")
PER_MESSAGE = Metric("server_cpu_us_per_msg", "us CPU a message")
PER_MIB = Metric("server_cpu_us_per_mib", "us CPU a MiB", 0)
PER_SOCKET = Metric("rss_bytes_per_conn", "bytes a WebSocket", 0)
STORM_TIME = Metric("median_s", "s for 10,000", 3)
P99 = Metric("p99_us", "us p99", 0)
ANSWERED = Metric("answered", "answered of 32, the others 503", 0)

BETTER_FLOOR, BEST_PEER, ITSELF = "the better floor", "the best peer", "itself"


@dataclass(frozen=True)
class Goal:
    """`limit` on the ratio to what stands in `against`, or on the figure ITSELF."""
    limit: float
    against: str
    only: tuple = ()  # BEST_PEER: only these

    def text(self):
        if self.against == ITSELF:
            return f"at most {self.limit:,.0f}"
        name = self.against
        if self.only:
            name = "the better of " + " and ".join(self.only)
        return f"at most {self.limit:.2f} of {name}"


# Containers have no io_uring: there epoll is held against its own floor.
EPOLL_GOAL = Goal(1.10, "floor epoll")

NEAR_FLOOR = (Goal(1.10, BETTER_FLOOR), Goal(1.00, BEST_PEER))


@dataclass(frozen=True)
class Work:
    """One row of the table.

    `kind` is what a server must offer to take part; `load` the arguments of `tool`; `options` what
    our server is started with. With `variants` only our server runs, once with each: a knob.
    """
    name: str
    kind: str
    tool: str
    path: str
    load: tuple
    metric: Metric
    goals: tuple = ()
    options: tuple = ()
    variants: tuple = ()
    quick: bool = False

    def number(self, option, default):
        """The value of a numeric option of the load generator."""
        return int(self.load[self.load.index(option) + 1]) if option in self.load else default

    @property
    def conns(self):
        return self.number("--conns", 1)


def http(name, load, kind="plain", path="/", metric=PER_REQUEST, **more):
    return Work(name, kind, "httpload", path, tuple(load), metric, **more)


def keep_alive(conns, **more):
    label = "1 connection" if conns == 1 else f"{conns:,} connections"
    return http(f"GET keep-alive, {label}", ("--conns", conns), goals=NEAR_FLOOR, **more)


def file(name, label, conns, goals, metric=PER_REQUEST, **more):
    return http(f"file of {label}", ("--conns", conns), kind="file", path="/files/" + name,
                metric=metric, goals=goals, **more)


def echo(size, conns, depth=1, goals=NEAR_FLOOR, **more):
    label = "16 KiB" if size == 16384 else f"{size} B"
    flight = f", {depth} in flight" if depth > 1 else ""
    return Work(f"WebSocket echo {label}{flight}, {conns:,} connections", "echo", "wsload", "/ws",
                ("--mode", "echo", "--conns", conns, "--size", size, "--depth", depth),
                PER_MESSAGE, goals=goals, **more)


def broadcast(conns, depth=1, goals=(), **more):
    flight = f"{depth} in flight" if depth > 1 else "one at a time"
    return Work(f"broadcast to {conns:,}, {flight}", "broadcast", "wsload", "/bc",
                ("--mode", "broadcast", "--conns", conns, "--size", 64, "--depth", depth),
                PER_MESSAGE, goals=goals, **more)


def idle(name, kind, path, goals=(), **more):
    return Work(name, kind, "wsload", path,
                ("--mode", "idle", "--conns", 10000, "--inflight", 512, "--touch"), PER_SOCKET,
                goals=goals, **more)


# The specification's own case.
STORM_OPTIONS = ("--queue", "10000", "--mode", "high_perf", "--accepts", "8",
                 "--inline-completions", "on")


def storm(name, width, goals=(), options=STORM_OPTIONS, **more):
    return Work(name, "storm", "wsload", "/ws",
                ("--mode", "storm", "--conns", 10000, "--inflight", width), STORM_TIME,
                goals=goals, options=options, **more)


KEEP_ALIVE_64 = ("--conns", 64)
IDLE = "idle WebSockets, 10,000 open"
SUBSCRIBED = "idle WebSockets with one subscription, 10,000 open"
STORM_256 = "storm of 10,000, 256 at a time"
STORM_2000 = "storm of 10,000, 2,000 at a time"
RING_15 = (Goal(1.15, "floor io_uring"),)

WORKS = (
    keep_alive(1),
    keep_alive(64, quick=True),
    keep_alive(1000, quick=True),
    keep_alive(8000),
    http("GET, 16 pipelined, 64 connections", KEEP_ALIVE_64 + ("--depth", 16),
         goals=(Goal(1.25, "floor io_uring"),), quick=True),
    http("a connection per request, 64 at a time", KEEP_ALIVE_64 + ("--close",), kind="close",
         goals=NEAR_FLOOR, quick=True),
    http("JSON of 2 KiB made by the handler", KEEP_ALIVE_64, kind="json", path="/json",
         quick=True),
    file("1k.bin", "1 KiB", 64, (Goal(1.15, BETTER_FLOOR),), quick=True),
    file("64k.bin", "64 KiB", 64, (Goal(1.10, "floor epoll"),), quick=True),
    file("1m.bin", "1 MiB", 16, (Goal(1.00, BEST_PEER),), quick=True),
    file("100m.bin", "100 MiB", 4, (), metric=PER_MIB),
    echo(64, 64, quick=True),
    echo(64, 1000),
    echo(64, 9000),
    echo(64, 64, depth=16, goals=RING_15, quick=True),
    echo(64, 1000, depth=16, goals=RING_15),
    echo(64, 9000, depth=16, goals=RING_15),
    echo(16384, 64, quick=True),
    echo(16384, 1000),
    echo(16384, 9000),
    broadcast(1000),
    broadcast(1000, depth=16, goals=RING_15, quick=True),
    broadcast(10000, goals=(Goal(1.10, BETTER_FLOOR),)),
    broadcast(10000, depth=16, goals=RING_15),
    idle(IDLE, "idle", "/ws", (Goal(200, ITSELF),), quick=True),
    idle(SUBSCRIBED, "subscription", "/sub", quick=True),
    storm(STORM_256, 256, (Goal(1.10, BETTER_FLOOR),)),
    storm(STORM_2000, 2000, (Goal(1.10, BETTER_FLOOR),), quick=True),
    http("upload of 1 GiB", ("--conns", 1, "--upload", 1 << 30), kind="upload", path="/upload",
         metric=PER_MIB),
    http("answers from another thread", KEEP_ALIVE_64, kind="later", path="/later", quick=True),
    http("handlers on the thread pool", KEEP_ALIVE_64, kind="pool",
         options=("--dispatch", "pool"), quick=True),
    # The rate is added when the saturation is known: running.measure_latency.
    Work("GET keep-alive, 64 connections, p99 at 60 % of saturation", "latency", "httpload", "/",
         KEEP_ALIVE_64, P99, goals=(Goal(1.00, BEST_PEER, ("nginx", "h2o")),), quick=True),
    # --- The knobs of the fine tuning: our server only, each value in turn.
    Work("queue_length: 32 slow requests at once, one pool thread", "queue", "probe", "/slow", (),
         ANSWERED, options=("--dispatch", "pool", "--pool", "1"),
         variants=(("4", ("--queue", "4")), ("16", ("--queue", "16"))), quick=True),
    storm("queue_length as backlog: " + STORM_2000, 2000,
          options=("--mode", "high_perf", "--accepts", "8"),
          variants=(("128", ("--queue", "128")), ("4096", ("--queue", "4096"))), quick=True),
    http("operating_mode: a connection per request, two shards", KEEP_ALIVE_64 + ("--close",),
         kind="close", options=("--shards", "2"),
         variants=(("classic", ("--mode", "classic")), ("high_perf", ("--mode", "high_perf")))),
    storm("high_perf_accepts_per_worker: " + STORM_2000, 2000,
          options=("--queue", "10000", "--mode", "high_perf"),
          variants=(("1", ("--accepts", "1")), ("8", ("--accepts", "8")),
                    ("64", ("--accepts", "64")))),
    http("inline_completions: GET keep-alive, 64 connections", KEEP_ALIVE_64,
         variants=(("off", ("--inline-completions", "off")),
                   ("on", ("--inline-completions", "on")))),
)


@dataclass(frozen=True)
class Across:
    """A goal that compares two rows of our server, round by round.

    how "ratio": second / first; "difference": second - first; "rise": second / first of ours,
    divided by the same of the floor on the same engine.
    """
    name: str
    first: str
    second: str
    how: str
    limit: float


ACROSS = (
    Across("a subscription, bytes", IDLE, SUBSCRIBED, "difference", 32),
    Across("storm: 2,000 at a time against 256", STORM_256, STORM_2000, "ratio", 1.0),
    Across("cost of a request, from 64 to 8,000 connections, against the floor's own rise",
           "GET keep-alive, 64 connections", "GET keep-alive, 8,000 connections", "rise", 1.0),
)

# The works that the plot of CPU time against connections draws.
CURVES = {
    "cpu-get.svg": ("GET keep-alive", [f"GET keep-alive, {n}" for n in (
        "1 connection", "64 connections", "1,000 connections", "8,000 connections")]),
    "cpu-echo.svg": ("WebSocket echo of 64 bytes", [
        f"WebSocket echo 64 B, {n} connections" for n in ("64", "1,000", "9,000")]),
}
