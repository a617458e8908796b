package verify_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/driver/drivertest"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/db/mysql"
	"github.com/whimbrel/whimbrel/db/postgres"
	"github.com/whimbrel/whimbrel/db/sqlite"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// product is a database that a comparison's side can be on.
type product struct {
	name  string
	fresh func(t *testing.T) func(driver.Side) *driver.Database
}

// products are the real ones and the one in memory.
func products() []product {
	server := func(d driver.Driver, start func(testing.TB) string) func(*testing.T) func(driver.Side) *driver.Database {
		return func(t *testing.T) func(driver.Side) *driver.Database {
			u, err := url.Parse(start(t))
			check(t, err)
			return func(side driver.Side) *driver.Database {
				opened, err := d.Open(t.Context(), u, driver.Options{Side: side, Run: "twins", Sessions: 3})
				check(t, err)
				t.Cleanup(func() { check(t, opened.Close()) })
				return opened
			}
		}
	}
	return []product{
		{"memory", func(*testing.T) func(driver.Side) *driver.Database { return memory.New("twins").Open }},
		{"postgres", server(postgres.Driver, testserver.Postgres)},
		{"mariadb", server(mysql.Driver, testserver.MariaDB)},
		{"sqlite", server(sqlite.Driver, testserver.SQLite)},
	}
}

func TestMain(m *testing.M) { testserver.Main(m) }

// end is one side's database with its table.
type end struct {
	reads, writes *driver.Database
	table         *schema.Table
	shape         schema.Shape
	epoch, ranges int64
}

// column is a column of a table on both sides, in the words of neither.
type column struct {
	name string
	typ  schema.Type
	null bool
}

// newEnd makes a table as a move would: with the types that the product's dialect carries.
func newEnd(t *testing.T, open func(driver.Side) *driver.Database, side driver.Side, columns []column, keyed bool) *end {
	t.Helper()
	e := &end{writes: open(driver.Target)}
	e.table = &schema.Table{Name: schema.Name{Schema: e.writes.Info.Schema, Name: "twins"}, Number: 1}
	for i, c := range columns {
		typ, _ := e.writes.Dialect.Carry(c.typ, keyed && i == 0)
		made := &schema.Column{Name: c.name, Type: typ, Null: c.null}
		digits := 0
		if c.typ.Kind != row.Decimal {
			digits = min(c.typ.Scale, e.writes.Info.Limits.Seconds)
		}
		e.table.Columns = append(e.table.Columns, made)
		e.shape.Columns = append(e.shape.Columns, schema.ShapeColumn{Column: made, Cell: c.typ.Kind, Scale: c.typ.Scale, Digits: digits})
	}
	if keyed {
		e.table.Primary = &schema.Key{Name: "twins_pk", Columns: []schema.Part{{Column: columns[0].name}}, Constraint: true}
		e.shape.Key = []int{0}
	}
	for _, s := range slices.Concat(e.writes.Dialect.CreateTable(e.table), e.writes.Dialect.CreateKeys(e.table)) {
		check(t, e.writes.Executor.Execute(t.Context(), s))
	}
	check(t, e.writes.Ledger.Prepare(t.Context(), "twins"))
	var err error
	e.epoch, err = e.writes.Ledger.TakeOver(t.Context())
	check(t, err)
	e.reads = open(side)
	return e
}

// load brings rows in.
func (e *end) load(t *testing.T, rows ...[][]byte) {
	t.Helper()
	e.ranges++
	l, err := e.writes.Loader.Load(t.Context(), driver.Intake{Table: e.table, Shape: e.shape, Epoch: e.epoch, Range: row.Range{Number: int(e.ranges)}})
	check(t, err)
	defer l.Close()
	check(t, l.Write(t.Context(), batchOf(e.shape.Width(), rows...)))
	_, err = l.Commit(t.Context())
	check(t, err)
}

// apply makes the rows of these keys those given.
func (e *end) apply(ctx context.Context, keys [][][]byte, rows ...[][]byte) error {
	last, err := e.writes.Ledger.Number(ctx, e.table, 0)
	if err != nil {
		return err
	}
	return e.writes.Applier.Apply(ctx, driver.Delta{
		Table: e.table, Shape: e.shape, Epoch: e.epoch, Number: last.Number + 1, Keys: batchOf(1, keys...), Images: batchOf(e.shape.Width(), rows...),
	})
}

func batchOf(width int, rows ...[][]byte) *row.Batch {
	b := row.NewBatch(width)
	for _, r := range rows {
		for _, cell := range r {
			if cell == nil {
				b.AppendNull()
			} else {
				b.Append(cell)
			}
		}
	}
	return b
}

func pairOf(source, target *end) verify.Pair {
	return verify.Pair{
		Source: verify.Side{Database: source.reads, Table: source.table, Shape: source.shape},
		Target: verify.Side{Database: target.writes, Table: target.table, Shape: target.shape}, Seed: 99,
	}
}

