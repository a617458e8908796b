package mysql

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// InnoDB changes the rows of a child, where a foreign key says CASCADE or SET NULL, without firing the child's triggers, and
// without firing those of its children in turn (HAZARDS 1). This file finds those foreign keys and the ways that such a change
// takes; helper.go puts triggers on the tables where it begins. SET DEFAULT is refused by InnoDB like RESTRICT.

// cascade is a foreign key whose action changes rows of its child.
type cascade struct {
	child, parent       schema.Name
	columns, references []string
	onDelete, onUpdate  schema.Action // Cascade, SetNull, or NoAction for what only refuses
}

// String is the foreign key in words, for fingerprints and people.
func (c *cascade) String() string {
	return c.child.String() + " (" + strings.Join(c.columns, ", ") + ") of " + c.parent.String() + " (" + strings.Join(c.references, ", ") +
		") ON DELETE " + string(c.onDelete) + " ON UPDATE " + string(c.onUpdate)
}

// cascaded reports whether a foreign key of the table has an action that changes its rows.
func cascaded(t *schema.Table) bool {
	return slices.ContainsFunc(t.Foreign, func(k *schema.ForeignKey) bool { return k.OnDelete.Moves() || k.OnUpdate.Moves() })
}

// full is a table's name with its database.
func (d *database) full(n schema.Name) schema.Name {
	return schema.Name{Schema: orElse(n.Schema, d.schema), Name: n.Name}
}

// The bits in which InnoDB keeps a foreign key's actions.
const (
	deleteCascades = 1 << iota
	deleteClears
	updateCascades
	updateClears
)

// cascades reads every such foreign key of the server from InnoDB's own catalog, which knows them all whatever the user may see.
func (d *database) cascades(ctx context.Context, s *session) ([]cascade, error) {
	keys, columns := "innodb_sys_foreign", "innodb_sys_foreign_cols"
	if !d.version.maria() {
		keys, columns = "innodb_foreign", "innodb_foreign_cols"
	}
	decode := func(column, part string) string {
		return "CONVERT(CAST(CAST(SUBSTRING_INDEX(" + column + ", '/', " + part + ") AS BINARY) AS CHAR CHARACTER SET filename) USING utf8mb4)"
	}
	lines, err := s.rows(ctx, "SELECT id, type, "+decode("for_name", "1")+", "+decode("for_name", "-1")+", "+decode("ref_name", "1")+", "+decode("ref_name", "-1")+
		" FROM information_schema."+keys+" WHERE type & 15 ORDER BY id")
	if err != nil || len(lines) == 0 {
		return nil, err
	}
	parts, err := s.rows(ctx, "SELECT id, for_col_name, ref_col_name FROM information_schema."+columns+" ORDER BY id, pos")
	if err != nil {
		return nil, err
	}
	all, at := make([]cascade, len(lines)), map[string]int{}
	for i, l := range lines {
		bits, _ := strconv.Atoi(l[1])
		all[i] = cascade{
			child: schema.Name{Schema: l[2], Name: l[3]}, parent: schema.Name{Schema: l[4], Name: l[5]},
			onDelete: actionOf(bits, deleteCascades, deleteClears), onUpdate: actionOf(bits, updateCascades, updateClears),
		}
		at[l[0]] = i
	}
	for _, p := range parts {
		if i, ok := at[p[0]]; ok {
			all[i].columns, all[i].references = append(all[i].columns, p[1]), append(all[i].references, p[2])
		}
	}
	return all, nil
}

func actionOf(bits, cascades, clears int) schema.Action {
	switch {
	case bits&cascades != 0:
		return schema.Cascade
	case bits&clears != 0:
		return schema.SetNull
	}
	return schema.NoAction
}

// way is one foreign key on the way from a changed row down to rows that the change changes too, with what is below it.
type way struct {
	key   *cascade
	moves bool // an update's new values have come down to here: the child's columns take them
	found bool // the child is a table that was looked for
	again bool // the child is above itself
	below []*way
}

// deepest is how many foreign keys a change runs through at most: InnoDB refuses a statement that would go further.
const deepest = 15

// most is how many ways one table's triggers may follow. More than that is no schema that anybody has drawn.
const most = 400

// ways finds the ways down to some tables.
type ways struct {
	all    []cascade
	wanted map[schema.Name]bool
	ends   bool // a way ends at the first table that is wanted
	leads  map[schema.Name]bool
	count  int // of ways found; the limit counts for each table where they begin
}

// newWays looks for the tables from which the wanted ones can be reached.
func newWays(all []cascade, wanted ...schema.Name) *ways {
	w := &ways{all: all, wanted: map[schema.Name]bool{}, leads: map[schema.Name]bool{}}
	for _, n := range wanted {
		w.wanted[n] = true
	}
	for grown := true; grown; {
		grown = false
		for i := range all {
			k := &all[i]
			if !w.leads[k.parent] && (w.wanted[k.child] || w.leads[k.child]) {
				w.leads[k.parent], grown = true, true
			}
		}
	}
	return w
}

