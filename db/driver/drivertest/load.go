package drivertest

import (
	"fmt"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

var loadCases = []oneCase{
	{"OnceOnly", reading, (*scene).loadOnce},
	{"SideBySide", reading, (*scene).loadSideBySide},
	{"DuplicateIsAnError", reading, (*scene).loadDuplicate},
	{"CloseLeavesNothing", reading, (*scene).loadClosed},
	{"NothingIsAltered", reading, (*scene).loadUnaltered},
	{"EmptyRange", reading, (*scene).loadEmpty},
	{"WithoutAKey", reading, (*scene).loadBare},
	{"ManyWrites", reading, (*scene).loadManyWrites},
}

// book checks the ledger's lines of a table.
func (s *scene) ranges(d *driver.Database, t *schema.Table, want map[int]int64) {
	s.Helper()
	got, err := d.Ledger.Ranges(s.ctx, t)
	s.check(err)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		s.Fatalf("the ledger says %v, want %v", got, want)
	}
}

func (s *scene) loadOnce() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	t, shape := s.table(d, items)
	s.ranges(d, t, map[int]int64{})
	s.check(s.load(d, intake(t, shape, epoch, 1), many(1, 3)...))
	for range 2 {
		s.class(d, s.load(d, intake(t, shape, epoch, 1), many(4, 6)...), driver.Exists)
	}
	s.check(s.load(d, intake(t, shape, epoch, 2), many(4, 5)...))
	s.same("rows", s.rows(d, t, shape), lines(many(1, 5)...))
	s.ranges(d, t, map[int]int64{1: 3, 2: 2})
}

func (s *scene) loadSideBySide() {
	d := s.open(driver.Target)
	if d.Info.Limits.Writers == 1 {
		return
	}
	epoch := s.ledger(d)
	t, shape := s.table(d, items)
	one, err := d.Loader.Load(s.ctx, intake(t, shape, epoch, 1))
	s.check(err)
	defer one.Close()
	two, err := d.Loader.Load(s.ctx, intake(t, shape, epoch, 2))
	s.check(err)
	defer two.Close()
	s.check(one.Write(s.ctx, batch(4, many(1, 10)...)))
	s.check(two.Write(s.ctx, batch(4, many(11, 20)...)))
	s.check(one.Write(s.ctx, batch(4, many(21, 30)...)))
	s.same("before the commits", s.rows(d, t, shape), nil)
	if n, err := two.Commit(s.ctx); err != nil || n != 10 {
		s.Fatal(n, err)
	}
	s.check(two.Close())
	s.same("the second", s.rows(d, t, shape), lines(many(11, 20)...))
	if n, err := one.Commit(s.ctx); err != nil || n != 20 {
		s.Fatal(n, err)
	}
	s.same("both", s.rows(d, t, shape), lines(many(1, 30)...))
	s.ranges(d, t, map[int]int64{1: 20, 2: 10})
}

func (s *scene) loadDuplicate() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	t, shape := s.table(d, items)
	s.check(s.load(d, intake(t, shape, epoch, 1), item(1, "first")))
	s.class(d, s.load(d, intake(t, shape, epoch, 2), item(2, ""), item(1, "second")), driver.Conflict)
	s.class(d, s.load(d, intake(t, shape, epoch, 3), item(3, ""), item(3, "")), driver.Conflict)
	s.same("rows", s.rows(d, t, shape), lines(item(1, "first")))
	s.ranges(d, t, map[int]int64{1: 1})
	s.check(s.load(d, intake(t, shape, epoch, 2), item(2, "")))
}

func (s *scene) loadClosed() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	t, shape := s.table(d, items)
	for range 2 {
		l, err := d.Loader.Load(s.ctx, intake(t, shape, epoch, 1))
		s.check(err)
		s.check(l.Write(s.ctx, batch(4, many(1, 100)...)))
		s.check(l.Close())
		s.check(l.Close())
		if _, err := l.Commit(s.ctx); err == nil {
			s.Error("a closed load commits")
		}
		s.same("after Close", s.rows(d, t, shape), nil)
		s.ranges(d, t, map[int]int64{})
	}
	s.check(s.load(d, intake(t, shape, epoch, 1), item(1, "")))
}

