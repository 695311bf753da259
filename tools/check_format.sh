#!/usr/bin/env bash
# Checks that every C++ file of ours is formatted by clang-format 14; with --fix, formats them.
# bench/floor and the load generators keep the shape they were measured in.
set -euo pipefail
cd "$(dirname "$0")/.."
format=$(command -v clang-format-14 || command -v clang-format)
mapfile -t files < <(git ls-files --cached --others --exclude-standard -- '*.cpp' '*.hpp' '*.h' |
  grep -vE '^bench/(floor/|httpload\.cpp|wsload\.cpp)' | while read -r f; do [ -e "$f" ] && echo "$f"; done)
if [ "${#files[@]}" -eq 0 ]; then echo "format: no files"; exit 0; fi
if [ "${1:-}" = "--fix" ]; then
  "$format" -i "${files[@]}"
  echo "format: ${#files[@]} files formatted"
else
  if ! "$format" --dry-run --Werror "${files[@]}"; then
    echo "format: run tools/check_format.sh --fix" >&2
    exit 1
  fi
  echo "format: ${#files[@]} files, all as they should be"
fi
