package move

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/internal/replay"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// table is one table of the move with everything its steps need.
type table struct {
	number int
	name   string // the source's, as people write it
	class  Class
	reason string
	level  Level

	source, target *schema.Table
	compared       shapes // every column that travels
	loaded         shapes // those that are written at the target
	rows           int64  // how many make a range
	longest        int64  // bytes of the longest value that was found; 0 when none was looked for
	pace           load.Pace

	origin *driver.Database // what it is read from, where that is not the source

	noting atomic.Bool // replay puts the keys it applies on the changed list
}

// shapes are the two sides' of one table.
type shapes struct{ source, target schema.Shape }

// ends returns the two ends of the table's load and replay.
func (m *Move) ends(ctx context.Context, t *table) (from, to load.End, err error) {
	source, target, err := m.both(ctx)
	if t.origin != nil {
		source = t.origin
	}
	return load.End{Database: source, Table: t.source, Shape: t.loaded.source},
		load.End{Database: target, Table: t.target, Shape: t.loaded.target}, err
}

// pair returns the table's two sides for comparison.
func (m *Move) pair(ctx context.Context, t *table) (verify.Pair, error) {
	source, target, err := m.both(ctx)
	if err != nil {
		return verify.Pair{}, err
	}
	if t.origin != nil {
		source = t.origin
	}
	seed, err := m.seed(ctx)
	return verify.Pair{
		Source: verify.Side{Database: source, Table: t.source, Shape: t.compared.source},
		Target: verify.Side{Database: target, Table: t.target, Shape: t.compared.target},
		Seed:   row.Seed(seed), Pace: t.pace,
	}, err
}

// of returns the tables of these classes, in the order they are loaded.
func of(tables []*table, classes ...Class) []*table {
	var some []*table
	for _, t := range tables {
		for _, c := range classes {
			if t.class == c {
				some = append(some, t)
			}
		}
	}
	return some
}

// sources returns the tables as the source knows them.
func sources(tables []*table) []*schema.Table {
	list := make([]*schema.Table, len(tables))
	for i, t := range tables {
		list[i] = t.source
	}
	return list
}

// replays are the tables that are being replayed by this process.
type replays struct {
	mu     sync.Mutex
	tables map[int]*replay.Table
}

func (r *replays) set(t *table, running *replay.Table) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tables == nil {
		r.tables = map[int]*replay.Table{}
	}
	r.tables[t.number] = running
}

func (r *replays) get(t *table) *replay.Table {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tables[t.number]
}

// following returns the table's replay, while it runs; an error when the table is stopped or the context ends first.
func (m *Move) following(ctx context.Context, t *table) (running *replay.Table, err error) {
	err = m.await(ctx, t, func(progress) bool {
		running = m.replays.get(t)
		return running != nil
	})
	return running, err
}

// until returns when the board shows that a table has come to a stage; an error when it is stopped or the context ends.
func (m *Move) until(ctx context.Context, t *table, stage Stage) error {
	return m.await(ctx, t, func(p progress) bool { return p.reached(stage) })
}

// await looks at a table at each change of the board until come says that what is waited for is there.
func (m *Move) await(ctx context.Context, t *table, come func(progress) bool) error {
	for {
		p, moved := m.board.of(t.name)
		switch {
		case p.stage == Stopped:
			return fmt.Errorf("%s: %w", t.name, p.err)
		case come(p):
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// stops shows that a table is not going on, and says why.
func (m *Move) stops(t *table, err error) {
	m.board.stop(t.name, err)
	m.log.Error("table stopped", "table", t.name, "error", err)
}

// each runs do for several tables at the same time, at most that many, and joins their errors; one table's error does not
// stop the others.
func each(ctx context.Context, tables []*table, most int, do func(context.Context, *table) error) error {
	var wg sync.WaitGroup
	limit := make(chan struct{}, max(most, 1))
	errs := make([]error, len(tables))
	for i, t := range tables {
		select {
		case limit <- struct{}{}:
		case <-ctx.Done():
			errs[i] = context.Cause(ctx)
			continue
		}
		wg.Go(func() {
			defer func() { <-limit }()
			if err := do(ctx, t); err != nil {
				errs[i] = fmt.Errorf("%s: %w", t.name, err)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(errs...)
}

// run executes planned statements, and takes what is there already as done.
func run(ctx context.Context, db *driver.Database, statements []driver.Statement) error {
	for _, s := range statements {
		if _, err := load.Patiently(ctx, db.Dialect, db.Dialect, func() (struct{}, error) {
			return struct{}{}, db.Executor.Execute(ctx, s)
		}); err != nil {
			if c := db.Dialect.Classify(err); c == driver.Exists || c == driver.Missing {
				continue
			}
			return fmt.Errorf("%s: %w", s.Purpose, err)
		}
	}
	return nil
}
