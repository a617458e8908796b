package drivertest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

var gateCases = []oneCase{
	{"ShutRefusesReopenLetsIn", []string{"Executor", "Reader", "Gate"}, (*scene).shut},
	{"ShutWaitsForWriters", []string{"Executor", "Reader", "Gate"}, (*scene).shutWaits},
	{"ShutWithCapture", append(slices.Clone(capturing), "Gate"), (*scene).shutCaptured},
	{"OneMoveAtATime", append(slices.Clone(capturing), "Gate"), (*scene).oneMove},
	{"Guard", append(slices.Clone(applying), "Guard"), (*scene).guarded},
}

// refused checks that the application can not write at all.
func (s *scene) refused(d *driver.Database, t *schema.Table, shape schema.Shape) {
	s.Helper()
	before := s.rows(d, t, shape)
	for what, f := range map[string]func(x Tx) error{
		"insert": func(x Tx) error { return x.Insert(t, cells(item(99, "")...)...) },
		"update": func(x Tx) error { return x.Update(t, key("1"), cells(item(1, "changed")...)...) },
		"delete": func(x Tx) error { return x.Delete(t, key("1")) },
	} {
		if err := s.try(f); err == nil {
			s.Errorf("%s into %s goes through though it is shut", what, t.Name)
		}
	}
	s.same("what a shut table holds", s.rows(d, t, shape), before)
}

// unproven checks that a gate is not proven to be shut, of whose tables one is open.
func (s *scene) unproven(d *driver.Database, tables []*schema.Table) {
	s.Helper()
	if err := d.Gate.Prove(s.ctx, tables, s.cfg.Wait); err == nil {
		s.Errorf("%d tables are proven to be shut, and one of them is open", len(tables))
	}
}

func (s *scene) shut() {
	d := s.open(driver.Source)
	t, shape := s.table(d, items)
	g := items
	g.name = "free"
	free, _ := s.table(d, g)
	tables := []*schema.Table{t}
	s.insert(t, item(1, ""))
	s.check(d.Gate.Reopen(s.ctx, tables))
	for range 2 {
		s.check(d.Gate.Shut(s.ctx, tables, s.cfg.Wait))
		s.refused(d, t, shape)
		s.check(d.Gate.Prove(s.ctx, tables, s.cfg.Wait))
	}
	s.insert(free, item(1, ""))
	other := s.open(driver.Source) // the gate is state in the database
	s.check(other.Gate.Prove(s.ctx, tables, s.cfg.Wait))
	both := []*schema.Table{t, free}
	s.unproven(other, both)
	s.check(other.Gate.Shut(s.ctx, both, s.cfg.Wait))
	s.refused(d, free, shape)
	s.check(other.Gate.Reopen(s.ctx, both))
	for range 2 {
		s.check(other.Gate.Reopen(s.ctx, both))
		s.unproven(other, tables)
		s.insert(t, item(len(s.rows(d, t, shape))+1, ""))
	}
	s.same("after the reopening", s.rows(d, t, shape), lines(many(1, 3)...))
	if d.Capturer != nil {
		s.check(d.Capturer.Finish(s.ctx))
	}
	s.nothingLeft()
}

func (s *scene) shutWaits() {
	d := s.open(driver.Source)
	t, shape := s.table(d, items)
	tables := []*schema.Table{t}
	s.insert(t, item(1, ""))
	x := s.place.App.Begin(s.T)
	s.check(x.Insert(t, cells(item(2, "")...)...))
	writers, err := d.Gate.Writers(s.ctx)
	s.check(err)
	if len(writers) == 0 && d.Info.Limits.Writers != 1 { // who has the one right to write need not be known
		s.Error("Writers does not see the open transaction")
	}
	if err := d.Gate.Shut(s.ctx, tables, s.cfg.Wait); err == nil {
		s.Error("shut while a write is in flight")
	}
	s.check(x.Commit())
	s.check(d.Gate.Shut(s.ctx, tables, s.cfg.Wait))
	s.check(d.Gate.Prove(s.ctx, tables, s.cfg.Wait))
	s.refused(d, t, shape)
	s.same("the write in flight", s.rows(d, t, shape), lines(item(1, ""), item(2, "")))
	s.check(d.Gate.Reopen(s.ctx, tables))
}

