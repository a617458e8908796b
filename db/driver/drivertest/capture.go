package drivertest

import (
	"slices"
	"strconv"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

var capturing = []string{"Executor", "Reader", "Capturer", "Recorder"}

var captureCases = []oneCase{
	{"EveryWrite", capturing, (*scene).everyWrite},
	{"ForgetsExactlyWhatItTook", capturing, (*scene).forgetExactly},
	{"LateCommits", capturing, (*scene).lateCommits},
	{"RollbackLeavesNothing", capturing, (*scene).rolledBack},
	{"KeyChanges", capturing, (*scene).keyChanges},
	{"KeysThatDifferInCase", capturing, (*scene).caseChanges},
	{"KeysThatACollationHoldsEqual", capturing, (*scene).takeFolded},
	{"AtMost", capturing, (*scene).takeAtMost},
	{"MoreKeys", capturing, (*scene).takeAlso},
	{"LargeRows", capturing, (*scene).takeLarge},
	{"SmallRowsThenLargeOnes", capturing, (*scene).takeSmallThenLarge},
	{"OneSnapshot", capturing, (*scene).takeAtOnce},
	{"Lanes", capturing, (*scene).takeLanes},
	{"Promises", capturing, (*scene).promises},
	{"ForgetsLate", capturing, (*scene).forgetsLate},
	{"Truncate", append(slices.Clone(capturing), "Watcher"), (*scene).truncated},
	{"InstallTwiceRemoveTwice", capturing, (*scene).installTwice},
	{"InstallWaitsForWriters", capturing, (*scene).installWaits},
	{"Settle", capturing, (*scene).settle},
	{"Gaps", capturing, (*scene).gaps},
	{"Fingerprint", append(slices.Clone(capturing), "Watcher"), (*scene).fingerprint},
}

// captured is a source with one uptime table.
type captured struct {
	*scene
	d      *driver.Database
	t      *schema.Table
	shape  schema.Shape
	number int64
}

func (s *scene) captured(g design, rows ...[]string) *captured {
	s.Helper()
	d := s.open(driver.Source)
	t, shape := s.table(d, g)
	s.insert(t, rows...)
	s.check(d.Capturer.Install(s.ctx, t, shape, s.cfg.Wait))
	s.check(d.Capturer.Settle(s.ctx, []*schema.Table{t}, s.cfg.Wait))
	return &captured{scene: s, d: d, t: t, shape: shape}
}

func (c *captured) most() driver.Want {
	return driver.Want{Table: c.t, Shape: c.shape, Lanes: 1, Most: 100000}
}

// take reads the record: the receipt, the keys and the rows found.
func (c *captured) take(w driver.Want) (driver.Receipt, []string, []string) {
	c.Helper()
	keys, images := row.NewBatch(len(c.shape.Key)), row.NewBatch(c.shape.Width())
	r, err := c.d.Recorder.Take(c.ctx, w, keys, images)
	c.check(err)
	got := show(keys)
	if n := len(slices.Compact(slices.Sorted(slices.Values(got)))); n != len(got) {
		c.Errorf("keys come twice: %v", got)
	}
	return r, got, show(images)
}

// forget ends a batch.
func (c *captured) forget(r driver.Receipt) {
	c.Helper()
	c.number++
	c.check(r.Durable(c.ctx, c.number))
	c.check(r.Durable(c.ctx, c.number))
	c.check(r.Forget(c.ctx, c.number))
	c.check(r.Close())
	c.check(r.Close())
}

// numbered checks what the source remembers of a lane.
func (c *captured) numbered(lane int, want driver.Numbers) {
	c.Helper()
	n, err := c.d.Recorder.Numbers(c.ctx, c.t, lane)
	c.check(err)
	if n != want {
		c.Errorf("lane %d has the numbers %+v, want %+v", lane, n, want)
	}
}

// promises asks for batches out of their order (HAZARDS C8).
func (s *scene) promises() {
	c := s.captured(items)
	s.insert(c.t, item(1, ""))
	promise := func(number int64, want driver.Class) {
		s.Helper()
		most := c.most()
		most.Epoch = 40 + number // of who promises, which is remembered
		r, _, _ := c.take(most)
		defer func() { s.check(r.Close()) }()
		if err := r.Durable(s.ctx, number); want != driver.Unclassified || err != nil {
			s.class(c.d, err, want)
		}
	}
	promise(2, driver.Conflict) // no batch was promised before it
	promise(1, driver.Unclassified)
	c.numbered(0, driver.Numbers{Promised: 1, By: 41})
	promise(1, driver.Conflict) // it is another attempt's
	promise(2, driver.Conflict) // the first is not forgotten
	r, _, _ := c.take(c.most())
	s.check(r.Forget(s.ctx, 1))
	s.check(r.Close())
	promise(3, driver.Conflict)
	promise(2, driver.Unclassified)
	c.numbered(0, driver.Numbers{Promised: 2, Forgotten: 1, By: 42})
	c.numbered(1, driver.Numbers{})
}

// forgetsLate: a process that has slept between the target's commit and Forget comes to it when its successor has gone on. The
// number does not go back, whether the entries go or stay.
func (s *scene) forgetsLate() {
	c := s.captured(items)
	s.insert(c.t, item(1, ""))
	none := c.most()
	none.Most = 0
	slept, _, _ := c.take(none)
	s.check(slept.Durable(s.ctx, 1))
	for number := int64(1); number <= 3; number++ {
		r, _, _ := c.take(none)
		if number > 1 {
			s.check(r.Durable(s.ctx, number))
		}
		s.check(r.Forget(s.ctx, number))
		s.check(r.Close())
	}
	_ = slept.Forget(s.ctx, 1)
	s.check(slept.Close())
	c.numbered(0, driver.Numbers{Promised: 3, Forgotten: 3})
}

// changes takes everything and forgets it, and checks keys and rows.
func (c *captured) changes(what string, keys []string, rows ...[]string) {
	c.Helper()
	r, gotKeys, gotRows := c.take(c.most())
	var want [][]string
	for _, k := range keys {
		want = append(want, []string{k})
	}
	c.same(what+": keys", gotKeys, lines(want...))
	c.same(what+": rows", gotRows, lines(rows...))
	if r.Entries() < len(keys) {
		c.Errorf("%s: %d entries for %d keys", what, r.Entries(), len(keys))
	}
	c.forget(r)
	c.backlog(what, 0)
}

func (c *captured) backlog(what string, atLeast int64) driver.Backlog {
	c.Helper()
	b, err := c.d.Recorder.Backlog(c.ctx, c.t)
	c.check(err)
	if b.Entries < atLeast || atLeast == 0 && (b.Entries != 0 || b.Oldest != 0 || b.Truncated) {
		c.Fatalf("%s: backlog %+v, want %d entries", what, b, atLeast)
	}
	return b
}

func (s *scene) everyWrite() {
	c := s.captured(items, item(1, "one"), item(2, "two"), item(3, "three"))
	c.changes("nothing yet", nil)
	s.insert(c.t, item(4, "four"), item(5, "five"))
	c.backlog("two rows", 2)
	c.changes("insert", []string{"4", "5"}, item(4, "four"), item(5, "five"))
	s.do(func(x Tx) error { return x.Update(c.t, key("1"), cells(item(1, "uno")...)...) })
	c.changes("update", []string{"1"}, item(1, "uno"))
	s.do(func(x Tx) error { return x.Delete(c.t, key("2")) })
	c.changes("delete", []string{"2"})
	s.do(func(x Tx) error {
		s.check(x.Insert(c.t, cells(item(6, "six")...)...))
		s.check(x.Update(c.t, key("6"), cells(item(6, "sei")...)...))
		s.check(x.Delete(c.t, key("3")))
		s.check(x.Insert(c.t, cells(item(3, "tre")...)...))
		s.check(x.Insert(c.t, cells(item(7, "seven")...)...))
		return x.Delete(c.t, key("7"))
	})
	c.changes("many in one", []string{"6", "3", "7"}, item(6, "sei"), item(3, "tre"))
	c.numbered(0, driver.Numbers{Promised: c.number, Forgotten: c.number})
}

// forgetExactly changes the rows of a receipt after it was taken.
func (s *scene) forgetExactly() {
	c := s.captured(items, item(1, "a"), item(2, "b"))
	s.do(func(x Tx) error { return x.Update(c.t, key("1"), cells(item(1, "first")...)...) })
	r, keys, rows := c.take(c.most())
	s.same("keys", keys, lines([]string{"1"}))
	s.same("rows", rows, lines(item(1, "first")))
	s.do(func(x Tx) error { return x.Update(c.t, key("1"), cells(item(1, "second")...)...) })
	s.do(func(x Tx) error { return x.Delete(c.t, key("2")) })
	c.forget(r)
	c.backlog("what came after Take", 2)
	r, _, rows = c.take(c.most())
	s.same("rows again", rows, lines(item(1, "second")))
	s.check(r.Close())
	c.backlog("closed without Forget", 2)
	c.changes("the rest", []string{"1", "2"}, item(1, "second"))
}

// lateCommits commits a change that was made before another that is already forgotten.
func (s *scene) lateCommits() {
	c := s.captured(items)
	if c.d.Info.Limits.Writers == 1 {
		return
	}
	late := s.place.App.Begin(s.T)
	s.check(late.Insert(c.t, cells(item(1, "late")...)...))
	s.insert(c.t, item(2, "early"))
	r, keys, _ := c.take(c.most())
	s.same("keys before", keys, lines([]string{"2"}))
	s.check(late.Commit())
	c.forget(r)
	c.changes("the late commit", []string{"1"}, item(1, "late"))
}

func (s *scene) rolledBack() {
	c := s.captured(items, item(1, "a"))
	x := s.place.App.Begin(s.T)
	s.check(x.Insert(c.t, cells(item(2, "b")...)...))
	s.check(x.Update(c.t, key("1"), cells(item(1, "x")...)...))
	s.check(x.Delete(c.t, key("1")))
	r, keys, _ := c.take(c.most())
	s.same("while it is open", keys, nil)
	s.check(r.Close())
	s.check(x.Rollback())
	c.changes("after the rollback", nil)
}

func (s *scene) keyChanges() {
	c := s.captured(items, item(1, "a"), item(2, "b"), item(3, "c"))
	s.do(func(x Tx) error { return x.Update(c.t, key("1"), cells(item(10, "a")...)...) })
	c.changes("a new key", []string{"1", "10"}, item(10, "a"))
	s.do(func(x Tx) error {
		s.check(x.Update(c.t, key("2"), cells(item(-1, "b")...)...))
		s.check(x.Update(c.t, key("3"), cells(item(2, "c")...)...))
		return x.Update(c.t, key("-1"), cells(item(3, "b")...)...)
	})
	c.changes("two that swap", []string{"2", "3", "-1"}, item(2, "c"), item(3, "b"))
	p := s.captured(pairs, []string{"1", "x", "a"})
	s.do(func(x Tx) error { return x.Update(p.t, key("a", "1"), cells("1", "x", "b")...) })
	r, keys, rows := p.take(p.most())
	s.same("one column of two", keys, lines([]string{"a", "1"}, []string{"b", "1"}))
	s.same("its row", rows, lines([]string{"1", "x", "b"}))
	p.forget(r)
}

// caseChanges changes a key into one that a collation holds equal (HAZARDS C10).
func (s *scene) caseChanges() {
	types := map[string]schema.Type{"exact": shortText, "folded": s.cfg.Folded}
	for name, typ := range types {
		if name == "folded" && !s.cfg.folds() {
			continue
		}
		g := codes
		g.name, g.columns = name, slices.Clone(codes.columns)
		g.columns[0] = column{name: "code", typ: typ, own: name == "folded"}
		c := s.captured(g, []string{"ada", "1"}, []string{"bob", "2"})
		s.do(func(x Tx) error { return x.Update(c.t, key("ada"), cells("Ada", "1")...) })
		c.changes(name+": case", []string{"ada", "Ada"}, []string{"Ada", "1"})
		s.do(func(x Tx) error { return x.Update(c.t, key("bob"), cells("bob ", "2")...) })
		c.changes(name+": a blank", []string{"bob", "bob "}, []string{"bob ", "2"})
	}
}

func (s *scene) takeAtMost() {
	c := s.captured(items)
	s.insert(c.t, many(1, 25)...)
	seen := map[string]bool{}
	for range 25 {
		w := c.most()
		w.Most = 10
		r, keys, rows := c.take(w)
		if r.Entries() > 10 || len(rows) != len(keys) {
			s.Fatalf("%d entries, %d keys, %d rows, at most 10", r.Entries(), len(keys), len(rows))
		}
		for _, k := range keys {
			seen[k] = true
		}
		done := r.Entries() == 0
		c.forget(r)
		if done {
			break
		}
	}
	if len(seen) != 25 {
		s.Errorf("%d keys seen, want 25", len(seen))
	}
	c.backlog("all taken", 0)
}

func (s *scene) takeAlso() {
	c := s.captured(items, item(1, "a"), item(2, "b"), item(3, "c"))
	w := c.most()
	w.Also = batch(1, []string{"2"}, []string{"99"})
	r, keys, rows := c.take(w)
	if r.Entries() != 0 {
		s.Errorf("%d entries in an empty record", r.Entries())
	}
	s.same("keys", keys, lines([]string{"2"}, []string{"99"}))
	s.same("rows", rows, lines(item(2, "b")))
	s.check(r.Close())
	s.do(func(x Tx) error { return x.Delete(c.t, key("2")) })
	s.do(func(x Tx) error { return x.Delete(c.t, key("3")) })
	r, keys, rows = c.take(w)
	s.same("keys of both", keys, lines([]string{"2"}, []string{"99"}, []string{"3"}))
	s.same("rows of both", rows, nil)
	c.forget(r)
}

func (s *scene) takeLanes() {
	c := s.captured(items)
	s.insert(c.t, many(1, 100)...)
	var all []string
	for lane := range 4 {
		w := c.most()
		w.Lane, w.Lanes = lane, 4
		first, keys, _ := c.take(w)
		s.check(first.Close())
		r, again, rows := c.take(w)
		s.same("the same lane", again, keys)
		if len(rows) != len(keys) || len(keys) == 100 {
			s.Errorf("lane %d: %d keys, %d rows", lane, len(keys), len(rows))
		}
		all = append(all, keys...)
		s.check(r.Forget(s.ctx, int64(lane)+7))
		s.check(r.Close())
		c.numbered(lane, driver.Numbers{Forgotten: int64(lane) + 7})
	}
	var want [][]string
	for i := 1; i <= 100; i++ {
		want = append(want, []string{strconv.Itoa(i)})
	}
	s.same("the lanes together", all, lines(want...))
	c.backlog("all lanes", 0)
}

func (s *scene) truncated() {
	c := s.captured(items, many(1, 3)...)
	if s.cfg.Truncate == Rowwise {
		return
	}
	before, err := c.d.Watcher.Fingerprint(s.ctx, c.t)
	s.check(err)
	s.do(func(x Tx) error { return x.Truncate(c.t) })
	if s.cfg.Truncate == Seen {
		after, err := c.d.Watcher.Fingerprint(s.ctx, c.t)
		s.check(err)
		if v, why := c.d.Watcher.Judge(before, after); v == driver.Harmless || why == "" {
			s.Fatalf("the watcher holds a TRUNCATE %s: %s", v, why)
		}
		return
	}
	s.insert(c.t, item(2, "again"))
	if b := c.backlog("emptied", 1); !b.Truncated {
		s.Error("the backlog does not say that the table was emptied")
	}
	r, _, rows := c.take(c.most())
	if !r.Emptied() {
		s.Error("the receipt does not say that the table was emptied")
	}
	s.same("rows", rows, lines(item(2, "again")))
	c.forget(r)
	r, _, _ = c.take(c.most())
	if r.Emptied() || r.Entries() != 0 {
		s.Error("the note is there again")
	}
	s.check(r.Close())
}

func (s *scene) installTwice() {
	c := s.captured(items)
	s.insert(c.t, item(1, ""))
	s.check(c.d.Capturer.Install(s.ctx, c.t, c.shape, s.cfg.Wait))
	s.insert(c.t, item(2, ""))
	c.changes("installed twice", []string{"1", "2"}, item(1, ""), item(2, ""))
	other := s.open(driver.Source)
	s.check(other.Capturer.Install(s.ctx, c.t, c.shape, s.cfg.Wait))
	s.insert(c.t, item(3, ""))
	c.changes("by another", []string{"3"}, item(3, ""))
	for range 2 {
		s.check(c.d.Capturer.Remove(s.ctx, c.t, s.cfg.Wait))
	}
	s.check(c.d.Capturer.Finish(s.ctx))
	s.insert(c.t, item(4, ""))
	if left := s.place.Left(s.T); len(left) > 0 {
		s.Errorf("left behind: %v", left)
	}
	s.check(c.d.Capturer.Install(s.ctx, c.t, c.shape, s.cfg.Wait))
	c.numbered(0, driver.Numbers{})
	c.number = 0
	c.changes("a new record", nil)
	s.insert(c.t, item(5, ""))
	c.changes("installed again", []string{"5"}, item(5, ""))
}

// installWaits installs while a transaction has written to the table: whatever commits is loaded or recorded.
func (s *scene) installWaits() {
	d := s.open(driver.Source)
	t, shape := s.table(d, items)
	x := s.place.App.Begin(s.T)
	s.check(x.Insert(t, cells(item(1, "")...)...))
	if err := d.Capturer.Install(s.ctx, t, shape, s.cfg.Wait); err != nil {
		s.class(d, err, driver.Transient)
	} else if err := d.Capturer.Settle(s.ctx, []*schema.Table{t}, s.cfg.Wait); err == nil {
		s.Error("capture is on while an older transaction could still write")
	}
	s.check(x.Commit())
	s.check(d.Capturer.Install(s.ctx, t, shape, s.cfg.Wait))
	s.check(d.Capturer.Settle(s.ctx, []*schema.Table{t}, s.cfg.Wait))
	s.same("the older transaction's row", s.rows(d, t, shape), lines(item(1, "")))
}

func (s *scene) settle() {
	c := s.captured(items)
	tables := []*schema.Table{c.t}
	x := s.place.App.Begin(s.T)
	s.check(x.Insert(c.t, cells(item(1, "")...)...))
	if err := c.d.Capturer.Settle(s.ctx, tables, s.cfg.Wait); err == nil {
		s.Error("settled while a transaction that has written is open")
	}
	s.check(x.Commit())
	for range 2 {
		s.check(c.d.Capturer.Settle(s.ctx, tables, s.cfg.Wait))
	}
}

func (s *scene) gaps() {
	d := s.open(driver.Source)
	t, shape := s.table(d, items)
	for range 2 {
		notices, err := d.Capturer.Gaps(s.ctx, t, shape)
		s.check(err)
		for _, n := range notices {
			if n.Level == driver.NotLive || n.Level == driver.Forbidden {
				s.Errorf("a plain table may not be moved live: %+v", n)
			}
			if n.Rule == "" || n.Message == "" || n.Do == "" {
				s.Errorf("a notice without its words: %+v", n)
			}
		}
	}
	g := items
	g.name, g.key = "keyless", nil
	t, shape = s.table(d, g)
	notices, err := d.Capturer.Gaps(s.ctx, t, shape)
	s.check(err)
	if !slices.ContainsFunc(notices, func(n driver.Notice) bool { return n.Level == driver.NotLive || n.Level == driver.Forbidden }) {
		s.Error("a table without a key may be moved live")
	}
}

func (s *scene) fingerprint() {
	c := s.captured(items, item(1, ""))
	first, err := c.d.Watcher.Fingerprint(s.ctx, c.t)
	s.check(err)
	s.insert(c.t, item(2, ""))
	second, err := c.d.Watcher.Fingerprint(s.ctx, c.t)
	s.check(err)
	if v, why := c.d.Watcher.Judge(first, second); v != driver.Harmless {
		s.Errorf("an insert is judged %s: %s", v, why)
	}
	s.check(c.d.Capturer.Remove(s.ctx, c.t, s.cfg.Wait))
	third, err := c.d.Watcher.Fingerprint(s.ctx, c.t)
	s.check(err)
	if v, _ := c.d.Watcher.Judge(first, third); v == driver.Harmless {
		s.Error("that the triggers are gone is judged harmless")
	}
	s.execute(c.d, c.d.Dialect.DropTable(c.t))
	g := items
	g.columns = append(slices.Clone(items.columns), column{name: "more", typ: longText, null: true})
	t, shape := s.table(c.d, g)
	t.Number = c.t.Number
	s.check(c.d.Capturer.Install(s.ctx, t, shape, s.cfg.Wait))
	fourth, err := c.d.Watcher.Fingerprint(s.ctx, t)
	s.check(err)
	if v, why := c.d.Watcher.Judge(first, fourth); v != driver.Invalid || why == "" {
		s.Errorf("another table of the same name is judged %s: %s", v, why)
	}
}
