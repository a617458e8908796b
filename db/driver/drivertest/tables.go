package drivertest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// column is a column as a foreign source has it.
type column struct {
	name string
	typ  schema.Type
	null bool
	own  bool // the type is the product's own already
}

// design is a table before a dialect has carried its types.
type design struct {
	name    string
	columns []column
	key     []string
	unique  []string
}

var (
	int64Type = schema.Type{Kind: row.Int, Precision: 64}
	shortText = schema.Type{Kind: row.Text, Length: 40, Binary: true}
	longText  = schema.Type{Kind: row.Text}
	price     = schema.Type{Kind: row.Decimal, Precision: 12, Scale: 2}
)

// items is the table of most cases: rows of item.
var items = design{
	name: "items",
	columns: []column{
		{name: "id", typ: int64Type},
		{name: "name", typ: shortText, null: true},
		{name: "body", typ: longText, null: true},
		{name: "price", typ: price, null: true},
	},
	key: []string{"id"},
}

// named is items with a unique name.
func named() design {
	d := items
	d.unique = []string{"name"}
	return d
}

// codes has a text as its key.
var codes = design{
	name: "codes", columns: []column{{name: "code", typ: shortText}, {name: "note", typ: longText, null: true}}, key: []string{"code"},
}

// pairs has a key of two columns, not in the table's order.
var pairs = design{
	name:    "pairs",
	columns: []column{{name: "low", typ: int64Type}, {name: "note", typ: longText, null: true}, {name: "high", typ: shortText}},
	key:     []string{"high", "low"},
}

// item is a row of items. An empty name is NULL.
func item(id int, name string) []string {
	if name == "" {
		name = null
	}
	return []string{fmt.Sprint(id), name, "about " + fmt.Sprint(id), fmt.Sprintf("%d.50", id)}
}

// many returns items first to last, without names.
func many(first, last int) [][]string {
	var rows [][]string
	for i := first; i <= last; i++ {
		rows = append(rows, item(i, ""))
	}
	return rows
}

// translate gives a design this product's types.
func (s *scene) translate(d *driver.Database, g design) (*schema.Table, schema.Shape) {
	s.tables++
	t := &schema.Table{Name: schema.Name{Schema: d.Info.Schema, Name: g.name}, Number: s.tables}
	var shape schema.Shape
	for i, c := range g.columns {
		inKey := slices.Contains(g.key, c.name) || slices.Contains(g.unique, c.name)
		typ := c.typ
		if !c.own {
			typ, _ = d.Dialect.Carry(c.typ, inKey)
		}
		col := &schema.Column{Name: c.name, Type: typ, Null: c.null}
		t.Columns = append(t.Columns, col)
		digits := min(c.typ.Scale, d.Info.Limits.Seconds)
		if c.typ.Kind == row.Decimal {
			digits = 0
		}
		shape.Columns = append(shape.Columns, schema.ShapeColumn{Column: col, Cell: c.typ.Kind, Scale: c.typ.Scale, Digits: digits})
		if at := slices.Index(g.key, c.name); at >= 0 {
			for len(shape.Key) <= at {
				shape.Key = append(shape.Key, 0)
			}
			shape.Key[at] = i
		}
	}
	if len(g.key) > 0 {
		t.Primary = keyOf(g.name+"_pk", g.key)
		t.Primary.Constraint = true
	}
	if len(g.unique) > 0 {
		t.Uniques = []*schema.Key{keyOf(g.name+"_uq", g.unique)}
	}
	return t, shape
}

func keyOf(name string, columns []string) *schema.Key {
	k := &schema.Key{Name: name}
	for _, c := range columns {
		k.Columns = append(k.Columns, schema.Part{Column: c})
	}
	return k
}

// bare makes the table of a design without its keys.
func (s *scene) bare(d *driver.Database, g design) (*schema.Table, schema.Shape) {
	s.Helper()
	t, shape := s.translate(d, g)
	s.execute(d, d.Dialect.CreateTable(t))
	return t, shape
}

// table makes the table of a design with its keys.
func (s *scene) table(d *driver.Database, g design) (*schema.Table, schema.Shape) {
	s.Helper()
	t, shape := s.bare(d, g)
	s.execute(d, d.Dialect.CreateKeys(t))
	return t, shape
}

