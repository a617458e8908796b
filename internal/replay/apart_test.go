package replay_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/replay"
)

// The source holds two values apart that a unique key of the target takes for one. Whichever row is written removes the other, whose key goes
// on the repair list: the drain, in the downtime, would wait for ever for that list to be empty.
func TestADrainEndsWhereTheTargetTakesTwoRowsForOne(t *testing.T) {
	h := newHistory(1, memory.Sound, memory.Sound)
	h.source.Fault, h.target.Fault = nil, nil
	must(h.source.Create(h.table))
	p, err := h.process()
	must(err)
	must(h.install(t.Context(), p))
	p.to.Table, p.to.Shape = people()
	p.to.Table.Columns[1].Type.Collation = "folded"
	must(execute(t.Context(), p.to.Database, p.to.Database.Dialect.CreateTable(p.to.Table)))
	must(execute(t.Context(), p.to.Database, p.to.Database.Dialect.CreateKeys(p.to.Table)))
	for _, x := range [][2]string{{"17", "miller"}, {"99", "smith"}, {"42", "Miller"}} {
		tx := h.source.Begin()
		must(tx.Insert(h.table.Name, []byte(x[0]), []byte(x[1]), []byte("note")))
		must(tx.Commit())
	}
	lane := replay.NewLane(p.from, p.to, p.epoch)
	lane.Most = func() int { return 2 } // two rows of one batch are refused by the target itself
	table := replay.NewTable(lane, make(chan struct{}, 1))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	var wg sync.WaitGroup
	wg.Go(func() { _ = table.Run(ctx) })
	err = table.Drain(ctx)
	cancel()
	wg.Wait()
	if err == nil || !strings.Contains(err.Error(), `holds apart`) || !strings.Contains(err.Error(), `"17"`) && !strings.Contains(err.Error(), `"42"`) {
		t.Errorf("the drain ended with %v", err)
	}
}
