package move

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	"github.com/whimbrel/whimbrel/internal/load"
)

// openTarget lets everybody write to the target's tables. Hours may lie between the answer and this step: that the answer
// holds, and that nobody wrote to the source meanwhile, is seen once more. Again: does nothing.
func (m *Move) openTarget(ctx context.Context) error {
	at, _ := m.engine.Position().At("confirm-open")
	if err := m.judgeOpen(ctx, at.Answer); err != nil {
		return err
	}
	if err := m.still(ctx); err != nil {
		return err
	}
	target, err := m.target(ctx)
	if err != nil || target.Guard == nil {
		return err
	}
	for some := range slices.Chunk(m.guarded(), crowd) {
		if err := m.stillOurs(ctx); err != nil {
			return err
		}
		if err := m.openTables(ctx, target, some); err != nil {
			return err
		}
		failpoint.Hit("guard.open.after")
	}
	return nil
}

// vacating is whoever has the target's housekeeping leave.
type vacating struct {
	sync.WaitGroup
	mu   sync.Mutex
	stop context.CancelFunc
}

// begin ends who is at it and returns the next one's context.
func (v *vacating) begin(ctx context.Context) context.Context {
	v.end()
	v.mu.Lock()
	defer v.mu.Unlock()
	ctx, v.stop = context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	return ctx
}

// end has who is at it leave off, and waits for them. Again: does nothing.
func (v *vacating) end() {
	v.mu.Lock()
	if v.stop != nil {
		v.stop()
	}
	v.mu.Unlock()
	v.Wait()
}

// vacate has the target's housekeeping leave the tables that are not small, while the downtime goes on: behind a load it is at work, and
// each table would be waited for when it is opened. Nothing hangs on it. Again: does so again.
func (m *Move) vacate(ctx context.Context) {
	target, err := m.target(ctx)
	if err != nil || target.Vacate == nil {
		return
	}
	large := slices.DeleteFunc(of(m.tables(), Uptime, Downtime), (*table).isTiny)
	ctx = m.vacating.begin(ctx)
	m.vacating.Go(func() {
		if err := each(ctx, large, openAtOnce, func(ctx context.Context, t *table) error { return target.Vacate(ctx, t.target) }); err != nil {
			m.log.Debug("the target's housekeeping was not asked to leave", "error", err)
		}
	})
}

// openAtOnce is how many tables are opened at one time where each waits for somebody: PostgreSQL's own housekeeping, three workers of
// which look at the tables that a load has filled, gives way after a second.
const openAtOnce = 3

// openTables lets everybody write to tables of the target. Again: does nothing.
func (m *Move) openTables(ctx context.Context, target *driver.Database, tables []*table) error {
	if target.Many != nil && len(tables) > 1 && target.Many.OpenAll(ctx, targets(tables)) == nil {
		return nil
	}
	open := func(ctx context.Context, t *table) error {
		_, err := load.Patiently(ctx, target.Dialect, target.Dialect, func() (struct{}, error) {
			err := target.Guard.Open(ctx, t.target)
			if err != nil && load.Passing(target.Dialect, err) {
				m.log.Warn("a table of the target could not be opened yet", "table", t.name, "error", err)
			}
			return struct{}{}, err
		})
		if err != nil && m.gone(ctx, target, t, err) {
			return nil
		}
		return err
	}
	most := openAtOnce
	if w := target.Info.Limits.Writers; w > 0 {
		most = min(most, w)
	}
	// The last one takes away what the guards of all tables had in common, and must be alone; nobody has business with the smallest.
	last := slices.MinFunc(tables, func(a, b *table) int { return cmp.Compare(a.rows, b.rows) })
	others := slices.DeleteFunc(slices.Clone(tables), func(t *table) bool { return t == last })
	if err := each(ctx, others, most, open); err != nil {
		return err
	}
	return each(ctx, []*table{last}, 1, open)
}

// startApplication runs the operator's start command, and what the release has for it.
func (m *Move) startApplication(ctx context.Context) error {
	if err := m.stillOurs(ctx); err != nil {
		return err
	}
	if err := command(ctx, m.config.Dir, m.config.Application.Start, nil); err != nil {
		return err
	}
	return m.startRelease(ctx)
}

// proveConstraints makes the target check foreign keys and checks over the rows that were moved. Again: checks again.
func (m *Move) proveConstraints(ctx context.Context) error {
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	return each(ctx, m.tables(), 1, func(ctx context.Context, t *table) error {
		_, prove := target.Dialect.CreateConstraints(t.target)
		return run(ctx, target, prove)
	})
}

// clearAway removes capture and gate at the source and the book at the target: nothing of ours is left. Again: does nothing.
func (m *Move) clearAway(ctx context.Context) error {
	if err := m.reopenSource(ctx); err != nil {
		return err
	}
	if err := m.removeCapture(ctx); err != nil {
		return err
	}
	if err := m.unlockRepository(ctx); err != nil {
		return err
	}
	if err := m.forgetVersions(ctx, "update", "after"); err != nil {
		return err
	}
	return m.release(ctx)
}
