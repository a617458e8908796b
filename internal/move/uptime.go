package move

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/replay"
	"github.com/whimbrel/whimbrel/internal/state"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// loadUptime brings every range of every uptime table in. Again: those that are not in the ledger.
func (m *Move) loadUptime(ctx context.Context) error {
	return m.load(ctx, of(m.tables(), Uptime), func(ctx context.Context, t *table) error {
		m.board.advance(t.name, Indexing)
		return nil
	})
}

// unloadUptime empties the uptime tables at the target again, so that they can be loaded another way. Again: does nothing.
func (m *Move) unloadUptime(ctx context.Context) error {
	epoch, err := m.takeOver(ctx)
	if err != nil {
		return err
	}
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	counts, err := m.counts(ctx)
	if err != nil {
		return err
	}
	for _, t := range of(m.tables(), Uptime) {
		if err := target.Ledger.Clear(ctx, t.target, epoch); err != nil && !m.gone(ctx, target, t, err) {
			return fmt.Errorf("empty %s at the target: %w", t.name, err)
		}
		if err := m.state.DropPlan(ctx, t.number); err != nil {
			return err
		}
		for name, n := range counts[t.number] {
			if err := m.state.Add(ctx, state.Count{Table: t.number, Name: name, By: -n}); err != nil {
				return err
			}
		}
		m.board.change(t.name, func(p *progress) { *p = progress{stage: Waiting} })
	}
	return nil
}

// load loads tables and calls in for each whose last range is in.
func (m *Move) load(ctx context.Context, tables []*table, in func(context.Context, *table) error) error {
	epoch, err := m.takeOver(ctx)
	if err != nil {
		return err
	}
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	source, err := m.source(ctx)
	if err != nil {
		return err
	}
	known, err := load.Patiently(ctx, target.Dialect, source.Dialect, func() (known, error) { return m.learn(ctx, target, tables) })
	if err != nil {
		return fmt.Errorf("plan the ranges: %w", err)
	}
	w := &loading{m: m, in: in, tables: map[*load.Table]*table{}}
	var todo []*load.Table
	for _, t := range tables {
		l, err := load.Patiently(ctx, target.Dialect, source.Dialect, func() (*load.Table, error) { return m.remaining(ctx, t, known) })
		if err != nil {
			return fmt.Errorf("plan the ranges of %s: %w", t.name, err)
		}
		w.tables[l] = t
		todo = append(todo, l)
	}
	return load.Tables(ctx, todo, epoch, m.writers, w)
}

// known is what a load knows of its tables before it begins: the ranges in each one's plan, and those that are in the ledger.
type known struct {
	plans map[int]int
	in    map[int]map[int]int64 // nil where the ledger is asked table by table
}

// learn reads the plans and the ledger of a load's tables, and makes the plan of those that are tiny: one range, which no
// server need be asked for.
func (m *Move) learn(ctx context.Context, target *driver.Database, tables []*table) (known, error) {
	plans, err := m.state.Plans(ctx)
	if err != nil {
		return known{}, err
	}
	k := known{plans: plans}
	var whole []int
	for _, t := range tables {
		if _, planned := plans[t.number]; !planned && t.isTiny() {
			whole, plans[t.number] = append(whole, t.number), 1
		}
	}
	if len(whole) > 0 {
		if err := m.state.SaveWhole(ctx, whole...); err != nil {
			return k, err
		}
	}
	if target.Many == nil {
		return k, nil
	}
	k.in = map[int]map[int]int64{}
	for some := range slices.Chunk(tables, 10*crowd) {
		in, err := target.Many.RangesAll(ctx, targets(some))
		if err != nil {
			return k, err
		}
		maps.Copy(k.in, in)
	}
	return k, nil
}

// writers is how many ranges are loaded at one time.
func (m *Move) writers() int {
	n := min(m.config.Sessions.Source, m.config.Sessions.Target)
	m.sides.mu.Lock()
	defer m.sides.mu.Unlock()
	for s, db := range m.sides.opened {
		limit := db.Info.Limits.Readers
		if s == driver.Target {
			limit = db.Info.Limits.Writers
		}
		if limit > 0 {
			n = min(n, limit)
		}
	}
	return max(n, 1)
}

