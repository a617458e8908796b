package mysql

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// Where foreign keys change rows of a captured table behind its triggers' back (HAZARDS C12), helper triggers stand on every
// table from which such a change can come, moved or not, in whatever database. Before the change they note the keys of all rows
// that it will reach, and after it the keys that rows have got by it.
//
// They read with LOCK IN SHARE MODE, which sees what is committed now whatever the application's isolation level. A lock FOR
// UPDATE would have the server refuse an application's statement that names the child beside the parent. A row that another
// transaction puts below, once the helper has looked there, is still changed unseen; but that transaction notes the row itself
// when it commits, and what is read while a helper's transaction is open is read once more when that has ended (walk.go). So that
// it notes all of them, helpers note what is below a row that is moved below another one, too.

// helper is what stands on one table for one captured table.
type helper struct {
	on       schema.Name
	triggers []trigger
}

// helpers are the helper triggers of a captured table.
func (d *database) helpers(t *schema.Table, key []keyColumn, all []cascade) ([]helper, error) {
	name := d.full(t.Name)
	w := newWays(all, name)
	var found []helper
	for _, on := range w.above() {
		deletion, update, err := w.of(on)
		if err != nil {
			return nil, err
		}
		h := helper{on: on}
		n := strconv.Itoa(t.Number) + "_" + d.place64(on)
		b := &script{note: d.noting(t, key), mark: "INSERT INTO " + d.walk(t) + " () VALUES ()"}
		if len(deletion) > 0 {
			b.row = "OLD"
			h.triggers = append(h.triggers, trigger{"whimbrel_cascade_delete_" + n, "BEFORE", "DELETE", b.deletion(deletion)})
		}
		if len(update) > 0 {
			b.row = "OLD"
			h.triggers = append(h.triggers, trigger{"whimbrel_cascade_update_" + n, "BEFORE", "UPDATE", b.update(update)})
		}
		b.row = "NEW"
		if after := b.updated(moving(t, key, update), slices.Concat(deletion, update), w.into(on)); after != "" {
			h.triggers = append(h.triggers, trigger{"whimbrel_cascade_updated_" + n, "AFTER", "UPDATE", after})
		}
		found = append(found, h)
	}
	return found, nil
}

// place64 is a word for a table's place and this database, so that the names of two moves' triggers on it differ.
func (d *database) place64(on schema.Name) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(d.schema + "\x00" + on.Schema + "\x00" + on.Name))
	return fmt.Sprintf("%016x", h.Sum64())
}

// moving are those of an update's ways by which keys of the captured table change, found where they do.
func moving(t *schema.Table, key []keyColumn, update []*way) []*way {
	var all []*way
	for _, w := range update {
		if !w.moves {
			continue
		}
		next := *w
		next.below = moving(t, key, w.below)
		next.found = w.found && slices.ContainsFunc(key, func(k keyColumn) bool {
			c := t.Column(k.name)
			return slices.Contains(w.key.columns, k.name) || c != nil && c.Generated != nil
		})
		if next.found || len(next.below) > 0 {
			all = append(all, &next)
		}
	}
	return all
}

// clearsKey reports a key column that is made from others, some of which a foreign key can set to NULL: the key that comes
// of it is known to nobody.
func clearsKey(t *schema.Table, key []keyColumn, into []*cascade) bool {
	made := slices.ContainsFunc(key, func(k keyColumn) bool { c := t.Column(k.name); return c != nil && c.Generated != nil })
	return made && slices.ContainsFunc(into, func(k *cascade) bool {
		return k.onDelete == schema.SetNull || k.onUpdate != schema.NoAction
	})
}

// noting writes the statements that note the keys of the captured table's rows at the end of a path, and count them. They insert
// one by one: an INSERT that selects would hold the record's counter to the end of the application's statement, and nobody else
// could change the captured table meanwhile.
func (d *database) noting(t *schema.Table, key []keyColumn) func(from, last string) string {
	var names, variables, values []string
	declare := "SET whimbrel_found = 0; BEGIN DECLARE whimbrel_end BOOL DEFAULT FALSE; "
	for i, k := range key {
		names, variables = append(names, keyName(i)), append(variables, "whimbrel_"+keyName(i))
		values = append(values, quote(k.name))
		declare += "DECLARE " + variables[i] + " " + typed(k.typ, k.typ.Raw) + "; "
	}
	each := " LOCK IN SHARE MODE; DECLARE CONTINUE HANDLER FOR NOT FOUND SET whimbrel_end = TRUE; OPEN whimbrel_keys; whimbrel_each: LOOP FETCH whimbrel_keys INTO " +
		strings.Join(variables, ", ") + "; IF whimbrel_end THEN LEAVE whimbrel_each; END IF; INSERT INTO " + d.record(t) + " (" + strings.Join(names, ", ") +
		") VALUES (" + strings.Join(variables, ", ") + "); SET whimbrel_found = whimbrel_found + 1; END LOOP; CLOSE whimbrel_keys; END; "
	return func(from, last string) string {
		return declare + "DECLARE whimbrel_keys CURSOR FOR SELECT " + last + "." + strings.Join(values, ", "+last+".") + from + each
	}
}