// loadUnaltered writes values that do not fit their columns: an error, or the value as it was, never another value.
func (s *scene) loadUnaltered() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	g := design{
		name: "tight",
		columns: []column{
			{name: "id", typ: int64Type},
			{name: "small", typ: integer(16), null: true},
			{name: "short", typ: shortText, null: true},
			{name: "price", typ: price, null: true},
			{name: "must", typ: shortText},
		},
		key: []string{"id"},
	}
	t, shape := s.table(d, g)
	for i, r := range [][]string{
		{"1", "70000", null, null, ""},
		{"1", null, strings.Repeat("x", 41), null, ""},
		{"1", null, strings.Repeat("x", 40) + " ", null, ""},
		{"1", null, null, "99999999999.99", ""},
		{"1", "-40000", null, null, ""},
		{"1", null, null, null, null},
		{null, null, null, null, ""},
	} {
		if err := s.load(d, intake(t, shape, epoch, i+1), r); err != nil {
			s.same("after an error", s.rows(d, t, shape), nil)
			continue
		}
		s.same("kept as it was", s.rows(d, t, shape), lines(r))
		s.check(d.Ledger.Clear(s.ctx, t, epoch))
	}
	s.check(s.load(d, intake(t, shape, epoch, 100), []string{"1", null, "trailing ", null, " "}))
	s.same("blanks at the end", s.rows(d, t, shape), lines([]string{"1", null, "trailing ", null, " "}))
}

func (s *scene) loadEmpty() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	t, shape := s.table(d, items)
	l, err := d.Loader.Load(s.ctx, intake(t, shape, epoch, 1))
	s.check(err)
	if n, err := l.Commit(s.ctx); n != 0 || err != nil {
		s.Fatal(n, err)
	}
	s.check(l.Close())
	s.check(s.load(d, intake(t, shape, epoch, 2)))
	s.ranges(d, t, map[int]int64{1: 0, 2: 0})
	s.class(d, s.load(d, intake(t, shape, epoch, 1), item(1, "")), driver.Exists)
}

// loadBare loads a table that has no key yet, as a move does, and builds the keys afterwards.
func (s *scene) loadBare() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	t, shape := s.bare(d, named())
	in := intake(t, shape, epoch, 1)
	in.Sole = true
	s.check(s.load(d, in, item(2, "b"), item(1, "a"), item(3, "")))
	s.execute(d, d.Dialect.CreateKeys(t))
	s.class(d, s.load(d, intake(t, shape, epoch, 2), item(3, "")), driver.Conflict)
	s.class(d, s.load(d, intake(t, shape, epoch, 2), item(4, "a")), driver.Conflict)
	s.same("rows", s.rows(d, t, shape), lines(item(1, "a"), item(2, "b"), item(3, "")))
}

func (s *scene) loadManyWrites() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	t, shape := s.table(d, items)
	l, err := d.Loader.Load(s.ctx, intake(t, shape, epoch, 1))
	s.check(err)
	defer l.Close()
	b := row.NewBatch(4)
	for i := range 40 {
		b.Reset()
		for id := i * 50; id < i*50+50; id++ {
			s.check(b.AppendRow(row.MakeKey(cells(item(id, "")...)...)))
		}
		s.check(l.Write(s.ctx, b))
	}
	b.Reset()
	s.check(l.Write(s.ctx, b))
	for range 200 { // the batch is ours again when Write returns
		b.AppendString("spoiled")
	}
	if n, err := l.Commit(s.ctx); n != 2000 || err != nil {
		s.Fatal(n, err)
	}
	s.same("rows", s.rows(d, t, shape), lines(many(0, 1999)...))
}

var ledgerCases = []oneCase{
	{"Prepare", []string{"Ledger"}, (*scene).prepare},
	{"TakeOver", []string{"Ledger", "Loader", "Executor"}, (*scene).takeOver},
	{"TakeOverDuringALoad", reading, (*scene).takeOverDuring},
	{"Clear", reading, (*scene).clear},
	{"AnEndedMove", applying, (*scene).ended},
}

