package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// Tables and sequences are carried from one database to another by a rename. A trigger forbids that, and views, routines and events
// can not be renamed across databases at all: they are made anew from what the server says of them, as ours and at their new home.
// None of this can be rolled back. So everything that must be made anew is written into the book of shadows first, and whoever
// calls again after a crash goes on from there: renames what is left, makes what is in the book, drops what it was made from.

// carryWait is how long a table's lock is waited for.
const carryWait = 10 * time.Second

// piece is an object that is made anew.
type piece struct {
	object
	home                string // where it is made
	text                string // the statement
	mode, collate, zone string // under which it was written; empty: under ours
}

// Lend renames tables into the shadow, each while we hold its lock: first its triggers go, and our guard with them, which keeps
// others out until the lock does.
func (d shadows) Lend(ctx context.Context, s driver.Shadow, tables []*schema.Table) error {
	err := d.apart(ctx, func(ses *session) error {
		if d.options.Side == driver.Source {
			return errors.New("the source's own tables stay where they are: clone them")
		}
		c, err := d.carrier(ctx, ses, s.Place)
		if err != nil {
			return err
		}
		left, err := c.lendable(ctx, tables)
		if err != nil {
			return err
		}
		for _, t := range left {
			triggers, err := c.triggersOf(ctx, t)
			if err != nil {
				return err
			}
			if err := c.note(ctx, d.full(t.Name).Schema, s.Place, triggers); err != nil {
				return err
			}
			if err := c.lend(ctx, t); err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
		}
		return c.unpack(ctx)
	})
	if err != nil {
		return fmt.Errorf("lend to the shadow %s: %w", s.Place, err)
	}
	return nil
}

// Adopt renames the shadow's tables and sequences and makes the rest anew.
func (d shadows) Adopt(ctx context.Context, s driver.Shadow, home string) error {
	home = orElse(home, d.schema)
	err := d.apart(ctx, func(ses *session) error {
		c, err := d.carrier(ctx, ses, s.Place)
		if err != nil {
			return err
		}
		if err := c.unpack(ctx); err != nil {
			return err
		}
		objects, err := ses.objects(ctx, s.Place)
		if err != nil || len(objects) == 0 {
			return err
		}
		if err := c.collide(ctx, objects, home); err != nil {
			return err
		}
		if err := c.note(ctx, s.Place, home, slices.DeleteFunc(slices.Clone(objects), renamed)); err != nil {
			return err
		}
		if err := c.rename(ctx, objects, home); err != nil {
			return err
		}
		return c.unpack(ctx)
	})
	if err != nil {
		return fmt.Errorf("adopt the shadow %s: %w", s.Place, err)
	}
	return nil
}

func renamed(o object) bool { return o.kind == "table" || o.kind == "sequence" }

// carrier carries things into a place or out of it.
type carrier struct {
	d     shadows
	s     *session
	place string
}

// carrier begins to carry: an Adopt that has not come to its end is finished first.
func (d shadows) carrier(ctx context.Context, s *session, place string) (*carrier, error) {
	c := &carrier{d, s, place}
	if err := d.made(ctx, s, place); err != nil {
		return nil, err
	}
	if err := s.run(ctx, "SET foreign_key_checks=0, sql_quote_show_create=1"); err != nil {
		return nil, err
	}
	if err := patience(ctx, s, driver.Wait{Lock: carryWait}); err != nil {
		return nil, err
	}
	pieces, err := c.noted(ctx)
	if err != nil || len(pieces) == 0 || pieces[0].home == place {
		return c, err // what a Lend has left is unpacked when its tables are here
	}
	objects, err := s.objects(ctx, place)
	if err != nil {
		return nil, err
	}
	if err := c.rename(ctx, objects, pieces[0].home); err != nil {
		return nil, err
	}
	return c, c.unpack(ctx)
}

// lendable are the tables that are not in the place yet.
func (c *carrier) lendable(ctx context.Context, tables []*schema.Table) ([]*schema.Table, error) {
	there, err := c.s.objects(ctx, c.place)
	if err != nil {
		return nil, err
	}
	var left []*schema.Table
	for _, t := range tables {
		here, err := c.s.objects(ctx, c.d.full(t.Name).Schema)
		if err != nil {
			return nil, err
		}
		same := func(o object) bool { return o.meets(object{kind: "table", name: t.Name.Name}) }
		lent := slices.ContainsFunc(there, same)
		switch is := slices.ContainsFunc(here, same); {
		case is && lent:
			return nil, exists("%s is there, and in the shadow too: drop one of them", t.Name)
		case is:
			left = append(left, t)
		case !lent:
			return nil, missing("%s is neither there nor in the shadow", t.Name)
		}
	}
	return left, nil
}

