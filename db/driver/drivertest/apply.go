package drivertest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

var applying = []string{"Executor", "Loader", "Ledger", "Reader", "Lists", "Applier"}

var applyCases = []oneCase{
	{"InsertUpdateDelete", applying, (*scene).applyAll},
	{"TheSameNumberAgain", applying, (*scene).applyAgain},
	{"AnOldEpoch", applying, (*scene).applyFenced},
	{"Lanes", applying, (*scene).applyLanes},
	{"FailsAsAWhole", applying, (*scene).applyFails},
	{"SwappedRows", applying, (*scene).applySwap},
	{"SwappedUniqueValues", applying, (*scene).applyUniqueSwap},
	{"DisplacedRowsAreRepaired", applying, (*scene).applyDisplaced},
	{"ManyDisplaced", applying, (*scene).applyManyDisplaced},
	{"KeysByteForByte", applying, (*scene).applyExact},
	{"KeysThatDifferInCase", applying, (*scene).applyFolded},
	{"PairsOfKeys", applying, (*scene).applyPairs},
	{"ForeignKeysDoNotCascade", applying, (*scene).applyCascade},
	{"LargeBatches", applying, (*scene).applyLarge},
	{"Part", applying, (*scene).part},
}

// ready is a target with one loaded table.
type ready struct {
	*scene
	d      *driver.Database
	t      *schema.Table
	shape  schema.Shape
	epoch  int64
	number int64
}

func (s *scene) ready(g design, rows ...[]string) *ready {
	s.Helper()
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	t, shape := s.table(d, g)
	s.check(s.load(d, intake(t, shape, epoch, 1), rows...))
	return &ready{scene: s, d: d, t: t, shape: shape, epoch: epoch}
}

// delta makes the next batch: these keys shall have these rows.
func (r *ready) delta(keys []string, rows ...[]string) driver.Delta {
	r.number++
	b := row.NewBatch(len(r.shape.Key))
	for _, k := range keys {
		b.AppendString(k)
	}
	return driver.Delta{
		Table: r.t, Shape: r.shape, Epoch: r.epoch, Number: r.number, By: promiser, Keys: b, Images: batch(r.shape.Width(), rows...),
	}
}

func (r *ready) apply(keys []string, rows ...[]string) {
	r.Helper()
	r.check(r.d.Applier.Apply(r.ctx, r.delta(keys, rows...)))
}

func (r *ready) want(what string, rows ...[]string) {
	r.Helper()
	r.same(what, r.rows(r.d, r.t, r.shape), lines(rows...))
}

// listed checks what a list holds and returns the stamp.
func (r *ready) listed(l driver.List, want ...string) (*row.Batch, int64) {
	r.Helper()
	keys := row.NewBatch(len(r.shape.Key))
	stamp, err := r.d.Lists.Peek(r.ctx, l, r.t, 100000, keys)
	r.check(err)
	var rows [][]string
	for _, k := range want {
		rows = append(rows, []string{k})
	}
	r.same("the list of "+string(l), show(keys), lines(rows...))
	n, err := r.d.Lists.Count(r.ctx, l, r.t)
	r.check(err)
	if n != int64(len(want)) {
		r.Fatalf("Count says %d, the list holds %d", n, len(want))
	}
	return keys, stamp
}

// promiser is the epoch of who promised what the suite applies: another than applies it.
const promiser = 41

func (r *ready) numbered(lane int, want int64) {
	r.Helper()
	n, err := r.d.Ledger.Number(r.ctx, r.t, lane)
	r.check(err)
	if n.Number != want || want > 0 && n.By != promiser {
		r.Fatalf("the ledger's number of lane %d is %+v, want %d of epoch %d", lane, n, want, promiser)
	}
}

func (s *scene) applyAll() {
	r := s.ready(items, item(1, "one"), item(2, "two"), item(3, "three"))
	r.numbered(0, 0)
	r.apply([]string{"1", "2", "4", "99"}, item(1, "uno"), item(4, "four"))
	r.want("after the batch", item(1, "uno"), item(3, "three"), item(4, "four"))
	r.numbered(0, 1)
	r.listed(driver.Repairs)
	r.listed(driver.Changed)
	r.apply([]string{"1", "3", "4", "5"}, []string{"3", null, null, null}, item(5, ""))
	r.want("NULLs", []string{"3", null, null, null}, item(5, ""))
	r.apply([]string{"77"})
	r.apply(nil)
	r.numbered(0, 4)
	r.want("nothing to do", []string{"3", null, null, null}, item(5, ""))
}

