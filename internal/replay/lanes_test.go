package replay_test

import (
	"testing"

	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/replay"
)

// One of several lanes neither takes the repair list, which is the whole table's, nor reads every key again: both would give
// one key two takers, and the one that read it first may write it last.
func TestOneOfSeveralLanesLeavesTheOthersKeysAlone(t *testing.T) {
	h := newHistory(1, memory.Sound, memory.Sound)
	h.source.Fault, h.target.Fault = nil, nil
	h.still(func() { must(h.source.Create(h.table)) })
	p, err := h.process()
	must(err)
	must(h.install(t.Context(), p))
	must(h.create(t.Context(), p))
	lane := replay.NewLane(p.from, p.to, p.epoch)
	lane.Lane, lane.Lanes = 1, 2
	if _, err := lane.Step(t.Context()); err == nil {
		t.Error("a table with a unique key beside its own is replayed by two lanes")
	}
	plain := *h.table
	plain.Uniques = nil
	lane.To.Table = &plain
	if _, err := lane.Step(t.Context()); err != nil {
		t.Errorf("a table without one is not: %v", err)
	}
	if err := lane.Reconcile(t.Context()); err == nil {
		t.Error("one of two lanes reads every key again")
	}
}
