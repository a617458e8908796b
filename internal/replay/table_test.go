package replay_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/replay"
	"github.com/whimbrel/whimbrel/row"
)

// Whoever waits for a replay that is told to end hears why it ended, and not what a driver says of an ended context.
func TestAnEndedReplayGivesItsReason(t *testing.T) {
	h, p := quiet(t)
	over := errors.New("over")
	ctx, cancel := context.WithCancelCause(t.Context())
	h.target.Fault = func(op string) error {
		if op == "before Lists.Peek" {
			cancel(over)
			return context.Canceled
		}
		return nil
	}
	table := replay.NewTable(replay.NewLane(p.from, p.to, p.epoch), make(chan struct{}, 1))
	if err := table.Run(ctx); !errors.Is(err, over) {
		t.Errorf("the replay ended with %v", err)
	}
	if err := table.CaughtUp(t.Context()); !errors.Is(err, over) {
		t.Errorf("who waits hears %v", err)
	}
}

// A table that waits for trouble to pass, a target that somebody holds locked perhaps, does not keep the others from their turn.
func TestATableThatWaitsGivesItsTurnAway(t *testing.T) {
	h, p := quiet(t)
	failed := make(chan struct{}, 100)
	h.target.Fault = func(op string) error {
		if op == "before Lists.Peek" {
			failed <- struct{}{}
			return memory.Fail(driver.Transient, op)
		}
		return nil
	}
	limit := make(chan struct{}, 1)
	table := replay.NewTable(replay.NewLane(p.from, p.to, p.epoch), limit)
	over := errors.New("over")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- table.Run(ctx) }()
	for range 4 { // the pauses grow: at the fourth failure the next attempt is 400 ms away
		<-failed
	}
	select {
	case limit <- struct{}{}: // the turn of another table
		<-limit
	case <-time.After(5 * time.Second):
		t.Error("the only turn is held by a table that waits")
	}
	cancel(over)
	if err := <-ended; !errors.Is(err, over) {
		t.Errorf("the replay ended with %v", err)
	}
}

// Batches of one step follow each other, each taken while the one before it is applied, and hold no session afterwards.
func TestAStepGivesItsSessionsBack(t *testing.T) {
	h, p := quiet(t)
	const rows = 30
	h.insert(0, rows)
	receipts := &counted{Recorder: p.from.Database.Recorder}
	p.from.Database.Recorder = receipts
	lane := replay.NewLane(p.from, p.to, p.epoch)
	lane.Most = func() int { return 2 }
	steps, applied := 0, 0
	for done := (replay.Done{Full: true}); done.Full; steps++ {
		var err error
		if done, err = lane.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		applied += done.Entries
		if n := receipts.open.Load(); n != 0 {
			t.Fatalf("%d receipts are open after a step", n)
		}
	}
	if n := receipts.most.Load(); n != 2 {
		t.Errorf("%d receipts were open at one time", n)
	}
	if got := h.target.Rows(h.table.Name).Len(); got != rows || applied != rows || steps > 4 {
		t.Errorf("%d rows of %d, %d entries, %d steps", got, rows, applied, steps)
	}
}

// counted counts the receipts that are open.
type counted struct {
	driver.Recorder
	open, most atomic.Int64
}

func (c *counted) Take(ctx context.Context, want driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	if earlier, wrapped := want.Beyond.(*receipt); wrapped {
		want.Beyond = earlier.Receipt
	}
	r, err := c.Recorder.Take(ctx, want, keys, images)
	if err != nil {
		return nil, err
	}
	if n := c.open.Add(1); n > c.most.Load() {
		c.most.Store(n)
	}
	return &receipt{Receipt: r, of: c}, nil
}

type receipt struct {
	driver.Receipt
	of     *counted
	closed atomic.Bool
}

func (r *receipt) Close() error {
	if !r.closed.Swap(true) {
		r.of.open.Add(-1)
	}
	return r.Receipt.Close()
}

// cutting says of every receipt that it was cut.
type cutting struct{ driver.Recorder }

type cut struct{ driver.Receipt }

// Cut says so.
func (cut) Cut() bool { return true }

// Take does.
func (c cutting) Take(ctx context.Context, w driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	r, err := c.Recorder.Take(ctx, w, keys, images)
	if err != nil {
		return nil, err
	}
	return cut{r}, nil
}

// A batch that was cut, however short and small, is not the end of the record: who waits for that goes on waiting.
func TestABatchThatWasCutIsNotTheEnd(t *testing.T) {
	h, p := quiet(t)
	from := *p.from.Database
	from.Recorder, from.Info.Limits.Ahead = cutting{from.Recorder}, false
	p.from.Database = &from
	x := h.source.Begin()
	must(x.Insert(h.table.Name, []byte("1"), []byte("a"), []byte("b")))
	must(x.Commit())
	done, err := replay.NewLane(p.from, p.to, p.epoch).Step(t.Context())
	if err != nil || !done.Full || done.Entries != 1 {
		t.Errorf("%+v, %v", done, err)
	}
}
