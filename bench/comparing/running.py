"""Starting servers, making load, and reading what came of it. Nothing here outlives the script."""
import concurrent.futures
import ctypes
import http.client
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace

from . import workloads
from .servers import BIN, Server, Start, descriptors

SERVER_CORE, LOAD_CORE = 0, 1
QUEUE_REQUESTS = 32  # of the probe for queue_length
KNOB_ROUNDS = 3  # they show what a setting does, and decide no goal


class Failed(Exception):
    """A run that gives no figure, and why."""


@dataclass(frozen=True)
class Pace:
    """How long each run takes."""
    seconds: float
    warmup: float
    storms: int  # rounds of a storm in one run
    loads: tuple  # percent of saturation at which latency is taken; 60 is among them
    settle: int = 0  # rounds after which a peer that is far behind runs no further; 0: never


@dataclass(frozen=True)
class Contender:
    """A server in a row; `options` are those of a variant, `name` tells them apart."""
    server: Server
    name: str
    options: tuple = ()


def contenders(work, present):
    """Who runs in a row of `work`: each server, or with variants ours with each of them."""
    if not work.variants:
        return [Contender(server, server.name) for server in present if work.kind in server.kinds]
    return [Contender(server, f"{server.name}, {label}", tuple(options))
            for server in present if server.group == "ours"
            for label, options in work.variants]


def say(text):
    print(text, file=sys.stderr, flush=True)


