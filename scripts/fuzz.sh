#!/usr/bin/env bash
# fuzz.sh [SECONDS]: fuzzes every target of the project. With SECONDS it takes that long in all and not every target: it begins at
# another one each day (or at WHIMBREL_SEED), and gives each a fair part; without, each has FUZZTIME (20s by default). What is found
# is a file in the package's testdata/fuzz, to be kept: it is tried by every go test from then on.
set -uo pipefail
cd "$(dirname "$0")/.."

targets=()
while IFS= read -r line; do targets+=("$line"); done < <(grep -rhoE --include='*_test.go' --exclude-dir=yardstick -H '^func Fuzz[A-Za-z0-9_]+' . |
  sed -E 's#^(.*)/[^/]+_test\.go:func (.*)$#\1 \2#' | sort -u)

each=${FUZZTIME:-20s} first=0 most=${#targets[@]} began=$SECONDS ran=0 broken=0
if [ $# -gt 0 ]; then
  most=$(( $1 / 15 > 0 ? $1 / 15 : 1 ))
  [ "$most" -le ${#targets[@]} ] || most=${#targets[@]}
  each=$(( $1 / most > 5 ? $1 / most - 5 : 1 ))s
  first=$(( ${WHIMBREL_SEED:-$(($(date +%s) / 86400))} * most % ${#targets[@]} ))
fi

# one PACKAGE TARGET fuzzes one target; what it said is in out. Go's engine may take the end of its own time for a failure (golang/go#75804): one that
# wrote no failing input down found nothing, and is tried once more.
one() {
  for _ in 1 2; do
    out=$(nice -n 19 go test -run '^$' -fuzz "^$2\$" -fuzztime "$each" -fuzzminimizetime 1s "$1" 2>&1) && return 0
    grep -q 'context deadline exceeded' <<<"$out" && ! grep -q 'Failing input' <<<"$out" || return 1
  done
  return 1
}

for ((i = 0; i < most; i++)); do
  read -r package target <<<"${targets[(first + i) % ${#targets[@]}]}"
  if one "$package" "$target"; then
    echo "--- PASS: $package $target ($(grep -oE 'execs: [0-9]+' <<<"$out" | tail -1))"
  else
    echo "$out" | tail -n 40
    echo "--- FAIL: $package $target"
    broken=$((broken + 1))
  fi
  ran=$((ran + 1))
done
echo "fuzz: $ran of ${#targets[@]} targets, from $((first + 1)) on, $each each, $broken failed, $((SECONDS - began)) s"
[ $broken -eq 0 ]
