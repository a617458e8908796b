package sqlite

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// TestDecimalsAreKeptAsTheirTextWouldBe: the number that is bound is the one that the column makes of the text, in the same
// storage class, and it is the same cell again.
func TestDecimalsAreKeptAsTheirTextWouldBe(t *testing.T) {
	app := connectApp(t, ":memory:")
	defer app.Close()
	for _, declared := range []string{"DECIMAL(15,2)", "INTEGER", "REAL"} {
		app.must(t, "DROP TABLE IF EXISTS d; CREATE TABLE d (ours "+declared+", text "+declared+")")
		st, _, err := app.Prepare("INSERT INTO d VALUES (?1, ?2)")
		if err != nil {
			t.Fatal(err)
		}
		c := column{name: "d", cell: row.Decimal, affinity: affinityOf(declared)}
		put := func(cell string) {
			t.Helper()
			if err := c.bind(st, 1, []byte(cell)); err != nil {
				t.Fatal(cell, err)
			}
			if err := st.BindText(2, cell); err != nil {
				t.Fatal(err)
			}
			if err := st.Exec(); err != nil {
				t.Fatal(err)
			}
		}
		for _, cell := range []string{
			"0", "0.00", "-0.00", "-1.50", "20.00", "0.07", "-0.000001", "999999999999999", "0.999999999999999", "100000000000000000000000", "1.500000000000000000000",
			"1000000000000000000", "-1000000000000000000.00", "NaN", "Infinity", "-Infinity", "0.0000000000000000001",
		} {
			put(cell)
		}
		r := rand.New(rand.NewPCG(5, 6))
		for range 20_000 {
			digits, scale := r.Int64N(1_000_000_000_000_000)/int64(1+r.IntN(1_000_000)), r.IntN(16)
			cell := fmt.Sprintf("%0*d", scale+1, digits)
			put([]string{"", "-"}[r.IntN(2)] + strings.TrimSuffix(cell[:len(cell)-scale]+"."+cell[len(cell)-scale:], "."))
		}
		st.Close()
		if odd := app.query(t, "SELECT text, ours, typeof(text), typeof(ours) FROM d WHERE text IS NOT ours OR typeof(text) <> typeof(ours) LIMIT 5"); len(odd) > 0 {
			t.Errorf("%s: %s", declared, odd)
		}
	}
	for _, cell := range []string{"", "-", ".", "1.2.3", "1-2", "+1", "1e5", " 1"} {
		if units, digits, ok := cutUnits([]byte(cell)); ok && cell != "." {
			t.Errorf("%q was read as %d with %d digits behind the point", cell, units, digits)
		}
	}
}

// TestRefusedRowIsNamed: rows go in several at a time, and the one that is refused is named all the same, wherever it stands.
// Nothing of a range that was refused is there.
func TestRefusedRowIsNamed(t *testing.T) {
	for _, table := range []struct{ sql, bad string }{
		{"CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, n INTEGER NOT NULL)", "NULL"},
		{"CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, n INTEGER NOT NULL UNIQUE)", "1000"},
		{"CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, n INTEGER NOT NULL UNIQUE ON CONFLICT FAIL)", "1000"},
		{"CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, n INTEGER NOT NULL UNIQUE ON CONFLICT IGNORE)", "1000"},
		{"CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, n INTEGER NOT NULL UNIQUE ON CONFLICT REPLACE)", "1000"},
		{"CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, n INTEGER NOT NULL UNIQUE ON CONFLICT ROLLBACK)", "1000"},
		{"CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, n INTEGER NOT NULL)", "99999999999999999999"},
	} {
		for _, bad := range []int{0, 1, groupRows - 1, groupRows, groupRows + 5, 2 * groupRows, 2*groupRows + 2} {
			path := filepath.Join(t.TempDir(), "target.db")
			d := openAt(t, path, driver.Target)
			app := connectApp(t, path)
			app.must(t, table.sql)
			if err := d.Ledger.Prepare(t.Context(), "run"); err != nil {
				t.Fatal(err)
			}
			epoch, err := d.Ledger.TakeOver(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			tt, sh := shaped(t, d, "t", 1)
			l, err := d.Loader.Load(t.Context(), driver.Intake{Table: tt, Shape: sh, Range: row.Range{Number: 1}, Epoch: epoch})
			if err != nil {
				t.Fatal(err)
			}
			b := row.NewBatch(2)
			rows := func(bad int) {
				b.Reset()
				for i := range 2*groupRows + 3 {
					b.AppendString(fmt.Sprint(i + 1 + bad*1000))
					switch {
					case i != bad:
						b.AppendString(fmt.Sprint(i + 1000*(1-min(bad+1, 1))))
					case table.bad == "NULL":
						b.AppendNull()
					default:
						b.AppendString(table.bad)
					}
				}
			}
			first := row.NewBatch(2)
			first.AppendString("-1")
			first.AppendString("1000")
			if err := l.Write(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			rows(bad)
			want := fmt.Sprintf("key %d:", bad+1+bad*1000)
			if err := l.Write(t.Context(), b); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, row %d: %v", table.sql, bad, err)
			} else if class := d.Dialect.Classify(err); class != driver.BadData && class != driver.Conflict {
				t.Errorf("%s, row %d: class %d of %v", table.sql, bad, class, err)
			}
			if _, err := l.Commit(t.Context()); err == nil {
				t.Error("a range with a row that was refused was committed")
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if left := app.query(t, "SELECT count(*) FROM t")[0]; left != "0" {
				t.Errorf("%s rows are left of a range that was refused", left)
			}
			app.Close()
			d.Close()
		}
	}
}

// TestLoadThatIsCancelledWritesNothing: an interrupt ends SQLite's transaction, and no row may go in without one.
func TestLoadThatIsCancelledWritesNothing(t *testing.T) {
	app := connectApp(t, filepath.Join(t.TempDir(), "t.db"))
	defer app.Close()
	app.must(t, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
	w := &inserter{s: &session{conn: app.Conn}}
	app.must(t, "BEGIN")
	if !w.refused(sqlite3.CONSTRAINT_UNIQUE) || w.refused(sqlite3.INTERRUPT) || w.refused(sqlite3.FULL) {
		t.Error("which errors are about one row")
	}
	app.must(t, "ROLLBACK")
	if w.refused(sqlite3.CONSTRAINT_UNIQUE) {
		t.Error("rows would go in without a transaction")
	}
}
