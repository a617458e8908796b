package verify_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/internal/replay"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// TestAThousandLiveComparisonsAreEqual compares a table a thousand times beside a writer and a replay: never is a row called
// different. Each hundredth time a change is made that nobody notes, and it is found.
func TestAThousandLiveComparisonsAreEqual(t *testing.T) {
	rnd, _ := seeded(t)
	from, to := memory.New("source"), memory.New("target")
	source, target := newEnd(t, from.Open, driver.Source, movingColumns(), true), newEnd(t, to.Open, driver.Target, movingColumns(), true)
	var rows [][][]byte
	for i := range 60 {
		rows = append(rows, movingRow(i))
	}
	source.load(t, rows...)
	target.load(t, rows...)
	check(t, source.reads.Capturer.Install(t.Context(), source.table, source.shape, driver.Wait{}))
	lane := replay.NewLane(load.End{Database: source.reads, Table: source.table, Shape: source.shape},
		load.End{Database: target.writes, Table: target.table, Shape: target.shape}, target.epoch)
	lane.Note = func() bool { return true }
	running, p := replay.NewTable(lane, make(chan struct{}, 1)), pairOf(source, target)

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { _ = running.Run(ctx) })
	writes := 0
	seed := rnd.Uint64()
	wg.Go(func() { writes = scribble(ctx, from, source.table, rand.New(rand.NewPCG(seed, 1))) })
	again := 0
	for n := range 1000 {
		tally, err := verify.Live(t.Context(), p, running, 10)
		check(t, err)
		if again += tally.Again; !tally.Equal() {
			t.Fatalf("comparison %d calls %d rows different: %+v", n, len(tally.Differing), tally)
		}
		if n%100 == 99 {
			unnoted(t, from, source.table, p, running)
		}
		_, err = verify.Strike(t.Context(), p, running)
		check(t, err)
	}
	stop()
	wg.Wait()
	if writes < 100 || again == 0 {
		t.Errorf("%d writes, and %d keys looked at again: nothing moved", writes, again)
	}
	t.Logf("verified memory/memory: 1,000 live comparisons of 60 rows beside %d writes, %d keys looked at again; no false alarm; 10 of 10 changes that nobody noted found and mended", writes, again)
}

// scribble changes rows 0 to 39 until the context ends, and returns how many changes it made.
func scribble(ctx context.Context, at *memory.Server, table *schema.Table, rnd *rand.Rand) (changes int) {
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for ctx.Err() == nil {
		x := at.Begin()
		for range 1 + rnd.IntN(5) {
			id, other := strconv.Itoa(rnd.IntN(40)), strconv.Itoa(rnd.IntN(40))
			r := cells(id, strconv.Itoa(rnd.IntN(1000)), "changed", "1.25")
			var err error
			switch rnd.IntN(5) {
			case 0:
				err = x.Delete(table.Name, row.MakeKey([]byte(id)))
			case 1:
				err = x.Insert(table.Name, r...)
			case 2:
				err = x.Update(table.Name, row.MakeKey([]byte(other)), r...)
			default:
				err = x.Update(table.Name, row.MakeKey([]byte(id)), r...)
			}
			if err == nil {
				changes++
			}
		}
		if rnd.IntN(5) == 0 {
			x.Rollback()
		} else {
			_ = x.Commit()
		}
		select {
		case <-ctx.Done():
		case <-pace.C:
		}
	}
	return changes
}

// unnoted changes a quiet row at the source past the triggers, and has it found and mended.
func unnoted(t *testing.T, at *memory.Server, table *schema.Table, p verify.Pair, running *replay.Table) {
	t.Helper()
	x := at.BeginSilent()
	was := x.Update(table.Name, row.MakeKey([]byte("50")), cells("50", strconv.Itoa(int(time.Now().UnixNano())), "unnoted", "9.99")...)
	check(t, was)
	check(t, x.Commit())
	tally, err := verify.Live(t.Context(), p, running, 10)
	check(t, err)
	if len(tally.Differing) != 1 || string(tally.Differing[0].Key[4:]) != "50" {
		t.Fatalf("a change that nobody noted: %+v", tally)
	}
	after, err := verify.Mend(t.Context(), p, throughReplay{p, running}, tally.Differing)
	check(t, err)
	if !after.Equal() || after.Left != 0 {
		t.Fatalf("mended: %+v", after)
	}
}

// throughReplay mends by the repair list.
type throughReplay struct {
	pair    verify.Pair
	running *replay.Table
}

// Mend puts keys on the list and waits.
func (r throughReplay) Mend(ctx context.Context, keys *row.Batch) error {
	if err := r.pair.Target.Database.Lists.Put(ctx, driver.Repairs, r.pair.Target.Table, keys); err != nil {
		return err
	}
	return r.running.CaughtUp(ctx)
}
