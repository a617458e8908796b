package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// object is something in a file, with the statement that made it.
type object struct{ kind, name, sql string }

func (o object) String() string { return o.kind + " " + o.name }

// objects are what one of the session's files has and is neither ours nor SQLite's nor a part of a virtual table.
func (s *session) objects(file string) ([]object, error) {
	var all []object
	var virtual []string
	err := s.each("SELECT type, name, sql FROM "+file+".sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid", func(st *sqlite3.Stmt) error {
		o := object{st.ColumnText(0), st.ColumnText(1), st.ColumnText(2)}
		if strings.HasPrefix(o.sql, "CREATE VIRTUAL TABLE") {
			virtual = append(virtual, o.name)
		}
		if !ours(o.name) && !builtIn(o.name) {
			all = append(all, o)
		}
		return nil
	})
	return slices.DeleteFunc(all, func(o object) bool { return o.kind == "table" && shadows(virtual, o.name) }), err
}

// clear drops objects of a file. Again: does nothing.
func (s *session) clear(file string, objects []object) error {
	for _, kind := range []string{"trigger", "view", "index", "table"} {
		for _, o := range objects {
			if o.kind != kind {
				continue
			}
			if err := s.run("DROP " + strings.ToUpper(kind) + " IF EXISTS " + file + "." + quote(o.name)); err != nil {
				return fmt.Errorf("drop %s: %w", o, err)
			}
		}
	}
	return nil
}

type relics struct{ d *database }

// List names tables, indexes, views and triggers.
func (r relics) List(ctx context.Context, schema string) ([]string, error) {
	if schema != "" && schema != "main" {
		return nil, nil
	}
	var all []string
	err := r.d.read(ctx, r.d.control, func(s *session) error {
		objects, err := s.objects("main")
		for _, o := range objects {
			all = append(all, o.String())
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list what is in %s: %w", r.d.path, err)
	}
	return all, nil
}

// Remove drops in one transaction what is not to be kept.
func (r relics) Remove(ctx context.Context, schema string, keep []string) error {
	if schema != "" && schema != "main" {
		return nil
	}
	err := r.d.write(ctx, lockWait, func(s *session) error {
		objects, err := s.objects("main")
		if err != nil {
			return err
		}
		return s.clear("main", slices.DeleteFunc(objects, func(o object) bool { return slices.Contains(keep, o.String()) }))
	})
	if err != nil {
		return fmt.Errorf("clear %s: %w", r.d.path, err)
	}
	return nil
}