// above are the tables where a change begins that may reach a wanted table, in the order of their names.
func (w *ways) above() []schema.Name {
	var all []schema.Name
	for n := range w.leads {
		if !w.ends || !w.wanted[n] {
			all = append(all, n)
		}
	}
	slices.SortFunc(all, func(a, b schema.Name) int { return strings.Compare(a.Schema+"\x00"+a.Name, b.Schema+"\x00"+b.Name) })
	return all
}

// of returns the ways of a deletion and those of an update of a row of a table.
func (w *ways) of(from schema.Name) (deletion, update []*way, err error) {
	w.count = 0
	deletion = w.deleted(from, []schema.Name{from})
	update = w.updated(from, nil, true, []schema.Name{from}, []schema.Name{from})
	if w.count > most {
		return nil, nil, fmt.Errorf("there are more than %d ways from %s down to it", most, from)
	}
	return deletion, update, nil
}

// deleted are the ways from rows that are deleted. Path is the tables passed.
func (w *ways) deleted(at schema.Name, path []schema.Name) []*way {
	return w.step(at, path, func(k *cascade, path []schema.Name) (*way, bool) {
		switch k.onDelete {
		case schema.Cascade:
			return &way{below: w.deleted(k.child, path)}, true
		case schema.SetNull:
			return &way{below: w.updated(k.child, k.columns, false, []schema.Name{k.child}, path)}, true
		}
		return nil, false
	})
}

// updated are the ways from rows some columns of which change, any where changed is nil. InnoDB refuses to update a table
// that has been updated on the way there.
func (w *ways) updated(at schema.Name, changed []string, moves bool, before, path []schema.Name) []*way {
	return w.step(at, path, func(k *cascade, path []schema.Name) (*way, bool) {
		touched := changed == nil || slices.ContainsFunc(k.references, func(c string) bool { return slices.Contains(changed, c) })
		if k.onUpdate == schema.NoAction || !touched || slices.Contains(before, k.child) {
			return nil, false
		}
		moves := moves && k.onUpdate == schema.Cascade
		return &way{moves: moves, below: w.updated(k.child, k.columns, moves, append(slices.Clip(before), k.child), path)}, true
	})
}

// step follows each foreign key of which a table is the parent, as far as it leads to a wanted table.
func (w *ways) step(at schema.Name, path []schema.Name, follow func(*cascade, []schema.Name) (*way, bool)) []*way {
	if len(path) > deepest || w.count > most || w.ends && w.wanted[at] {
		return nil
	}
	var all []*way
	for i := range w.all {
		k := &w.all[i]
		if k.parent != at || !w.wanted[k.child] && !w.leads[k.child] {
			continue
		}
		next, ok := follow(k, append(slices.Clip(path), k.child))
		if !ok {
			continue
		}
		next.key, next.found, next.again = k, w.wanted[k.child], slices.Contains(path, k.child)
		if next.found || len(next.below) > 0 {
			w.count++
			all = append(all, next)
		}
	}
	return all
}

// cascadeGap says what is done about foreign keys that change rows of a table, or why that can not be done.
func (d *database) cascadeGap(ctx context.Context, t *schema.Table, key []keyColumn) ([]driver.Notice, error) {
	if !cascaded(t) || len(key) == 0 {
		return nil, nil
	}
	var all []cascade
	if err := d.control.with(ctx, func(s *session) (err error) {
		all, err = d.cascades(ctx, s)
		return err
	}); err != nil {
		return nil, fmt.Errorf("read the foreign keys: %w", err)
	}
	gap := driver.Notice{Rule: "cascade", Level: driver.NotLive, Table: t.Name, Do: "Leave it a downtime table."}
	helpers, err := d.helpers(t, key, all)
	if err != nil {
		gap.Message = "Foreign keys change rows of this table without firing its triggers, and " + err.Error() + "."
		return []driver.Notice{gap}, nil
	}
	if clearsKey(t, key, newWays(all).into(d.full(t.Name))) {
		gap.Message = "A foreign key changes a column that a generated column of the key is made from, and nobody sees the key that comes of it."
		return []driver.Notice{gap}, nil
	}
	var names []string
	for _, h := range helpers {
		names = append(names, h.on.String())
	}
	gap.Level, gap.Do = driver.Note, "Do not change foreign keys during the move."
	gap.Message = "Foreign keys change rows of this table without firing its triggers; triggers on " + strings.Join(names, ", ") + " note them."
	return []driver.Notice{gap}, nil
}

// into are the foreign keys through which a table's own rows are changed.
func (w *ways) into(n schema.Name) []*cascade {
	var all []*cascade
	for i := range w.all {
		if w.all[i].child == n {
			all = append(all, &w.all[i])
		}
	}
	return all
}

// involved are the foreign keys on any way to a wanted table, in words.
func (w *ways) involved() []string {
	var all []string
	for i := range w.all {
		if k := &w.all[i]; w.wanted[k.child] || w.leads[k.child] {
			all = append(all, k.String())
		}
	}
	slices.Sort(all)
	return all
}
