package drivertest

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

var reading = []string{"Executor", "Loader", "Ledger", "Reader"}

var readCases = []oneCase{
	{"BatchesOfEverySize", reading, (*scene).batchSizes},
	{"RangesAreTheTable", reading, (*scene).rangesAreTheTable},
	{"RangesOfTexts", reading, (*scene).rangesOfTexts},
	{"RangesOfPairs", reading, (*scene).rangesOfPairs},
	{"Split", append(slices.Clone(reading), "Splitter"), (*scene).split},
	{"SplitWithoutAKey", append(slices.Clone(reading), "Splitter"), (*scene).splitKeyless},
	{"ByKeys", reading, (*scene).byKeys},
	{"ByNearlyEqualKeys", []string{"Executor", "Reader"}, (*scene).byNearKeys},
	{"CommittedOnly", []string{"Executor", "Reader"}, (*scene).committedOnly},
	{"Durable", []string{"Executor", "Reader"}, (*scene).durable},
	{"SomeColumns", reading, (*scene).someColumns},
	{"Pipe", append(slices.Clone(reading), "Pipe"), (*scene).piped},
}

// filled makes a table of a design on a target and loads rows.
func (s *scene) filled(g design, rows ...[]string) (*driver.Database, *schema.Table, schema.Shape) {
	s.Helper()
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	t, shape := s.table(d, g)
	s.check(s.load(d, intake(t, shape, epoch, 1), rows...))
	return d, t, shape
}

func (s *scene) batchSizes() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	for n, rows := range [][][]string{nil, many(1, 1), many(1, 7), many(1, 12000)} {
		g := items
		g.name = fmt.Sprintf("items%d", n)
		t, shape := s.table(d, g)
		s.check(s.load(d, intake(t, shape, epoch, 1), rows...))
		s.same(g.name, s.rows(d, t, shape), lines(rows...))
		c, err := d.Reader.Read(s.ctx, driver.Query{Table: t, Shape: shape})
		s.check(err)
		b, total := row.NewBatch(shape.Width()), 0
		for err == nil {
			err = c.Fill(s.ctx, b)
			total += b.Len()
			if b.Len() > 6000 || b.Size() > 2<<20 {
				s.Errorf("a batch of %d rows, %d bytes", b.Len(), b.Size())
			}
		}
		if !errors.Is(err, io.EOF) || total != len(rows) {
			s.Errorf("%d of %d rows, then %v", total, len(rows), err)
		}
		if err := c.Fill(s.ctx, b); err == nil {
			s.Error("a spent cursor fills")
		}
		s.check(c.Close())
	}
}

// halves reads the stretches between bounds, which must be the table: each row once, and in the key's order.
func (s *scene) halves(d *driver.Database, t *schema.Table, shape schema.Shape, bounds []row.Key) {
	s.Helper()
	whole := s.all(d, driver.Query{Table: t, Shape: shape, Order: driver.KeyOrder})
	var parts []string
	var after row.Key
	for _, upto := range append(slices.Clone(bounds), nil) {
		part := s.all(d, driver.Query{Table: t, Shape: shape, Range: row.Range{After: after, Upto: upto}, Order: driver.KeyOrder})
		unordered := s.all(d, driver.Query{Table: t, Shape: shape, Range: row.Range{After: after, Upto: upto}})
		s.same("a range in any order", unordered, part)
		parts, after = append(parts, part...), upto
	}
	s.inOrder("the ranges one after another", parts, whole)
}

// bounds returns the keys of the whole table in its own order.
func (s *scene) keysInOrder(d *driver.Database, t *schema.Table, shape schema.Shape) []row.Key {
	s.Helper()
	c, err := d.Reader.Read(s.ctx, driver.Query{Table: t, Shape: shape, Order: driver.KeyOrder})
	s.check(err)
	defer c.Close()
	b := row.NewBatch(shape.Width())
	var keys []row.Key
	for err == nil {
		err = c.Fill(s.ctx, b)
		for i := range b.Len() {
			keys = append(keys, b.AppendKey(nil, i, shape.Key))
		}
	}
	if !errors.Is(err, io.EOF) {
		s.Fatal(err)
	}
	return keys
}

