package sqlite

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

//go:embed sql/tables.sql
var tablesSQL string

//go:embed sql/columns.sql
var columnsSQL string

//go:embed sql/indexes.sql
var indexesSQL string

//go:embed sql/parts.sql
var partsSQL string

//go:embed sql/foreign.sql
var foreignSQL string

//go:embed sql/triggers.sql
var triggersSQL string

type inspector struct{ d *database }

// Inspect describes the tables of the file in one snapshot.
func (i inspector) Inspect(ctx context.Context, schemas []string) (*schema.Schema, error) {
	found := &schema.Schema{}
	if len(schemas) > 0 && !slices.Contains(schemas, "main") {
		return found, nil
	}
	err := i.d.read(ctx, i.d.control, func(s *session) error {
		if err := s.inspectTables(found); err != nil {
			return err
		}
		if err := s.estimate(found.Tables); err != nil {
			return err
		}
		return s.each(triggersSQL, func(st *sqlite3.Stmt) error {
			if name := st.ColumnText(0); !ours(name) {
				found.Others = append(found.Others, schema.Object{What: "trigger", Name: named(name), Table: named(st.ColumnText(1))})
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", i.d.path, err)
	}
	return found, nil
}

func named(name string) schema.Name { return schema.Name{Schema: "main", Name: name} }

// ourTables and ourTriggers match the names of what we make in a file, and no others: an application may have a table
// whimbrel_orders, which moves like any other. Settings refuses one that has the very name of one of ours.
var (
	ourTables   = regexp.MustCompile(`(?i)^whimbrel_(shadow|adopted|source_(owner|lane|steps|record_[0-9]+)|target_(epoch|range|lane|list))$`)
	ourTriggers = regexp.MustCompile(`(?i)^whimbrel_((gate_|guard_|displace_)?(insert|update|delete))_[0-9]+$`)
)

// ours reports a name that Whimbrel gave.
func ours(name string) bool { return ourTables.MatchString(name) || ourTriggers.MatchString(name) }

// builtIn reports a name that SQLite keeps for itself.
func builtIn(name string) bool { return len(name) >= 7 && strings.EqualFold(name[:7], "sqlite_") }

func (s *session) inspectTables(found *schema.Schema) error {
	virtual, err := s.virtualTables()
	if err != nil {
		return err
	}
	return s.each(tablesSQL, func(st *sqlite3.Stmt) error {
		name, what := st.ColumnText(0), st.ColumnText(1)
		if what == "table" && shadows(virtual, name) {
			what = "shadow"
		}
		switch {
		case ours(name), builtIn(name):
			return nil
		case what != "table":
			found.Others = append(found.Others, schema.Object{What: otherWord(what), Name: named(name)})
			return nil
		}
		t := &schema.Table{Name: named(name), Rows: -1, Bytes: -1}
		t.Options = schema.Options{WithoutRow: st.ColumnBool(2), Strict: st.ColumnBool(3), Raw: st.ColumnText(4)}
		if err := s.inspectTable(t); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
		found.Others = append(found.Others, adrift(t)...)
		found.Tables = append(found.Tables, t)
		return nil
	})
}

func (s *session) virtualTables() (names []string, err error) {
	err = s.each("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'", func(st *sqlite3.Stmt) error {
		names = append(names, st.ColumnText(0))
		return nil
	})
	return names, err
}

// shadowParts are what full-text and spatial modules call the tables they keep their content in. SQLite itself knows them only
// where the module is there (https://sqlite.org/vtab.html#the_xshadowname_method).
var shadowParts = []string{
	"content", "data", "idx", "docsize", "config", "segments", "segdir", "stat", "node", "rowid", "parent", "vocab",
}

func shadows(virtual []string, name string) bool {
	for _, v := range virtual {
		if len(name) > len(v) && strings.EqualFold(name[:len(v)], v) && name[len(v)] == '_' &&
			slices.Contains(shadowParts, strings.ToLower(name[len(v)+1:])) {
			return true
		}
	}
	return false
}

func otherWord(what string) string {
	switch what {
	case "virtual":
		return "virtual table"
	case "shadow":
		return "table of a virtual table"
	}
	return what
}

func (s *session) inspectTable(t *schema.Table) error {
	def, err := parseTable(t.Options.Raw)
	if err != nil {
		return err
	}
	key, err := s.inspectColumns(t, def)
	if err != nil {
		return err
	}
	if err := s.inspectIndexes(t, key, def); err != nil {
		return err
	}
	if err := s.inspectForeign(t, def); err != nil {
		return err
	}
	for _, c := range def.checks {
		t.Checks = append(t.Checks, &schema.Check{Name: c.name, Expression: c.expression})
	}
	return nil
}

// inspectColumns fills the columns and returns the primary key's, in its order.
func (s *session) inspectColumns(t *schema.Table, def definition) ([]string, error) {
	key := map[int]string{}
	err := s.each(columnsSQL, func(st *sqlite3.Stmt) error {
		c := &schema.Column{Name: st.ColumnText(0), Type: typeOf(st.ColumnText(1)), Null: !st.ColumnBool(2)}
		if at := st.ColumnInt(4); at > 0 {
			key[at] = c.Name
			c.Null = c.Null && !t.Options.WithoutRow && !t.Options.Strict
		}
		switch hidden := st.ColumnInt(5); hidden {
		case 2, 3:
			c.Generated = &schema.Generated{Expression: def.generated[strings.ToLower(c.Name)], Stored: hidden == 3}
			c.Type = typeOf(strings.TrimSpace(strings.TrimSuffix(strings.TrimSuffix(c.Type.Raw, "ALWAYS"), "GENERATED ")))
		}
		if st.ColumnType(3) != sqlite3.NULL {
			c.Default = defaultOf(c.Type, st.ColumnText(3))
		}
		if t.Options.Strict && strings.EqualFold(c.Type.Raw, "ANY") {
			c.Type = schema.Type{Kind: row.Other, Raw: "ANY"}
		}
		t.Columns = append(t.Columns, c)
		return nil
	}, text(t.Name.Name))
	if err != nil {
		return nil, err
	}
	for _, c := range t.Columns {
		if err := s.inspectColumn(t, c, len(key) == 1 && key[1] == c.Name); err != nil {
			return nil, err
		}
	}
	names := make([]string, len(key))
	for at, name := range key {
		names[at-1] = name
	}
	return names, nil
}

// inspectColumn adds the collation and, to the column that is the row's own number, its generator: such a column draws
// the next number whether it says AUTOINCREMENT or not.
func (s *session) inspectColumn(t *schema.Table, c *schema.Column, soleKey bool) error {
	collation := "BINARY"
	if c.Name != "" {
		_, found, _, _, _, err := s.conn.TableColumnMetadata("main", t.Name.Name, c.Name)
		if err != nil {
			return err
		}
		collation = found
	}
	if c.Type.Kind == row.Text || !strings.EqualFold(collation, "BINARY") {
		c.Type.Collation = collation
	}
	c.Type.Binary = strings.EqualFold(collation, "BINARY")
	if soleKey && strings.EqualFold(c.Type.Raw, "INTEGER") && !t.Options.WithoutRow {
		alias := true
		err := s.each(indexesSQL, func(st *sqlite3.Stmt) error {
			alias = alias && st.ColumnText(2) != "pk"
			return nil
		}, text(t.Name.Name))
		if err != nil || !alias {
			return err
		}
		c.Null = false
		c.Identity = schema.Identity{Kind: schema.ByDefault, Start: 1, Increment: 1}
	}
	return nil
}

func (s *session) inspectIndexes(t *schema.Table, key []string, def definition) error {
	if len(key) > 0 {
		t.Primary = &schema.Key{Name: def.primary, Constraint: true}
		for _, name := range key {
			t.Primary.Columns = append(t.Primary.Columns, schema.Part{Column: name})
		}
	}
	return s.each(indexesSQL, func(st *sqlite3.Stmt) error {
		name, unique, origin, raw := st.ColumnText(0), st.ColumnBool(1), st.ColumnText(2), st.ColumnText(4)
		parsed, err := parseIndex(raw)
		if err != nil {
			return err
		}
		parts, err := s.inspectParts(t, name, parsed)
		if err != nil {
			return err
		}
		switch {
		case origin == "pk":
			t.Primary.Columns = parts
		case unique:
			k := &schema.Key{Name: name, Columns: parts, Constraint: origin == "u", Where: parsed.where, Raw: raw}
			if k.Constraint {
				k.Name = "" // sqlite_autoindex_… is no name one can use
			}
			t.Uniques = append(t.Uniques, k)
		default:
			t.Indexes = append(t.Indexes, &schema.Index{Name: name, Columns: parts, Method: "btree", Where: parsed.where, Raw: raw})
		}
		return nil
	}, text(t.Name.Name))
}

func (s *session) inspectParts(t *schema.Table, index string, parsed parsedIndex) ([]schema.Part, error) {
	var parts []schema.Part
	err := s.each(partsSQL, func(st *sqlite3.Stmt) error {
		p := schema.Part{Descending: st.ColumnBool(2)}
		collation := st.ColumnText(3)
		if st.ColumnInt(0) >= 0 {
			p.Column = st.ColumnText(1)
		} else if n := len(parts); n < len(parsed.parts) {
			p.Expression = parsed.parts[n]
		}
		if c := t.Column(p.Column); p.Expression != "" || c == nil || !strings.EqualFold(collation, orBinary(c.Type.Collation)) {
			p.Collation = collation
		}
		parts = append(parts, p)
		return nil
	}, text(index))
	return parts, err
}

func orBinary(collation string) string {
	if collation == "" {
		return "BINARY"
	}
	return collation
}

func (s *session) inspectForeign(t *schema.Table, def definition) error {
	last := -1
	err := s.each(foreignSQL, func(st *sqlite3.Stmt) error {
		if id := st.ColumnInt(0); id != last {
			last = id
			k := &schema.ForeignKey{
				Parent:   named(st.ColumnText(1)),
				OnUpdate: schema.Action(st.ColumnText(4)), OnDelete: schema.Action(st.ColumnText(5)),
				Unproven: true, // each connection decides for itself whether it is checked
			}
			if n := len(t.Foreign); n < len(def.foreign) {
				k.Name, k.Deferrable, k.Deferred = def.foreign[n].name, def.foreign[n].deferrable, def.foreign[n].deferred
			}
			t.Foreign = append(t.Foreign, k)
		}
		k := t.Foreign[len(t.Foreign)-1]
		k.Columns = append(k.Columns, st.ColumnText(2))
		if st.ColumnType(3) != sqlite3.NULL {
			k.ParentCols = append(k.ParentCols, st.ColumnText(3))
		}
		return nil
	}, text(t.Name.Name))
	if err != nil {
		return err
	}
	for _, k := range t.Foreign {
		if err := s.completeForeign(k); err != nil {
			return err
		}
	}
	return nil
}

// adrift takes out the foreign keys that point at no key, which SQLite allows, and names them.
func adrift(t *schema.Table) []schema.Object {
	var lost []schema.Object
	t.Foreign = slices.DeleteFunc(t.Foreign, func(k *schema.ForeignKey) bool {
		if len(k.ParentCols) == len(k.Columns) {
			return false
		}
		lost = append(lost, schema.Object{What: "foreign key without its parent", Name: k.Parent, Table: t.Name})
		return true
	})
	return lost
}

// completeForeign spells out what REFERENCES may leave out, and the parent's name as the parent spells it.
func (s *session) completeForeign(k *schema.ForeignKey) error {
	err := s.one("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE",
		func(st *sqlite3.Stmt) { k.Parent.Name = st.ColumnText(0) }, text(k.Parent.Name))
	if err != nil || len(k.ParentCols) > 0 {
		return err
	}
	key := map[int]string{}
	err = s.each(columnsSQL, func(st *sqlite3.Stmt) error {
		if at := st.ColumnInt(4); at > 0 {
			key[at] = st.ColumnText(0)
		}
		return nil
	}, text(k.Parent.Name))
	for at := 1; at <= len(key); at++ {
		k.ParentCols = append(k.ParentCols, key[at])
	}
	return err
}
