package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
)

// object is something in a database: a table, sequence, view, procedure, function, package, "package body", trigger or event.
type object struct {
	kind, name string
	table      string // on which a trigger is
}

func (o object) String() string { return o.kind + " " + o.name }

// meets reports whether two objects can not stand in one database: tables, sequences and views share their names.
func (o object) meets(other object) bool {
	relation := []string{"table", "sequence", "view"}
	if slices.Contains(relation, o.kind) {
		return o.name == other.name && slices.Contains(relation, other.kind)
	}
	return o.kind == other.kind && strings.EqualFold(o.name, other.name)
}

// objects lists what is in a database and not ours.
func (s *session) objects(ctx context.Context, home string) ([]object, error) {
	lines, err := s.rows(ctx, `SELECT CASE table_type WHEN 'VIEW' THEN 'view' WHEN 'SEQUENCE' THEN 'sequence' ELSE 'table' END, table_name, ''
			FROM information_schema.tables WHERE table_schema = ? AND table_name NOT REGEXP ?
		UNION ALL SELECT LOWER(routine_type), routine_name, '' FROM information_schema.routines WHERE routine_schema = ?
		UNION ALL SELECT 'event', event_name, '' FROM information_schema.events WHERE event_schema = ? ORDER BY 1, 2`, home, ourTables, home, home)
	if err != nil {
		return nil, err
	}
	triggers, err := s.rows(ctx, `SELECT 'trigger', trigger_name, event_object_table FROM information_schema.triggers
		WHERE trigger_schema = ? AND trigger_name NOT REGEXP ? ORDER BY event_object_table, event_manipulation, action_timing, action_order`, home, ourTriggers)
	if err != nil {
		return nil, err
	}
	var all []object
	for _, l := range slices.Concat(lines, triggers) {
		all = append(all, object{l[0], l[1], l[2]})
	}
	return all, nil
}

// drop drops an object. Again: does nothing.
func (s *session) drop(ctx context.Context, home string, o object) error {
	if err := s.run(ctx, "DROP "+strings.ToUpper(o.kind)+" IF EXISTS "+quote(home)+"."+quote(o.name)); err != nil {
		return fmt.Errorf("drop %s: %w", o, err)
	}
	return nil
}

// relics are what stands in a database, by kind and name.
type relics struct{ *database }

// List names what is there.
func (d relics) List(ctx context.Context, schema string) ([]string, error) {
	var all []string
	err := d.control.with(ctx, func(s *session) error {
		objects, err := s.objects(ctx, orElse(schema, d.schema))
		for _, o := range objects {
			all = append(all, o.String())
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list what is in %s: %w", orElse(schema, d.schema), err)
	}
	return all, nil
}

// Remove drops what is not to be kept, in an order in which nothing that is there needs what is gone. Foreign keys of tables that are
// kept do not hold it up.
func (d relics) Remove(ctx context.Context, schema string, keep []string) error {
	home := orElse(schema, d.schema)
	err := d.apart(ctx, func(s *session) error {
		if err := s.run(ctx, "SET foreign_key_checks=0"); err != nil {
			return err
		}
		objects, err := s.objects(ctx, home)
		if err != nil {
			return err
		}
		if err := patience(ctx, s, driver.Wait{Lock: carryWait}); err != nil {
			return err
		}
		for _, kind := range []string{"event", "trigger", "view", "package body", "package", "procedure", "function", "table", "sequence"} {
			for _, o := range objects {
				if o.kind != kind || slices.Contains(keep, o.String()) {
					continue
				}
				if err := s.drop(ctx, home, o); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("clear %s: %w", home, err)
	}
	return nil
}