func (s *scene) rangesAreTheTable() {
	var rows [][]string
	for _, id := range []int{-9223372036854775808, -100, -1, 0, 1, 2, 3, 9, 10, 11, 100, 1000, 9223372036854775807} {
		rows = append(rows, []string{strconv.Itoa(id), null, "row", "1.00"})
	}
	d, t, shape := s.filled(items, rows...)
	s.halves(d, t, shape, nil)
	for _, r := range rows {
		s.halves(d, t, shape, []row.Key{key(r[0])})
	}
	s.halves(d, t, shape, []row.Key{key("-5"), key("5"), key("50")})
	s.halves(d, t, shape, s.keysInOrder(d, t, shape))
	got := s.all(d, driver.Query{Table: t, Shape: shape, Order: driver.KeyOrder})
	s.inOrder("in the key's order", got, lines(rows...))
}

func (s *scene) rangesOfTexts() {
	var rows [][]string
	for i, code := range []string{
		"", " ", "!", "-1", "0", "10", "9", "A", "a", "a ", "Aa", "aa", "B", "b", "ss", "ß", "SS", "é", "e", "e\u0301", "É", "z", "Z",
		"~", "ÿ", "日", "😀", "it's", `\`, "%", "_", "tab\t",
	} {
		rows = append(rows, []string{code, strconv.Itoa(i)})
	}
	d, t, shape := s.filled(codes, rows...)
	keys := s.keysInOrder(d, t, shape)
	if len(keys) != len(rows) {
		s.Fatalf("%d keys of %d", len(keys), len(rows))
	}
	s.halves(d, t, shape, keys)
	for i := 0; i < len(keys); i += 5 {
		s.halves(d, t, shape, keys[i:i+1])
	}
}

func (s *scene) rangesOfPairs() {
	var rows [][]string
	for i := range 60 {
		rows = append(rows, []string{strconv.Itoa(i%7 - 3), "n", []string{"a", "b", "B", "ü"}[i%4] + strconv.Itoa(i/28)})
	}
	d, t, shape := s.filled(pairs, rows...)
	keys := s.keysInOrder(d, t, shape)
	for i := 0; i < len(keys); i += 9 {
		s.halves(d, t, shape, keys[i:i+1])
	}
	s.halves(d, t, shape, keys)
	s.halves(d, t, shape, []row.Key{key("a", "100"), key("b0", "-100"), key("zz", "0")})
}

// cuts splits a table and checks what a split promises.
func (s *scene) cuts(d *driver.Database, t *schema.Table, shape schema.Shape, rows int64) []row.Range {
	s.Helper()
	var ranges []row.Range
	for r, err := range d.Splitter.Split(s.ctx, t, shape, rows) {
		s.check(err)
		ranges = append(ranges, r)
	}
	if len(ranges) == 0 || ranges[0].After != nil || ranges[len(ranges)-1].Upto != nil {
		s.Fatalf("the first and the last of %d ranges are not open: %v", len(ranges), ranges)
	}
	for i, r := range ranges {
		if r.Number != i+1 {
			s.Errorf("range %d has number %d", i+1, r.Number)
		}
		if i > 0 && !ranges[i-1].Adjoin(r) {
			s.Errorf("ranges %d and %d do not adjoin", i, i+1)
		}
	}
	return ranges
}

func (s *scene) split() {
	for _, g := range []struct {
		design
		rows [][]string
	}{{items, nil}, {items, many(1, 3)}, {items, append(many(-2000, 2000), many(1<<30, 1<<30+500)...)}, {codes, someCodes(3000)}} {
		g.name = fmt.Sprintf("%s%d", g.name, len(g.rows))
		d, t, shape := s.filled(g.design, g.rows...)
		ranges := s.cuts(d, t, shape, 500)
		if len(g.rows) > 2000 && (len(ranges) < 2 || len(ranges) > 100) {
			s.Errorf("%d ranges of 500 in %d rows", len(ranges), len(g.rows))
		}
		var parts []string
		for _, r := range ranges {
			parts = append(parts, s.all(d, driver.Query{Table: t, Shape: shape, Range: r, Order: driver.KeyOrder})...)
		}
		s.same("the ranges of "+g.name, parts, lines(g.rows...))
		s.cuts(d, t, shape, 500)
		for _, err := range d.Splitter.Split(s.ctx, t, shape, 100) {
			s.check(err)
			break // whoever asks may stop asking
		}
		s.check(d.Ledger.Drop(s.ctx))
	}
}

func someCodes(n int) [][]string {
	var rows [][]string
	for i := range n {
		rows = append(rows, []string{strings.Repeat(string(rune('A'+i*7%50)), 1+i%3) + strconv.Itoa(i*7919%n), "n"})
	}
	return rows
}

func (s *scene) splitKeyless() {
	g := items
	g.key = nil
	d, t, shape := s.filled(g, append(many(1, 700), many(1, 10)...)...)
	if ranges := s.cuts(d, t, shape, 100); len(ranges) != 1 || !ranges[0].Whole() {
		s.Errorf("a table without a key was cut: %v", ranges)
	}
	s.same("rows, twice where they are twice", s.rows(d, t, shape), lines(append(many(1, 700), many(1, 10)...)...))
}

func (s *scene) byKeys() {
	d, t, shape := s.filled(items, many(1, 4000)...)
	ask := func(order driver.Order, ids ...int) []string {
		keys := row.NewBatch(1)
		for _, id := range ids {
			keys.AppendString(strconv.Itoa(id))
		}
		return s.all(d, driver.Query{Table: t, Shape: shape, Keys: keys, Order: order})
	}
	s.same("no keys", ask(driver.AnyOrder), nil)
	s.same("one key", ask(driver.AnyOrder, 7), lines(item(7, "")))
	s.same("missing keys", ask(driver.AnyOrder, 0, -1, 4001), nil)
	s.same("some missing", ask(driver.AnyOrder, 4001, 9, 0, 3), lines(item(3, ""), item(9, "")))
	s.inOrder("in the key's order", ask(driver.KeyOrder, 30, 4, 100, 5), lines(item(4, ""), item(5, ""), item(30, ""), item(100, "")))
	var ids []int
	for id := 6000; id > 0; id -= 2 {
		ids = append(ids, id)
	}
	var want [][]string
	for id := 2; id <= 4000; id += 2 {
		want = append(want, item(id, ""))
	}
	s.same("many keys", ask(driver.AnyOrder, ids...), lines(want...))

	d2, p, pshape := s.filled(pairs, []string{"1", "x", "a"}, []string{"2", "y", "a"}, []string{"1", "z", "b"})
	got := s.all(d2, driver.Query{Table: p, Shape: pshape, Keys: batch(2, []string{"a", "2"}, []string{"b", "1"}, []string{"b", "2"})})
	s.same("pairs", got, lines([]string{"2", "y", "a"}, []string{"1", "z", "b"}))
}

// byNearKeys asks for keys that a collation holds equal to those that are there.
func (s *scene) byNearKeys() {
	d := s.open(driver.Source)
	types := map[string]schema.Type{"exact": shortText, "folded": s.cfg.Folded}
	for name, typ := range types {
		if name == "folded" && !s.cfg.folds() {
			continue
		}
		g := codes
		g.name, g.columns = name, slices.Clone(codes.columns)
		g.columns[0] = column{name: "code", typ: typ, own: name == "folded"}
		g.columns[0].typ.Kind = row.Text
		t, shape := s.table(d, g)
		s.insert(t, []string{"Ada", "1"}, []string{"bob", "2"}, []string{"ss", "3"})
		for range 2 {
			got := s.all(d, driver.Query{Table: t, Shape: shape, Keys: batch(1, []string{"ada"}, []string{"Ada "}, []string{"BOB"}, []string{"ß"})})
			s.same(name+": nearly equal keys", got, nil)
			got = s.all(d, driver.Query{Table: t, Shape: shape, Keys: batch(1, []string{"Ada"}, []string{"ada"}, []string{"bob"})})
			s.same(name+": equal keys, each row once", got, lines([]string{"Ada", "1"}, []string{"bob", "2"}))
		}
	}
}

func (s *scene) committedOnly() {
	d := s.open(driver.Source)
	t, shape := s.table(d, items)
	s.insert(t, item(1, ""))
	x := s.place.App.Begin(s.T)
	s.check(x.Insert(t, cells(item(2, "")...)...))
	s.same("before the commit", s.rows(d, t, shape), lines(item(1, "")))
	s.check(x.Commit())
	s.same("after the commit", s.rows(d, t, shape), lines(item(1, ""), item(2, "")))
}

// durable asks for it after the last Fill, on the cursor's own session; a server may take its time to flush its log, so
// that other cases do not ask.
func (s *scene) durable() {
	for _, side := range []driver.Side{driver.Source, driver.Target} {
		d := s.open(side)
		g := items
		g.name = "items_" + string(side)
		t, shape := s.table(d, g)
		s.insert(t, many(1, 10)...)
		for _, r := range []row.Range{{}, {After: key("100")}} {
			c, err := d.Reader.Read(s.ctx, driver.Query{Table: t, Shape: shape, Range: r})
			s.check(err)
			b := row.NewBatch(shape.Width())
			for err == nil {
				err = c.Fill(s.ctx, b)
			}
			if !errors.Is(err, io.EOF) {
				s.Fatal(err)
			}
			s.check(c.Durable(s.ctx))
			s.check(c.Durable(s.ctx))
			s.check(c.Close())
		}
	}
}

func (s *scene) someColumns() {
	d, t, shape := s.filled(items, item(1, "ada"), item(2, ""))
	s.same("picked columns", s.rows(d, t, shape.Pick([]int{3, 0})), lines([]string{"1.50", "1"}, []string{"2.50", "2"}))
	s.same("keys", s.rows(d, t, shape.Keys()), lines([]string{"1"}, []string{"2"}))
}

func (s *scene) piped() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	from, shape := s.table(d, items)
	g := items
	g.name = "copy"
	to, toShape := s.table(d, g)
	s.check(s.load(d, intake(from, shape, epoch, 1), many(1, 3000)...))
	if f := d.Pipe.Format(from, shape); f == "" || f != d.Pipe.Format(to, toShape) {
		s.Fatalf("formats %q and %q of equal tables", f, d.Pipe.Format(to, toShape))
	}
	in := intake(to, toShape, epoch, 1)
	_, err := s.pipe(d, driver.Query{Table: from, Shape: shape}, in, func(int64) error { return io.ErrUnexpectedEOF })
	if err == nil {
		s.Fatal("a range that was not confirmed went in")
	}
	s.same("not confirmed", s.rows(d, to, toShape), nil)
	n, err := s.pipe(d, driver.Query{Table: from, Shape: shape, Range: row.Range{After: key("10")}}, in, func(int64) error { return nil })
	s.check(err)
	if n != 2990 {
		s.Errorf("%d rows went in, want 2990", n)
	}
	s.same("piped", s.rows(d, to, toShape), lines(many(11, 3000)...))
	_, err = s.pipe(d, driver.Query{Table: from, Shape: shape}, in, func(int64) error { return nil })
	s.class(d, err, driver.Exists)
	ranges, err := d.Ledger.Ranges(s.ctx, to)
	s.check(err)
	if ranges[1] != 2990 {
		s.Errorf("the ledger says %v", ranges)
	}
}

// pipe runs both ends; the error of the end that takes in counts first.
func (s *scene) pipe(d *driver.Database, q driver.Query, in driver.Intake, confirm func(int64) error) (int64, error) {
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		_, err := d.Pipe.Out(s.ctx, q, w)
		_ = w.CloseWithError(err)
		sent <- err
	}()
	n, err := d.Pipe.In(s.ctx, in, r, confirm)
	_ = r.Close()
	if out := <-sent; err == nil {
		err = out
	}
	return n, err
}
