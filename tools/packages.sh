# Sourced by ./run and ./test, which set `top`: installs what is missing on Debian, and only that.
#
# need_packages NAME...      Debian packages, looked up with dpkg
# need_command COMMAND NAME  a command, wherever it came from, and the package that brings it
# install_missing            installs what the calls above found missing
# unpack_nginx               puts nginx into build/nginx if there is none; installs nothing
# unpack_varnishtest         puts varnishtest into build/varnish if there is none; installs nothing

missing_packages=()

# Clones in different folders share what the compiler's cache holds.
export CCACHE_BASEDIR="$top" CCACHE_NOHASHDIR=1

need_command() {
  command -v "$1" >/dev/null 2>&1 || missing_packages+=("$2")
}

need_packages() {
  local name
  if ! command -v dpkg-query >/dev/null 2>&1; then
    return 0  # not Debian: the configure step will say what it lacks
  fi
  for name in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] ||
      missing_packages+=("$name")
  done
}

# What building the library and the program needs.
need_build_packages() {
  need_command g++ g++
  need_command cmake cmake
  need_command ninja ninja-build
  need_command pkg-config pkg-config
  need_command ccache ccache
  need_packages libssl-dev liburing-dev libsodium-dev libcrypt-dev libsqlite3-dev libc-ares-dev zlib1g-dev libnghttp2-dev \
    nlohmann-json3-dev libfmt-dev libcli11-dev libtomlplusplus-dev
  need_packages libbrotli-dev libzstd-dev
}

install_missing() {
  [ "${#missing_packages[@]}" -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing: ${missing_packages[*]} (these are Debian's names; please install them)" >&2
    return 1
  fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
      echo "missing: ${missing_packages[*]}; run this once: apt-get install ${missing_packages[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  echo "== installing: ${missing_packages[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing_packages[@]}" </dev/null >/dev/null
  missing_packages=()
}

# Downloads packages and unpacks them into a folder, without their scripts: unpack_packages INTO NAME...
unpack_packages() {
  local into=$1
  shift
  echo "== unpacking $1 into ${into#"$top/"}"
  rm -rf "$into"
  mkdir -p "$into"
  (
    cd "$into" || exit 1
    download() { apt-get download -qq "$@" >/dev/null 2>download.log; }
    if ! download "$@"; then
      if [ "$(id -u)" -eq 0 ]; then apt-get update -qq; else sudo -n apt-get update -qq; fi
      download "$@" || exit 1
    fi
    for package in *.deb; do dpkg -x "$package" . && rm "$package" || exit 1; done
  ) || {
    cat "$into/download.log" >&2
    return 1
  }
}

# For a test that starts its own. Not installed: the package's scripts would start one on port 80.
unpack_nginx() {
  local into=$top/build/nginx
  if command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] ||
    "$into/usr/sbin/nginx" -v 2>/dev/null; then
    return 0
  fi
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing: nginx (in PATH or /usr/sbin)" >&2
    return 1
  fi
  unpack_packages "$into" nginx && "$into/usr/sbin/nginx" -v || {
    echo "missing: nginx (in PATH or /usr/sbin): it could not be unpacked" >&2
    return 1
  }
}

# An HTTP/2 client of frames. Not installed: the package's scripts would start a cache on port 6081.
# Sets LD_LIBRARY_PATH for the call only, as tests/e2e/varnishtest_test.py does.
unpack_varnishtest() {
  local into=$top/build/varnish
  starts() {  # -h ends with an error
    local told
    told=$(LD_LIBRARY_PATH=$(echo "$into"/usr/lib/*/) "$into/usr/bin/varnishtest" -h 2>&1)
    [[ $told == usage:* ]]
  }
  if command -v varnishtest >/dev/null 2>&1 || starts; then
    return 0
  fi
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing: varnishtest (in PATH)" >&2
    return 1
  fi
  unpack_packages "$into" varnish libvarnishapi3 && starts || {
    echo "missing: varnishtest (in PATH): it could not be unpacked" >&2
    return 1
  }
}

# Configures and builds one preset: build_preset NAME [cmake --build options]
build_preset() {
  local preset=$1
  shift
  echo "== building build/$preset"
  (cd "$top" && cmake --preset "$preset" >"build/$preset.configure.log" 2>&1) || {
    cat "$top/build/$preset.configure.log" >&2
    return 1
  }
  cmake --build "$top/build/$preset" -j "${JOBS:-$(nproc)}" "$@"
}
