package move

import (
	"context"
	"fmt"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/schema"
)

// Tables that switch-release adopts from a shadow are nobody's copies, so that nothing is loaded into them or compared. But from the
// switch to the opening they must be as shut as those that were moved.

// adoptedKey is the document with their names, and their numbers, by which guards are told apart.
const adoptedKey = "adopted"

// guarded are the tables of the target that are shut to others from switch-release to open-target.
func (m *Move) guarded() []*table { return append(m.everything(), m.laid.Load().adopted...) }

// keepAdopted notes which tables are about to be adopted. Again: what was noted first holds, as some of them may have been adopted.
func (m *Move) keepAdopted(ctx context.Context, s shadowing) error {
	var kept []*schema.Table
	if there, err := m.state.Document(ctx, adoptedKey, &kept); err != nil || there {
		return err
	}
	e, err := m.examination(ctx)
	if err != nil {
		return err
	}
	inside, err := m.enter(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = inside.Close() }()
	whole, err := inside.Inspector.Inspect(ctx, nil)
	if err != nil {
		return fmt.Errorf("look at what was built: %w", err)
	}
	plan.Number(whole.Tables)
	for _, t := range whole.Tables {
		name := schema.Name{Schema: m.home(), Name: t.Name.Name}
		if name.Schema == "" {
			name.Schema = s.Info.Schema
		}
		kept = append(kept, &schema.Table{Name: name, Number: t.Number + len(e.Schema.Tables)}) // behind those of the source
	}
	return m.state.SetDocument(ctx, adoptedKey, kept)
}

// layAdopted brings back which tables are adopted.
func (m *Move) layAdopted(ctx context.Context) ([]*table, error) {
	var kept []*schema.Table
	if _, err := m.state.Document(ctx, adoptedKey, &kept); err != nil {
		return nil, err
	}
	var tables []*table
	for _, t := range kept {
		tables = append(tables, &table{number: t.Number, name: t.Name.String(), class: Repository, source: t, target: t})
	}
	return tables, nil
}

// guardAdopted shuts what was adopted. Again: does nothing.
func (m *Move) guardAdopted(ctx context.Context, target *driver.Database) error {
	tables, err := m.layAdopted(ctx)
	if err != nil {
		return err
	}
	l := *m.laid.Load()
	l.adopted = tables
	m.laid.Store(&l)
	for some := range slices.Chunk(tables, crowd) {
		if err := m.shutTables(ctx, target, some); err != nil {
			return err
		}
	}
	return nil
}
