package drivertest

import (
	"fmt"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// kin makes a parent whose key draws from a generator, with a unique name, and a child with a foreign key, an index, a check
// and a default.
func (s *scene) kin(d *driver.Database) (parent, child *schema.Table) {
	s.Helper()
	parent, _ = s.translate(d, named())
	parent.Columns[0].Identity = schema.Identity{Kind: schema.ByDefault, Start: 1, Increment: 1}
	s.execute(d, d.Dialect.CreateTable(parent))
	s.execute(d, d.Dialect.CreateKeys(parent))
	child, _ = s.translate(d, design{
		name: "details", columns: []column{
			{name: "id", typ: int64Type}, {name: "item", typ: int64Type, null: true}, {name: "word", typ: shortText, null: true},
		}, key: []string{"id"},
	})
	child.Columns[2].Default = &schema.Default{Kind: schema.Literal, Text: "none"}
	child.Indexes = []*schema.Index{{Name: "lines_word", Columns: []schema.Part{{Column: "word"}}}}
	child.Checks = []*schema.Check{{Name: "lines_id", Expression: "id < 1000"}}
	child.Foreign = []*schema.ForeignKey{{
		Name: "lines_item", Columns: []string{"item"}, Parent: parent.Name, ParentCols: []string{"id"},
		OnDelete: schema.NoAction, OnUpdate: schema.NoAction,
	}}
	s.execute(d, d.Dialect.CreateTable(child))
	s.execute(d, d.Dialect.CreateKeys(child))
	add, prove := d.Dialect.CreateConstraints(child)
	s.check(s.proven(d, add, prove))
	return parent, child
}

// fails runs a statement as the release's scripts do, and wants an error.
func (b *built) fails(why, statement string) {
	b.Helper()
	if _, err := b.pool.ExecContext(b.ctx, statement); err == nil {
		b.Errorf("%s: %s goes through", why, statement)
	}
}

func (s *scene) cloned() {
	d := s.open(driver.Source)
	parent, child := s.kin(d)
	for i := 1; i <= 3; i++ {
		s.insert(parent, item(i, "n"+fmt.Sprint(i)))
		s.insert(child, []string{fmt.Sprint(i), fmt.Sprint(i), "w"})
	}
	if d.Sequencer != nil {
		s.check(d.Sequencer.Set(s.ctx, driver.Generator{Table: parent.Name, Column: "id", Next: "40"}))
	}
	tables := []*schema.Table{parent, child}
	b := s.build(d, "shadow")
	for range 2 {
		s.check(d.Shadows.Clone(s.ctx, b.place, tables))
		s.inOrder("the parent", s.seen(b.pool, "SELECT id, name FROM items ORDER BY id"), []string{"1 n1", "2 n2", "3 n3"})
		s.inOrder("the child", s.seen(b.pool, "SELECT id, item, word FROM details ORDER BY id"), []string{"1 1 w", "2 2 w", "3 3 w"})
		b.do("INSERT INTO items (name) VALUES ('drawn')")
		if drawn := s.seen(b.pool, "SELECT id FROM items WHERE name = 'drawn'"); d.Sequencer != nil && (len(drawn) != 1 || len(drawn[0]) < 2) {
			s.Errorf("the clone's generator gave %q, and 40 comes next", drawn)
		}
		b.do("INSERT INTO details (id, item) VALUES (9, 3)")
		s.inOrder("the default", s.seen(b.pool, "SELECT word FROM details WHERE id = 9"), []string{"none"})
		b.fails("the unique key", "INSERT INTO items (id, name) VALUES (99, 'n1')")
		b.fails("the primary key", "INSERT INTO items (id, name) VALUES (1, 'again')")
		b.fails("the check", "INSERT INTO details (id, item) VALUES (1000, 1)")
		if !s.cfg.Inert {
			b.fails("the foreign key", "INSERT INTO details (id, item) VALUES (8, 77)")
		}
		b.do("DROP TABLE details; ALTER TABLE items ADD COLUMN more integer; DELETE FROM items WHERE id < 3")
	}
	if n := s.generatorOf(d, parent); n != 40 && n != 4 {
		s.Errorf("the table's own generator is at %d", n)
	}
	s.insert(parent, item(4, "n4"))
	s.insert(child, []string{"4", "4", "w"})
	own := s.inspected(d, parent.Name)
	if own == nil || len(own.Columns) != len(parent.Columns) {
		s.Fatalf("the table itself was changed: %+v", own)
	}
	b.leave()
	s.check(d.Shadows.Drop(s.ctx, b.place))
	if s.inspected(d, child.Name) == nil {
		s.Error("the table itself went with the shadow")
	}
	s.nothingLeft()
}

// generatorOf is the next value of a table's generator, 40 where the product does not say.
func (s *scene) generatorOf(d *driver.Database, t *schema.Table) int64 {
	s.Helper()
	if d.Sequencer == nil {
		return 40
	}
	return s.next(d, &schema.Schema{Tables: []*schema.Table{t}})
}

// clonedWhileWriting clones two tables to which the application writes in pairs: as many rows are in the one as in the other.
func (s *scene) clonedWhileWriting() {
	d := s.open(driver.Source)
	one, _ := s.table(d, items)
	g := items
	g.name = "twin"
	two, _ := s.table(d, g)
	s.insert(one, many(1, 2000)...)
	s.insert(two, many(1, 2000)...)
	b := s.build(d, "shadow")
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 3000; ; i++ {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			err := s.try(func(x Tx) error {
				if err := x.Insert(one, cells(item(i, "")...)...); err != nil {
					return err
				}
				return x.Insert(two, cells(item(i, "")...)...)
			})
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	for range 5 {
		s.check(d.Shadows.Clone(s.ctx, b.place, []*schema.Table{one, two}))
		counts := s.seen(b.pool, "SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM twin)")
		if halves := strings.Fields(counts[0]); halves[0] != halves[1] || len(halves[0]) < 4 {
			s.Errorf("%s and %s rows: not one snapshot", halves[0], halves[1])
		}
	}
	close(stop)
	s.check(<-ended)
	b.leave()
	s.check(d.Shadows.Drop(s.ctx, b.place))
}

func (s *scene) adopted() {
	d := s.open(driver.Target)
	t, shape := s.table(d, items)
	s.insert(t, many(1, 3)...)
	tables := []*schema.Table{t}
	b := s.build(d, "shadow")
	for range 2 {
		s.check(d.Shadows.Lend(s.ctx, b.place, tables))
		s.unnamed(d, t.Name.Name)
	}
	s.inOrder("the lent table", s.seen(b.pool, "SELECT id FROM items ORDER BY id"), []string{"1", "2", "3"})
	g := items
	g.name = "second"
	second, _ := s.table(d, g)
	s.insert(second, item(5, ""))
	s.check(d.Shadows.Lend(s.ctx, b.place, []*schema.Table{t, second}))
	b.do("INSERT INTO items (id, name) VALUES (4, 'built'); ALTER TABLE items ADD COLUMN more integer; DELETE FROM second; " +
		"CREATE TABLE made (id integer PRIMARY KEY, word varchar(20)); INSERT INTO made VALUES (1, 'one')")
	b.do("CREATE VIEW shown AS SELECT id, word FROM made")
	b.leave()
	for range 2 {
		s.check(d.Shadows.Adopt(s.ctx, b.place, ""))
		s.same("the adopted keys", s.all(d, driver.Query{Table: t, Shape: shape.Keys()}), lines([]string{"1"}, []string{"2"}, []string{"3"}, []string{"4"}))
	}
	if got := s.inspected(d, t.Name); got == nil || got.Column("more") == nil {
		s.Errorf("what was built on the lent table: %+v", got)
	}
	made := s.inspected(d, schema.Name{Schema: d.Info.Schema, Name: "made"})
	if made == nil || len(made.Columns) != 2 {
		s.Fatalf("the built table is not adopted: %+v", made)
	}
	shown, err := d.Executor.Look(s.ctx, driver.Statement{Purpose: "look", SQL: "SELECT id, word FROM " + s.full(d, schema.Name{Schema: d.Info.Schema, Name: "shown"})})
	s.check(err)
	if len(shown) != 1 || strings.Join(shown[0], " ") != "1 one" {
		s.Errorf("the view shows %v", shown)
	}
	if b.place.Account != "" {
		b.pool = b.enter(b.place.Place)
		b.fails("adopted tables are ours", "INSERT INTO "+s.full(d, made.Name)+" VALUES (2, 'two')")
		b.leave()
	}
	s.check(d.Shadows.Drop(s.ctx, b.place))
	s.execute(d, []driver.Statement{{Purpose: "drop the view", SQL: "DROP VIEW " + s.full(d, schema.Name{Schema: d.Info.Schema, Name: "shown"})}})
	for _, ours := range []*schema.Table{t, second, made} {
		s.execute(d, d.Dialect.DropTable(ours))
	}
	s.nothingLeft()
}

// lentGuarded lends a table that is guarded: the guard does not keep the build out.
func (s *scene) lentGuarded() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	t, shape := s.table(d, items)
	s.insert(t, item(1, ""))
	s.check(d.Guard.Shut(s.ctx, t, epoch))
	b := s.build(d, "shadow")
	s.check(d.Shadows.Lend(s.ctx, b.place, []*schema.Table{t}))
	b.do("INSERT INTO items (id, name) VALUES (2, 'built'); UPDATE items SET name = 'built' WHERE id = 1")
	b.leave()
	s.check(d.Shadows.Adopt(s.ctx, b.place, ""))
	for range 2 {
		s.check(d.Guard.Shut(s.ctx, t, epoch))
		s.refused(d, t, shape)
	}
	s.check(d.Guard.Open(s.ctx, t))
	s.insert(t, item(3, ""))
	s.same("rows", s.all(d, driver.Query{Table: t, Shape: shape.Keys()}), lines([]string{"1"}, []string{"2"}, []string{"3"}))
	s.check(d.Shadows.Drop(s.ctx, b.place))
	s.check(d.Ledger.Drop(s.ctx))
	s.nothingLeft()
}

// notLent tries to lend a table of the source: Drop would take it away.
func (s *scene) notLent() {
	d := s.open(driver.Source)
	t, shape := s.table(d, items)
	s.insert(t, item(1, ""))
	b := s.build(d, "shadow")
	if err := d.Shadows.Lend(s.ctx, b.place, []*schema.Table{t}); err == nil {
		s.Error("a table of the source is lent")
	}
	b.leave()
	s.check(d.Shadows.Drop(s.ctx, b.place))
	s.same("the source", s.all(d, driver.Query{Table: t, Shape: shape.Keys()}), lines([]string{"1"}))
}

func (s *scene) inTheWay() {
	d := s.open(driver.Target)
	t, shape := s.table(d, items)
	s.insert(t, item(1, ""))
	b := s.build(d, "shadow")
	s.check(d.Shadows.Clone(s.ctx, b.place, []*schema.Table{t}))
	b.do("CREATE TABLE early (id integer PRIMARY KEY); CREATE TABLE zebra (id integer PRIMARY KEY); UPDATE items SET id = 7")
	b.leave()
	for range 2 {
		err := d.Shadows.Adopt(s.ctx, b.place, "")
		if err == nil || !strings.Contains(err.Error(), "items") {
			s.Fatalf("a table of the name is in the way, which is to be named: %v", err)
		}
		s.class(d, err, driver.Exists)
		s.unnamed(d, "early")
		s.unnamed(d, "zebra")
		s.same("the table in the way", s.all(d, driver.Query{Table: t, Shape: shape.Keys()}), lines([]string{"1"}))
	}
	s.execute(d, d.Dialect.DropTable(t))
	s.check(d.Shadows.Adopt(s.ctx, b.place, ""))
	s.same("the adopted one", s.all(d, driver.Query{Table: t, Shape: shape.Keys()}), lines([]string{"7"}))
	for _, name := range []string{"early", "zebra"} {
		if s.inspected(d, schema.Name{Schema: d.Info.Schema, Name: name}) == nil {
			s.Errorf("%s is not adopted", name)
		}
	}
	s.check(d.Shadows.Drop(s.ctx, b.place))
	s.nothingLeft()
}

// lostAnswers builds, lends and adopts while the answer to every second call is lost: the same call again ends in the same place.
func (s *scene) lostAnswers() {
	plain := s.open(driver.Target)
	t, shape := s.table(plain, items)
	s.insert(t, many(1, 3)...)
	tables := []*schema.Table{t}
	lost := map[string]bool{}
	d := Faulty(plain, func(op string) error {
		if lost[op] || strings.Contains(op, "Executor") || strings.Contains(op, "Inspector") {
			return nil
		}
		lost[op] = true
		return &Fault{Class: driver.Unknown, Op: op}
	})
	again := func(call func() error) {
		s.Helper()
		var err error
		for range 3 {
			if err = call(); err == nil {
				return
			}
			s.class(d, err, driver.Unknown)
		}
		s.Fatal(err)
	}
	keep := s.listed(plain)
	b := s.named(d, "shadow")
	again(func() error { return d.Shadows.Make(s.ctx, b.place) })
	again(func() error { return d.Shadows.Lend(s.ctx, b.place, tables) })
	again(func() (err error) { b.pool, err = d.Scripts.Pool(s.ctx, b.url, b.place.Place); return err })
	b.do("CREATE TABLE made (id integer PRIMARY KEY); DELETE FROM items WHERE id = 2")
	b.leave()
	again(func() error { return d.Shadows.Adopt(s.ctx, b.place, "") })
	again(func() error { return d.Shadows.Drop(s.ctx, b.place) })
	s.same("rows", s.all(plain, driver.Query{Table: t, Shape: shape.Keys()}), lines([]string{"1"}, []string{"3"}))
	again(func() error { return d.Relics.Remove(s.ctx, "", keep) })
	s.unnamed(plain, "made")
	s.same("rows", s.all(plain, driver.Query{Table: t, Shape: shape.Keys()}), lines([]string{"1"}, []string{"3"}))
	s.nothingLeft()
}
