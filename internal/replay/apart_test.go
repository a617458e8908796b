package replay_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/replay"
	"github.com/whimbrel/whimbrel/row"
)

// The source holds two values apart that a unique key of the target takes for one. Whichever row is written removes the other, whose key goes
// on the repair list: the drain, in the downtime, would wait for ever for that list to be empty. It is told while the application runs, too.
func TestADrainEndsWhereTheTargetTakesTwoRowsForOne(t *testing.T) {
	for _, busy := range []bool{false, true} {
		h, p := folding(t, "folded")
		for _, x := range [][2]string{{"17", "miller"}, {"99", "smith"}, {"42", "Miller"}} {
			h.note(x[0], x[1])
		}
		var wg sync.WaitGroup
		ended := make(chan struct{})
		wg.Go(func() {
			for i := 1000; busy; i++ {
				select {
				case <-ended:
					return
				case <-time.After(time.Millisecond):
					h.note(strconv.Itoa(i), "name "+strconv.Itoa(i))
				}
			}
		})
		err := drained(t, p, 2) // two rows of one batch are refused by the target itself
		close(ended)
		wg.Wait()
		if err == nil || !strings.Contains(err.Error(), `holds apart`) || !strings.Contains(err.Error(), `"17"`) && !strings.Contains(err.Error(), `"42"`) {
			t.Errorf("busy %t: the drain ended with %v", busy, err)
		}
	}
}

// Rows that are stale because nobody noted their changes displace each other in a long chain, each once: they come right, and nothing is in a clash.
func TestRowsThatComeRightOneAfterAnotherAreNoClash(t *testing.T) {
	h, p := quiet(t)
	const rows = 400
	for i := range rows {
		h.note(strconv.Itoa(i), "name "+strconv.Itoa(i))
	}
	must(drained(t, p, rows))
	tx := h.target.Begin() // as if the source had moved each name on by one
	for i := range rows {
		must(tx.Delete(h.table.Name, row.MakeKey([]byte(strconv.Itoa(i)))))
	}
	for i := range rows {
		must(tx.Insert(h.table.Name, []byte(strconv.Itoa(i)), []byte("name "+strconv.Itoa((i+rows-1)%rows)), []byte("note")))
	}
	must(tx.Commit())
	keys := row.NewBatch(1)
	must(keys.AppendRow([]byte(row.MakeKey([]byte("0")))))
	must(p.to.Database.Lists.Put(t.Context(), driver.Repairs, p.to.Table, keys))
	must(drained(t, p, 100))
}

// A long list whose rows are so large that each is a batch of its own becomes shorter: nothing is in a clash.
func TestALongRepairListIsNoClash(t *testing.T) {
	h, p := quiet(t)
	const rows = 300
	keys := row.NewBatch(1)
	for i := range rows {
		h.note(strconv.Itoa(i), "name "+strconv.Itoa(i))
		must(keys.AppendRow([]byte(row.MakeKey([]byte(strconv.Itoa(i))))))
	}
	must(drained(t, p, rows))
	must(p.to.Database.Lists.Put(t.Context(), driver.Repairs, p.to.Table, keys))
	must(drained(t, p, 1))
}

// note has the application insert a row.
func (h *history) note(id, name string) {
	tx := h.source.Begin()
	must(tx.Insert(h.table.Name, []byte(id), []byte(name), []byte("note")))
	must(tx.Commit())
}

// drained replays with batches of that many entries until nothing is left.
func drained(t *testing.T, p *process, most int) error {
	t.Helper()
	lane := replay.NewLane(p.from, p.to, p.epoch)
	lane.Most = func() int { return most }
	table := replay.NewTable(lane, make(chan struct{}, 1))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	var wg sync.WaitGroup
	wg.Go(func() { _ = table.Run(ctx) })
	err := table.Drain(ctx)
	cancel()
	wg.Wait()
	return err
}
