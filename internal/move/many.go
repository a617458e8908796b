package move

import (
	"context"
	"fmt"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/schema"
)

// crowd is how many tables share a transaction where the product can do for many what it does for one (driver.Many): enough
// that the wait for the disk no longer counts, and few enough for the locks that a server has room for by default.
const crowd = 100

// crowds runs do for the tables, a crowd at a time and several crowds side by side, and joins their errors.
func crowds(ctx context.Context, tables []*table, most int, do func(context.Context, []*table) error) error {
	var firsts []*table // stand for their crowds
	rest := map[*table][]*table{}
	for some := range slices.Chunk(tables, crowd) {
		firsts = append(firsts, some[0])
		rest[some[0]] = some
	}
	return each(ctx, firsts, most, func(ctx context.Context, first *table) error { return do(ctx, rest[first]) })
}

// together does something for tables in one go where db can, and else, or where that failed, for one table after the other:
// then the error is of the table that it belongs to.
func together(db *driver.Database, tables []*table, all func(driver.Many) error, one func(*table) error) error {
	if db.Many != nil && len(tables) > 1 && all(db.Many) == nil {
		return nil
	}
	for _, t := range tables {
		if err := one(t); err != nil {
			return err
		}
	}
	return nil
}

// targets returns the tables as the target knows them.
func targets(tables []*table) []*schema.Table {
	list := make([]*schema.Table, len(tables))
	for i, t := range tables {
		list[i] = t.target
	}
	return list
}

// tiny is the size up to which a table's primary key is made with the table, where the product can do both in one transaction:
// the index of so few rows costs less than another transaction.
const tiny = 256 << 10

// makeTables makes tables at the target and shuts them to others. Again: makes what is missing.
func (m *Move) makeTables(ctx context.Context, target *driver.Database, tables []*table) error {
	var all []driver.Statement
	for _, t := range tables {
		all = append(all, target.Dialect.CreateTable(t.target)...)
		if keys := target.Dialect.CreateKeys(t.target); t.isTiny() && t.target.Primary != nil && len(keys) > 0 {
			all = append(all, keys[0])
		}
	}
	err := together(target, tables, func(many driver.Many) error { return many.ExecuteAll(ctx, all) },
		func(t *table) error { return run(ctx, target, target.Dialect.CreateTable(t.target)) })
	if err != nil {
		return err
	}
	return m.shutTables(ctx, target, tables)
}

// shutTables refuses others' writes to tables of the target. Again: does nothing.
func (m *Move) shutTables(ctx context.Context, target *driver.Database, tables []*table) error {
	if target.Guard == nil {
		return nil
	}
	return together(target, tables, func(many driver.Many) error {
		epoch, err := m.takeOver(ctx)
		if err != nil {
			return err
		}
		return many.ShutAll(ctx, targets(tables), epoch)
	}, func(t *table) error { return m.shutOne(ctx, target, t) })
}

// isTiny reports a table that the catalog knows to have few bytes.
func (t *table) isTiny() bool { return t.source.Bytes >= 0 && plan.Size(t.source) <= tiny }

// prints takes the fingerprints of tables at the source, in their order.
func (m *Move) prints(ctx context.Context, source *driver.Database, tables []*table) ([]string, error) {
	all := make([]string, 0, len(tables))
	for some := range slices.Chunk(tables, crowd) {
		err := together(source, some, func(many driver.Many) error {
			taken, err := many.Fingerprints(ctx, sources(some))
			if err == nil {
				all = append(all, taken...)
			}
			return err
		}, func(t *table) error {
			print, err := load.Patiently(ctx, source.Dialect, source.Dialect, func() (string, error) {
				return source.Watcher.Fingerprint(ctx, t.source)
			})
			if err != nil {
				return fmt.Errorf("take the fingerprint of %s: %w", t.name, err)
			}
			all = append(all, print)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// keepFingerprints notes how the tables are now.
func (m *Move) keepFingerprints(ctx context.Context, source *driver.Database, tables []*table) error {
	if source.Watcher == nil {
		return nil
	}
	prints, err := m.prints(ctx, source, tables)
	if err != nil {
		return err
	}
	marks := make(map[string]any, len(tables))
	for i, t := range tables {
		if verdict, why := source.Watcher.Judge(prints[i], prints[i]); verdict != driver.Harmless {
			return fmt.Errorf("changes of %s are hidden (%s); mend that and repeat the step", t.name, why)
		}
		marks[markKey(t)] = mark{Print: prints[i]}
	}
	return m.state.SetDocuments(ctx, marks)
}
