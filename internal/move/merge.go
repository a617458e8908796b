package move

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/transform"
	"github.com/whimbrel/whimbrel/schema"
)

// Tables that are the users' and the release's are moved like others, through the view before the source, which merges the release's
// rows in. These rows are what the build has made in the shadow under the table's new name. They are read once, when the build has
// ended, and kept, so that each process of a move merges with the same ones.

// mergedKey is the document with the release's rows of a table.
func mergedKey(table schema.Name) string { return "merged/" + table.String() }

// merged are the tables of the move that the release has rows of, by their names at the source.
func (m *Move) merged() map[schema.Name]transform.Merged {
	view := m.sides.view
	if view == nil {
		return nil
	}
	all := map[schema.Name]transform.Merged{}
	for _, one := range view.Merged() {
		all[one.Source] = one
	}
	for name := range all {
		if !moves(m.tables(), name) {
			delete(all, name) // what the build makes under its name is the release's alone
		}
	}
	return all
}

func moves(tables []*table, name schema.Name) bool {
	for _, t := range tables {
		if t.source.Name == name {
			return true
		}
	}
	return false
}

// takeMerged reads and keeps what the build has made for these tables in the shadow, which inside sees, and takes it out of there:
// the tables that move carry the names. It returns what is in the shadow then. A shadow that is built again when tables are
// there at the target changes nothing of what was kept: they hold it. Again: after another build only.
func (m *Move) takeMerged(ctx context.Context, inside *driver.Database, has *schema.Schema) (*schema.Schema, error) {
	merged := m.merged()
	if len(merged) == 0 {
		return has, nil
	}
	var fixed bool
	if _, err := m.state.Document(ctx, tablesAreOurs, &fixed); err != nil {
		return nil, err
	}
	made := map[schema.Name]*schema.Table{}
	for name, one := range merged {
		made[name] = builtTable(inside, has, one.Name)
		if fixed {
			continue
		}
		content, err := m.sides.view.Content(ctx, name, inside, made[name])
		if err != nil {
			return nil, err
		}
		if err := m.state.SetDocument(ctx, mergedKey(name), content); err != nil {
			return nil, err
		}
	}
	for name, one := range merged {
		if made[name] == nil {
			continue
		}
		if err := pointed(has, made, name, one.Place); err != nil {
			return nil, err
		}
		now, err := takeOut(ctx, inside, has, made[name], one.Place)
		if err != nil {
			return nil, err
		}
		has = now
	}
	return has, nil
}

// builtTable finds a table of the shadow, nil where there is none.
func builtTable(inside *driver.Database, has *schema.Schema, name string) *schema.Table {
	var alike *schema.Table
	for _, t := range has.Tables {
		switch {
		case t.Name.Name == name:
			return t
		case inside.Info.Limits.FoldTables && strings.EqualFold(t.Name.Name, name):
			alike = t
		}
	}
	return alike
}

// pointed fails where a table that stays in the shadow would lose what a foreign key of it points to.
func pointed(has *schema.Schema, made map[schema.Name]*schema.Table, name schema.Name, place string) error {
	for _, t := range has.Tables {
		for _, k := range t.Foreign {
			if k.Parent == made[name].Name && !slices.ContainsFunc(slices.Collect(maps.Values(made)), func(goes *schema.Table) bool { return goes != nil && goes.Name == t.Name }) {
				return fmt.Errorf("%s: merge: the foreign key %s of the release's table %s points to %s, which is merged with the users' and comes with the moved tables; "+
					"let update make this key", place, k.Name, t.Name.Name, k.Parent.Name)
			}
		}
	}
	return nil
}

// takeOut drops a table of the shadow and returns what is left there. It fails where something else has gone with it.
func takeOut(ctx context.Context, inside *driver.Database, has *schema.Schema, made *schema.Table, place string) (*schema.Schema, error) {
	if err := run(ctx, inside, inside.Dialect.DropTable(made)); err != nil {
		return nil, fmt.Errorf("%s: merge: take %s out of the shadow, where its rows were read: %w", place, made.Name.Name, err)
	}
	left, err := inside.Inspector.Inspect(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("look at what was built: %w", err)
	}
	for _, o := range has.Others {
		if o.Table != made.Name && !slices.Contains(left.Others, o) {
			return nil, fmt.Errorf("%s: merge: the %s %s of the release is of its table %s, which is merged with the users' and comes with the moved tables; "+
				"let update make what is of these", place, o.What, o.Name.Name, made.Name.Name)
		}
	}
	return left, dropTypesOf(ctx, inside, left, made)
}

// dropTypesOf drops the types that were made for a table that is gone: the moved one brings its own.
func dropTypesOf(ctx context.Context, inside *driver.Database, left *schema.Schema, made *schema.Table) error {
	of := func(t *schema.Table, d *schema.TypeDef) bool {
		return slices.ContainsFunc(t.Columns, func(c *schema.Column) bool { return c.Type.Def == d.Name })
	}
	var others []*schema.TypeDef
	for _, d := range left.Types {
		if !of(made, d) || slices.ContainsFunc(left.Tables, func(t *schema.Table) bool { return of(t, d) }) {
			others = append(others, d)
			continue
		}
		if err := run(ctx, inside, inside.Dialect.DropType(d)); err != nil {
			return err
		}
	}
	left.Types = others
	return nil
}

// mergeKept tells the view what was kept, once tables are made at the target that will hold it. Again: does nothing.
func (m *Move) mergeKept(ctx context.Context, view *transform.View) error {
	var fixed bool
	if _, err := m.state.Document(ctx, tablesAreOurs, &fixed); err != nil || !fixed {
		return err
	}
	for _, one := range view.Merged() {
		var content transform.Content
		kept, err := m.state.Document(ctx, mergedKey(one.Source), &content)
		if err != nil {
			return err
		}
		if !kept {
			continue // it does not move; who reads it all the same is told that its rows are not known
		}
		if err := view.Merge(one.Source, &content); err != nil {
			return err
		}
	}
	return nil
}

// forgetMerged is takeMerged's way back.
func (m *Move) forgetMerged(ctx context.Context) error {
	if m.sides.view == nil {
		return nil
	}
	for _, one := range m.sides.view.Merged() {
		if err := m.state.DeleteDocument(ctx, mergedKey(one.Source)); err != nil {
			return err
		}
	}
	return nil
}
