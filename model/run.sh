#!/usr/bin/env bash
# run.sh [ci]: checks the models of the protocol with spin: the protocol as it is must hold, and each variant without one of its rules
# must be refuted. ci leaves out the searches of more than half a minute. Again: the same. Exit 1 when anything is not as it must be.
# ONLY=PATTERN runs some of the configurations; TRACE=FOLDER keeps, for each that is refuted, how it came to that.
set -euo pipefail
cd "$(dirname "$0")"
if ! command -v spin >/dev/null || ! command -v gcc >/dev/null; then
  echo "spin and gcc are needed: apt-get install spin gcc libc6-dev" >&2
  exit 1
fi
here=$PWD
bounded=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
good=0 bad=0

# check MODEL NAME EXPECTED FLAG... runs one configuration: EXPECTED is holds or refuted.
check() {
  local model=$1 name=$2 expected=$3
  shift 3
  [[ -z "${ONLY:-}" || $model/$name =~ $ONLY ]] || return 0
  local dir="$work/$name" found states seconds effort=-O2
  [[ $expected == holds ]] || effort=-O0 # a loss is found soon, and compiling takes longer
  mkdir "$dir"
  (
    cd "$dir"
    spin -a "$@" "$here/$model.pml" >spin.log 2>&1 || { cat spin.log >&2; exit 1; }
    gcc $effort -w -DSAFETY -DCOLLAPSE -DVECTORSZ=4096 -DMEMLIM=3000 -o pan pan.c
    timeout "${LIMIT:-900}" ./pan -m500000 -w22 >pan.log 2>&1 || true
    if [[ -n "${TRACE:-}" && -s "$model.pml.trail" ]]; then
      cp "$here/$model.pml" .
      mkdir -p "$TRACE"
      spin -t "$@" "$model.pml" 2>/dev/null | sed -n 's/^ *\([a-zA-Z].*\)/\1/p' | grep -vE '^(spin:|pan:|Never|#)' >"$TRACE/$model-$name.txt" || true
    fi
  )
  found="not finished"
  grep -q 'errors: 0' "$dir/pan.log" && ! grep -q 'Search not completed' "$dir/pan.log" && found=holds
  grep -qE 'errors: [1-9]' "$dir/pan.log" && found=refuted
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$dir/pan.log")
  seconds=$(sed -n 's/^pan: elapsed time \([0-9.e+]*\) seconds.*/\1/p' "$dir/pan.log")
  if [[ $found == "$expected" ]]; then good=$((good + 1)); else bad=$((bad + 1)); found+=", AND MUST BE $expected"; fi
  printf '%-8s %-22s %-12s %12s states %8s s\n' "$model" "$name" "$found" "$states" "$seconds"
  rm -rf "$dir"
}

# long runs a check that takes more than half a minute.
long() { [[ $bounded == ci ]] || check "$@"; }

one=(-DDEATHS=0)
check replay no-settle refuted "${one[@]}" -DNO_SETTLE
check replay no-prove refuted "${one[@]}" -DNO_PROVE
check replay watermark refuted "${one[@]}" -DWATERMARK
check replay forget-upto refuted "${one[@]}" -DFORGET_UPTO
check replay forget-first refuted -DFORGET_FIRST
check replay no-fence refuted -DNO_FENCE
check replay stale-rows refuted "${one[@]}" -DSTALE_ROWS
check replay new-key-only refuted "${one[@]}" -DNEW_KEY_ONLY
check replay early refuted "${one[@]}" -DEARLY
check replay early-ignore refuted "${one[@]}" -DEARLY_IGNORE
check replay ledger-first refuted -DLEDGER_FIRST
check replay ledger-twice refuted -DLEDGER_TWICE
check replay lanes refuted "${one[@]}" -DLANES
check replay emptied-replayed refuted "${one[@]}" -DEMPTY_REPLAYED
check replay ahead-passes refuted -DAHEAD_PASSES
check replay lanes-by-key holds "${one[@]}" -DLANES -DBY_KEY
check replay emptied-reread holds "${one[@]}" -DEMPTY_REREAD
check replay no-death holds "${one[@]}"
check replay ahead-no-death holds "${one[@]}" -DAHEAD
long replay as-it-is holds
long replay ahead holds -DAHEAD
long replay ahead-overlaps holds -DAHEAD_OVERLAPS

back=(-DSET_BACK -DCRASHES=0)
check durable no-barrier refuted -DNO_BARRIER -DNO_PROMISE
check durable no-load-barrier refuted -DNO_LOAD_BARRIER
check durable other-session refuted -DOTHER_SESSION
check durable late-target refuted -DLATE_TARGET -DNO_NUMBERS
check durable late-target-seen holds -DLATE_TARGET
check durable no-numbers refuted "${back[@]}" -DNO_NUMBERS
check durable no-promise refuted "${back[@]}" -DNO_PROMISE
check durable promise-any refuted "${back[@]}" -DPROMISE_ANY
check durable promise-again refuted "${back[@]}" -DPROMISE_AGAIN
check durable while-loading refuted "${back[@]}" -DWHILE_LOADING -DTXNS=2
check durable crashes holds
check durable set-back-2 holds "${back[@]}" -DTXNS=2
long durable set-back holds "${back[@]}"

two=(-DTXNS=2)
check unique no-part refuted "${two[@]}" -DNO_PART
check unique plain refuted "${two[@]}" -DPLAIN "${one[@]}"
check unique other-row refuted "${two[@]}" -DOTHER_ROW
check unique no-repairs-lanes refuted "${two[@]}" -DNO_REPAIRS -DLANES
check unique repairs-after refuted "${two[@]}" -DREPAIRS_AFTER -DLANES
check unique any-repairs refuted "${two[@]}" -DANY_REPAIRS "${one[@]}"
check unique moving refuted "${two[@]}" -DMOVING
check unique part-first holds "${two[@]}" -DPART_FIRST
check unique no-repairs holds "${two[@]}" -DNO_REPAIRS
check unique no-stamps holds "${two[@]}" -DNO_STAMPS -DLANES "${one[@]}"
check unique two holds "${two[@]}"
check unique fuzzy-two holds "${two[@]}" -DFUZZY
check unique lanes-two holds "${two[@]}" -DLANES "${one[@]}"
long unique lanes holds "${two[@]}" -DLANES
long unique ahead holds "${two[@]}" -DAHEAD
long unique as-it-is holds
long unique fuzzy holds -DFUZZY

check cascade no-helper refuted -DNO_HELPER
check cascade one-level refuted -DONE_LEVEL
check cascade old-snapshot refuted -DOLD_SNAPSHOT
check cascade no-marks refuted -DNO_MARKS
check cascade new-snapshot refuted -DNEW_SNAPSHOT -DNO_MARKS
check cascade own-commit refuted -DOWN_COMMIT -DNO_MARKS
check cascade after-parent refuted -DAFTER_PARENT
check cascade new-snapshot-marks holds -DNEW_SNAPSHOT
check cascade two holds
long cascade own-commit-marks holds -DOWN_COMMIT
long cascade as-it-is holds -DTXNS=3

echo "model: $good as they must be, $bad not, $SECONDS s"
[[ $bad -eq 0 ]]