// remaining returns a table with the ranges of its plan that are not in the ledger. The plan is made and kept before the
// first range is read (HAZARDS C16).
func (m *Move) remaining(ctx context.Context, t *table, k known) (*load.Table, error) {
	from, to, err := m.ends(ctx, t)
	if err != nil {
		return nil, err
	}
	count, planned := k.plans[t.number]
	done := k.in[t.number]
	if k.in == nil {
		if done, err = to.Database.Ledger.Ranges(ctx, t.target); err != nil {
			return nil, err
		}
	}
	if !planned && len(done) > 0 { // what was one range in that plan need not be one in ours
		return nil, fmt.Errorf("%d ranges were loaded by a plan that is not known here: %w", len(done), ErrOtherState)
	}
	if !planned {
		sessions := m.writers()
		cut := plan.CutOf(t.source, t.rows, sessions)
		ranges := cut.Guided(from.Database.Splitter.Split(ctx, t.source, t.loaded.source, cut.Rows), sessions)
		if count, err = m.state.SavePlan(ctx, t.number, numbered(ranges)); err != nil {
			return nil, err
		}
	}
	l := &load.Table{From: from, To: to, Planned: count, Pace: t.pace}
	if t.pace == load.Careful {
		l.Alone = m.careful
	}
	if l.Ranges, err = m.missing(ctx, t, count, done); err != nil {
		return nil, err
	}
	m.board.advance(t.name, Loading)
	m.board.change(t.name, func(p *progress) {
		p.rows = 0
		for rows := range maps.Values(done) {
			p.rows += rows
		}
	})
	return l, nil
}

// missing returns the ranges of a table's plan that are not in the ledger. A plan of one range is the whole table.
func (m *Move) missing(ctx context.Context, t *table, count int, done map[int]int64) ([]row.Range, error) {
	if count == 1 {
		if _, in := done[1]; in {
			return nil, nil
		}
		return []row.Range{{Number: 1}}, nil
	}
	var ranges []row.Range
	for r, err := range m.state.Ranges(ctx, t.number) {
		if err != nil {
			return nil, err
		}
		if _, in := done[r.Number]; !in {
			ranges = append(ranges, r)
		}
	}
	return ranges, nil
}

// numbered gives the ranges of a plan their places, from 1.
func numbered(ranges func(func(row.Range, error) bool)) func(func(row.Range, error) bool) {
	return func(yield func(row.Range, error) bool) {
		n := 0
		for r, err := range ranges {
			n++
			r.Number = n
			if !yield(r, err) {
				return
			}
		}
	}
}

// loading is told what a load does.
type loading struct {
	m      *Move
	in     func(context.Context, *table) error
	tables map[*load.Table]*table
}

// RangeIn counts.
func (w *loading) RangeIn(l *load.Table, r load.Result) {
	t := w.tables[l]
	w.m.board.rangeIn(t.name, r)
	if err := w.m.state.Add(context.Background(), state.Count{Table: t.number, Name: countRows, By: r.Rows}, state.Count{Table: t.number, Name: countBytes, By: r.Bytes},
		state.Count{Table: t.number, Name: countLoad, By: r.Elapsed.Milliseconds()}); err != nil {
		w.m.log.Warn("counters were not kept", "table", t.name, "error", err)
	}
}

// TableIn passes it on.
func (w *loading) TableIn(ctx context.Context, l *load.Table) error { return w.in(ctx, w.tables[l]) }

// TableStopped shows it.
func (w *loading) TableStopped(l *load.Table, err error) {
	w.m.stops(w.tables[l], err)
}

// buildIndexes gives each uptime table its keys as soon as it is loaded. Again: those that are missing.
func (m *Move) buildIndexes(ctx context.Context) error {
	tables := of(m.tables(), Uptime)
	return each(ctx, tables, len(tables), func(ctx context.Context, t *table) error {
		if err := m.until(ctx, t, Indexing); err != nil {
			return err
		}
		if err := m.index(ctx, t); err != nil {
			if ctx.Err() == nil { // the others go on, for hours perhaps
				m.stops(t, err)
			}
			return err
		}
		m.board.advance(t.name, Replaying)
		return nil
	})
}

// index makes a table's keys. The ranges of an uptime table were read while rows moved, so one unique value may be there
// twice: those rows are parted first and read again by replay (HAZARDS C18).
func (m *Move) index(ctx context.Context, t *table) error {
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	epoch, err := m.takeOver(ctx)
	if err != nil {
		return err
	}
	if t.class == Uptime && target.Applier != nil {
		for _, k := range t.target.Uniques {
			if err := m.part(ctx, target, t, k, epoch); err != nil {
				return err
			}
		}
	}
	return m.buildKeys(ctx, target, target.Dialect.CreateKeys(t.target))
}

