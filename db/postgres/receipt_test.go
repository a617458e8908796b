package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// take reads the record and returns the keys beside the receipt.
func take(t testing.TB, db *driver.Database, want driver.Want) (driver.Receipt, []string) {
	t.Helper()
	keys, images := row.NewBatch(len(want.Shape.Key)), row.NewBatch(want.Shape.Width())
	r, err := db.Recorder.Take(t.Context(), want, keys, images)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if keys.Len() != images.Len() {
		t.Errorf("%d rows of %d keys", images.Len(), keys.Len())
	}
	all := strings.Split(text(keys), ";")
	if keys.Len() == 0 {
		all = nil
	}
	return r, all
}

// forget ends a receipt.
func forget(t testing.TB, r driver.Receipt, number int64) {
	t.Helper()
	if err := r.Forget(t.Context(), number); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestTakeBeyondAnother leaves out what another receipt covers, while that one is forgotten too, and comes to an end.
func TestTakeBeyondAnother(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY)")
	table, shape := captured(t, p.source, "a")
	p.app.do("INSERT INTO a SELECT generate_series(1, 950)")
	want := driver.Want{Table: table, Shape: shape, Lanes: 1, Most: 100}
	seen := map[string]bool{}
	number := int64(0)
	for round := 0; len(seen) < 950; round++ {
		if round > 20 {
			t.Fatalf("%d keys seen", len(seen))
		}
		want.Beyond = nil
		now, keys := take(t, p.source, want)
		for range 3 {
			want.Beyond = now
			next, more := take(t, p.source, want)
			for _, k := range keys {
				if seen[k] {
					t.Fatalf("key %s comes twice", k)
				}
				seen[k] = true
			}
			number++
			forget(t, now, number)
			now, keys = next, more
		}
		_ = now.Close() // taken and given up: it stays
	}
	if got, _ := taken(t, p.source, table, shape); got != "" {
		t.Errorf("left: %q", got)
	}
	if _, err := p.source.Recorder.Take(t.Context(), driver.Want{Table: table, Shape: shape, Lanes: 1, Most: 1, Beyond: stranger{}}, row.NewBatch(1), row.NewBatch(1)); err == nil {
		t.Error("a receipt from elsewhere is taken for one of ours")
	}
}

type stranger struct{ driver.Receipt }

// TestATakeGoesRound: entries that come to stand before the place where the last Take ended are found, and a Take that is
// shorter than it might be has seen everything.
func TestATakeGoesRound(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY)")
	table, shape := captured(t, p.source, "a")
	p.app.do("ALTER TABLE whimbrel_source.record_1 SET (autovacuum_enabled = off)")
	p.app.do("INSERT INTO a SELECT generate_series(1, 3000)")
	want := driver.Want{Table: table, Shape: shape, Lanes: 1, Most: 1000}
	for n := range int64(2) {
		r, _ := take(t, p.source, want)
		forget(t, r, n+1)
	}
	p.app.do("VACUUM whimbrel_source.record_1")
	p.app.do("INSERT INTO a SELECT generate_series(3001, 3300)")
	if got := p.app.ask("SELECT min(ctid) FROM whimbrel_source.record_1 WHERE k1 > 3000"); !strings.HasPrefix(got, "(0,") {
		t.Fatalf("the new entries stand at %s, which proves nothing", got)
	}
	r, keys := take(t, p.source, want)
	if len(keys) != 1000 || !slices.Contains(keys, "3000") {
		t.Errorf("%d keys, 3000 among them: %t", len(keys), slices.Contains(keys, "3000"))
	}
	want.Beyond = r
	next, rest := take(t, p.source, want)
	if len(rest) != 300 || !slices.Contains(rest, "3300") {
		t.Errorf("behind it %d keys", len(rest))
	}
	forget(t, r, 3)
	forget(t, next, 4)
	p.app.do("INSERT INTO a SELECT generate_series(4001, 4010)")
	want.Beyond, want.Most = nil, 100000
	r, keys = take(t, p.source, want)
	if len(keys) != 10 {
		t.Errorf("%d keys at the end", len(keys))
	}
	forget(t, r, 5)
}