// script writes the bodies of triggers that follow ways.
type script struct {
	row  string                         // OLD or NEW
	mark string                         // run before rows are looked for; empty for nothing
	note func(from, last string) string // what is done with the rows of a path that are looked for, as statements that count them
}

func (b *script) deletion(all []*way) string {
	return b.whole(b.marked() + b.follow(all, nil))
}

// update is run where columns change that a way hangs on.
func (b *script) update(all []*way) string {
	var columns []string
	for _, w := range all {
		columns = append(columns, w.key.references...)
	}
	return b.whole("IF " + changed(columns) + " THEN " + b.marked() + b.each(all) + "END IF; ")
}

// updated is run after an update: along the ways by which keys moved, and along all where the row itself was put below
// another. It is empty where there is nothing to do.
func (b *script) updated(moved, all []*way, into []*cascade) string {
	text := b.each(moved)
	var columns []string
	for _, k := range into {
		columns = append(columns, k.columns...)
	}
	if len(columns) > 0 {
		text += "IF " + changed(columns) + " THEN " + b.follow(all, nil) + "END IF; "
	}
	if text == "" {
		return ""
	}
	return b.whole(text)
}

// each follows every way of an update whose own columns change.
func (b *script) each(all []*way) string {
	text := ""
	for _, w := range all {
		text += "IF " + changed(w.key.references) + " THEN " + b.follow([]*way{w}, nil) + "END IF; "
	}
	return text
}

func (b *script) marked() string {
	if b.mark == "" {
		return ""
	}
	return b.mark + "; "
}

func (b *script) whole(text string) string {
	return "BEGIN DECLARE whimbrel_found BIGINT; " + text + "END"
}

// follow writes what is to be done along some ways. What is below rows that were looked for is only looked at where there were
// some, and so is what is below a table that comes again: a way may pass it many times and seldom does.
func (b *script) follow(all []*way, path []*cascade) string {
	text := ""
	for _, w := range all {
		here := append(slices.Clip(path), w.key)
		from, last := b.from(here)
		below := b.follow(w.below, here)
		if w.found {
			text += b.note(from, last)
		}
		switch {
		case below == "":
		case w.found:
			text += "IF whimbrel_found > 0 THEN " + below + "END IF; "
		case w.again:
			text += "SELECT COUNT(*) INTO whimbrel_found" + from + " LOCK IN SHARE MODE; IF whimbrel_found > 0 THEN " + below + "END IF; "
		default:
			text += below
		}
	}
	return text
}

// from joins the tables of a path, from the trigger's row down; last is the name of the last of them.
func (b *script) from(path []*cascade) (from, last string) {
	where := ""
	for i, k := range path {
		above := b.row
		last = "t" + strconv.Itoa(i+1)
		if i > 0 {
			above = "t" + strconv.Itoa(i)
		}
		on := make([]string, len(k.columns))
		for c := range k.columns {
			on[c] = last + "." + quote(k.columns[c]) + " = " + above + "." + quote(k.references[c])
		}
		table := quote(k.child.Schema) + "." + quote(k.child.Name) + " " + last
		if i == 0 {
			from, where = " FROM "+table, " WHERE "+strings.Join(on, " AND ")
		} else {
			from += " STRAIGHT_JOIN " + table + " ON " + strings.Join(on, " AND ")
		}
	}
	return from + where, last
}

// changed is the condition that an update changes one of these columns, be it a byte only: values that the server finds equal
// cascade all the same. A floating-point number is compared as a number too, because its text is rounded.
func changed(columns []string) string {
	columns = slices.Sorted(slices.Values(columns))
	var same []string
	for _, c := range slices.Compact(columns) {
		q := quote(c)
		same = append(same, "OLD."+q+" <=> NEW."+q, "CAST(OLD."+q+" AS BINARY) <=> CAST(NEW."+q+" AS BINARY)")
	}
	return "NOT (" + strings.Join(same, " AND ") + ")"
}

