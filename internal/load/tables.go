package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// Table is one table to load: its ends, and the ranges of its plan that are not in the ledger.
type Table struct {
	From, To End
	Ranges   []row.Range
	Planned  int // the ranges of the whole plan; one says that the table is loaded in one piece
	Pace     Pace
	Alone    chan struct{} // when not nil, held while a range is carried: tables that share it take turns
}

// Watch is told what happens; its methods are called from several goroutines.
type Watch interface {
	// RangeIn says that a range of the table is in.
	RangeIn(t *Table, r Result)
	// TableIn says that the last range of the table is in. An error stops the table.
	TableIn(ctx context.Context, t *Table) error
	// TableStopped says that the table can not be loaded; the others go on.
	TableStopped(t *Table, err error)
}

// Tables loads tables with that many ranges at a time, in the order given. A table that can not be loaded is stopped and the
// others go on; the stopped ones' errors are joined in the returned error. Again: loads what is not in the ledger.
func Tables(ctx context.Context, tables []*Table, epoch int64, sessions func() int, w Watch) error {
	p := &pool{epoch: epoch, watch: w, left: map[*Table]int{}, stopped: map[*Table]error{}}
	for _, t := range tables {
		p.left[t] = len(t.Ranges)
		for _, r := range t.Ranges {
			p.queue = append(p.queue, piece{t, r})
		}
	}
	for _, t := range tables {
		if len(t.Ranges) == 0 {
			p.finish(ctx, t, w.TableIn(ctx, t))
		}
	}
	var wg sync.WaitGroup
	for range min(max(sessions(), 1), max(len(p.queue), 1)) {
		wg.Go(func() { p.work(ctx) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return p.failures(tables)
}

type piece struct {
	table *Table
	r     row.Range
}

type pool struct {
	epoch int64
	watch Watch

	mu      sync.Mutex
	queue   []piece
	left    map[*Table]int
	stopped map[*Table]error
}

func (p *pool) next() (piece, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) > 0 {
		next := p.queue[0]
		p.queue = p.queue[1:]
		if p.stopped[next.table] == nil {
			return next, true
		}
	}
	return piece{}, false
}

func (p *pool) work(ctx context.Context) {
	for ctx.Err() == nil {
		next, ok := p.next()
		if !ok {
			return
		}
		p.one(ctx, next)
	}
}

func (p *pool) one(ctx context.Context, next piece) {
	t := next.table
	if t.Alone != nil {
		select {
		case t.Alone <- struct{}{}:
			defer func() { <-t.Alone }()
		case <-ctx.Done():
			return
		}
	}
	result, err := Patiently(ctx, t.To.Database.Dialect, t.From.Database.Dialect, func() (Result, error) {
		return Range(ctx, Task{From: t.From, To: t.To, Range: next.r, Epoch: p.epoch, Sole: t.Planned == 1, Pace: t.Pace})
	})
	if err != nil {
		p.finish(ctx, t, err)
		return
	}
	p.watch.RangeIn(t, result)
	p.mu.Lock()
	p.left[t]--
	last := p.left[t] == 0
	p.mu.Unlock()
	if last {
		p.finish(ctx, t, p.watch.TableIn(ctx, t))
	}
}

func (p *pool) finish(ctx context.Context, t *Table, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	first := p.stopped[t] == nil
	if first {
		p.stopped[t] = err
	}
	p.mu.Unlock()
	if first {
		p.watch.TableStopped(t, err)
	}
}

func (p *pool) failures(tables []*Table) error {
	var errs []error
	for _, t := range tables {
		if err := p.stopped[t]; err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t.From.Table.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Patiently calls do again, later and later, while its error is one that passes: a deadlock, a lock that was not had in time, a
// lost session. It gives up after about a minute, or when the context ends.
func Patiently[T any](ctx context.Context, target, source driver.Dialect, do func() (T, error)) (T, error) {
	const tries = 12
	pause := 50 * time.Millisecond
	for try := 1; ; try++ {
		v, err := do()
		if err == nil || try == tries || !Passing(target, err) && !Passing(source, err) {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, context.Cause(ctx)
		case <-time.After(pause):
		}
		pause = min(2*pause, 10*time.Second)
	}
}

// Passing reports whether an error is one after which the same call may be made again.
func Passing(d driver.Dialect, err error) bool {
	switch d.Classify(err) {
	case driver.Transient, driver.Lost, driver.Unknown:
		return true
	}
	return false
}