func (s *scene) prepare() {
	d := s.open(driver.Target)
	for range 2 {
		s.check(d.Ledger.Prepare(s.ctx, s.run))
	}
	err := d.Ledger.Prepare(s.ctx, "another")
	if err == nil || !strings.Contains(err.Error(), s.run) {
		s.Fatalf("the book of another run was taken, or the error does not name it: %v", err)
	}
	other := s.openFor(driver.Target, "another")
	s.check(other.Ledger.Drop(s.ctx))
	_, err = d.Ledger.TakeOver(s.ctx)
	s.check(err) // the book is there
	for range 2 {
		s.check(d.Ledger.Drop(s.ctx))
	}
	s.check(other.Ledger.Prepare(s.ctx, "another"))
	s.check(d.Ledger.Drop(s.ctx))
	_, err = other.Ledger.TakeOver(s.ctx)
	s.check(err)
	s.check(other.Ledger.Drop(s.ctx))
	if left := s.place.Left(s.T); len(left) > 0 {
		s.Errorf("left behind: %v", left)
	}
}

// ended is what a process meets that has slept until another one has ended the move.
func (s *scene) ended() {
	r := s.ready(items, item(1, ""))
	s.check(s.open(driver.Target).Ledger.Drop(s.ctx))
	s.class(r.d, r.d.Ledger.Current(s.ctx, r.epoch), driver.Fenced)
	s.class(r.d, r.d.Applier.Apply(s.ctx, r.delta([]string{"1"})), driver.Fenced)
	s.class(r.d, s.load(r.d, intake(r.t, r.shape, r.epoch, 2), item(2, "")), driver.Fenced)
	s.class(r.d, r.d.Ledger.Clear(s.ctx, r.t, r.epoch), driver.Fenced)
	if r.d.Guard != nil {
		s.class(r.d, r.d.Guard.Shut(s.ctx, r.t, r.epoch), driver.Fenced)
	}
	r.want("untouched", item(1, ""))
}

func (s *scene) takeOver() {
	old, d := s.open(driver.Target), s.open(driver.Target)
	first := s.ledger(old)
	t, shape := s.table(d, items)
	second := s.ledger(d)
	third := s.ledger(d)
	if second <= first || third <= second {
		s.Fatalf("epochs %d, %d, %d do not grow", first, second, third)
	}
	for _, epoch := range []int64{first, second} {
		s.class(old, s.load(old, intake(t, shape, epoch, 1), item(1, "")), driver.Fenced)
		s.class(old, old.Ledger.Clear(s.ctx, t, epoch), driver.Fenced)
	}
	s.ranges(d, t, map[int]int64{})
	s.check(s.load(d, intake(t, shape, third, 1), item(1, "")))
	s.check(s.load(old, intake(t, shape, third, 2), item(2, "")))
}

// takeOverDuring takes over while an older epoch is in the middle of a load: it can not commit.
func (s *scene) takeOverDuring() {
	old, d := s.open(driver.Target), s.open(driver.Target)
	epoch := s.ledger(old)
	t, shape := s.table(old, items)
	l, err := old.Loader.Load(s.ctx, intake(t, shape, epoch, 1))
	s.check(err)
	defer l.Close()
	s.check(l.Write(s.ctx, batch(4, many(1, 10)...)))
	if _, err := d.Ledger.TakeOver(s.ctx); err != nil {
		if d.Info.Limits.Writers != 1 {
			s.Fatal(err)
		}
		s.class(d, err, driver.Transient)
		return
	}
	err = l.Write(s.ctx, batch(4, many(11, 20)...))
	if err == nil {
		_, err = l.Commit(s.ctx)
	}
	if err == nil {
		s.Fatal("an older epoch commits after the take-over")
	}
	s.check(l.Close())
	s.same("rows", s.rows(d, t, shape), nil)
	s.ranges(d, t, map[int]int64{})
}

func (s *scene) clear() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	t, shape := s.table(d, items)
	g := items
	g.name = "other"
	other, _ := s.table(d, g)
	s.check(s.load(d, intake(t, shape, epoch, 1), many(1, 3)...))
	s.check(s.load(d, intake(other, shape, epoch, 1), many(1, 2)...))
	for range 2 {
		s.check(d.Ledger.Clear(s.ctx, t, epoch))
		s.same("cleared", s.rows(d, t, shape), nil)
		s.ranges(d, t, map[int]int64{})
	}
	s.ranges(d, other, map[int]int64{1: 2})
	s.same("the other table", s.rows(d, other, shape), lines(many(1, 2)...))
	s.check(s.load(d, intake(t, shape, epoch, 1), many(7, 9)...))
	s.same("loaded again", s.rows(d, t, shape), lines(many(7, 9)...))
}