def child(core):
    """Run in each child: its core, the descriptor limit, and death together with this script."""
    def prepare():
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        os.sched_setaffinity(0, {core})
        hard = descriptors()
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return prepare


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_documents(folder, works):
    """The files that are served: an index for servers that only know files, and what works ask."""
    with open(os.path.join(folder, "index.html"), "wb") as out:
        out.write(workloads.HELLO)
    for name in {os.path.basename(work.path) for work in works if work.kind == "file"}:
        with open(os.path.join(folder, name), "wb") as out:
            for _ in range(workloads.FILE_SIZES[name] // workloads.KIB):
                out.write(bytes(range(32, 96)) * 16)


class Running:
    """One started server; leaving the block ends it."""

    def __init__(self, contender, work, documents):
        self.server = contender.server
        self.work = replace(work, options=work.options + contender.options)
        self.documents = documents

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-compare-")
        self.port = free_port()
        start = Start(self.port, self.work, self.folder, self.documents)
        command = [self.server.program] + self.server.arguments(start)
        environment = dict(os.environ, HOME=self.folder, XDG_DATA_HOME=self.folder,
                           XDG_CONFIG_HOME=self.folder, **self.server.environment)
        self.log = open(os.path.join(self.folder, "log"), "w+b")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env=environment,
                                        preexec_fn=child(SERVER_CORE))
        try:
            self.await_listening()
        except BaseException:
            self.__exit__()
            raise
        return self

    def await_listening(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                self.log.seek(0)
                text = self.log.read().decode(errors="replace").strip()
                raise Failed(f"ended with {self.process.returncode}: {text[-500:]}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Failed("does not listen after 10 s")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def get(port, path):
    """Status and body of one GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def check_body(running):
    """All servers have to answer the same bytes."""
    work = running.work
    if work.tool != "httpload" or work.kind == "upload":
        return
    status, body = get(running.port, work.path)
    if work.kind == "file":
        with open(os.path.join(running.documents, os.path.basename(work.path)), "rb") as file:
            expected = file.read()
    else:
        expected = workloads.JSON if work.kind == "json" else workloads.HELLO
    if status != 200 or body != expected:
        raise Failed(f"answers {work.path} with {status} and {len(body)} bytes, "
                     f"not with the {len(expected)} bytes that all give")


def load(running, pace, *more):
    """One run of the load generator: its JSON."""
    work = running.work
    command = [os.path.join(BIN, work.tool), "--port", running.port, "--path", work.path,
               "--pid", running.process.pid, *work.load, *more]
    if work.kind == "storm":
        command += ["--rounds", pace.storms]
    else:
        command += ["--seconds", pace.seconds, "--warmup", pace.warmup]
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600,
                          preexec_fn=child(LOAD_CORE), check=False)
    if done.returncode != 0:
        raise Failed(done.stderr.decode(errors="replace").strip() or
                     f"the load generator ended with {done.returncode}")
    if running.process.poll() is not None:
        raise Failed(f"ended with {running.process.returncode} under load")
    return checked(json.loads(done.stdout), work)


def checked(result, work):
    """`result`, unless something was lost or a connection is missing: then there is no figure."""
    lost = sum(result.get(key, 0) for key in ("errors", "bad_status", "failures",
                                              "protocol_errors"))
    if lost:
        raise Failed(f"{lost} requests or connections failed")
    if result.get("open", work.conns) < work.conns:
        raise Failed(f"only {result['open']} of {work.conns} connections were open")
    if work.metric.key.startswith("server_cpu") and not result[work.metric.key]:
        raise Failed("answered nothing")
    return result


def measure_latency(running, pace):
    """Saturation closed loop, then open loop at each share of it, timed from the intended start."""
    saturation = load(running, pace)
    points = {share: load(running, pace, "--rate", saturation["rps"] * share / 100)
              for share in pace.loads}
    late = [share for share, point in points.items() if point["unsent"] > point["rps"] / 10]
    if 60 in late:
        raise Failed("fell behind at 60 % of its own saturation")
    result = dict(points[60], saturation_rps=saturation["rps"],
                  saturation_cpu_pct=saturation["server_cpu_pct"])
    result["curve"] = [[share, point["p50_us"], point["p99_us"]]
                       for share, point in points.items() if share not in late]
    return result


def probe_queue(running):
    """How many of 32 requests that come at once get an answer, when each takes 100 ms of the one
    pool thread: the one that runs and as many as queue_length lets wait."""
    with concurrent.futures.ThreadPoolExecutor(QUEUE_REQUESTS) as threads:
        first = threads.submit(get, running.port, running.work.path)
        time.sleep(0.03)  # it has left the queue, and runs
        rest = [threads.submit(get, running.port, running.work.path)
                for _ in range(QUEUE_REQUESTS - 1)]
        found = [call.result()[0] for call in [first] + rest]
    if set(found) - {200, 503}:
        raise Failed(f"answers with {sorted(set(found))}")
    return {"answered": found.count(200), "refused": found.count(503)}


def measure(contender, work, pace, documents, check):
    """One run with a server of its own: the figures, or Failed."""
    try:
        with Running(contender, work, documents) as running:
            if check:
                check_body(running)
            if work.kind == "queue":
                return probe_queue(running)
            if work.kind == "latency":
                return measure_latency(running, pace)
            return load(running, pace)
    except (OSError, ValueError, subprocess.TimeoutExpired, http.client.HTTPException) as failure:
        raise Failed(str(failure)) from failure


def rounds_of(work, rounds):
    return min(rounds, KNOB_ROUNDS) if work.variants else rounds


def is_settled(contender, samples, key, settle):
    """After `settle` rounds: a peer that never came within 30 % of the best of ours runs no
    further. What can decide a goal runs on."""
    mine = samples[contender.name]
    if not settle or contender.server.group != "peer" or len(mine) < settle:
        return False
    ours = [row for name, row in samples.items() if name.startswith("sluice")]
    for number, sample in enumerate(mine):
        best = min((row[number][key] for row in ours if row[number]), default=None)
        if best is None or sample is None or not sample.get(key) or sample[key] < 1.3 * best:
            return False
    return True


def run_work(work, present, rounds, pace, documents):
    """Each contender in turn, round by round (A B C A B C ...): None where a run failed; a peer
    that is settled has fewer."""
    samples = {contender.name: [] for contender in contenders(work, present)}
    rounds = rounds_of(work, rounds)
    for number in range(rounds):
        for contender in contenders(work, present):
            if is_settled(contender, samples, work.metric.key, pace.settle):
                continue
            try:
                sample = measure(contender, work, pace, documents, check=number == 0)
            except Failed as failure:
                sample = None
                say(f"  {contender.name}: {failure}")
            samples[contender.name].append(sample)
        shown = ", ".join(f"{name} {row[-1][work.metric.key] if row[-1] else 'failed'}"
                          for name, row in samples.items())
        say(f"{work.name}, round {number + 1}/{rounds}: {shown}")
    return samples
