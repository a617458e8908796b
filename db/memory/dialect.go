package memory

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Dialect is the language of this database: a verb of two words and a value in JSON.
type Dialect struct{}

// order is what a statement says.
type order struct {
	Table   *schema.Table      `json:",omitempty"`
	Name    schema.Name        `json:",omitzero"`
	Key     *schema.Key        `json:",omitempty"`
	Foreign *schema.ForeignKey `json:",omitempty"`
	Start   int64              `json:",omitempty"`
}

func statement(verb string, n schema.Name, o order) driver.Statement {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return driver.Statement{Purpose: verb + " " + n.String(), SQL: verb + " " + string(text)}
}

// Quote writes a name in double quotes, those in it doubled.
func (Dialect) Quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// Carry takes every type as it is: columns here hold canonical cells.
func (Dialect) Carry(t schema.Type, key bool) (schema.Type, []driver.Loss) {
	if t.Collation != folded {
		t.Collation = ""
	}
	t.Raw, t.Charset, t.Def, t.Binary = t.Kind.String(), "", schema.Name{}, t.Collation == ""
	return t, nil
}

// CreateTable plans the table without its keys.
func (Dialect) CreateTable(t *schema.Table) []driver.Statement {
	return []driver.Statement{statement("create table", t.Name, order{Table: t})}
}

// CreateType plans nothing: there are no such types here.
func (Dialect) CreateType(*schema.TypeDef) []driver.Statement { return nil }

// CreateKeys plans the primary key and the unique keys; indexes that are not unique have no use here.
func (Dialect) CreateKeys(t *schema.Table) []driver.Statement {
	var all []driver.Statement
	if t.Primary != nil {
		all = append(all, statement("create primary", t.Name, order{Name: t.Name, Key: t.Primary}))
	}
	for _, k := range t.Uniques {
		all = append(all, statement("create unique", t.Name, order{Name: t.Name, Key: k}))
	}
	return all
}

// CreateConstraints plans foreign keys; only the proof reads the table. Checks are not known here.
func (Dialect) CreateConstraints(t *schema.Table) (add, prove []driver.Statement) {
	for _, k := range t.Foreign {
		add = append(add, statement("add foreign", t.Name, order{Name: t.Name, Foreign: k}))
		prove = append(prove, statement("prove foreign", t.Name, order{Name: t.Name, Foreign: k}))
	}
	return add, prove
}

// DropTable plans the removal of a table.
func (Dialect) DropTable(t *schema.Table) []driver.Statement {
	return []driver.Statement{statement("drop table", t.Name, order{Name: t.Name})}
}

// DropType plans nothing.
func (Dialect) DropType(*schema.TypeDef) []driver.Statement { return nil }

// Orphans plans a statement that fails when a row has no parent.
func (Dialect) Orphans(t *schema.Table, k *schema.ForeignKey) string {
	return statement("prove foreign", t.Name, order{Name: t.Name, Foreign: k}).SQL
}

// CreateSequence plans a generator.
func (Dialect) CreateSequence(q *schema.Sequence) []driver.Statement {
	return []driver.Statement{statement("create sequence", q.Name, order{Name: q.Name, Start: q.Start})}
}

// DropSequence plans its removal.
func (Dialect) DropSequence(q *schema.Sequence) []driver.Statement {
	return []driver.Statement{statement("drop sequence", q.Name, order{Name: q.Name})}
}

func (s *Server) create(t *schema.Table) *table {
	s.objects++
	own := &table{id: s.objects, def: clone(t), rows: newSpace(), next: map[string]int64{}}
	s.tables = append(s.tables, own)
	return own
}

// execute runs a statement of the dialect.
func (s *Server) execute(text string) error {
	cut := strings.IndexByte(text, '{')
	if cut < 1 {
		return failf(driver.Unclassified, "not a statement: %s", text)
	}
	var o order
	if err := json.Unmarshal([]byte(text[cut:]), &o); err != nil {
		return fmt.Errorf("read statement: %w", err)
	}
	verb := text[:cut-1]
	if verb == "create table" {
		if _, err := s.table(o.Table.Name); err != nil {
			made := s.create(o.Table)
			made.def.Primary, made.def.Uniques, made.def.Foreign = nil, nil, nil
		}
		return nil
	}
	if s.aboutSequence(verb, o) {
		return nil
	}
	t, err := s.table(o.Name)
	if verb == "drop table" {
		return s.drop(t)
	}
	if err != nil {
		return err
	}
	switch verb {
	case "create primary":
		return t.createPrimary(o.Key)
	case "create unique":
		return t.createUnique(o.Key)
	case "add foreign":
		return t.addForeign(o.Foreign)
	case "prove foreign":
		return s.proveForeign(t, o.Foreign)
	}
	return failf(driver.Unclassified, "unknown statement %s", verb)
}

func (s *Server) aboutSequence(verb string, o order) bool {
	switch verb {
	case "create sequence":
		s.places[o.Name] = max(s.places[o.Name], o.Start)
	case "drop sequence":
		delete(s.places, o.Name)
	default:
		return false
	}
	return true
}

func (s *Server) drop(t *table) error {
	for i, own := range s.tables {
		if own == t {
			s.tables = append(s.tables[:i:i], s.tables[i+1:]...)
		}
	}
	return nil
}

func (t *table) createPrimary(k *schema.Key) error {
	if t.def.Primary != nil {
		return failf(driver.Exists, "%s has a primary key", t.def.Name)
	}
	if err := t.build(k, true); err != nil {
		return err
	}
	t.def.Primary = k
	return nil
}

func (t *table) createUnique(k *schema.Key) error {
	for _, x := range t.def.Uniques {
		if x.Name == k.Name {
			return failf(driver.Exists, "%s has a key %s", t.def.Name, k.Name)
		}
	}
	if err := t.build(k, false); err != nil {
		return err
	}
	t.def.Uniques = append(t.def.Uniques, k)
	return nil
}

func (t *table) addForeign(k *schema.ForeignKey) error {
	for _, x := range t.def.Foreign {
		if x.Name == k.Name {
			return failf(driver.Exists, "%s has a foreign key %s", t.def.Name, k.Name)
		}
	}
	t.def.Foreign = append(t.def.Foreign, k)
	return nil
}

// proveForeign fails when a row has no parent.
func (s *Server) proveForeign(t *table, k *schema.ForeignKey) error {
	parent, err := s.table(k.Parent)
	if err != nil {
		return err
	}
	own, err := t.placesOf(k.Columns)
	if err != nil {
		return err
	}
	theirs, err := parent.placesOf(k.ParentCols)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, run := range parent.sorted(nil, theirs) {
		known[string(keyOf(run, theirs))] = true
	}
	for _, run := range t.sorted(nil, own) {
		if key := keyOf(run, own); !hasNull(key) && !known[string(key)] {
			return failf(driver.BadData, "a row of %s has no parent in %s", t.def.Name, k.Parent)
		}
	}
	return nil
}

func hasNull(key row.Key) bool {
	cells, _ := key.Cells()
	for _, c := range cells {
		if c == nil {
			return true
		}
	}
	return false
}
