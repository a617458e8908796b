#!/usr/bin/env bash
# test.sh [SUITE…]: runs the suites one after another, each in its own time, and ends with a summary. A suite that fails
# does not keep the others from running. Logs of all suites are kept in the folder that it names at the end when one failed.
#
#   units    every package's own tests
#   pairs    whole moves of a live application, all nine pairs
#   releases whole moves to a new release of the application: its shadow, merged tables, rows that become several, text in other
#            character sets, its update, what goes wrong, resets and kills
#   kills    the program killed at every step and at random moments
#   samples  the sample databases
#   example  examples/shop moves to its new release under load, with the release built at either side
#   simulation  10,000 moves under a simulated clock and scheduler, and every mutant of the protocol's rules
#   security names, accounts and servers that mean harm, and secrets
#   fuzz     the fuzz targets, two minutes in all, beginning at another one each day; make fuzz runs each
#   chaos    everything fails at random, for less than three minutes; make chaos runs it for long
#   model    the protocol in the model checker, bounded (model/run.sh ci)
set -uo pipefail
cd "$(dirname "$0")/.."

logs=$(mktemp -d)
failed=() passed=0 broken=0 skipped=0

suite() { # NAME TIMEOUT ARGUMENTS…
  local name=$1 limit=$2 log=$logs/$1.log began=$SECONDS
  shift 2
  echo "== $name"
  go test -v -p 2 -timeout "$limit" "$@" >"$log" 2>&1
  local code=$? ok bad skip
  ok=$(grep -cE '^ *--- PASS' "$log")
  bad=$(grep -cE '^ *--- FAIL|^FAIL.*\[(build|setup) failed\]|^panic:' "$log")
  skip=$(grep -cE '^ *--- SKIP' "$log")
  [ $code -eq 0 ] || failed+=("$name")
  [ $code -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
  if [ $code -ne 0 ]; then
    grep -vE '^=== |^ *--- PASS|^ok |^PASS|no test files' "$log" | tail -n 300
  fi
  grep -E '^(ok|FAIL)[[:space:]]' "$log"
  grep -E '^ +[a-z_]+\.go:[0-9]+: (moved|killed|samples|chaos:|example:|verified|played) ' "$log" || true
  echo "== $name: $ok passed, $bad failed, $skip skipped, $((SECONDS - began)) s"
  passed=$((passed + ok)) broken=$((broken + bad)) skipped=$((skipped + skip))
}

# models runs the model checker; each configuration that is as it must be counts as a test that passed.
models() {
  local log=$logs/model.log began=$SECONDS code ok bad
  echo "== model"
  timeout 10m model/run.sh ci >"$log" 2>&1
  code=$?
  ok=$(grep -E '^(replay|durable|unique|cascade) ' "$log" | grep -vc 'MUST BE')
  bad=$(grep -c 'MUST BE' "$log")
  [ $code -eq 0 ] || failed+=(model)
  [ $code -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
  [ $code -eq 0 ] || cat "$log"
  grep -E '^model: ' "$log" || true
  echo "== model: $ok passed, $bad failed, 0 skipped, $((SECONDS - began)) s"
  passed=$((passed + ok)) broken=$((broken + bad))
}

# fuzz SECONDS is a suite of its own kind: its targets are its tests.
fuzz() {
  local log=$logs/fuzz.log began=$SECONDS ok bad
  echo "== fuzz"
  scripts/fuzz.sh "$1" >"$log" 2>&1
  local code=$?
  ok=$(grep -c '^--- PASS' "$log")
  bad=$(grep -c '^--- FAIL' "$log")
  [ $code -eq 0 ] || { failed+=(fuzz); cat "$log"; }
  [ $code -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
  grep '^fuzz: ' "$log"
  echo "== fuzz: $ok passed, $bad failed, 0 skipped, $((SECONDS - began)) s"
  passed=$((passed + ok)) broken=$((broken + bad))
}

wanted=${*:-units simulation pairs releases kills samples example security fuzz chaos model}
go build ./... || exit 1
for s in $wanted; do
  case $s in
    units) suite units 15m $(go list ./... | grep -vE '/internal/(e2e|simulation)$') ;;
    simulation) suite simulation 15m -count=1 ./internal/simulation -schedules 10000 ;;
    pairs) suite pairs 12m -count=1 -run 'TestPairs|TestStandard|TestRelease|TestReset|TestTurn|TestProof|TestLarge|TestTruncate|TestTwin|TestARecord|TestACluster|TestWho' ./internal/e2e ;;
    releases) suite releases 12m -count=1 -run 'TestShadow|TestMerge|TestWrongMerged|TestTypesOfMerged|TestOneRowBecomes|TestAFedTable|TestTextIsReadAnew' ./internal/e2e ;;
    kills) suite kills 12m -count=1 -run 'TestKill' ./internal/e2e ;;
    samples) suite samples 8m -count=1 -run 'TestSamples' ./internal/e2e ;;
    example) suite example 8m -count=1 -run 'TestExampleShop' ./internal/e2e ;;
    security) suite security 15m -count=1 -run 'TestGrants|TestHostileNames|TestSecretsAreNowhere|TestRowsAreNowhere|TestValuesAreShown|TestCommandLines' ./internal/e2e ;;
    fuzz) fuzz 120 ;;
    chaos) CHAOS_FOR=80s suite chaos 8m -count=1 -run 'TestChaos' ./internal/e2e ;;
    model) models ;;
    *) echo "no suite $s" >&2; exit 2 ;;
  esac
done

echo "== all: $passed passed, $broken failed, $skipped skipped, $SECONDS s"
if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}; logs in $logs"
  exit 1
fi
rm -rf "$logs"
