package move

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/replay"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/row"
)

// Rows that differ are mended one by one: while the table lives, its replay is handed their keys by the repair list; while the
// source is shut the operator asks for it (whimbrel verify --repair). A difference in the uptime is mended at once, but it is
// never forgotten: the table is then compared in full in the downtime, whatever its level.

// listed hands keys to a replay that is under way.
type listed struct {
	pair    verify.Pair
	running *replay.Table
}

// Mend puts the keys on the repair list and waits for the batches that read them again.
func (l listed) Mend(ctx context.Context, keys *row.Batch) error {
	if err := l.pair.Target.Database.Lists.Put(ctx, driver.Repairs, l.pair.Target.Table, keys); err != nil {
		return err
	}
	return l.running.CaughtUp(ctx)
}

// read reads keys' rows at a source that is shut and has no record of the table.
type read struct {
	from, to load.End
	epoch    int64
}

// Mend writes them at the target.
func (r read) Mend(ctx context.Context, keys *row.Batch) error {
	return replay.Mend(ctx, r.from, r.to, r.epoch, keys)
}

// mendLive mends what a live comparison found. The table's verdict is equal then, but for what is on the changed list, and it
// is marked as suspect: nobody knows what else was not noted.
func (m *Move) mendLive(ctx context.Context, t *table, p verify.Pair, running *replay.Table, tally verify.Tally, found *proof) error {
	why, err := m.why(ctx, t, p, tally.Differing)
	if err != nil {
		return err
	}
	found.Why = why
	found.name(t, tally)
	m.log.Error("rows differ, and are mended", "table", t.name, "rows", len(tally.Differing), "first", found.Keys[0], "why", why)
	if tally.More {
		return fmt.Errorf("%s is not equal on both sides at more than %d keys, the first of them %s (%s); repeat verify-uptime when the cause is gone, or reset and load again",
			t.name, mendable, found.Keys[0], why)
	}
	suspicion := fmt.Sprintf("%d rows differed in the uptime: %s", len(tally.Differing), why)
	if err := m.state.SetDocument(ctx, suspectKey(t), suspicion); err != nil {
		return err
	}
	began := time.Now()
	after, err := load.Patiently(ctx, p.Target.Database.Dialect, p.Source.Database.Dialect, func() (verify.Tally, error) {
		return verify.Mend(ctx, p, listed{p, running}, tally.Differing)
	})
	if err != nil {
		return fmt.Errorf("mend %s: %w", t.name, err)
	}
	if !after.Equal() {
		if err := verify.Explain(ctx, p, after.Differing[:min(len(after.Differing), shown)]); err != nil {
			return fmt.Errorf("look at the rows of %s that differ: %w", t.name, err)
		}
		found.name(t, after)
		return fmt.Errorf("%s is written again and still differs at %s: the target does not keep what it is given, or somebody else writes there; "+
			"repeat verify-uptime when that is mended", t.name, found.Keys[0])
	}
	part := verify.NewPart(verify.MendedKeys, inUptime, began, after)
	part.Keys = len(tally.Differing)
	found.Verdict, found.Mended, found.Parts = Equal, len(tally.Differing), append(found.Parts, part)
	return nil
}

// suspectKey is where is kept why a table is compared in full in the downtime, whatever its level: rows of it differed once.
func suspectKey(t *table) string { return fmt.Sprintf("suspect/%d", t.number) }

// why says what is known of the reason why rows differ, and names in each unlike row the columns that do.
func (m *Move) why(ctx context.Context, t *table, p verify.Pair, differing []verify.Difference) (string, error) {
	if err := verify.Explain(ctx, p, differing[:min(len(differing), shown)]); err != nil {
		return "", fmt.Errorf("look at the rows of %s that differ: %w", t.name, err)
	}
	off, err := m.guardOff(ctx, t)
	if err != nil || off != "" {
		return off, err
	}
	var seen mark
	if _, err := m.state.Document(ctx, markKey(t), &seen); err != nil {
		return "", err
	}
	if seen.Suspect != "" {
		return "changes may have been hidden at the source: " + seen.Suspect, nil
	}
	if t.class != Uptime {
		return "nothing is replayed to this table, so either somebody wrote at the target past its guard, or the target does not keep what it is given", nil
	}
	return "no change of them is waiting to be replayed, so either they were changed at the source past the triggers, or written at the target past its guard", nil
}

