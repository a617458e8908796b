#!/usr/bin/env bash
# run.sh [quick]: checks the model of the protocol with spin: the protocol as it is must hold, and each variant without one of its
# rules must be refuted. quick leaves out the searches of more than a minute. Again: the same. Exit 1 when anything is not as
# it must be. ONLY=PATTERN runs some of the configurations.
set -euo pipefail
cd "$(dirname "$0")"
if ! command -v spin >/dev/null || ! command -v gcc >/dev/null; then
  echo "spin and gcc are needed: apt-get install spin gcc" >&2
  exit 1
fi
here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# check NAME EXPECTED FLAG... runs one configuration: EXPECTED is holds or refuted.
check() {
  local name=$1 expected=$2
  shift 2
  [[ -z "${ONLY:-}" || $name =~ $ONLY ]] || return 0
  local dir="$work/$name" found states seconds
  mkdir "$dir"
  (
    cd "$dir"
    spin -a "$@" "$here/replay.pml" >spin.log 2>&1 || { cat spin.log >&2; exit 1; }
    gcc -O2 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=4096 -DMEMLIM=6000 -o pan pan.c
    timeout "${LIMIT:-900}" ./pan -m500000 -w24 >pan.log 2>&1 || true
  )
  found="not finished"
  grep -q 'errors: 0' "$dir/pan.log" && ! grep -q 'Search not completed' "$dir/pan.log" && found=holds
  grep -qE 'errors: [1-9]' "$dir/pan.log" && found=refuted
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$dir/pan.log")
  seconds=$(sed -n 's/^pan: elapsed time \([0-9.e+]*\) seconds.*/\1/p' "$dir/pan.log")
  printf '%-22s %-9s %-12s %12s states %8s s\n' "$name" "$expected" "$found" "$states" "$seconds"
  [[ $found == "$expected" ]] || failed=1
}

small=(-DDEATHS=0)
check no-settle refuted "${small[@]}" -DNO_SETTLE
check no-prove refuted "${small[@]}" -DNO_PROVE
check watermark refuted "${small[@]}" -DWATERMARK
check forget-upto refuted "${small[@]}" -DFORGET_UPTO
check forget-first refuted -DFORGET_FIRST
check no-fence refuted -DNO_FENCE
check stale-rows refuted "${small[@]}" -DSTALE_ROWS
check new-key-only refuted "${small[@]}" -DNEW_KEY_ONLY
check early refuted "${small[@]}" -DEARLY
check early-ignore refuted "${small[@]}" -DEARLY_IGNORE
check ledger-first refuted -DLEDGER_FIRST
check ledger-twice refuted -DLEDGER_TWICE
check lanes refuted "${small[@]}" -DLANES
check emptied-replayed refuted "${small[@]}" -DEMPTY_REPLAYED
check ahead-passes refuted -DAHEAD_PASSES
check lanes-by-key holds "${small[@]}" -DLANES -DBY_KEY
check emptied-reread holds "${small[@]}" -DEMPTY_REREAD
check no-death holds "${small[@]}"
check ahead-no-death holds "${small[@]}" -DAHEAD
if [[ ${1:-} != quick ]]; then
  check as-it-is holds
  check ahead holds -DAHEAD
  check ahead-overlaps holds -DAHEAD_OVERLAPS
fi
exit $failed
