package move

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
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
	if err := m.unaltered(ctx, source, of(m.tables(), Uptime, Downtime)); err != nil {
		return err
	}
	for _, t := range of(m.tables(), Uptime) {
		if err := m.drained(ctx, source, target, t); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// marks returns what has been seen of tables beside their rows, by the tables' numbers.
func (m *Move) marks(ctx context.Context) (map[int]mark, error) {
	marks := map[int]mark{}
	err := m.state.Documents(ctx, marksFolder, func(key string, body []byte) error {
		var seen mark
		no, err := strconv.Atoi(strings.TrimPrefix(key, marksFolder+"/"))
		if err == nil {
			err = json.Unmarshal(body, &seen)
		}
		marks[no] = seen
		return err
	})
	return marks, err
}

// unaltered compares tables' fingerprints with those that were kept when the source was shut or drained.
func (m *Move) unaltered(ctx context.Context, source *driver.Database, tables []*table) error {
	marks, err := m.marks(ctx)
	if err != nil || source.Watcher == nil {
		return err
	}
	tables = slices.DeleteFunc(slices.Clone(tables), func(t *table) bool {
		_, kept := marks[t.number]
		return !kept
	})
	prints, err := m.prints(ctx, source, tables)
	if err != nil {
		return err
	}
	for i, t := range tables {
		if verdict, why := source.Watcher.Judge(marks[t.number].Print, prints[i]); verdict != driver.Harmless {
			return fmt.Errorf("%s was altered at the source after it was shut (%s), so its copy is not proven; reset and start again", t.name, why)
		}
	}
	return nil
}
