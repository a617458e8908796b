package sqlite

import (
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// keySpaces fill a table with keys that are hard to cut evenly.
var keySpaces = []struct {
	name, table string
	key         func(r *rand.Rand, i int) string // the SQL of one key
	even        bool                             // cuts are expected to be even
	rowless     bool                             // WITHOUT ROWID
}{
	{"dense", "k INTEGER PRIMARY KEY", func(_ *rand.Rand, i int) string { return fmt.Sprint(i) }, true, false},
	{"negative", "k INTEGER PRIMARY KEY", func(_ *rand.Rand, i int) string { return fmt.Sprint(-i * 3) }, true, false},
	{"random 64 bits", "k INTEGER PRIMARY KEY", func(r *rand.Rand, _ int) string { return fmt.Sprint(int64(r.Uint64())) }, true, false},
	{"a crowd far away", "k INTEGER PRIMARY KEY", func(_ *rand.Rand, i int) string {
		if i%1000 == 0 {
			return fmt.Sprint(int64(i) * 1e14)
		}
		return fmt.Sprint(int64(7e17) + int64(i))
	}, true, false},
	{"powers", "k INTEGER PRIMARY KEY", func(r *rand.Rand, i int) string { return fmt.Sprint(int64(1)<<(i%62) + r.Int64N(1000)) }, false, false},
	{"int, not the row number", "k INT NOT NULL PRIMARY KEY", func(_ *rand.Rand, i int) string { return fmt.Sprint(i * i) }, true, false},
	{"numbered text", "k TEXT NOT NULL PRIMARY KEY", func(_ *rand.Rand, i int) string { return fmt.Sprintf("'customer-%07d'", i) }, true, false},
	{"folded text", "k TEXT COLLATE NOCASE NOT NULL PRIMARY KEY", func(r *rand.Rand, i int) string {
		return fmt.Sprintf("'%c%c%d'", "aBcD"[r.IntN(4)], "éZ"[0], i)
	}, true, false},
	{"uuid", "k TEXT NOT NULL PRIMARY KEY", func(r *rand.Rand, _ int) string {
		return fmt.Sprintf("'%016x-%016x'", r.Uint64(), r.Uint64())
	}, true, true},
	{"blob", "k BLOB NOT NULL PRIMARY KEY", func(r *rand.Rand, _ int) string { return fmt.Sprintf("x'%016x00'", r.Uint64()) }, true, false},
	{"two tenants", "a INT NOT NULL, k INT NOT NULL, PRIMARY KEY (a, k)", func(_ *rand.Rand, i int) string { return fmt.Sprintf("%d, %d", i%2, i) }, true, false},
	{"skewed tenants", "a TEXT NOT NULL, k INT NOT NULL, PRIMARY KEY (a, k)", func(r *rand.Rand, i int) string {
		return fmt.Sprintf("'t%d', %d", r.IntN(r.IntN(50)+1), i)
	}, false, true},
	{"descending", "a INT NOT NULL, k INT NOT NULL, PRIMARY KEY (a, k DESC)", func(_ *rand.Rand, i int) string { return fmt.Sprintf("%d, %d", i%7, i) }, false, false},
}

// TestRangesAreTheTable: no row is skipped and none comes twice, whatever the keys; and where the keys allow it the ranges are
// of about the size asked for.
func TestRangesAreTheTable(t *testing.T) {
	const rows = 10_000
	for _, space := range keySpaces {
		t.Run(space.name, func(t *testing.T) {
			path := newFile(t, "CREATE TABLE t ("+space.table+")"+map[bool]string{true: " WITHOUT ROWID"}[space.rowless])
			app := connectApp(t, path)
			defer app.Close()
			r := rand.New(rand.NewPCG(1, 2))
			app.must(t, "BEGIN")
			for i := range rows {
				app.must(t, "INSERT OR IGNORE INTO t VALUES ("+space.key(r, i)+")")
			}
			app.must(t, "COMMIT")
			d := openAt(t, path, driver.Source)
			defer d.Close()
			table, sh := shaped(t, d, "t", 1)
			all := keysOf(t, d, driver.Query{Table: table, Shape: sh})
			for _, want := range []int64{rows / 10, 333} {
				seen, largest, ranges := map[string]int{}, 0, 0
				var last row.Range
				for g, err := range d.Splitter.Split(t.Context(), table, sh, want) {
					if err != nil {
						t.Fatal(err)
					}
					if ranges++; g.Number != ranges || (ranges == 1) != (g.After == nil) || ranges > 1 && !last.Adjoin(g) {
						t.Fatalf("range %d: %+v after %+v", ranges, g, last)
					}
					keys := keysOf(t, d, driver.Query{Table: table, Shape: sh, Range: g})
					largest = max(largest, len(keys))
					for _, k := range keys {
						seen[k]++
					}
					last = g
				}
				if last.Upto != nil {
					t.Errorf("the last range ends at %q", last.Upto)
				}
				for _, k := range all {
					if seen[k] != 1 {
						t.Fatalf("key %q came %d times", k, seen[k])
					}
				}
				if len(seen) != len(all) {
					t.Errorf("%d keys of %d", len(seen), len(all))
				}
				t.Logf("%d rows in %d ranges of %d, the largest %d", len(all), ranges, want, largest)
				if space.even && (int64(largest) > 3*want || ranges > 3*len(all)/int(want)+2) {
					t.Errorf("uneven: %d ranges, the largest %d of %d wanted", ranges, largest, want)
				}
			}
		})
	}
}

func keysOf(t testing.TB, d *driver.Database, q driver.Query) []string {
	t.Helper()
	c, err := d.Reader.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := row.NewBatch(q.Shape.Width())
	var keys []string
	for err == nil {
		err = c.Fill(t.Context(), b)
		for i := range b.Len() {
			keys = append(keys, string(b.AppendKey(nil, i, q.Shape.Key)))
		}
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	return keys
}

// TestReadingDoesNotAllocate: the row path makes nothing per cell or row, neither with cells of the columns' own kinds nor with
// the literals that travel between two files.
func TestReadingDoesNotAllocate(t *testing.T) {
	path := newFile(t, `CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT, d DECIMAL(10,2), f REAL, at DATETIME, b BLOB, u UUID, o BOOLEAN, day DATE);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
		INSERT INTO t SELECT i, 'it''s ' || i, i * 0.25, i * 0.1, '2024-01-01 10:00:00.5', x'00ff', '0190163d-8694-739b-aea5-966c26f8ad90', i % 2, '2024-02-29' FROM n`)
	d := openAt(t, path, driver.Source)
	defer d.Close()
	table, own := shaped(t, d, "t", 1)
	literals := own
	literals.Columns = slices.Clone(own.Columns)
	for i := range literals.Columns {
		literals.Columns[i].Cell = row.Other
	}
	for name, sh := range map[string]schema.Shape{"own kinds": own, "literals": literals} {
		t.Run(name, func(t *testing.T) { rowsDoNotAllocate(t, d, table, sh) })
	}
}

func rowsDoNotAllocate(t *testing.T, d *driver.Database, table *schema.Table, sh schema.Shape) {
	in := testDatabase(t, d)
	s, err := in.take(t.Context(), in.work)
	if err != nil {
		t.Fatal(err)
	}
	defer in.give(s)
	columns := columnsOf(sh)
	st, _, err := s.conn.Prepare(selectFrom(table, columns))
	if err != nil {
		t.Fatal(err)
	}
	b := row.NewBatch(sh.Width())
	read := func() {
		b.Reset()
		for st.Step() {
			if err := s.appendRow(b, st, table, columns, sh.Key); err != nil {
				t.Fatal(err)
			}
		}
		if err := st.Reset(); err != nil || b.Len() != 3000 {
			t.Fatal(b.Len(), err)
		}
	}
	read()
	if n := testing.AllocsPerRun(5, read); n > 20 {
		t.Errorf("%v allocations for 3,000 rows of 9 cells", n)
	}

	target := openAt(t, filepath.Join(t.TempDir(), "target.db"), driver.Target)
	defer target.Close()
	tt, _ := copyOf(t, target, table)
	w := testDatabase(t, target)
	out, err := w.take(t.Context(), w.work)
	if err != nil {
		t.Fatal(err)
	}
	defer w.give(out)
	if err := out.conn.Exec("BEGIN"); err != nil {
		t.Fatal(err)
	}
	rows, err := out.inserter(tt, columnsOf(sh), replacing)
	if err != nil {
		t.Fatal(err)
	}
	write := func() {
		if at, err := rows.write(b); err != nil {
			t.Fatal(at, err)
		}
	}
	write()
	if n := testing.AllocsPerRun(5, write); n > 20 {
		t.Errorf("%v allocations for writing 3,000 rows of 9 cells", n)
	}
}

func testDatabase(t testing.TB, d *driver.Database) *database {
	t.Helper()
	return d.Reader.(reader).d
}
