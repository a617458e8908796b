package move

import (
	"context"
	"fmt"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/load"
)

// Records bounds what capture may take of the source's disk, which is the application's.
type Records struct {
	LimitMiB int64 `yaml:"limit-mib"` // of all records together; 0 for any
}

// entryBytes is about the most that one entry takes with all that belongs to it. A record whose file is larger than its entries
// need was larger once: it will be filled again before it grows.
const entryBytes = 1 << 10

// guardRecords weighs the records every few seconds until the context ends, from before the first row is loaded: while a table is
// loaded nobody reads its record, and it only grows. Without a bound there is nothing to weigh.
func (m *Move) guardRecords(ctx context.Context) {
	for m.config.Records.LimitMiB > 0 {
		if err := m.weighRecords(ctx); err != nil && ctx.Err() == nil {
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
	limit := m.config.Records.LimitMiB << 20
	for {
		total, most, largest := int64(0), int64(0), (*table)(nil)
		for _, t := range of(m.tables(), Uptime) {
			bytes, err := m.recordBytes(ctx, source, t)
			if err != nil {
				return err
			}
			if total += bytes; bytes > most {
				most, largest = bytes, t
			}
		}
		if total <= limit || largest == nil {
			return nil
		}
		if err := m.giveUp(ctx, source, largest, total, most); err != nil {
			return err
		}
	}
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
func (m *Move) giveUp(ctx context.Context, source *driver.Database, t *table, total, own int64) error {
	why := fmt.Sprintf("the records took %d MiB of the source's disk, %d of them for this table, and %d are allowed (records.limit-mib), so its capture was taken off",
		total>>20, own>>20, m.config.Records.LimitMiB)
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
	return fmt.Errorf("%s: %s; reset and start again, with a higher limit, at a quieter time or with the table moved in the downtime", t.name, why)
}