func (s *scene) applyAgain() {
	r := s.ready(items, item(1, ""))
	d := r.delta([]string{"1"}, item(1, "first"))
	d.Note = true
	s.check(r.d.Applier.Apply(s.ctx, d))
	other := d
	other.Keys, other.Images = batch(1, []string{"1"}, []string{"2"}), batch(4, item(1, "second"), item(2, "never"))
	for _, again := range []driver.Delta{d, other} {
		s.class(r.d, r.d.Applier.Apply(s.ctx, again), driver.Exists)
		r.want("the number was done", item(1, "first"))
		r.listed(driver.Changed, "1")
	}
	r.numbered(0, 1)
	r.number = 5
	if err := r.d.Applier.Apply(s.ctx, r.delta([]string{"1"})); err == nil {
		s.Error("a batch was applied though others are missing before it")
	}
	r.want("a gap in the numbers", item(1, "first"))
}

func (s *scene) applyFenced() {
	r := s.ready(items, item(1, ""))
	newer := s.open(driver.Target)
	before, err := newer.Ledger.Epoch(s.ctx)
	s.check(err)
	s.check(r.d.Ledger.Current(s.ctx, r.epoch))
	epoch, err := newer.Ledger.TakeOver(s.ctx)
	s.check(err)
	s.check(newer.Ledger.Current(s.ctx, epoch))
	s.class(r.d, r.d.Ledger.Current(s.ctx, r.epoch), driver.Fenced)
	now, err := r.d.Ledger.Epoch(s.ctx)
	s.check(err)
	if before != r.epoch || now != epoch || epoch != before+1 {
		s.Errorf("epoch %d wrote, the ledger said %d; %d took over, the ledger says %d", r.epoch, before, epoch, now)
	}
	late := r.delta([]string{"1"})
	for range 2 {
		s.class(r.d, r.d.Applier.Apply(s.ctx, late), driver.Fenced)
	}
	_, err = r.d.Applier.Part(s.ctx, r.t, r.shape, keyOf("x", []string{"name"}), r.epoch)
	s.class(r.d, err, driver.Fenced)
	r.want("untouched", item(1, ""))
	r.numbered(0, 0)
	late.Epoch = epoch
	s.check(newer.Applier.Apply(s.ctx, late))
	r.want("the newer epoch's")
	late = r.delta([]string{"1"}, item(1, "late"))
	late.Epoch = r.epoch
	for late.Number = range int64(3) { // 2 is the next of a lane whose line is there
		s.class(r.d, r.d.Applier.Apply(s.ctx, late), driver.Fenced)
	}
	r.want("still the newer epoch's")
}

func (s *scene) applyLanes() {
	r := s.ready(items)
	for lane := range 3 {
		for n := range int64(2) {
			d := r.delta([]string{strconv.Itoa(lane)}, item(lane, strconv.Itoa(int(n))))
			d.Lane, d.Number = lane, n+1
			s.check(r.d.Applier.Apply(s.ctx, d))
		}
	}
	r.want("three lanes", item(0, "1"), item(1, "1"), item(2, "1"))
	for lane := range 3 {
		r.numbered(lane, 2)
	}
	r.numbered(3, 0)
}

func (s *scene) applyFails() {
	g := items
	g.columns = slices.Clone(items.columns)
	g.columns[1].null = false
	r := s.ready(g, item(1, "one"), item(2, "two"))
	d := r.delta([]string{"1", "2", "3"}, item(1, "uno"), item(3, ""))
	d.Note = true
	if err := r.d.Applier.Apply(s.ctx, d); err == nil {
		s.Fatal("NULL went into a column that has none")
	}
	r.want("after the error", item(1, "one"), item(2, "two"))
	r.numbered(0, 0)
	r.listed(driver.Changed)
	d.Images = batch(4, item(1, "uno"), item(3, "tre"))
	s.check(r.d.Applier.Apply(s.ctx, d))
	r.want("the same number with good rows", item(1, "uno"), item(3, "tre"))
	r.listed(driver.Changed, "1", "2", "3")
}

func (s *scene) applySwap() {
	r := s.ready(items, item(1, "a"), item(2, "b"), item(3, "c"))
	a, b, c := item(1, "a"), item(2, "b"), item(3, "c")
	a[0], b[0], c[0] = "2", "3", "1"
	r.apply([]string{"1", "2", "3"}, a, b, c)
	r.want("rotated keys", a, b, c)
	r.listed(driver.Repairs)
}

