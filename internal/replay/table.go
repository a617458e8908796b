package replay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/load"
)

// Table replays one table until its context ends or it is drained. Others may watch it and wait for it.
type Table struct {
	lane  *Lane
	limit chan struct{} // bounds the batches under way in all tables

	Replayed atomic.Int64 // entries whose rows are at the target

	wake chan struct{} // somebody waits: look now

	mu     sync.Mutex
	rounds int64         // batches that found the record to its end
	want   int64         // how many of these somebody waits for
	turned chan struct{} // closed and made anew when a round ends
	asked  int           // how often somebody asked that every key be read again
	reread int           // how many of these are answered
	err    error
}

// NewTable returns a table ready to be replayed with one lane. The limit is shared by all tables: its capacity is the most
// batches under way at one time.
func NewTable(lane *Lane, limit chan struct{}) *Table {
	return &Table{lane: lane, limit: limit, wake: make(chan struct{}, 1), turned: make(chan struct{})}
}

// Batch is the last batch that is known to have been applied.
func (t *Table) Batch() int64 { return t.lane.Batch() }

// Run replays until the context ends, and then returns its cause. Errors that pass are waited out; any other stops the table and is
// returned; so do rows that displace each other for ever. When the record is empty it looks again after a while, later and later up to
// half a second.
func (t *Table) Run(ctx context.Context) error {
	idle := 10 * time.Millisecond
	for {
		done, emptied, err := t.round(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx) // what a driver says of an ended context is not the reason
			}
			t.stop(err)
			return err
		}
		if !emptied {
			idle = 10 * time.Millisecond
			continue
		}
		if !done.Empty() {
			idle = 10 * time.Millisecond
		}
		if t.wanted() {
			continue
		}
		select {
		case <-ctx.Done():
			t.stop(context.Cause(ctx))
			return context.Cause(ctx)
		case <-t.wake:
		case <-time.After(idle):
			idle = min(2*idle, 500*time.Millisecond)
		}
	}
}

// Drain returns when the record and the repair list are empty while Run goes on; the source must be shut, or they fill again.
// Again: finds them empty.
func (t *Table) Drain(ctx context.Context) error {
	for {
		if err := t.CaughtUp(ctx); err != nil {
			return err
		}
		backlog, err := t.lane.From.Database.Recorder.Backlog(ctx, t.lane.From.Table)
		if err != nil {
			return fmt.Errorf("drain %s: %w", t.lane.From.Table.Name, err)
		}
		repairs, err := t.repairs(ctx) // after the record: an entry may displace rows, and nothing else does
		if err != nil {
			return err
		}
		if backlog.Entries == 0 && repairs == 0 {
			return nil
		}
	}
}

// Repaired returns when everything recorded before the call is at the target and the repair list has been empty since.
func (t *Table) Repaired(ctx context.Context) error {
	for {
		if err := t.CaughtUp(ctx); err != nil {
			return err
		}
		if repairs, err := t.repairs(ctx); err != nil || repairs == 0 {
			return err
		}
	}
}

func (t *Table) repairs(ctx context.Context) (int64, error) {
	n, err := t.lane.To.Database.Lists.Count(ctx, driver.Repairs, t.lane.To.Table)
	if err != nil {
		return 0, fmt.Errorf("count the repair list of %s: %w", t.lane.From.Table.Name, err)
	}
	return n, nil
}

// round applies one batch; emptied says that the batch found no more than it took. While it waits for trouble to pass other tables have
// their turn.
func (t *Table) round(ctx context.Context) (done Done, emptied bool, err error) {
	t.mu.Lock()
	asked, reread := t.asked, t.reread
	t.mu.Unlock()
	dialects := [2]driver.Dialect{t.lane.To.Database.Dialect, t.lane.From.Database.Dialect}
	done, err = load.Patiently(ctx, dialects[0], dialects[1], func() (Done, error) {
		select {
		case t.limit <- struct{}{}:
			defer func() { <-t.limit }()
		case <-ctx.Done():
			return Done{}, context.Cause(ctx)
		}
		if asked > reread {
			if err := t.repeated(ctx, func() error { return t.lane.Reread(ctx) }); err != nil {
				return Done{}, err
			}
		}
		return t.step(ctx)
	})
	if err != nil {
		return done, false, err
	}
	emptied = !done.Full
	t.turn(emptied, asked)
	return done, emptied, nil
}

// step takes a batch, and takes it again where that answers the error: a batch that an earlier attempt had applied, rows
// whose unique values moved between the looks at them, or rows that were put back between two looks.
func (t *Table) step(ctx context.Context) (done Done, err error) {
	err = t.repeated(ctx, func() (err error) {
		done, err = t.lane.Step(ctx)
		t.Replayed.Add(int64(done.Entries))
		return err
	})
	return done, err
}

// repeated does something up to five times while that answers its error. Rows that are put back are waited for between two times.
func (t *Table) repeated(ctx context.Context, do func() error) (err error) {
	pause := 50 * time.Millisecond
	for range 5 {
		err = do()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrUnseen):
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(pause):
				pause *= 2
			}
		case !errors.Is(err, ErrAgain) && t.lane.To.Database.Dialect.Classify(err) != driver.Conflict:
			return err
		}
	}
	return err
}

// turn wakes those who wait for the record to have been read to its end.
func (t *Table) turn(emptied bool, reread int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reread = reread
	if emptied {
		t.rounds++
		close(t.turned)
		t.turned = make(chan struct{})
	}
}

// wanted reports that somebody waits for another round. Who woke us for the rounds that have been is answered by it.
func (t *Table) wanted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.wake:
	default:
	}
	return t.rounds < t.want
}

func (t *Table) stop(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = err
	close(t.turned)
	t.turned = make(chan struct{})
}

// Reread asks that every key of both sides be read again before the next batch; CaughtUp then waits for it.
func (t *Table) Reread() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked++
}

// CaughtUp returns when everything recorded before the call is at the target: when a batch that began after the call has
// found the record to its end. It returns the table's error when its replay has stopped.
func (t *Table) CaughtUp(ctx context.Context) error {
	t.mu.Lock()
	// A round under way may have begun before the call: the one after it counts.
	want := t.rounds + 2
	t.want = max(t.want, want)
	select {
	case t.wake <- struct{}{}:
	default:
	}
	t.mu.Unlock()
	for {
		t.mu.Lock()
		rounds, turned, err := t.rounds, t.turned, t.err
		t.mu.Unlock()
		switch {
		case err != nil:
			return err
		case rounds >= want:
			return nil
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
