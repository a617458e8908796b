package mysql

import (
	"context"
	"fmt"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// A table outside of the gate can have rows of one inside as its children, in another database perhaps. Where a foreign key
// changes those with it, the barrier of the child does not see it (HAZARDS 1). So a helper stands on such a table while the gate
// is shut, and refuses what would change a row inside; everything else that happens there is left alone.

// outside are the helpers on tables outside of the gate, each with the numbers of the tables that it shuts.
func (d *database) outside(ctx context.Context, s *session, tables []*schema.Table) ([]helper, []int, error) {
	inside := map[schema.Name]bool{}
	for _, t := range tables {
		inside[d.full(t.Name)] = true
	}
	var names []schema.Name
	var numbers []int
	for _, t := range tables {
		if slices.ContainsFunc(t.Foreign, func(k *schema.ForeignKey) bool {
			return !inside[d.full(k.Parent)] && (k.OnDelete.Moves() || k.OnUpdate.Moves())
		}) {
			names, numbers = append(names, d.full(t.Name)), append(numbers, t.Number)
		}
	}
	if len(names) == 0 {
		return nil, nil, nil
	}
	all, err := d.cascades(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	w := newWays(all, names...)
	w.ends, w.wanted = true, inside
	var found []helper
	for _, on := range w.above() {
		deletion, update, err := w.of(on)
		if err != nil {
			return nil, nil, err
		}
		if h := (helper{on, d.refusing(on, deletion, update, w.into(on))}); len(h.triggers) > 0 {
			found = append(found, h)
		}
	}
	return found, numbers, nil
}

// refusing are the triggers that refuse a deletion or an update that would change rows inside, and an update that puts a row
// with such rows below it under another one, which somebody may be deleting.
func (d *database) refusing(on schema.Name, deletion, update []*way, into []*cascade) []trigger {
	b := &script{row: "OLD", note: func(from, _ string) string {
		return "SELECT COUNT(*) INTO whimbrel_found" + from + " LOCK IN SHARE MODE; IF whimbrel_found > 0 THEN " + refusal + "; END IF; "
	}}
	var all []trigger
	if len(deletion) > 0 {
		all = append(all, trigger{shutting + "delete_" + d.place64(on), "BEFORE", "DELETE", b.deletion(deletion)})
	}
	if text := b.updated(update, slices.Concat(deletion, update), into); text != "" {
		all = append(all, trigger{shutting + "update_" + d.place64(on), "BEFORE", "UPDATE", text})
	}
	return all
}

// shutOutside puts the helpers on the tables outside. Again: makes those that are missing.
func (d *database) shutOutside(ctx context.Context, s *session, tables []*schema.Table, w driver.Wait) error {
	helpers, numbers, err := d.outside(ctx, s, tables)
	if err != nil || len(helpers) == 0 {
		return err
	}
	if err := s.run(ctx, d.helperBook()); err != nil {
		return err
	}
	for _, h := range helpers {
		if err := d.post(ctx, s, h, numbers, w); err != nil {
			return err
		}
	}
	return nil
}

// proveOutside looks for the helpers.
func (d *database) proveOutside(ctx context.Context, s *session, tables []*schema.Table) error {
	helpers, _, err := d.outside(ctx, s, tables)
	if err != nil {
		return err
	}
	for _, h := range helpers {
		there, err := d.triggers(ctx, s, &schema.Table{Name: h.on})
		if err != nil {
			return err
		}
		for _, want := range h.triggers {
			if !slices.ContainsFunc(there, func(t standing) bool { return t.name == want.name && t.body == want.body }) {
				return fmt.Errorf("the barrier %s is not on %s, through which foreign keys change rows of tables that are shut: shut the source again", want.name, h.on)
			}
		}
	}
	return nil
}

// numbersOf are the numbers of tables.
func numbersOf(tables []*schema.Table) []int {
	all := make([]int, len(tables))
	for i, t := range tables {
		all[i] = t.Number
	}
	return all
}