func (s *scene) applyUniqueSwap() {
	r := s.ready(named(), item(1, "a"), item(2, "b"), item(3, "c"), item(4, ""), item(5, ""))
	r.apply([]string{"1", "2", "3"}, item(1, "b"), item(2, "c"), item(3, "a"))
	r.want("within a batch", item(1, "b"), item(2, "c"), item(3, "a"), item(4, ""), item(5, ""))
	r.listed(driver.Repairs)
	r.apply([]string{"4", "6"}, item(4, ""), item(6, ""))
	r.listed(driver.Repairs)
	r.apply([]string{"1", "6"}, item(6, "b"))
	r.want("a value moved on", item(2, "c"), item(3, "a"), item(4, ""), item(5, ""), item(6, "b"))
	r.listed(driver.Repairs)
}

// applyDisplaced swaps a unique value over two batches: what the first displaces is on the repair list until it is mended.
func (s *scene) applyDisplaced() {
	r := s.ready(named(), item(1, "a"), item(2, "b"), item(3, "c"))
	d := r.delta([]string{"1"}, item(1, "b"))
	d.Note = true
	s.check(r.d.Applier.Apply(s.ctx, d))
	r.want("the first batch", item(1, "b"), item(3, "c"))
	mended, stamp := r.listed(driver.Repairs, "2")
	r.listed(driver.Changed, "1")

	d = r.delta([]string{"2"}, item(2, "a"))
	d.Mended, d.Stamp = mended, stamp
	s.check(r.d.Applier.Apply(s.ctx, d))
	s.class(r.d, r.d.Applier.Apply(s.ctx, d), driver.Exists)
	r.want("the second batch", item(1, "b"), item(2, "a"), item(3, "c"))
	r.listed(driver.Repairs)

	// A row that is displaced again after it was peeked stays on the list.
	r.apply([]string{"1"}, item(1, "c"))
	mended, stamp = r.listed(driver.Repairs, "3")
	r.apply([]string{"3"}, item(3, "d"))
	r.apply([]string{"1"}, item(1, "d"))
	d = r.delta([]string{"4"}, item(4, "x"))
	d.Mended, d.Stamp = mended, stamp
	s.check(r.d.Applier.Apply(s.ctx, d))
	r.listed(driver.Repairs, "3")
	r.want("displaced again", item(1, "d"), item(2, "a"), item(4, "x"))
}

func (s *scene) applyManyDisplaced() {
	var before, after [][]string
	var keys, displaced []string
	for i := range 300 {
		before = append(before, item(i, "n"+strconv.Itoa(i)))
		displaced = append(displaced, strconv.Itoa(i))
		after = append(after, item(1000+i, "n"+strconv.Itoa((i+7)%300)))
		keys = append(keys, strconv.Itoa(1000+i))
	}
	r := s.ready(named(), before...)
	r.apply(keys, after...)
	r.want("all displaced", after...)
	r.listed(driver.Repairs, displaced...)
}

