#!/usr/bin/env bash
# fuzz.sh: runs every fuzz target of the project for FUZZTIME (20s by default), one after another.
set -euo pipefail
cd "$(dirname "$0")/.."
for package in $(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n1 dirname | sort -u); do
  for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$package"/*_test.go | sed 's/^func //'); do
    echo "== $package $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-20s}" "$package"
  done
done