// buildKeys runs the first statement, which makes the primary key, and then the others, several at once over all tables.
func (m *Move) buildKeys(ctx context.Context, target *driver.Database, statements []driver.Statement) error {
	errs := make([]error, len(statements))
	build := func(i int) {
		m.indexing <- struct{}{}
		defer func() { <-m.indexing }()
		errs[i] = run(ctx, target, statements[i:i+1])
		failpoint.Hit("index.build.after")
	}
	var wg sync.WaitGroup
	for i := range statements {
		if i == 0 {
			if build(i); errs[i] != nil {
				return errs[i]
			}
			continue
		}
		wg.Go(func() { build(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (m *Move) part(ctx context.Context, target *driver.Database, t *table, k *schema.Key, epoch int64) error {
	rows, err := load.Patiently(ctx, target.Dialect, target.Dialect, func() (int64, error) {
		return target.Applier.Part(ctx, t.target, t.loaded.target, k, epoch)
	})
	if err != nil {
		return fmt.Errorf("part the rows that share a value of key %s: %w", k.Name, err)
	}
	if rows > 0 {
		m.log.Info("rows that moved during the load are read again", "table", t.name, "key", k.Name, "rows", rows)
	}
	return nil
}

// batchBytes is about how much the rows of one batch of replay may take in memory.
const batchBytes = 32 << 20

// replayUptime follows each uptime table from when its keys are there until the context ends with procedure.Over. A table
// that can not be followed is stopped, and the others go on.
func (m *Move) replayUptime(ctx context.Context) error {
	epoch, err := m.takeOver(ctx)
	if err != nil {
		return err
	}
	limit := make(chan struct{}, m.writers())
	var wg sync.WaitGroup
	wg.Go(func() { m.watch(ctx) })
	wg.Go(func() { m.guardRecords(ctx) })
	wg.Go(func() { m.guardCapture(ctx) })
	for _, t := range of(m.tables(), Uptime) {
		wg.Go(func() {
			err := m.follow(ctx, t, epoch, limit)
			if err != nil && ctx.Err() == nil {
				m.stops(t, err)
			}
		})
	}
	wg.Wait()
	if errors.Is(context.Cause(ctx), procedure.Over) {
		return nil
	}
	return context.Cause(ctx)
}

func (m *Move) follow(ctx context.Context, t *table, epoch int64, limit chan struct{}) error {
	var was mark
	if _, err := m.state.Document(ctx, markKey(t), &was); err != nil {
		return err
	}
	if was.Lost != "" { // in an earlier process: its load may have hours to go
		return lostError(t, was.Lost)
	}
	if err := m.until(ctx, t, Replaying); err != nil {
		return err
	}
	from, to, err := m.ends(ctx, t)
	if err != nil {
		return err
	}
	lane := replay.NewLane(from, to, epoch)
	lane.Note, lane.Known = t.noting.Load, was.Batch
	lane.Again = m.rereading
	if t.longest > 0 {
		most := int(max(min(batchBytes/t.longest, 10_000), 1))
		lane.Most = func() int { return most }
	}
	running := replay.NewTable(lane, limit)
	m.replays.set(t, running)
	defer m.replays.set(t, nil) // or the next attempt, which finds the table drained already, would wait for one that has ended
	m.board.advance(t.name, Following)
	var wg sync.WaitGroup
	stop, cancel := context.WithCancel(ctx)
	wg.Go(func() { m.measure(stop, t, running) })
	err = running.Run(ctx)
	cancel()
	wg.Wait()
	if why, failed := m.lost(context.WithoutCancel(ctx), t); failed == nil && why != "" {
		return lostError(t, why)
	}
	return err
}

// measure keeps the board's picture of one table's replay, and how far it has come, once a second and when it ends.
func (m *Move) measure(ctx context.Context, t *table, running *replay.Table) {
	steady := context.WithoutCancel(ctx)
	kept, batch := int64(0), running.Batch()
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-time.After(time.Second):
		}
		kept = m.measureOnce(ctx, t, running.Replayed.Load(), kept)
		if now := running.Batch(); now != batch {
			if err := m.keepBatch(steady, t, now); err != nil {
				m.log.Warn("the number of a batch was not kept", "table", t.name, "error", err)
				continue
			}
			batch = now
		}
	}
}

// keepBatch keeps the last batch of a table that is known to have been applied: whoever follows looks whether both sides still know it.
func (m *Move) keepBatch(ctx context.Context, t *table, batch int64) error {
	return m.remark(ctx, t, func(seen *mark) { seen.Batch = max(seen.Batch, batch) })
}

// measureOnce counts what was replayed beyond what is kept, shows it, and returns what is kept now. Only the source is not waited for
// when the context has ended: it may answer no more.
func (m *Move) measureOnce(ctx context.Context, t *table, replayed, kept int64) int64 {
	if source, err := m.source(ctx); err == nil {
		if backlog, err := source.Recorder.Backlog(ctx, t.source); err == nil {
			m.board.change(t.name, func(p *progress) { p.backlog, p.lag = backlog.Entries, backlog.Oldest })
		}
	}
	if replayed == kept {
		return kept
	}
	m.board.change(t.name, func(p *progress) { p.replayed += replayed - kept })
	if err := m.state.Add(context.WithoutCancel(ctx), state.Count{Table: t.number, Name: countReplayed, By: replayed - kept}); err != nil {
		m.log.Warn("counters were not kept", "table", t.name, "error", err)
	}
	return replayed
}

// replayReady returns when every uptime table has been loaded and followed to the end of its record once.
func (m *Move) replayReady(ctx context.Context) error {
	tables := of(m.tables(), Uptime)
	return each(ctx, tables, len(tables), func(ctx context.Context, t *table) error {
		running, err := m.following(ctx, t)
		if err != nil {
			return err
		}
		return running.CaughtUp(ctx)
	})
}
