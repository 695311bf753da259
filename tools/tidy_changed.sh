#!/usr/bin/env bash
# Runs clang-tidy on the sources that changed.
#
#   tools/tidy_changed.sh [--build DIR] [BASE]
#
# BASE is a commit; without it the merge base with origin/main, or else the commit 20 back, or else
# everything. A changed header counts for the source of the same name. What was found clean, with
# the same headers and the same checks, is not looked at again. DIR (build/clang) has the
# compile_commands.json.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/clang
if [ "${1:-}" = "--build" ]; then build=$2; shift 2; fi
[ -f "$build/compile_commands.json" ] || { echo "tidy: no $build/compile_commands.json; configure first" >&2; exit 1; }
tidy=$(command -v clang-tidy-14 || command -v clang-tidy)

base=${1:-}
if [ -z "$base" ]; then
  base=$(git merge-base HEAD origin/main 2>/dev/null || true)
  [ "$base" != "$(git rev-parse HEAD)" ] || base=
  [ -n "$base" ] || base=$(git rev-parse -q --verify HEAD~20 2>/dev/null || true)
fi
if [ -n "$base" ]; then
  changed=$({ git diff --name-only "$base" --; git ls-files --others --exclude-standard; } | sort -u)
else
  changed=$(git ls-files --cached --others --exclude-standard)
fi
# A change of the checks themselves concerns every file.
if grep -qx '.clang-tidy' <<<"$changed"; then changed=$(git ls-files --cached --others --exclude-standard); fi

sources=()
while read -r file; do
  case "$file" in
    src/*.hpp|apps/*.hpp) file=${file%.hpp}.cpp ;;
    include/sluice/*.hpp) file=src/api/$(basename "${file%.hpp}").cpp ;;
  esac
  case "$file" in
    src/*.cpp|apps/*.cpp|examples/*.cpp) ;;
    *) continue ;;
  esac
  [ -e "$file" ] && grep -qF "\"file\": \"$PWD/$file\"" "$build/compile_commands.json" && sources+=("$file")
done <<<"$changed"
if [ "${#sources[@]}" -eq 0 ]; then echo "tidy: nothing changed"; exit 0; fi
mapfile -t sources < <(printf '%s\n' "${sources[@]}" | sort -u)

mkdir -p "$build/tidy"
headers=$(cat .clang-tidy $(git ls-files -- '*.hpp') 2>/dev/null | sha256sum)
echo "tidy: ${#sources[@]} files"
one() {
  key=$( { echo "$headers"; cat "$1"; } | sha256sum | cut -c1-32)
  [ -e "$build/tidy/$key" ] && return 0
  if out=$("$tidy" -p "$build" --quiet "$1" 2>&1); then
    touch "$build/tidy/$key"
  else
    printf '%s\n' "$out" | grep -v 'warnings generated' >&2
    return 1
  fi
}
export -f one
export headers build tidy
printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -I{} bash -c 'one {}' || { echo "tidy: see above" >&2; exit 1; }
echo "tidy: clean"