// shutCaptured drains a record behind a shut gate.
func (s *scene) shutCaptured() {
	c := s.captured(items, item(1, "a"))
	tables := []*schema.Table{c.t}
	s.insert(c.t, item(2, "b"))
	s.check(c.d.Gate.Shut(s.ctx, tables, s.cfg.Wait))
	s.refused(c.d, c.t, c.shape)
	s.check(c.d.Gate.Prove(s.ctx, tables, s.cfg.Wait))
	c.changes("the drain", []string{"2"}, item(2, "b"))
	s.check(c.d.Gate.Reopen(s.ctx, tables))
	s.insert(c.t, item(3, "c"))
	c.changes("captured still", []string{"3"}, item(3, "c"))
}

// oneMove tries to move a source that another run is moving.
func (s *scene) oneMove() {
	c := s.captured(items, item(1, "a"))
	tables := []*schema.Table{c.t}
	other := s.openFor(driver.Source, "other")
	s.taken(s.run, other, c.t, c.shape)
	s.check(c.d.Gate.Shut(s.ctx, tables, s.cfg.Wait))
	s.check(other.Gate.Reopen(s.ctx, tables))
	s.check(other.Capturer.Remove(s.ctx, c.t, s.cfg.Wait))
	s.check(other.Capturer.Finish(s.ctx))
	s.check(c.d.Gate.Prove(s.ctx, tables, s.cfg.Wait))
	s.refused(c.d, c.t, c.shape)
	s.check(c.d.Gate.Reopen(s.ctx, tables))
	s.insert(c.t, item(2, "b"))
	c.changes("captured still", []string{"2"}, item(2, "b"))
	s.check(c.d.Capturer.Remove(s.ctx, c.t, s.cfg.Wait))
	s.check(c.d.Capturer.Finish(s.ctx))
	s.nothingLeft()

	s.check(other.Gate.Shut(s.ctx, tables, s.cfg.Wait)) // a move that only shuts the gate
	s.taken("other", c.d, c.t, c.shape)
	s.check(c.d.Gate.Reopen(s.ctx, tables))
	s.check(c.d.Capturer.Finish(s.ctx))
	s.refused(c.d, c.t, c.shape)
	s.check(other.Gate.Reopen(s.ctx, tables))
	s.check(other.Capturer.Finish(s.ctx))
	s.insert(c.t, item(3, "c"))
	s.nothingLeft()
}

// taken checks that d can not move a source that belongs to a run.
func (s *scene) taken(run string, d *driver.Database, t *schema.Table, shape schema.Shape) {
	s.Helper()
	for what, err := range map[string]error{
		"Install": d.Capturer.Install(s.ctx, t, shape, s.cfg.Wait),
		"Shut":    d.Gate.Shut(s.ctx, []*schema.Table{t}, s.cfg.Wait),
	} {
		if err == nil || !strings.Contains(err.Error(), "run "+run) {
			s.Fatalf("%s at a source of another run, whose name is to be said: %v", what, err)
		}
	}
}

func (s *scene) nothingLeft() {
	s.Helper()
	if left := s.place.Left(s.T); len(left) > 0 {
		s.Errorf("left behind: %v", left)
	}
}

// stands looks at the guard of the table.
func (r *ready) stands() string {
	r.Helper()
	stands, err := r.d.Guard.Stands(r.ctx, r.t)
	r.check(err)
	return stands
}