// Repair compares every table in full and mends exactly the rows that differ. See Prover.
func (m *Move) Repair(ctx context.Context) ([]TableReport, error) {
	if err := errors.Join(m.sameRelease(ctx), m.known(ctx), m.changed(ctx)); err != nil {
		return nil, err
	}
	at := func(step string) procedure.StepPosition { p, _ := m.engine.Position().At(step); return p }
	switch {
	case at("load-rest").State != procedure.Complete:
		return nil, errors.New("rows are mended by the move itself until the downtime's tables are loaded (whimbrel run)")
	case at("open-target").State != procedure.NotBegun:
		return nil, errors.New("the target is open: what differs now may be its users' own work, and is left alone")
	}
	if err := m.still(ctx); err != nil {
		return nil, err
	}
	if err := m.proveAll(ctx, m.proveAndMend); err != nil {
		return nil, err
	}
	if err := m.still(ctx); err != nil {
		return nil, err
	}
	r, err := m.Report(ctx)
	return r.Tables, err
}

// proveAndMend compares every row of a still table, mends those that differ, and compares every row once more.
func (m *Move) proveAndMend(ctx context.Context, t *table) (proof, error) {
	p, err := m.pair(ctx, t)
	if err != nil {
		return proof{}, err
	}
	began := time.Now()
	tally, err := verify.Compare(ctx, p, mendable)
	if err != nil {
		return proof{}, err
	}
	found, first := newProof(t, FullDowntime, tally, began), verify.NewPart(verify.EveryRow, inDowntime, began, tally)
	if tally.Equal() || tally.More || len(p.Source.Shape.Key) == 0 {
		return m.concluded(ctx, t, p, found, first, tally)
	}
	why, err := m.why(ctx, t, p, tally.Differing)
	if err != nil {
		return proof{}, err
	}
	m.log.Warn("rows differ, and are mended", "table", t.name, "rows", len(tally.Differing), "first", readable(t, tally.Differing[0]), "why", why)
	again := time.Now()
	mended, err := m.mendStill(ctx, t, p, tally.Differing)
	if err != nil {
		return proof{}, err
	}
	part := verify.NewPart(verify.MendedKeys, inDowntime, again, mended)
	part.Keys = len(tally.Differing)
	last := time.Now()
	after, err := verify.Compare(ctx, p, shown)
	if err != nil {
		return proof{}, err
	}
	result := newProof(t, FullDowntime, after, began)
	result.Mended, result.Why, result.Parts = len(tally.Differing), why, []verify.Part{first, part}
	return m.concluded(ctx, t, p, result, verify.NewPart(verify.EveryRow, inDowntime, last, after), after)
}

// mendStill mends rows of a table whose source is shut: through its replay where it was recorded, else by reading them.
func (m *Move) mendStill(ctx context.Context, t *table, p verify.Pair, differing []verify.Difference) (tally verify.Tally, err error) {
	epoch, err := m.takeOver(ctx)
	if err != nil {
		return tally, err
	}
	from, to, err := m.ends(ctx, t)
	if err != nil {
		return tally, err
	}
	if t.class != Uptime {
		return verify.Mend(ctx, p, read{from, to, epoch}, differing)
	}
	lane := replay.NewLane(from, to, epoch)
	lane.Again = m.rereading
	running := replay.NewTable(lane, make(chan struct{}, 1))
	var wg sync.WaitGroup
	defer wg.Wait()
	replaying, end := context.WithCancelCause(ctx)
	defer end(procedure.Over)
	wg.Go(func() { _ = running.Run(replaying) }) // its error is CaughtUp's
	tally, err = verify.Mend(ctx, p, listed{p, running}, differing)
	if err == nil {
		err = running.Drain(ctx)
	}
	return tally, err
}
