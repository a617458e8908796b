package move

import (
	"context"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/load"
)

// still proves that the source is as it was when it was drained: no table was altered or emptied behind the gate, the gate
// stands, nobody could still write, and nothing came into a record.
func (m *Move) still(ctx context.Context) error {
	source, target, err := m.both(ctx)
	if err != nil {
		return err
	}
	if err := m.proveShut(ctx, source); err != nil {
		return err
	}
	for _, t := range of(m.tables(), Uptime, Downtime) {
		if err := m.unaltered(ctx, source, t); err != nil {
			return err
		}
		if t.class != Uptime {
			continue
		}
		if err := drained(ctx, source, target, t); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// unaltered compares a table's fingerprint with the one that was kept when the source was shut or drained.
func (m *Move) unaltered(ctx context.Context, source *driver.Database, t *table) error {
	var was mark
	found, err := m.state.Document(ctx, markKey(t), &was)
	if err != nil || !found || source.Watcher == nil {
		return err
	}
	print, err := load.Patiently(ctx, source.Dialect, source.Dialect, func() (string, error) {
		return source.Watcher.Fingerprint(ctx, t.source)
	})
	if err != nil {
		return fmt.Errorf("take the fingerprint of %s: %w", t.name, err)
	}
	if verdict, why := source.Watcher.Judge(was.Print, print); verdict != driver.Harmless {
		return fmt.Errorf("%s was altered at the source after it was shut (%s), so its copy is not proven; reset and start again", t.name, why)
	}
	return nil
}