// TestAHotKeyIsOneRowABatch, however often it changed, and comes in the order of its key.
func TestAHotKeyIsOneRowABatch(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, n integer)")
	p.app.do("INSERT INTO a SELECT g, 0 FROM generate_series(1, 12) AS g")
	table, shape := captured(t, p.source, "a")
	p.app.do("DO 'BEGIN FOR i IN 1 .. 2000 LOOP UPDATE a SET n = i WHERE id = 7; END LOOP; END'")
	p.app.do("UPDATE a SET n = 1 WHERE id <> 7")
	want := driver.Want{Table: table, Shape: shape, Lanes: 1, Most: 1000}
	for n, keys := range []string{"7", "7", "1 2 3 4 5 6 8 9 10 11 12"} {
		r, got := take(t, p.source, want)
		if strings.Join(got, " ") != keys || n < 2 && r.Entries() != 1000 {
			t.Errorf("%d entries, keys %v", r.Entries(), got)
		}
		forget(t, r, int64(n+1))
	}
}

// TestBatchesReadNoTableWhole: the plans of Take and Forget look up what they want, however small the tables are.
func TestBatchesReadNoTableWhole(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, u text)")
	table, shape := captured(t, p.source, "a")
	p.app.do("INSERT INTO a SELECT g, g FROM generate_series(1, 2000) AS g; ANALYZE")
	r := &receipt{want: driver.Want{Table: table, Shape: shape, Most: 1000, Lanes: 3}, marks: &marks{at: map[mark]uint32{{table.Number, 0}: 3}}}
	entries, err := r.sql(shape.Keys())
	if err != nil {
		t.Fatal(err)
	}
	u := login(t, p.app.address)
	u.do(settings)
	u.do(reading("public.a") + lookups)
	explained := func(sql string) string { return u.ask("EXPLAIN (COSTS OFF) " + sql) }
	version, _ := strconv.Atoi(u.ask("SHOW server_version_num"))
	if plan := explained(entries); version >= 140000 && (strings.Contains(plan, "Seq Scan") || strings.Count(plan, "Tid Range Scan") != 2) {
		t.Errorf("Take: %s", plan)
	}
	u.do("COMMIT; BEGIN; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
	places := make([]string, 1000)
	for i := range places {
		places[i] = fmt.Sprintf("(0,%d)", i+1)
	}
	sql := strings.NewReplacer("$1", literal(nameArray(places)), "$2", "array_fill('3'::xid, '{1000}')", "$3", "1").Replace(forgetting(&schema.Table{Number: 1}))
	if plan := explained(sql); strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, "Tid Scan") {
		t.Errorf("Forget: %s", plan)
	}
}

// TestAnEntryAllocatesNothing on its way from the wire, nor does the search for keys without a row.
func TestAnEntryAllocatesNothing(t *testing.T) {
	shape := schema.Shape{Columns: []schema.ShapeColumn{{Column: &schema.Column{Name: "id", Type: describe("bigint")}, Cell: row.Int}}, Key: []int{0}}
	all, keys, one := (&database{}).codecs(shape), row.NewBatch(1), row.NewBatch(1)
	r, set := &receipt{found: make([]entry, 0, 1000)}, setOf(keys, 0, 1000)
	fields := [][]byte{{0, 0, 0, 9, 0, 5}, {0, 0, 0, 3}, {0, 0, 0, 1}, []byte("12345")}
	if n := testing.AllocsPerRun(500, func() {
		if err := r.entry(fields, all, one, set); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("an entry: %.0f allocations", n)
	}
	if e := r.found[0]; e.page != 9 || e.line != 5 || e.maker != 3 || e.key != 0 || keys.Len() != 1 {
		t.Errorf("%+v, %d keys", e, keys.Len())
	}
	few := func(rows int) float64 {
		d := driver.Delta{Shape: shape, Keys: row.NewBatch(1), Images: row.NewBatch(1)}
		for i := range rows {
			d.Keys.AppendString(strconv.Itoa(i))
			d.Images.AppendString(strconv.Itoa(i))
		}
		known := setOf(d.Keys, 0, rows)
		return testing.AllocsPerRun(20, func() { _, _ = without(d, known) })
	}
	if a, b := few(100), few(1000); a != b {
		t.Errorf("%.0f allocations for 100 rows, %.0f for 1,000", a, b)
	}
}

// known makes the source know a batch that was applied without having been taken there.
func (r *replayer) known(t *testing.T, number int64) {
	t.Helper()
	keys, images := row.NewBatch(len(r.here.Key)), row.NewBatch(r.here.Width())
	receipt, err := r.p.source.Recorder.Take(t.Context(), driver.Want{Table: r.from, Shape: r.here, Lanes: 1}, keys, images)
	if err != nil {
		t.Fatal(err)
	}
	defer receipt.Close()
	if err := errors.Join(receipt.Durable(t.Context(), number), receipt.Forget(t.Context(), number)); err != nil {
		t.Fatal(err)
	}
}