// triggersOf are the application's triggers on a table.
func (c *carrier) triggersOf(ctx context.Context, t *schema.Table) ([]object, error) {
	objects, err := c.s.objects(ctx, c.d.full(t.Name).Schema)
	return slices.DeleteFunc(objects, func(o object) bool { return o.kind != "trigger" || o.table != t.Name.Name }), err
}

// lend renames one table.
func (c *carrier) lend(ctx context.Context, t *schema.Table) error {
	home, name := c.d.full(t.Name).Schema, c.d.dialect.name(t.Name)
	checked, err := guard{c.d.database}.checked(ctx, c.s, t)
	if err != nil {
		return err
	}
	triggers, err := c.s.rows(ctx, "SELECT trigger_name FROM information_schema.triggers WHERE event_object_schema = ? AND event_object_table = ?", home, t.Name.Name)
	if err != nil {
		return err
	}
	if err := c.s.run(ctx, "LOCK TABLES "+name+" WRITE"); err != nil {
		return err
	}
	for i := 0; i < len(triggers) && err == nil; i++ {
		err = c.s.drop(ctx, home, object{kind: "trigger", name: triggers[i][0]})
	}
	if err == nil && checked {
		err = c.d.uncheck(ctx, c.s, t)
	}
	if err == nil {
		err = c.s.run(ctx, "ALTER TABLE "+name+" RENAME TO "+quote(c.place)+"."+quote(t.Name.Name))
	}
	if unlocked := c.s.run(ctx, "UNLOCK TABLES"); err == nil {
		err = unlocked
	}
	return err
}

// collide fails where something at home has the name of something in the place. What an earlier call has renamed is not in the place
// any more, and what it has made anew it has dropped there, or it is in the book and was finished.
func (c *carrier) collide(ctx context.Context, objects []object, home string) error {
	there, err := c.s.objects(ctx, home)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if slices.ContainsFunc(there, o.meets) {
			return exists("there is a %s %s in %s already: rename it or drop it, then adopt again", o.kind, o.name, home)
		}
	}
	keys, err := c.s.rows(ctx, `SELECT p.constraint_name FROM information_schema.referential_constraints p
		JOIN information_schema.referential_constraints h ON h.constraint_schema = ? AND h.constraint_name = p.constraint_name WHERE p.constraint_schema = ?`, home, c.place)
	if err == nil && len(keys) > 0 {
		err = exists("there is a foreign key %s in %s already: rename it or drop it, then adopt again", keys[0][0], home)
	}
	return err
}

// rename drops the triggers, which are in the book, and renames tables and sequences in one statement: all, or none.
func (c *carrier) rename(ctx context.Context, objects []object, home string) error {
	var names []string
	for _, o := range objects {
		if o.kind == "trigger" {
			if err := c.s.drop(ctx, c.place, o); err != nil {
				return err
			}
		}
		if renamed(o) {
			names = append(names, quote(c.place)+"."+quote(o.name)+" TO "+quote(home)+"."+quote(o.name))
		}
	}
	if len(names) > 0 {
		if err := c.s.run(ctx, "RENAME TABLE "+strings.Join(names, ", ")); err != nil {
			return err
		}
	}
	if !c.d.version.maria() {
		return nil
	}
	defaults, err := c.s.sequenceDefaults(ctx, home)
	if err != nil {
		return err
	}
	for _, def := range defaults {
		text := strings.ReplaceAll(def.text, "("+quote(c.place)+".", "("+quote(home)+".")
		if text == def.text {
			continue
		}
		if err := c.s.setDefault(ctx, home, def, text); err != nil {
			return err
		}
	}
	return nil
}

// unpack makes what is in the book, drops what it was made from, and strikes it off. Views that need others are made after them.
func (c *carrier) unpack(ctx context.Context) error {
	left, err := c.noted(ctx)
	if err != nil || len(left) == 0 {
		return err
	}
	for len(left) > 0 {
		var later []piece
		var why error
		for _, p := range left {
			err := c.again(ctx, p)
			if err != nil && p.kind == "view" && c.d.dialect.Classify(err) == driver.Missing {
				later, why = append(later, p), err
			} else if err != nil {
				return err
			}
		}
		if len(later) == len(left) {
			return why
		}
		left = later
	}
	pieces, err := c.noted(ctx)
	if err != nil {
		return err
	}
	for _, p := range pieces {
		if p.kind == "trigger" || p.home == c.place {
			continue // its original went with its table
		}
		if err := c.s.drop(ctx, c.place, p.object); err != nil {
			return err
		}
	}
	return c.s.run(ctx, "DELETE FROM "+c.d.own("shadow")+" WHERE place = ? AND number > 0", c.place)
}