func (s *scene) guarded() {
	r := s.ready(items, item(1, "a"))
	if stands := r.stands(); stands != "" {
		s.Errorf("a guard stands that nobody made: %q", stands)
	}
	for range 2 {
		s.check(r.d.Guard.Shut(s.ctx, r.t, r.epoch))
		s.refused(r.d, r.t, r.shape)
	}
	stands := r.stands()
	if stands == "" {
		s.Error("the guard does not stand")
	}
	s.check(s.load(r.d, intake(r.t, r.shape, r.epoch, 2), item(2, "b")))
	r.apply([]string{"1", "3"}, item(3, "c"))
	r.want("ours pass", item(2, "b"), item(3, "c"))
	if again := r.stands(); again != stands {
		s.Errorf("the guard is another one after we wrote: %q, was %q", again, stands)
	}
	for range 2 {
		s.check(r.d.Guard.Open(s.ctx, r.t))
	}
	if stands := r.stands(); stands != "" {
		s.Errorf("a guard stands at an open table: %q", stands)
	}
	s.insert(r.t, item(4, "d"))
	r.want("open", item(2, "b"), item(3, "c"), item(4, "d"))
	newer, err := s.open(driver.Target).Ledger.TakeOver(s.ctx)
	s.check(err)
	s.class(r.d, r.d.Guard.Shut(s.ctx, r.t, r.epoch), driver.Fenced)
	if r.d.Many != nil {
		s.class(r.d, r.d.Many.ShutAll(s.ctx, []*schema.Table{r.t}, r.epoch), driver.Fenced)
	}
	if stands := r.stands(); stands != "" {
		s.Errorf("one that had slept made a guard: %q", stands)
	}
	s.check(r.d.Guard.Shut(s.ctx, r.t, newer)) // a reset drops tables that are shut
	s.execute(r.d, r.d.Dialect.DropTable(r.t))
	s.check(r.d.Ledger.Drop(s.ctx))
	s.nothingLeft()
}

var sequenceCases = []oneCase{
	{"NeverGoBack", append(slices.Clone(reading), "Sequencer"), (*scene).generators},
	{"Free", []string{"Executor", "Sequencer", "Sequences", "Inspector"}, (*scene).freeSequences},
}

func (s *scene) next(d *driver.Database, sch *schema.Schema) int64 {
	s.Helper()
	all, err := d.Sequencer.Next(s.ctx, sch)
	s.check(err)
	if len(all) != 1 {
		s.Fatalf("%d generators, want one: %+v", len(all), all)
	}
	n, err := strconv.ParseInt(all[0].Next, 10, 64)
	s.check(err)
	return n
}

func (s *scene) generators() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	t, shape := s.translate(d, items)
	t.Columns[0].Identity = schema.Identity{Kind: schema.ByDefault, Start: 1, Increment: 1}
	s.execute(d, d.Dialect.CreateTable(t))
	s.execute(d, d.Dialect.CreateKeys(t))
	sch := &schema.Schema{Tables: []*schema.Table{t}}
	s.check(s.load(d, intake(t, shape, epoch, 1), many(1, 40)...))
	if n := s.next(d, sch); n < 41 {
		s.Errorf("the next value is %d, 40 is there", n)
	}
	for _, set := range []string{"100", "100", "50", "1"} {
		s.check(d.Sequencer.Set(s.ctx, driver.Generator{Table: t.Name, Column: "id", Next: set}))
		if n := s.next(d, sch); n < 100 {
			s.Errorf("set to 100 and then to %s, the next value is %d", set, n)
		}
	}
	s.check(d.Sequencer.Set(s.ctx, driver.Generator{Table: t.Name, Column: "id", Next: "500"}))
	if n := s.next(d, sch); n < 500 {
		s.Errorf("set to 500, the next value is %d", n)
	}
}

func (s *scene) freeSequences() {
	d := s.open(driver.Target)
	q := &schema.Sequence{Name: schema.Name{Schema: d.Info.Schema, Name: "Numbers"}, Start: 10, Increment: 1, Min: 1, Max: 1 << 62, Cache: 1}
	for range 2 {
		s.execute(d, d.Sequences.CreateSequence(q))
	}
	sch := &schema.Schema{Sequences: []*schema.Sequence{q}}
	if n := s.next(d, sch); n < 10 {
		s.Errorf("starts with %d, want 10", n)
	}
	for _, set := range []string{"300", "20"} {
		s.check(d.Sequencer.Set(s.ctx, driver.Generator{Sequence: q.Name, Next: set}))
		if n := s.next(d, sch); n < 300 {
			s.Errorf("set to 300 and then to %s, the next value is %d", set, n)
		}
	}
	found, err := d.Inspector.Inspect(s.ctx, nil)
	s.check(err)
	if !slices.ContainsFunc(found.Sequences, func(x *schema.Sequence) bool { return x.Name == q.Name }) {
		s.Errorf("the inspector does not know %s", q.Name)
	}
	for range 2 {
		s.execute(d, d.Sequences.DropSequence(q))
	}
}