// help puts the helper triggers of a captured table on the tables above it, and takes away those that are not wanted any more.
func (d *database) help(ctx context.Context, s *session, t *schema.Table, key []keyColumn, w driver.Wait) error {
	if !cascaded(t) {
		return nil
	}
	all, err := d.cascades(ctx, s)
	if err != nil {
		return err
	}
	helpers, err := d.helpers(t, key, all)
	if err != nil {
		return err
	}
	for _, sql := range []string{
		"CREATE TABLE IF NOT EXISTS " + d.walk(t) + " (seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB",
		d.helperBook(),
	} {
		if err := s.run(ctx, sql); err != nil {
			return err
		}
	}
	wanted := map[posted]bool{}
	for _, h := range helpers {
		if err := d.post(ctx, s, h, []int{t.Number}, w); err != nil {
			return err
		}
		for _, g := range h.triggers {
			wanted[posted{h.on.Schema, g.name}] = true
		}
	}
	return d.unpost(ctx, s, capturing, []int{t.Number}, wanted, w)
}

// The helpers that stand are written down before they are made, because a table above may be in any database of the server, and
// may not be above any more when they are taken away.

// posted is a trigger that is written down: its database and its name.
type posted struct{ home, name string }

// capturing and shutting are the beginnings of the names of helpers that note, and of those that refuse.
const (
	capturing = "whimbrel_cascade_"
	shutting  = "whimbrel_shut_cascade_"
)

func (d *database) helperBook() string {
	return "CREATE TABLE IF NOT EXISTS " + d.own("helper") + " (home VARCHAR(64) NOT NULL, name VARCHAR(64) NOT NULL, table_no INT NOT NULL, " +
		"PRIMARY KEY (home, name, table_no)) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
}

// post writes helpers down for some tables, by number, and makes them.
func (d *database) post(ctx context.Context, s *session, h helper, tables []int, w driver.Wait) error {
	err := s.transact(ctx, func() error {
		for _, g := range h.triggers {
			for _, n := range tables {
				if err := s.run(ctx, "INSERT IGNORE INTO "+d.own("helper")+" VALUES (?, ?, ?)", h.on.Schema, g.name, int64(n)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil {
		err = d.raise(ctx, s, &schema.Table{Name: h.on}, h.triggers, w)
	}
	if err != nil {
		return fmt.Errorf("put triggers on %s, through which a foreign key changes rows: %w", h.on, err)
	}
	return nil
}

// unpost takes away the helpers of one kind that were written down for some tables, all where tables is nil, and for no other,
// but those that are to stay.
func (d *database) unpost(ctx context.Context, s *session, kind string, tables []int, stay map[posted]bool, w driver.Wait) error {
	lines, err := s.rows(ctx, "SELECT home, name, table_no FROM "+d.own("helper")+" WHERE LOCATE(?, name) = 1 ORDER BY home, name", kind)
	if err != nil {
		if classes[number(err)] == driver.Missing {
			return nil
		}
		return err
	}
	var order []posted
	left := map[posted]bool{}
	going := map[posted][]string{}
	for _, l := range lines {
		p := posted{l[0], l[1]}
		if n, _ := strconv.Atoi(l[2]); !stay[p] && (tables == nil || slices.Contains(tables, n)) {
			if going[p] == nil {
				order = append(order, p)
			}
			going[p] = append(going[p], l[2])
		} else {
			left[p] = true
		}
	}
	for _, p := range order {
		if !left[p] {
			if err := d.takeDown(ctx, s, p, w); err != nil {
				return err
			}
		}
		if err := s.run(ctx, "DELETE FROM "+d.own("helper")+" WHERE home = ? AND name = ? AND table_no IN ("+strings.Join(going[p], ", ")+")", p.home, p.name); err != nil {
			return err
		}
	}
	return nil
}

// takeDown drops a helper from the table that it stands on, and its name where it stands on none.
func (d *database) takeDown(ctx context.Context, s *session, p posted, w driver.Wait) error {
	there, err := d.byName(ctx, s, p.home, p.name)
	if err != nil {
		return err
	}
	if len(there) > 0 {
		return d.lower(ctx, s, &schema.Table{Name: there[0].on}, []string{p.name}, w)
	}
	err = s.run(ctx, d.dropping(p.home, p.name))
	if classes[number(err)] == driver.Missing {
		return nil
	}
	return err
}
