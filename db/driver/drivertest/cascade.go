package drivertest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// Foreign keys that change rows of the child: of a captured table every such row is noted, and of one that is shut none changes,
// whether the parent is part of the move or not (HAZARDS 1, C12). Where foreign keys are only written down nothing changes.
var cascadeCases = []oneCase{
	{"AreNoted", capturing, (*scene).cascadesNoted},
	{"AreHeldBack", []string{"Executor", "Reader", "Gate"}, (*scene).cascadesHeldBack},
}

// family is a grandparent, a parent whose key is the grandparent's, and children that cascade and that are cut loose.
type family struct {
	d                        *driver.Database
	grand, parent, kept, cut *schema.Table
	keptShape, cutShape      schema.Shape
}

func (s *scene) family() family {
	s.Helper()
	f := family{d: s.open(driver.Source)}
	one := func(name string, key ...string) design {
		g := design{name: name, key: key, columns: []column{{name: "id", typ: int64Type}}}
		if len(key) == 2 {
			g.columns = append(g.columns, column{name: "up", typ: int64Type})
		} else if name != "grand" && name != "parent" {
			g.columns = append(g.columns, column{name: "up", typ: int64Type, null: true})
		}
		return g
	}
	below := func(t *schema.Table, parent *schema.Table, column string, action schema.Action) {
		t.Foreign = []*schema.ForeignKey{{
			Name: t.Name.Name + "_up", Columns: []string{column}, Parent: parent.Name, ParentCols: []string{"id"}, OnDelete: action, OnUpdate: schema.Cascade,
		}}
		s.execute(f.d, f.d.Dialect.CreateTable(t))
		s.execute(f.d, f.d.Dialect.CreateKeys(t))
		add, prove := f.d.Dialect.CreateConstraints(t)
		s.check(s.proven(f.d, add, prove))
	}
	f.grand, _ = s.table(f.d, one("grand", "id"))
	f.parent, _ = s.translate(f.d, one("parent", "id"))
	below(f.parent, f.grand, "id", schema.Cascade)
	f.kept, f.keptShape = s.translate(f.d, one("kept", "up", "id"))
	below(f.kept, f.parent, "up", schema.Cascade)
	f.cut, f.cutShape = s.translate(f.d, one("cut", "id"))
	below(f.cut, f.parent, "up", schema.SetNull)
	for i := 1; i <= 5; i++ {
		n := fmt.Sprint(i)
		s.insert(f.grand, []string{n})
		s.insert(f.parent, []string{n})
		s.insert(f.kept, []string{"1", n}, []string{"2", n})
		s.insert(f.cut, []string{n, n})
	}
	return f
}

// ways are what an application does to the grandparent.
var cascadeWays = []struct {
	what string
	do   func(x Tx, t *schema.Table) error
}{
	{"delete", func(x Tx, t *schema.Table) error { return x.Delete(t, key("1")) }},
	{"update", func(x Tx, t *schema.Table) error { return x.Update(t, key("2"), cells("20")...) }},
}

func (s *scene) cascadesNoted() {
	f := s.family()
	for _, c := range []*captured{{scene: s, d: f.d, t: f.kept, shape: f.keptShape}, {scene: s, d: f.d, t: f.cut, shape: f.cutShape}} {
		s.check(f.d.Capturer.Install(s.ctx, c.t, c.shape, s.cfg.Wait))
	}
	s.check(f.d.Capturer.Settle(s.ctx, []*schema.Table{f.kept, f.cut}, s.cfg.Wait))
	number := int64(0)
	for _, way := range cascadeWays {
		number++
		before := [][]string{s.rows(f.d, f.kept, f.keptShape), s.rows(f.d, f.cut, f.cutShape)}
		s.do(func(x Tx) error { return way.do(x, f.grand) })
		for i, c := range []*captured{{scene: s, d: f.d, t: f.kept, shape: f.keptShape, number: number - 1}, {scene: s, d: f.d, t: f.cut, shape: f.cutShape, number: number - 1}} {
			after := s.rows(f.d, c.t, c.shape)
			r, keys, images := c.take(c.most())
			c.forget(r)
			if way.what == "delete" && slices.Equal(before[i], after) != s.cfg.Inert {
				s.Fatalf("%s: the foreign key did nothing to %s", way.what, c.t.Name)
			}
			s.same(way.what+": what a replay makes of "+c.t.Name.Name, replayed(c.shape, before[i], keys, images), after)
		}
	}
	for _, t := range []*schema.Table{f.kept, f.cut} {
		s.check(f.d.Capturer.Remove(s.ctx, t, s.cfg.Wait))
	}
	s.check(f.d.Capturer.Finish(s.ctx))
	s.nothingLeft()
}

// replayed is what becomes of rows when these keys get these images and no others.
func replayed(shape schema.Shape, rows, keys, images []string) []string {
	var left []string
	for _, r := range rows {
		if !slices.ContainsFunc(keys, func(k string) bool { return k == keyPart(shape, r) }) {
			left = append(left, r)
		}
	}
	return append(left, images...)
}

// keyPart is the key of a row, as both are shown.
func keyPart(shape schema.Shape, shown string) string {
	cells := strings.Split(shown, " | ")
	key := make([]string, len(shape.Key))
	for i, c := range shape.Key {
		key[i] = cells[c]
	}
	return strings.Join(key, " | ")
}

func (s *scene) cascadesHeldBack() {
	f := s.family()
	tables := []*schema.Table{f.kept, f.cut}
	look := func() []string {
		return append(s.rows(f.d, f.kept, f.keptShape), s.rows(f.d, f.cut, f.cutShape)...)
	}
	before := look()
	s.check(f.d.Gate.Shut(s.ctx, tables, s.cfg.Wait))
	s.check(f.d.Gate.Prove(s.ctx, tables, s.cfg.Wait))
	for _, way := range cascadeWays {
		if err := s.try(func(x Tx) error { return way.do(x, f.grand) }); err == nil && !s.cfg.Inert {
			s.Errorf("the %s of a parent that is not shut goes through", way.what)
		}
		s.same("the children that are shut", look(), before)
	}
	s.insert(f.grand, []string{"9"}) // has no children
	s.do(func(x Tx) error { return x.Delete(f.grand, key("9")) })
	s.check(f.d.Gate.Reopen(s.ctx, tables))
	s.do(func(x Tx) error { return x.Delete(f.grand, key("3")) })
	if slices.Equal(look(), before) != s.cfg.Inert {
		s.Error("the foreign key did nothing after the reopening")
	}
	if f.d.Capturer != nil {
		s.check(f.d.Capturer.Finish(s.ctx))
	}
	s.nothingLeft()
}
