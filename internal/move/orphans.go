package move

import (
	"context"
	"fmt"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/schema"
)

// orphans returns the keys of some rows whose parent is not there, for people; nil when every row has one.
func orphans(ctx context.Context, db *driver.Database, t *schema.Table, k *schema.ForeignKey) ([]string, error) {
	rows, err := db.Executor.Look(ctx, driver.Statement{
		Purpose: "look for rows of " + t.Name.String() + " without their parent in " + k.Parent.String(),
		SQL:     db.Dialect.Orphans(t, k),
	})
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(rows))
	for i, row := range rows {
		keys[i] = strings.Join(row, ", ")
	}
	return keys, nil
}

// findOrphans looks in the uptime for rows of the source that break a foreign key: it was switched off when they were
// written, or was never proven. The target would not take the key.
func (m *Move) findOrphans(ctx context.Context, e *examination) ([]check.Finding, error) {
	source, err := m.source(ctx)
	if err != nil || source.Executor == nil {
		return nil, err
	}
	var found []check.Finding
	for _, t := range e.Schema.Tables {
		for _, k := range t.Foreign {
			if !e.moves(t.Name) || !e.moves(k.Parent) {
				continue
			}
			keys, err := orphans(ctx, source, t, k)
			if err != nil {
				return nil, err
			}
			if len(keys) == 0 {
				continue
			}
			count := fmt.Sprint(len(keys))
			if len(keys) == 100 {
				count = "100 or more"
			}
			found = append(found, check.Finding{
				Rule: "orphans", Level: driver.Forbidden, Table: t.Name, Object: "foreign key " + k.Name,
				Message: "does not hold: rows have no parent in " + k.Parent.String(),
				Detail:  fmt.Sprintf("%s rows, such as %s", count, keys[0]),
				Do:      "Mend these rows, or drop the foreign key at the source.",
			})
		}
	}
	return found, nil
}

// proveParents looks at the target, after the rest load, for rows of downtime tables without their parent: the source was
// shut when they were read, so what is found was broken there. Uptime tables are proven by the target itself in the end.
func (m *Move) proveParents(ctx context.Context, t *table) error {
	if t.class != Downtime {
		return nil
	}
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	for _, k := range t.target.Foreign {
		keys, err := orphans(ctx, target, t.target, k)
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			return fmt.Errorf("%d rows or more have no parent in %s, such as %s; reset, mend them at the source, and start again", len(keys), k.Parent, keys[0])
		}
	}
	return nil
}