func (s *scene) execute(d *driver.Database, all []driver.Statement) {
	s.Helper()
	for _, st := range all {
		if err := d.Executor.Execute(s.ctx, st); err != nil {
			s.Fatalf("%s: %v\n%s", st.Purpose, err, st.SQL)
		}
	}
}

var tableCases = []oneCase{
	{"CreatedTwice", []string{"Executor", "Inspector"}, (*scene).createdTwice},
	{"NamesOfAnySpelling", []string{"Executor", "Inspector", "Loader", "Ledger", "Reader"}, (*scene).anyNames},
	{"OursAreLeftOut", []string{"Executor", "Inspector", "Ledger", "Capturer", "Gate"}, (*scene).oursLeftOut},
	{"ForeignKeys", []string{"Executor", "Loader", "Ledger"}, (*scene).foreignKeys},
	{"Survey", []string{"Executor", "Surveyor"}, (*scene).survey},
}

func (s *scene) inspected(d *driver.Database, name schema.Name) *schema.Table {
	s.Helper()
	found, err := d.Inspector.Inspect(s.ctx, nil)
	s.check(err)
	return found.Table(name)
}

func (s *scene) createdTwice() {
	d := s.open(driver.Target)
	t, _ := s.table(d, named())
	s.execute(d, d.Dialect.CreateTable(t))
	for _, st := range d.Dialect.CreateKeys(t) {
		if err := d.Executor.Execute(s.ctx, st); err != nil {
			s.class(d, err, driver.Exists)
		}
	}
	got := s.inspected(d, t.Name)
	if got == nil {
		s.Fatalf("the inspector does not know %s", t.Name)
	}
	if got.Primary == nil || !slices.Equal(got.Primary.Names(), []string{"id"}) {
		s.Errorf("primary key %+v", got.Primary)
	}
	if len(got.Uniques) != 1 || !slices.Equal(got.Uniques[0].Names(), []string{"name"}) {
		s.Errorf("unique keys %+v", got.Uniques)
	}
	for i, c := range t.Columns {
		if i >= len(got.Columns) || got.Columns[i].Name != c.Name || got.Columns[i].Null != c.Null {
			s.Errorf("column %s came back otherwise: %+v", c.Name, got.Columns)
		}
	}
	s.execute(d, d.Dialect.DropTable(t))
	s.execute(d, d.Dialect.DropTable(t))
	if s.inspected(d, t.Name) != nil {
		s.Error("the dropped table is still there")
	}
}

// spellings are names that people have given to columns and tables.
var spellings = []string{
	"select", "Order", "with blank", `with "quotes"`, "with `ticks`", "it's", `back\slash`, "100%", "a.b", "näme", "$dollar$$x$",
	"--comment", "semi;colon", "[bracket]", "名前",
}

func (s *scene) anyNames() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	for _, name := range spellings {
		g := design{
			name:    name,
			columns: []column{{name: name, typ: int64Type}, {name: name + " 2", typ: shortText, null: true}},
			key:     []string{name}, unique: []string{name + " 2"},
		}
		t, shape := s.table(d, g)
		s.check(s.load(d, intake(t, shape, epoch, 1), []string{"1", "x"}))
		s.same(name, s.rows(d, t, shape), lines([]string{"1", "x"}))
		got := s.inspected(d, t.Name)
		if got == nil || got.Column(name) == nil {
			s.Errorf("the inspector does not know %q as it is spelled", name)
		}
		s.check(d.Ledger.Clear(s.ctx, t, epoch))
		s.execute(d, d.Dialect.DropTable(t))
	}
}

