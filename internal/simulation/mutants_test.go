package simulation

import (
	"slices"
	"testing"

	"github.com/whimbrel/whimbrel/db/memory"
)

// mutant is one rule that is taken away: in a driver, as a flaw of db/memory, or in the program's own code, as patches that are
// compiled into a binary of their own (overlay_test.go). The program itself has no switch that breaks a rule.
type mutant struct {
	name  string
	rules string // of HAZARDS, and the variant's name in the model
	flaws
	core bool // patches of this name are switched on
}

func inSource(name, rules string, f memory.Flaw) mutant {
	return mutant{name: name, rules: rules, flaws: flaws{source: f}}
}

func inTarget(name, rules string, f memory.Flaw) mutant {
	return mutant{name: name, rules: rules, flaws: flaws{target: f}}
}

func inCore(name, rules string, f flaws) mutant {
	return mutant{name: name, rules: rules, flaws: f, core: true}
}

// in says in which trouble a mutant shows.
func (m mutant) in(t trouble) mutant {
	m.trouble = t
	return m
}

// mutants are the rules that are taken away here. docs/reliability.md has the table, with those that can not be.
var mutants = []mutant{
	inSource("watermark", "C1, naive-watermark", memory.Watermark),
	inSource("forget-upto", "C1, naive-range-delete", memory.ForgetUpto),
	inSource("forget-all", "C1", memory.ForgetAll),
	inSource("one-entry-per-key", "C1, naive-keylog-do-nothing", memory.OneEntryPerKey),
	inSource("stale-rows", "C2, naive-stale-row-read", memory.StaleRows),
	inSource("recorded-at-once", "C2, hazard 20", memory.RecordedAtOnce),
	inTarget("no-fence", "C3, naive-no-fence", memory.NoFence).in(zombies),
	inCore("two-lanes", "C4, naive-two-lanes", flaws{}),
	inCore("early-replaces", "C5, naive-replay-during-load-upsert", flaws{target: memory.LoadReplaces}),
	inCore("early-ignores", "C5, naive-replay-during-load-ignore", flaws{target: memory.IgnoredDuplicates}),
	inSource("installed-at-once", "C6, naive-load-before-old-end", memory.InstalledAtOnce),
	inSource("entries-not-on-disk", "C7, naive-async-source-replay", memory.EntriesNotOnDisk).in(crashing),
	inSource("rows-not-on-disk", "C7, naive-async-source-load", memory.RowsNotOnDisk).in(crashing),
	inSource("barrier-elsewhere", "C7, naive-barrier-other-connection", memory.BarrierElsewhere).in(crashing),
	inTarget("lazy-commits", "C7, naive-async-target", memory.LazyCommits).in(crashing),
	inSource("any-promise", "C8", memory.AnyPromise).in(setBack),
	inCore("numbers-not-compared", "C8", flaws{source: memory.AnyPromise}).in(setBack),
	inTarget("number-at-once", "C8, hazard 38", memory.NumberAtOnce).in(lateness),
	inCore("forget-first", "C8, naive-delete-log-first", flaws{}),
	inTarget("plain-upsert", "C9, naive-uniq-plain-upsert", memory.PlainUpsert),
	inTarget("upsert-by-any-key", "C9, naive-uniq-odku", memory.UpsertByAnyKey),
	inCore("lanes-without-repairs", "C9, naive-uniq-2lanes-norequeue", flaws{target: memory.NoRepairs}),
	{name: "folded-keys", rules: "C10", flaws: flaws{source: memory.FoldedKeys, target: memory.FoldedKeys}},
	inSource("new-key-only", "C10, naive-new-key-only", memory.NewKeyOnly),
	inSource("no-truncates", "C11", memory.NoTruncates),
	inCore("emptied-replayed", "C11, naive-truncate-replayed", flaws{}).in(emptying),
	inSource("silent-cascades", "C12, naive-cascade", memory.SilentCascades),
	inCore("fingerprints-ignored", "C13", flaws{}).in(muting),
	inSource("gate-hasty", "C14, naive-no-wait-running", memory.GateHasty),
	inSource("gate-leaks", "C14", memory.GateLeaks),
	inCore("opens-unproven", "C15", flaws{target: memory.TrimmedText}),
	inTarget("no-line", "C16, naive-ledger-not-unique", memory.NoLine),
	inTarget("line-first", "C16, naive-ledger-first", memory.LineFirst),
	inSource("closed-ranges", "C16", memory.ClosedRanges),
	inCore("cut-again", "C16", flaws{}),
	inTarget("commit-on-close", "C16", memory.CommitOnClose),
	inCore("not-parted", "C18", flaws{}).in(moving),
	inCore("ahead-passes", "a batch taken ahead is applied first", flaws{}),
	inTarget("trimmed-text", "the comparison", memory.TrimmedText),
}

// elusive are mutants that no schedule was seen to kill; -hunt hunts them too. Rows that are parted have entries in the record already,
// as the model shows, so that with one lane nothing is lost.
var elusive = []mutant{
	inTarget("part-forgets", "C18", memory.PartForgets).in(moving),
}

func mutantOf(t *testing.T, name string) mutant {
	t.Helper()
	for _, m := range slices.Concat(mutants, elusive) {
		if m.name == name {
			return m
		}
	}
	t.Fatalf("there is no mutant %s", name)
	return mutant{}
}
