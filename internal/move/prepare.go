package move

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	"github.com/whimbrel/whimbrel/schema"
)

// shutTarget makes our book at the target and takes it over. Again: does nothing.
func (m *Move) shutTarget(ctx context.Context) error {
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	run, err := m.state.Run(ctx)
	if err != nil {
		return err
	}
	if err := target.Ledger.Prepare(ctx, run); err != nil {
		return fmt.Errorf("prepare the ledger: %w", err)
	}
	failpoint.Hit("ledger.prepare.after")
	_, err = m.takeOver(ctx)
	return err
}

// release takes the book at the target away, and what a gate or a capture left at the source for all tables together.
// Again: does nothing.
func (m *Move) release(ctx context.Context) error {
	source, target, err := m.both(ctx)
	if err != nil {
		return err
	}
	if source.Capturer != nil {
		if err := source.Capturer.Finish(ctx); err != nil {
			return err
		}
	}
	return target.Ledger.Drop(ctx)
}

// createTables makes every table of the move at the target and shuts it to others. A table that was there before the first
// call is not ours: it is an error, and is never dropped. Again: makes what is missing.
func (m *Move) createTables(ctx context.Context) error {
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	if err := m.claim(ctx, target); err != nil {
		return err
	}
	if m.sides.view != nil {
		if err := m.mergeKept(ctx, m.sides.view); err != nil {
			return err
		}
	}
	if err := run(ctx, target, m.plan().before(target)); err != nil {
		return err
	}
	return crowds(ctx, m.tables(), m.writers(), func(ctx context.Context, some []*table) error {
		return m.makeTables(ctx, target, some)
	})
}

// tablesAreOurs is the document that says who made the tables at the target.
const tablesAreOurs = "tables-are-ours"

// claim notes that the tables to be made are ours, once it is seen that none of them is there.
func (m *Move) claim(ctx context.Context, target *driver.Database) error {
	var ours bool
	if _, err := m.state.Document(ctx, tablesAreOurs, &ours); err != nil || ours {
		return err
	}
	if err := m.vacant(ctx, target, targets(m.tables())); err != nil {
		return err
	}
	if err := m.keepFooting(ctx); err != nil {
		return err
	}
	return m.state.SetDocuments(ctx, map[string]any{tablesAreOurs: true, releaseKey: m.config.fixed()})
}

// dropTables removes what createTables made.
func (m *Move) dropTables(ctx context.Context) error {
	var ours bool
	if _, err := m.state.Document(ctx, tablesAreOurs, &ours); err != nil || !ours {
		return err
	}
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	for _, t := range slices.Backward(m.tables()) {
		if err := m.dropOne(ctx, target, t); err != nil {
			return err
		}
	}
	if m.config.New.Shadowed() { // what was built may need the types too
		if err := m.state.SetDocument(ctx, typesAreOurs, true); err != nil {
			return err
		}
	} else if err := run(ctx, target, m.plan().after(target)); err != nil {
		return err
	}
	return m.state.DeleteDocument(ctx, tablesAreOurs)
}

// dropOne removes a table with what guards it.
func (m *Move) dropOne(ctx context.Context, target *driver.Database, t *table) error {
	if err := run(ctx, target, target.Dialect.DropTable(t.target)); err != nil || target.Guard == nil {
		return err
	}
	if err := target.Guard.Open(ctx, t.target); err != nil && target.Dialect.Classify(err) != driver.Missing {
		return fmt.Errorf("take the guard of %s away: %w", t.target.Name, err)
	}
	return nil
}

// installCapture makes the source note each change to the uptime tables: triggers, one table at a time, then the fingerprints that
// hold from now on, then the wait for every transaction that is older than they are (HAZARDS C6, C13). In this order: who writes
// past a trigger before its fingerprint is taken is waited for, and what he wrote is loaded; who does so later is seen.
func (m *Move) installCapture(ctx context.Context) error {
	source, err := m.source(ctx)
	if err != nil {
		return err
	}
	tables := of(m.tables(), Uptime)
	for _, t := range tables {
		if err := m.captureOne(ctx, source, t); err != nil {
			return err
		}
	}
	if len(tables) == 0 {
		return nil
	}
	if err := m.keepFingerprints(ctx, source, tables); err != nil {
		return err
	}
	if err := m.outwait(ctx, source, "wait for transactions older than the triggers", func() error {
		return source.Capturer.Settle(ctx, sources(tables), m.wait())
	}); err != nil {
		return err
	}
	return m.unalteredSince(ctx, source, tables)
}

func (m *Move) captureOne(ctx context.Context, source *driver.Database, t *table) error {
	failpoint.Hit("capture.install.before")
	if err := m.outwait(ctx, source, "install capture on "+t.name, func() error {
		if err := m.stillOurs(ctx); err != nil {
			return err
		}
		return source.Capturer.Install(ctx, t.source, t.loaded.source, m.wait())
	}); err != nil {
		return err
	}
	failpoint.Hit("capture.install.after")
	return nil
}

// unalteredSince looks at the catalog again, after the fingerprints that hold from now on: no table may have been altered since
// it was inspected. One look is for all tables, because a look at one costs as much.
func (m *Move) unalteredSince(ctx context.Context, source *driver.Database, tables []*table) error {
	var schemas []string
	for _, t := range tables {
		schemas = appendNew(schemas, t.source.Name.Schema)
	}
	now, err := source.Inspector.Inspect(ctx, schemas)
	if err != nil {
		return fmt.Errorf("look at the tables again: %w", err)
	}
	there := byName(now)
	for _, t := range tables {
		if changed := differs(t.source, there[t.source.Name]); changed != "" {
			return fmt.Errorf("%s was altered since it was inspected (%s); reset and start again", t.name, changed)
		}
	}
	return nil
}

// byName finds tables by their names; schema.Schema.Table looks at each.
func byName(s *schema.Schema) map[schema.Name]*schema.Table {
	tables := make(map[schema.Name]*schema.Table, len(s.Tables))
	for _, t := range s.Tables {
		tables[t.Name] = t
	}
	return tables
}

// differs says in a clause how a table's columns are not what they were, empty when they are.
func differs(was, is *schema.Table) string {
	if is == nil {
		return "it is gone"
	}
	if len(was.Columns) != len(is.Columns) {
		return fmt.Sprintf("it had %d columns and has %d", len(was.Columns), len(is.Columns))
	}
	for i, c := range was.Columns {
		if d := is.Columns[i]; c.Name != d.Name || c.Type.Raw != d.Type.Raw || c.Null != d.Null {
			return fmt.Sprintf("column %s was %s and column %s is %s", c.Name, c.Type.Raw, d.Name, d.Type.Raw)
		}
	}
	return ""
}

// removeCapture takes triggers and records away. Again: does nothing.
func (m *Move) removeCapture(ctx context.Context) error {
	source, err := m.source(ctx)
	if err != nil {
		return err
	}
	if source.Capturer == nil {
		return nil
	}
	return m.uncapture(ctx, source, of(m.tables(), Uptime))
}

// uncapture takes triggers and records of tables away. Again: does nothing.
func (m *Move) uncapture(ctx context.Context, source *driver.Database, tables []*table) error {
	var errs []error
	for _, t := range tables {
		errs = append(errs, m.outwait(ctx, source, "remove capture from "+t.name, func() error { return source.Capturer.Remove(ctx, t.source, m.wait()) }))
		failpoint.Hit("capture.remove.after")
	}
	return errors.Join(errs...)
}
