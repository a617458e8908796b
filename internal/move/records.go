package move

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/load"
)

// Records bounds what capture may take of the source's disk, which is the application's.
type Records struct {
	LimitMiB     int64  `yaml:"limit-mib"`      // of all records together; 0 for any
	LeastFreeMiB int64  `yaml:"least-free-mib"` // what is to stay free on the disk of the source's data, where that is known
	Free         string `yaml:"free"`           // a command that prints how many MiB are free there; empty: what the driver knows
}

// entryBytes is about the most that one entry takes with all that belongs to it. A record whose file is larger than its entries
// need was larger once: it will be filled again before it grows.
const entryBytes = 1 << 10

// guardRecords weighs the records every few seconds until the context ends, from before the first row is loaded: while a table is
// loaded nobody reads its record, and it only grows. At every fifth time it looks how much is free on their disk. Without a bound
// there is nothing to weigh.
func (m *Move) guardRecords(ctx context.Context) {
	for n := 0; m.config.Records.LimitMiB > 0; n++ {
		err := m.weighRecords(ctx)
		if err == nil && n%5 == 0 {
			err = m.weighDisk(ctx)
		}
		if err != nil && ctx.Err() == nil {
			m.log.Warn("the records could not be weighed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(2 * time.Second):
		}
	}
}

// weighRecords takes capture off the table with the largest record, and so on, while all together are larger than the
// configuration allows: before the source's disk is full and the application's writes fail, the copy of one table is given up
// (HAZARDS 81). Again: weighs again.
func (m *Move) weighRecords(ctx context.Context) error {
	source, err := m.source(ctx)
	if err != nil || source.Recorder == nil {
		return err
	}
	for {
		total, own, largest, err := m.largestRecord(ctx, source)
		if err != nil || total <= m.config.Records.LimitMiB<<20 || largest == nil {
			return err
		}
		why := fmt.Sprintf("the records took %d MiB of the source's disk, %d of them for this table, and %d are allowed (records.limit-mib), so its capture was taken off",
			total>>20, own>>20, m.config.Records.LimitMiB)
		if err := m.giveUp(ctx, source, largest, why); err != nil {
			return err
		}
	}
}

// weighDisk takes capture off the table with the largest record where too little is free on the source's disk and that record is an
// eighth of what should be: giving up less would not help the application. Again: looks again.
func (m *Move) weighDisk(ctx context.Context) error {
	source, err := m.source(ctx)
	if err != nil || source.Recorder == nil {
		return err
	}
	least := m.config.Records.LeastFreeMiB << 20
	free, err := m.freeAtSource(ctx, source)
	if err != nil || free >= least {
		return err
	}
	_, own, largest, err := m.largestRecord(ctx, source)
	if err != nil {
		return err
	}
	if largest == nil || own < least/8 {
		m.log.Warn("little is free on the source's disk, and the records have no part in it", "MiB", free>>20)
		return nil
	}
	return m.giveUp(ctx, source, largest, fmt.Sprintf("%d MiB are free on the source's disk, less than %d (records.least-free-mib), and this table's record took %d, so its capture was taken off",
		free>>20, m.config.Records.LeastFreeMiB, own>>20))
}

// freeAtSource returns the bytes that are free on the disk of the source's data; more than there are anywhere where nobody can say.
func (m *Move) freeAtSource(ctx context.Context, source *driver.Database) (int64, error) {
	switch {
	case m.config.Records.Free != "":
		said := ""
		if err := (shell{dir: m.config.Dir, line: m.config.Records.Free, told: &said}).run(ctx); err != nil {
			return 0, err
		}
		mib, err := strconv.ParseInt(said, 10, 64)
		if err != nil || mib < 0 || mib > math.MaxInt64>>20 {
			return 0, fmt.Errorf("records.free: %q ends with %q; it must print the MiB that are free, as a number", m.config.Records.Free, said)
		}
		return mib << 20, nil
	case source.Free != nil:
		return source.Free(ctx)
	}
	return math.MaxInt64, nil
}

// largestRecord returns what all records take, and the table whose own takes most of it, nil where none takes anything.
func (m *Move) largestRecord(ctx context.Context, source *driver.Database) (total, own int64, largest *table, err error) {
	for _, t := range of(m.tables(), Uptime) {
		bytes, err := m.recordBytes(ctx, source, t)
		if err != nil {
			return 0, 0, nil, err
		}
		if total += bytes; bytes > own {
			own, largest = bytes, t
		}
	}
	return total, own, largest, nil
}

// recordBytes returns the bytes of one table's record, 0 where there is none. Where capture should be off and is not, because a run ended
// too early or a lock was not to be had, it is taken off.
func (m *Move) recordBytes(ctx context.Context, source *driver.Database, t *table) (int64, error) {
	var was mark
	if _, err := m.state.Document(ctx, markKey(t), &was); err != nil {
		return 0, err
	}
	if was.Armed {
		return 0, m.disarm(ctx, source, t)
	}
	if was.Lost != "" {
		return 0, nil
	}
	b, err := source.Recorder.Backlog(ctx, t.source)
	if err != nil {
		if source.Dialect.Classify(err) == driver.Missing {
			return 0, nil
		}
		return 0, err
	}
	bytes := min(b.Bytes, b.Entries*entryBytes)
	m.board.change(t.name, func(p *progress) { p.record = bytes })
	return bytes, nil
}

// giveUp says that the copy of one table can not be followed any more, keeps why, and takes its capture off.
func (m *Move) giveUp(ctx context.Context, source *driver.Database, t *table, why string) error {
	if err := m.remark(ctx, t, func(seen *mark) { seen.Lost, seen.Armed = why, true }); err != nil {
		return err
	}
	m.log.Error("capture is taken off", "table", t.name, "why", why)
	m.board.change(t.name, func(p *progress) { p.record = 0 })
	err := m.disarm(ctx, source, t)
	m.board.stop(t.name, lostError(t, why))
	return err
}

// disarm takes capture off a table that is lost, though the run may be at its end: afterwards nobody weighs the record, and it
// would go on growing. Again: does nothing.
func (m *Move) disarm(ctx context.Context, source *driver.Database, t *table) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if _, err := load.Patiently(ctx, source.Dialect, source.Dialect, func() (struct{}, error) {
		return struct{}{}, source.Capturer.Remove(ctx, t.source, m.wait())
	}); err != nil {
		m.log.Error("capture could not be taken off; the next run tries again", "table", t.name, "error", err)
		return fmt.Errorf("take capture off %s: %w", t.name, err)
	}
	return m.remark(ctx, t, func(seen *mark) { seen.Armed = false })
}

// lost says why a table's capture was taken off; empty where it was not.
func (m *Move) lost(ctx context.Context, t *table) (string, error) {
	var was mark
	_, err := m.state.Document(ctx, markKey(t), &was)
	return was.Lost, err
}

func lostError(t *table, why string) error {
	return fmt.Errorf("%s: %s; reset and start again when that is mended, at a quieter time or with the table moved in the downtime", t.name, why)
}
