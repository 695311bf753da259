"""The servers that are compared: ours, the floors and the peers, and how each is started."""
import os
import re
import resource
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import Callable

from . import workloads

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(ROOT, "build", "bench", "bin")
PEERS = os.path.join(ROOT, "bench", "peers")
MODULES = os.path.join(ROOT, "tests", "e2e")
FILES_LIMIT = 20000  # descriptors of one process

WEBSOCKETS = {"echo", "broadcast", "idle", "storm"}


@dataclass
class Start:
    """What a server needs to know: its port, the work, a folder of its own, the folder of files."""
    port: int
    work: workloads.Work
    folder: str
    documents: str

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as out:
            out.write(text)
        return path


@dataclass
class Server:
    """`arguments` makes the command line behind `program` from a Start."""
    name: str
    group: str  # ours, floor, peer
    program: str
    kinds: set
    arguments: Callable
    version: tuple = ()  # a command whose output names it
    needs: tuple = ()  # files without which it cannot run
    environment: dict = field(default_factory=dict)

    def missing(self):
        """What it lacks on this machine, or None."""
        for path in (self.program,) + self.needs:
            if not (shutil.which(path) or os.path.exists(path)):
                return path
        return None

    def version_text(self):
        if not self.version:
            return ""
        done = subprocess.run(self.version, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        found = re.search(r"\d+(\.\d+)+", done.stdout.decode(errors="replace"))
        return found.group() if found else ""


def descriptors():
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], FILES_LIMIT)


def ours(engine):
    def arguments(start):
        return ["--port", str(start.port), "--engine", engine, "--files", start.documents,
                *start.work.options]
    return Server(f"sluice {engine}", "ours", os.path.join(BIN, "sluice_bench_server"),
                  {work.kind for work in workloads.WORKS}, arguments)


# Which mode of a floor is the least that a work needs.
FLOOR_MODES = {"plain": "http", "later": "http", "pool": "http", "close": "close",
               "upload": "upload", "echo": "ws", "idle": "ws", "storm": "ws",
               "broadcast": "broadcast", "json": "memfile", "file": "memfile"}


def floor_file(start):
    """The file behind a floor's answer: what is asked for, or the finished JSON."""
    if start.work.kind == "json":
        return start.write("json", workloads.JSON.decode())
    return os.path.join(start.documents, os.path.basename(start.work.path))


def floor_epoll(start):
    mode = FLOOR_MODES[start.work.kind]
    if mode != "memfile":
        return [str(start.port), mode]
    path = floor_file(start)
    # Small answers are cheaper from memory, large ones by sendfile.
    mode = "memfile" if os.path.getsize(path) < 16 * workloads.KIB else "sendfile"
    return [str(start.port), mode, path]


def floor_uring(start):
    work = start.work
    mode = FLOOR_MODES[work.kind]
    command = [str(start.port), mode]
    if mode == "memfile":
        command += ["--file", floor_file(start)]
    if mode == "close":
        command += ["--send", "inline"]  # queued sends lose connections there
    if work.number("--size", 0) > 4096:
        command += ["--bufsize", "32768"]
    elif work.conns >= 8000:
        command += ["--bufsize", "16384"]
    return command


def floors():
    everything = set(FLOOR_MODES)
    return [
        Server("floor io_uring", "floor", os.path.join(BIN, "floor_uring"), everything,
               floor_uring),
        Server("floor epoll", "floor", os.path.join(BIN, "floor_epoll"), everything, floor_epoll),
    ]


NGINX = """
daemon off; master_process off; worker_processes 1; worker_rlimit_nofile {files};
pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 16000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; server_tokens off;
  sendfile on; tcp_nopush on; open_file_cache max=100; client_max_body_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    default_type text/plain;
    location / {{ return 200 "Hello, World!"; }}
    location /files/ {{ alias {documents}/; }}
  }}
}}
"""


def nginx(start):
    conf = start.write("nginx.conf", NGINX.format(
        folder=start.folder, documents=start.documents, port=start.port, files=descriptors()))
    return ["-p", start.folder, "-c", conf]


H2O = """
{user}
num-threads: 1
max-connections: 16000
http1-request-timeout: 600
listen: {{ host: 127.0.0.1, port: {port} }}
hosts:
  default:
    paths:
      "/files": {{ file.dir: {documents} }}
      "/": {{ file.dir: {documents} }}
"""


def h2o(start):
    user = "user: root" if os.geteuid() == 0 else ""  # it would not read our folders as nobody
    return ["-c", start.write("h2o.conf", H2O.format(user=user, port=start.port,
                                                     documents=start.documents))]


HAPROXY = """
global
  nbthread 1
  maxconn 9500
defaults
  mode http
  timeout client 600s
  timeout server 600s
  timeout connect 10s
  timeout http-keep-alive 600s
frontend bench
  bind 127.0.0.1:{port} backlog 4096
  http-request return status 200 content-type text/plain string "Hello, World!"
"""


def haproxy(start):
    return ["-db", "-f", start.write("haproxy.conf", HAPROXY.format(port=start.port))]


CADDY = """
{{
  admin off
  auto_https off
}}
:{port} {{
  bind 127.0.0.1
  respond / "Hello, World!"
  handle_path /files/* {{
    root * {documents}
    file_server
  }}
}}
"""


def caddy(start):
    conf = start.write("Caddyfile", CADDY.format(port=start.port, documents=start.documents))
    return ["run", "--adapter", "caddyfile", "--config", conf]


def only_port(start):
    return [str(start.port)]


def library_version(package):
    return ("dpkg-query", "-W", "-f", "${Version}", package)


def peers():
    path = os.environ.get("PATH", "") + ":/usr/sbin"

    def find(name):
        return shutil.which(name, path=path) or name

    web = {"plain", "close", "file"}
    return [
        Server("nginx", "peer", find("nginx"), web | {"upload", "latency"}, nginx,
               (find("nginx"), "-v")),
        Server("h2o", "peer", find("h2o"), web | {"latency"}, h2o, (find("h2o"), "--version")),
        Server("haproxy", "peer", find("haproxy"), {"plain", "close"}, haproxy,
               (find("haproxy"), "-v")),
        Server("caddy", "peer", find("caddy"), web, caddy, (find("caddy"), "version"),
               environment={"GOMAXPROCS": "1"}),
        Server("Beast", "peer", os.path.join(BIN, "beast_server"),
               {"plain", "close", "json", "upload"} | WEBSOCKETS, only_port,
               library_version("libboost-dev")),
        Server("libwebsockets", "peer", os.path.join(BIN, "lws_server"),
               {"plain", "close"} | WEBSOCKETS, only_port, library_version("libwebsockets-dev")),
        Server("npm ws", "peer", find("node"),
               {"plain", "close", "json", "upload"} | WEBSOCKETS,
               lambda start: [os.path.join(PEERS, "ws_server.js"), str(start.port), MODULES],
               ("grep", "-m1", '"version"', os.path.join(MODULES, "node_modules/ws/package.json")),
               needs=(os.path.join(MODULES, "node_modules/ws"),)),
    ]


def all_servers():
    return [ours("uring"), ours("epoll"), *floors(), *peers()]