// again makes one piece. Again: makes it anew.
func (c *carrier) again(ctx context.Context, p piece) error {
	if err := c.s.run(ctx, "USE "+quote(p.home)); err != nil {
		return err
	}
	if err := c.s.drop(ctx, p.home, p.object); err != nil {
		return err
	}
	settings := "SET sql_mode=" + quoteText(p.mode) + ", time_zone=" + quoteText(orElse(p.zone, "+00:00"))
	if p.collate != "" {
		settings += ", collation_connection=" + quoteText(p.collate)
	}
	if err := c.s.run(ctx, settings); err != nil {
		return err
	}
	err := c.s.run(ctx, p.text)
	if back := c.s.run(ctx, "SET sql_mode='STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION', time_zone='+00:00', character_set_connection=utf8mb4"); err == nil {
		err = back
	}
	if err != nil {
		return fmt.Errorf("make %s anew: %w", p.object, err)
	}
	return nil
}

// noted reads what is in the book for this place, in the order in which it is made.
func (c *carrier) noted(ctx context.Context) ([]piece, error) {
	lines, err := c.s.rows(ctx, "SELECT kind, name, table_name, home, text, mode, collation, zone FROM "+c.d.own("shadow")+
		" WHERE place = ? AND number > 0 ORDER BY FIELD(kind, 'package', 'package body', 'function', 'procedure', 'view', 'trigger', 'event'), number", c.place)
	var all []piece
	for _, l := range lines {
		all = append(all, piece{object{l[0], l[1], l[2]}, l[3], l[4], l[5], l[6], l[7]})
	}
	return all, err
}

// note writes those objects into the book that are not in it yet, with all that is needed to make them at their new home.
func (c *carrier) note(ctx context.Context, from, home string, objects []object) error {
	already, err := c.noted(ctx)
	if err != nil {
		return err
	}
	if err := c.s.run(ctx, "USE "+quote(from)); err != nil {
		return err
	}
	var pieces []piece
	for _, o := range objects {
		if slices.ContainsFunc(already, func(p piece) bool { return p.object == o }) {
			continue
		}
		p, err := c.describe(ctx, o, from, home)
		if err != nil {
			return fmt.Errorf("%s: %w", o, err)
		}
		pieces = append(pieces, p)
	}
	return c.s.transact(ctx, func() error {
		for i, p := range pieces {
			err := c.s.run(ctx, "INSERT INTO "+c.d.own("shadow")+" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
				c.place, int64(len(already)+i+1), c.d.options.Run, p.kind, p.name, p.table, p.home, p.text, p.mode, p.collate, p.zone)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// describe reads how an object is made. The session uses the database it is in, so that the server names nothing of it with its
// database where it need not.
func (c *carrier) describe(ctx context.Context, o object, from, home string) (piece, error) {
	p := piece{object: o, home: home}
	if o.kind == "trigger" {
		l, err := c.s.row(ctx, `SELECT action_timing, event_manipulation, action_statement, sql_mode, collation_connection FROM information_schema.triggers
			WHERE trigger_schema = ? AND trigger_name = ?`, from, o.name)
		if err != nil {
			return p, err
		}
		p.text = "CREATE TRIGGER " + quote(o.name) + " " + l[0] + " " + l[1] + " ON " + quote(o.table) + " FOR EACH ROW " + rehome(l[2], from, home)
		p.mode, p.collate = l[3], l[4]
		return p, nil
	}
	columns, all, err := c.s.table(ctx, "SHOW CREATE "+strings.ToUpper(o.kind)+" "+quote(from)+"."+quote(o.name))
	if err != nil {
		return p, err
	}
	if len(all) != 1 {
		return p, missing("it is gone")
	}
	for i, name := range columns {
		switch name {
		case "create " + o.kind:
			p.text = rehome(withoutDefiner(all[0][i]), from, home)
		case "sql_mode":
			p.mode = all[0][i]
		case "collation_connection":
			p.collate = all[0][i]
		case "time_zone":
			p.zone = all[0][i]
		}
	}
	if p.text == "" {
		return p, refused("our account may not read it: have an administrator say GRANT SELECT ON `mysql`.`proc` to it (MySQL: GRANT SHOW_ROUTINE ON *.*)")
	}
	return p, nil
}
