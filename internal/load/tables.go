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
	Alone    chan struct{} // when not nil, held while a range is carried: such tables, which share one, take turns
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
			next := piece{t, r, len(p.queue) + len(p.turns)}
			if t.Alone != nil {
				p.turns = append(p.turns, next)
			} else {
				p.queue = append(p.queue, next)
			}
		}
	}
	for _, t := range tables {
		if len(t.Ranges) == 0 {
			p.finish(ctx, t, w.TableIn(ctx, t))
		}
	}
	var wg sync.WaitGroup
	for range min(max(sessions(), 1), max(len(p.queue)+len(p.turns), 1)) {
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
	at    int // its place among all
}

type pool struct {
	epoch int64
	watch Watch

	mu      sync.Mutex
	queue   []piece
	turns   []piece // of tables that take turns
	left    map[*Table]int
	stopped map[*Table]error
}

// next returns the piece to be carried now, false when there is none any more. A piece of a table that takes turns is returned with its turn,
// for which nobody waits who has others to carry; and in the order of its table's, whoever is quicker.
func (p *pool) next(ctx context.Context) (piece, bool) {
	next, turn := p.pick(false)
	if turn == nil {
		return next, next.table != nil
	}
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return piece{}, false
	}
	if next, _ = p.pick(true); next.table == nil { // others have carried it
		<-turn
	}
	return next, next.table != nil
}

// pick takes a piece, with its turn where the caller has none yet. Where all that is left waits for a turn that somebody has, it returns that.
func (p *pool) pick(has bool) (next piece, turn chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	other, others := p.first(&p.queue)
	mine, mines := p.first(&p.turns)
	switch {
	case mines && (has || (!others || mine.at < other.at) && had(mine.table.Alone)):
		p.turns = p.turns[1:]
		return mine, nil
	case others:
		p.queue = p.queue[1:]
		return other, nil
	case mines:
		return piece{}, mine.table.Alone
	}
	return piece{}, nil
}

// had takes a turn, if nobody has it.
func had(turn chan struct{}) bool {
	select {
	case turn <- struct{}{}:
		return true
	default:
		return false
	}
}

// first returns the first piece of a queue whose table is not stopped, and takes those before it away.
func (p *pool) first(queue *[]piece) (piece, bool) {
	for len(*queue) > 0 && p.stopped[(*queue)[0].table] != nil {
		*queue = (*queue)[1:]
	}
	if len(*queue) == 0 {
		return piece{}, false
	}
	return (*queue)[0], true
}

func (p *pool) work(ctx context.Context) {
	for ctx.Err() == nil {
		next, ok := p.next(ctx)
		if !ok {
			return
		}
		p.one(ctx, next)
	}
}

func (p *pool) one(ctx context.Context, next piece) {
	t := next.table
	result, err := p.carry(ctx, next)
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

// carry loads a piece and ends its turn.
func (p *pool) carry(ctx context.Context, next piece) (Result, error) {
	t := next.table
	if t.Alone != nil {
		defer func() { <-t.Alone }()
	}
	return Patiently(ctx, t.To.Database.Dialect, t.From.Database.Dialect, func() (Result, error) {
		return Range(ctx, Task{From: t.From, To: t.To, Range: next.r, Epoch: p.epoch, Sole: t.Planned == 1, Pace: t.Pace})
	})
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