func (s *scene) applyExact() {
	var rows, kept [][]string
	for i, code := range []string{"a", "A", "a ", " a", "á", "a\u0301", "ß", "ss", `\`, "'", "", " "} {
		rows = append(rows, []string{code, strconv.Itoa(i)})
	}
	r := s.ready(codes, rows...)
	r.apply([]string{"A", "ss", "", "missing", "Á"})
	for _, one := range rows {
		if !slices.Contains([]string{"A", "ss", ""}, one[0]) {
			kept = append(kept, one)
		}
	}
	r.want("exactly these keys", kept...)
	r.listed(driver.Repairs)
	r.apply([]string{"a", "á", `\`}, []string{"a", "new"}, []string{`\`, "new"})
	for i := range kept {
		if kept[i][0] == "a" || kept[i][0] == `\` {
			kept[i] = []string{kept[i][0], "new"}
		}
	}
	r.want("rewritten", slices.DeleteFunc(kept, func(one []string) bool { return one[0] == "á" })...)
}

func (s *scene) applyPairs() {
	r := s.ready(pairs, []string{"1", "x", "a"}, []string{"2", "y", "a"}, []string{"1", "z", "b"})
	d := r.delta([]string{"a", "1", "b", "2"}, []string{"2", "new", "b"}) // two keys, (a, 1) and (b, 2)
	d.Note = true
	s.check(r.d.Applier.Apply(s.ctx, d))
	r.want("pairs", []string{"2", "y", "a"}, []string{"1", "z", "b"}, []string{"2", "new", "b"})
	keys := row.NewBatch(2)
	_, err := r.d.Lists.Peek(s.ctx, driver.Changed, r.t, 10, keys)
	s.check(err)
	s.same("changed", show(keys), lines([]string{"a", "1"}, []string{"b", "2"}))
}

// applyCascade rewrites and removes a parent: its child stays as it is, whatever its foreign key says.
func (s *scene) applyCascade() {
	r := s.ready(items, item(1, "a"), item(2, "b"))
	child, shape := s.translate(r.d, design{
		name: "lines", columns: []column{{name: "id", typ: int64Type}, {name: "item", typ: int64Type, null: true}}, key: []string{"id"},
	})
	child.Foreign = []*schema.ForeignKey{{
		Name: "lines_item", Columns: []string{"item"}, Parent: r.t.Name, ParentCols: []string{"id"},
		OnDelete: schema.Cascade, OnUpdate: schema.Cascade,
	}}
	s.execute(r.d, r.d.Dialect.CreateTable(child))
	s.execute(r.d, r.d.Dialect.CreateKeys(child))
	s.check(s.load(r.d, intake(child, shape, r.epoch, 1), []string{"1", "1"}, []string{"2", "2"}))
	s.check(s.proven(r.d, firstOf(r.d.Dialect.CreateConstraints(child)), nil))
	r.apply([]string{"1", "2"}, item(1, "uno"))
	r.want("parents", item(1, "uno"))
	s.same("children", s.rows(r.d, child, shape), lines([]string{"1", "1"}, []string{"2", "2"}))
}

func firstOf(add, _ []driver.Statement) []driver.Statement { return add }

func (s *scene) applyLarge() {
	r := s.ready(items, many(1, 3000)...)
	var keys []string
	var rows, want [][]string
	for i := 1; i <= 5000; i++ {
		keys = append(keys, strconv.Itoa(i))
		if i%3 != 0 {
			rows = append(rows, item(i, strconv.Itoa(i)))
		}
	}
	want = append(want, rows...)
	r.apply(keys, rows...)
	r.want("5,000 keys", want...)
	huge := []string{"7", null, strings.Repeat("0123456789abcdef", 1<<16), null}
	r.apply([]string{"7"}, huge)
	for i := range want {
		if want[i][0] == "7" {
			want[i] = huge
		}
	}
	r.want("1 MiB", want...)
}

func (s *scene) part() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	g := named()
	t, shape := s.translate(d, g)
	uniques := t.Uniques
	t.Uniques = nil
	s.execute(d, d.Dialect.CreateTable(t))
	s.execute(d, d.Dialect.CreateKeys(t))
	r := &ready{scene: s, d: d, t: t, shape: shape, epoch: epoch}
	s.check(s.load(d, intake(t, shape, epoch, 1),
		item(1, "a"), item(2, "b"), item(3, "a"), item(4, ""), item(5, ""), item(6, "a"), item(7, "c"), item(8, "c"), item(9, "A")))
	n, err := d.Applier.Part(s.ctx, t, shape, uniques[0], epoch)
	s.check(err)
	if n != 5 {
		s.Errorf("%d rows parted, want 5", n)
	}
	r.want("what shares no value", item(2, "b"), item(4, ""), item(5, ""), item(9, "A"))
	r.listed(driver.Repairs, "1", "3", "6", "7", "8")
	n, err = d.Applier.Part(s.ctx, t, shape, uniques[0], epoch)
	s.check(err)
	if n != 0 {
		s.Errorf("%d rows parted the second time", n)
	}
	t.Uniques, t.Primary = uniques, nil
	s.execute(d, d.Dialect.CreateKeys(t))
}

var listCases = []oneCase{
	{"StrikeUpToAStamp", applying, (*scene).strike},
	{"PeekAtMost", applying, (*scene).peek},
	{"PutAndListed", applying, (*scene).putAndListed},
	{"ClearedWithTheTable", applying, (*scene).listsCleared},
}

// note applies a batch that puts keys on the changed list.
func (r *ready) note(keys ...string) {
	r.Helper()
	d := r.delta(keys)
	d.Note = true
	r.check(r.d.Applier.Apply(r.ctx, d))
}

func (s *scene) strike() {
	r := s.ready(items)
	r.listed(driver.Changed)
	r.note("1", "2", "3")
	peeked, stamp := r.listed(driver.Changed, "1", "2", "3")
	r.note("2", "4")
	for range 2 {
		s.check(r.d.Lists.Strike(s.ctx, driver.Changed, r.t, peeked, stamp))
		r.listed(driver.Changed, "2", "4")
	}
	s.check(r.d.Lists.Strike(s.ctx, driver.Repairs, r.t, peeked, stamp+1000))
	rest, stamp := r.listed(driver.Changed, "2", "4")
	s.check(r.d.Lists.Strike(s.ctx, driver.Changed, r.t, batch(1), stamp))
	s.check(r.d.Lists.Strike(s.ctx, driver.Changed, r.t, batch(1, []string{"99"}), stamp))
	s.check(r.d.Lists.Strike(s.ctx, driver.Changed, r.t, rest, stamp))
	r.listed(driver.Changed)
	r.note("2")
	r.listed(driver.Changed, "2")
}

func (s *scene) peek() {
	r := s.ready(items)
	var keys []string
	for i := range 2500 {
		keys = append(keys, strconv.Itoa(i))
	}
	r.note(keys...)
	seen := map[string]bool{}
	for range 100 {
		b := row.NewBatch(1)
		stamp, err := r.d.Lists.Peek(s.ctx, driver.Changed, r.t, 600, b)
		s.check(err)
		if b.Len() > 600 {
			s.Fatalf("%d keys, 600 at most", b.Len())
		}
		if b.Len() == 0 {
			break
		}
		for i := range b.Len() {
			seen[string(b.Cell(i, 0))] = true
		}
		s.check(r.d.Lists.Strike(s.ctx, driver.Changed, r.t, b, stamp))
	}
	if len(seen) != len(keys) {
		s.Errorf("%d keys seen, want %d", len(seen), len(keys))
	}
	r.listed(driver.Changed)
}

// putAndListed puts keys on the repair list as a comparison does: they stand there until they are struck, with a stamp of
// their own, and a key is found by its bytes alone.
func (s *scene) putAndListed() {
	r := s.ready(codes, []string{"a", "first"})
	put := batch(1, []string{"a"}, []string{"A"}, []string{"a "}, []string{"gone"})
	for range 2 {
		s.check(r.d.Lists.Put(s.ctx, driver.Repairs, r.t, put))
		r.listed(driver.Repairs, "a", "A", "a ", "gone")
	}
	r.listed(driver.Changed)
	found := batch(1)
	s.check(r.d.Lists.Listed(s.ctx, driver.Repairs, r.t, batch(1, []string{"A"}, []string{"b"}, []string{""}, []string{"gone"}), found))
	s.same("listed", show(found), lines([]string{"A"}, []string{"gone"}))
	s.check(r.d.Lists.Listed(s.ctx, driver.Changed, r.t, put, found))
	s.same("nothing of the other list", show(found), lines([]string{"A"}, []string{"gone"}))
	peeked, stamp := r.listed(driver.Repairs, "a", "A", "a ", "gone")
	s.check(r.d.Lists.Put(s.ctx, driver.Repairs, r.t, batch(1, []string{"a "})))
	s.check(r.d.Lists.Strike(s.ctx, driver.Repairs, r.t, peeked, stamp))
	r.listed(driver.Repairs, "a ")
	var many [][]string
	for i := range 2500 {
		many = append(many, []string{strconv.Itoa(i)})
	}
	all := batch(1)
	s.check(r.d.Lists.Put(s.ctx, driver.Changed, r.t, batch(1, many...)))
	s.check(r.d.Lists.Listed(s.ctx, driver.Changed, r.t, batch(1, many...), all))
	if all.Len() != len(many) {
		s.Errorf("%d keys of %d are listed", all.Len(), len(many))
	}
}

func (s *scene) listsCleared() {
	r := s.ready(named(), item(1, "a"))
	d := r.delta([]string{"2"}, item(2, "a"))
	d.Note = true
	s.check(r.d.Applier.Apply(s.ctx, d))
	r.listed(driver.Repairs, "1")
	r.listed(driver.Changed, "2")
	s.check(r.d.Ledger.Clear(s.ctx, r.t, r.epoch))
	r.listed(driver.Repairs)
	r.listed(driver.Changed)
	r.numbered(0, 0)
	r.number = 0
	r.apply([]string{"5"}, item(5, "x"))
	r.want("the first batch again", item(5, "x"))
	r.numbered(0, 1)
}