// found compares in full and by key, and fails the test unless exactly these keys differ, each as it should.
func found(t *testing.T, p verify.Pair, what string, want map[string]verify.What) {
	t.Helper()
	tally, err := verify.Compare(t.Context(), p, 100)
	check(t, err)
	got := map[string]verify.What{}
	for _, d := range tally.Differing {
		cells, err := row.Key(d.Key).Cells()
		check(t, err)
		got[string(cells[0])] = d.What
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: found %v, want %v", what, got, want)
		return
	}
	keys := row.NewBatch(1)
	for key := range want {
		keys.AppendString(key)
	}
	byKey, err := verify.Keys(t.Context(), p, keys)
	check(t, err)
	if len(byKey) != len(want) {
		t.Errorf("%s: %d of %d keys differ when they are compared by key", what, len(byKey), len(want))
	}
}

// corpus is a table with a column of every kind that both products keep, and rows whose cells go through all values of each.
func corpus(source, target *driver.Database) (columns []column, rows [][][]byte) {
	columns = []column{{name: "id", typ: schema.Type{Kind: row.Int, Precision: 64}}}
	var cells [][]drivertest.Cell
	longest := 0
	for _, sample := range drivertest.Kinds() {
		kept := slices.DeleteFunc(drivertest.Carried(source, sample), func(c drivertest.Cell) bool {
			return len(c.Text) > 8<<10 || !slices.Contains(drivertest.Carried(target, sample), c)
		})
		if len(kept) == 0 {
			continue
		}
		columns = append(columns, column{name: "c_" + sample.Name, typ: sample.Type, null: true})
		cells, longest = append(cells, kept), max(longest, len(kept))
	}
	for i := range longest {
		r := [][]byte{[]byte(strconv.Itoa(i))}
		for _, of := range cells {
			r = append(r, []byte(of[i%len(of)].Text))
		}
		rows = append(rows, r)
	}
	empty := make([][]byte, len(columns))
	empty[0] = []byte("1000")
	return columns, append(rows, empty)
}

// change is a row with one cell that is another.
type change struct {
	what       string
	row, other [][]byte
}

// twinned are all changes of one cell of a table to one of its twins, each once.
func twinned(columns []column, rows [][][]byte) (all []change) {
	for i, c := range columns[1:] {
		for _, cell := range sampled(rows, i+1) {
			at := slices.IndexFunc(rows, func(r [][]byte) bool { return bytes.Equal(r[i+1], cell) && (r[i+1] == nil) == (cell == nil) })
			for _, twin := range twins(c.typ, cell, sampled(rows, i+1)) {
				x := change{fmt.Sprintf("%s of row %d: %.60q is %.60q", c.name, at, cell, twin), rows[at], slices.Clone(rows[at])}
				x.other[i+1] = twin
				all = append(all, x)
			}
		}
	}
	return all
}

// seeded is what this run's choices are made from, and how many of the changes one is taken of: WHIMBREL_SEED, or the day, and
// one in ten; WHIMBREL_TWINS=1 takes all.
func seeded(t *testing.T) (rnd *rand.Rand, every int) {
	t.Helper()
	seed, every := uint64(time.Now().Unix()/86400), 10
	for name, use := range map[string]func(n uint64){"WHIMBREL_SEED": func(n uint64) { seed = n }, "WHIMBREL_TWINS": func(n uint64) { every = int(n) }} {
		if s := os.Getenv(name); s != "" {
			n, err := strconv.ParseUint(s, 10, 32)
			check(t, err)
			use(n)
		}
	}
	t.Logf("WHIMBREL_SEED=%d WHIMBREL_TWINS=%d", seed, every)
	return rand.New(rand.NewPCG(seed, 9)), every
}

// TestEveryKindOfDifferenceIsFoundInEveryProduct holds the comparison of every pair of products over the whole corpus of types: equal
// data is equal, and one cell that is another is found at its key, whatever its kind.
func TestEveryKindOfDifferenceIsFoundInEveryProduct(t *testing.T) {
	all := products()
	rnd, every := seeded(t)
	for _, from := range all {
		for _, to := range all {
			if (from.name == "memory") != (to.name == "memory") {
				continue
			}
			t.Run(from.name+"/"+to.name, func(t *testing.T) {
				openSource, openTarget := from.fresh(t), to.fresh(t)
				columns, rows := corpus(openSource(driver.Target), openTarget(driver.Target))
				source, target := newEnd(t, openSource, driver.Source, columns, true), newEnd(t, openTarget, driver.Target, columns, true)
				changed := 0
				source.load(t, rows...)
				target.load(t, rows...)
				p := pairOf(source, target)
				found(t, p, "equal data", map[string]verify.What{})
				all := twinned(columns, rows)
				for _, x := range all {
					if rnd.IntN(every) > 0 {
						continue
					}
					changed++
					if err := target.apply(t.Context(), [][][]byte{x.row[:1]}, x.other); err != nil {
						t.Fatalf("%s: %v", x.what, err)
					}
					found(t, p, x.what, map[string]verify.What{string(x.row[0]): verify.Unlike})
					check(t, target.apply(t.Context(), [][][]byte{x.row[:1]}, x.row))
				}
				found(t, p, "after all", map[string]verify.What{})
				if changed < len(all)/every/2 || changed < 40 {
					t.Errorf("only %d cells of %d were changed", changed, len(all))
				}
				t.Logf("verified %s/%s: %d kinds of column in %d rows, %d of %d cells changed one at a time, each found at its key; none in equal data",
					from.name, to.name, len(columns)-1, len(rows), changed, len(all))
			})
		}
	}
}
