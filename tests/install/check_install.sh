#!/usr/bin/env bash
# Installs a build into an empty prefix, then builds README's example against it, once by find_package and
# once by pkg-config, runs it and asks it for a page.
#
#   check_install.sh BUILD_DIR
#
# SLUICE_SANITIZE, when set, is what BUILD_DIR was sanitized with: the user's program must be too.
set -euo pipefail
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
server=
cleanup() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT
say() { echo "install: $*"; }

compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[^=]*=//p' "$build/CMakeCache.txt")
flags=()
[ -z "${SLUICE_SANITIZE:-}" ] || flags=("-fsanitize=$SLUICE_SANITIZE")

# Runs a command; its output is shown only when it fails.
quietly() {
  "$@" >"$work/log" 2>&1 || { echo "install: failed: $*" >&2; cat "$work/log" >&2; return 1; }
}

quietly cmake --install "$build" --prefix "$work/prefix"
say "installed $(find "$work/prefix" -type f | wc -l) files"

free_port() {
  /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Runs PROGRAM, built from the example with port PORT, and asks it as README says.
ask() {
  local program=$1 port=$2 body status
  "$program" & server=$!
  # curl itself retries until the server listens.
  body=$(curl -sS --retry 40 --retry-connrefused --retry-delay 1 --retry-max-time 60 --max-time 10 \
    "http://127.0.0.1:$port/test.html")
  status=$(curl -sS --max-time 10 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/nothing-here")
  [ "$body" = OK ] || { echo "install: /test.html answered '$body', expected 'OK'" >&2; return 1; }
  [ "$status" = 404 ] || { echo "install: /nothing-here answered $status, expected 404" >&2; return 1; }
  kill -TERM "$server"
  local code=0
  wait "$server" || code=$?
  server=
  [ "$code" = 0 ] || { echo "install: the example ended with $code after SIGTERM, expected 0" >&2; return 1; }
}

port=$(free_port)
/usr/bin/python3 "$here/extract_example.py" "$top/README.md" --port "$port" >"$work/example.cpp"

quietly cmake -G Ninja -S "$here/consumer" -B "$work/consumer" -DEXAMPLE="$work/example.cpp" \
  -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_CXX_FLAGS="${flags[*]:-}"
quietly cmake --build "$work/consumer"
ask "$work/consumer/consumer" "$port"
say "find_package(sluice): built, answered, stopped"

port=$(free_port)
/usr/bin/python3 "$here/extract_example.py" "$top/README.md" --port "$port" >"$work/example.cpp"
pc=$(find "$work/prefix" -name sluice.pc -printf '%h\n')
export PKG_CONFIG_PATH=$pc
# shellcheck disable=SC2046  # the flags are words
quietly "$compiler" -std=c++20 "${flags[@]}" -o "$work/example" "$work/example.cpp" $(pkg-config --cflags --libs sluice)
LD_LIBRARY_PATH=$(pkg-config --variable=libdir sluice) ask "$work/example" "$port"
say "pkg-config sluice $(pkg-config --modversion sluice): built, answered, stopped"

# Only what is marked is visible, and nothing of others.
library=$(find "$work/prefix" -name 'libsluice.so.*.*.*' -type f | head -1)
if [ -n "$library" ] && [ -z "${SLUICE_SANITIZE:-}" ]; then
  shown=$(nm -D --defined-only -C "$library" | sed -E 's/^[0-9a-f]* . //')
  strange=$(grep -vE 'sluice::|^(_init|_fini|_edata|_end|__bss_start)|std::|operator (new|delete)|__gnu_cxx' \
    <<<"$shown" || true)
  inner=$(grep -E '^((typeinfo|typeinfo name|vtable|guard variable) for )?sluice::(base|crypto|http|http1|ws|io|uring|epoll|sim|core|service|wire)::' \
    <<<"$shown" | sort -u | head -5 || true)
  [ -z "$strange$inner" ] || { echo "install: the library shows what is not marked SLUICE_API:" $strange $inner >&2; exit 1; }
  say "the library shows sluice:: only"
fi
say "passed"