func (s *scene) oursLeftOut() {
	d, target := s.open(driver.Source), s.open(driver.Target)
	t, shape := s.table(d, items)
	s.ledger(target)
	s.check(d.Capturer.Install(s.ctx, t, shape, s.cfg.Wait))
	s.check(d.Gate.Shut(s.ctx, []*schema.Table{t}, s.cfg.Wait))
	found, err := d.Inspector.Inspect(s.ctx, nil)
	s.check(err)
	if len(found.Tables) != 1 || found.Tables[0].Name != t.Name {
		s.Errorf("tables %v", found.Tables)
	}
	for _, o := range found.Others {
		if strings.HasPrefix(o.Name.Name, "whimbrel") {
			s.Errorf("ours is listed: %s %s", o.What, o.Name)
		}
	}
	if len(s.place.Left(s.T)) == 0 {
		s.Error("Left sees nothing where capture, gate and ledger are")
	}
	s.check(d.Gate.Reopen(s.ctx, []*schema.Table{t}))
	s.check(d.Capturer.Remove(s.ctx, t, s.cfg.Wait))
	s.check(d.Capturer.Remove(s.ctx, t, s.cfg.Wait))
	s.check(d.Capturer.Finish(s.ctx))
	s.check(d.Capturer.Finish(s.ctx))
	s.check(target.Ledger.Drop(s.ctx))
	s.check(target.Ledger.Drop(s.ctx))
	if left := s.place.Left(s.T); len(left) > 0 {
		s.Errorf("left behind: %v", left)
	}
}

func (s *scene) foreignKeys() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	parent, shape := s.table(d, items)
	child, childShape := s.translate(d, design{
		name: "lines", columns: []column{{name: "id", typ: int64Type}, {name: "item", typ: int64Type, null: true}}, key: []string{"id"},
	})
	child.Foreign = []*schema.ForeignKey{{
		Name: "lines_item", Columns: []string{"item"}, Parent: parent.Name, ParentCols: []string{"id"},
		OnDelete: schema.NoAction, OnUpdate: schema.NoAction,
	}}
	s.execute(d, d.Dialect.CreateTable(child))
	s.execute(d, d.Dialect.CreateKeys(child))
	s.check(s.load(d, intake(parent, shape, epoch, 1), item(1, "")))
	s.check(s.load(d, intake(child, childShape, epoch, 1), []string{"1", "1"}, []string{"2", null}, []string{"3", "7"}))
	add, prove := d.Dialect.CreateConstraints(child)
	if proven := s.proven(d, add, prove); proven == nil && len(add)+len(prove) > 0 {
		s.Error("a row without its parent was not found")
	}
	s.check(s.load(d, intake(parent, shape, epoch, 2), item(7, "")))
	s.check(s.proven(d, add, prove))
}

// proven runs the statements of constraints; those that are there already do not matter.
func (s *scene) proven(d *driver.Database, add, prove []driver.Statement) error {
	for _, st := range append(slices.Clone(add), prove...) {
		if err := d.Executor.Execute(s.ctx, st); err != nil && d.Dialect.Classify(err) != driver.Exists {
			return err
		}
	}
	return nil
}

func (s *scene) survey() {
	d := s.open(driver.Source)
	t, _ := s.table(d, items)
	s.insert(t, []string{"1", "x", strings.Repeat("é", 500), null}, []string{"2", null, "short", null})
	for above, found := range map[int64]bool{0: true, 999: true, 1000: false} {
		for range 2 {
			facts, err := d.Surveyor.Survey(s.ctx, t, driver.Questions{"body": {{What: driver.Longest, Above: above}}})
			s.check(err)
			if longest(facts, "body") > above != found || found && longest(facts, "body") != 1000 {
				s.Errorf("the longest body has 1000 bytes; above %d was found %+v", above, facts)
			}
		}
	}
	facts, err := d.Surveyor.Survey(s.ctx, t, Everything(t))
	s.check(err)
	if longest(facts, "body") != 1000 {
		s.Errorf("the longest body has 1000 bytes; found %+v", facts)
	}
	_, err = d.Surveyor.Survey(s.ctx, t, nil)
	s.check(err)
}

// longest is the longest value that was found in a column, 0 for none.
func longest(facts []driver.Fact, column string) int64 {
	at := slices.IndexFunc(facts, func(f driver.Fact) bool { return f.Column == column && f.What == driver.Longest })
	if at < 0 {
		return 0
	}
	return facts[at].Value
}

// Everything asks for every kind of fact about every column, and for lengths above none.
func Everything(t *schema.Table) driver.Questions {
	q := driver.Questions{}
	for _, c := range t.Columns {
		for _, what := range driver.FactKinds() {
			q.Ask(c.Name, driver.Question{What: what})
		}
	}
	return q
}
