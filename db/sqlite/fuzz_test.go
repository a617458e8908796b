package sqlite

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// FuzzStatements reads any text as what the catalog keeps of tables, indexes, types and defaults.
func FuzzStatements(f *testing.F) {
	for _, s := range []string{
		"CREATE TABLE t (a INT CHECK (a > 0), b AS (a+1), CONSTRAINT p PRIMARY KEY (a))", "CREATE TABLE \"a\"\"b\" ([x] REFERENCES y DEFERRABLE INITIALLY DEFERRED)",
		"CREATE UNIQUE INDEX i ON t (a COLLATE NOCASE DESC, lower(b)) WHERE a > 0", "CREATE TABLE t(", "x'00'", "-5", "((CURRENT_TIMESTAMP))", "'", "/*", "--", "(", ")", "decimal(10,2)", "a(1", "a(,)",
		"CREATE TABLE t (CHECK", "CREATE TABLE t (a CONSTRAINT", "CREATE TABLE t (a GENERATED ALWAYS AS", "+", "x''", "\"",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		_, _ = parseTable(sql)
		_, _ = parseIndex(sql)
		kind := typeOf(sql)
		if kind.Scale > 1000 {
			t.Fatalf("%q has %d digits after the point", sql, kind.Scale)
		}
		_ = defaultOf(kind, "5")
		for _, key := range []bool{true, false} {
			_, _ = dialect{}.Carry(kind, key)
		}
		for _, raw := range []string{"INTEGER", "DECIMAL(10,2)", "TEXT", "BLOB", "REAL", "DATETIME", "BOOLEAN", "DATE", ""} {
			_ = defaultOf(typeOf(raw), sql)
		}
		if got := quote(sql); strings.Count(got, `"`)%2 != 0 || strings.ReplaceAll(got[1:len(got)-1], `""`, `"`) != sql {
			t.Fatalf("%q is quoted as %q", sql, got)
		}
		if got := quoteText(sql); strings.Count(got, "'")%2 != 0 || strings.ReplaceAll(got[1:len(got)-1], "''", "'") != sql {
			t.Fatalf("%q is the text %q", sql, got)
		}
	})
}

// FuzzTimes reads any text as a value of any type of time: a cell that reads as itself, or a reason.
func FuzzTimes(f *testing.F) {
	for _, s := range []string{"2024-02-29T23:59:59.5+02:00", "2024-02-30", "24:00", "-12:00:00", "", "2024-01-01 00:00:00Z", "1:2:3", "9999-12-31 23:59:59.9999999-99:99"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, kind := range []row.Kind{row.Date, row.Time, row.Timestamp, row.Instant, row.Duration} {
			column := &schema.Column{Name: "c", Type: schema.Type{Kind: kind, Raw: "DATETIME"}}
			c := columnsOf(schema.Shape{Columns: []schema.ShapeColumn{{Column: column, Cell: kind, Digits: 6}}})[0]
			cell, why := c.timeCell(nil, text)
			if why != "" {
				continue
			}
			again, why := c.timeCell(nil, cell)
			if why != "" || string(again) != string(cell) {
				t.Fatalf("%q as %s is %q, and %q (%s)", text, kind, cell, again, why)
			}
		}
	})
}

// TestNamesOfOursAreRefused: a table of the application that has the very name of one of ours forbids the move, one whose name only
// begins so moves, and neither it nor such a trigger is taken away by a move that ends.
func TestNamesOfOursAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	if out, err := program(t, path, `CREATE TABLE whimbrel_source_notes (id INTEGER PRIMARY KEY); CREATE TABLE whimbrel_orders (id INTEGER PRIMARY KEY);
		CREATE TRIGGER whimbrel_audit AFTER INSERT ON whimbrel_orders BEGIN SELECT 1; END;`); err != nil {
		t.Fatal(out, err)
	}
	named := func(db *driver.Database) (n int) {
		notes, err := db.Inspector.Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, note := range notes {
			if note.Rule == "name-of-ours" && note.Level == driver.Forbidden {
				n++
			}
		}
		return n
	}
	db := openAt(t, path, driver.Source)
	if got := named(db); got != 0 {
		t.Errorf("%d refused", got)
	}
	s, err := db.Inspector.Inspect(t.Context(), nil)
	if err != nil || len(s.Tables) != 2 || len(s.Others) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	for range 2 {
		if err := db.Capturer.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := program(t, path, "SELECT count(*) FROM sqlite_schema WHERE name IN ('whimbrel_source_notes', 'whimbrel_orders', 'whimbrel_audit')"); err != nil || strings.TrimSpace(out) != "3" {
		t.Errorf("left: %s, %v", out, err)
	}
	if out, err := program(t, path, "CREATE TABLE whimbrel_source_lane (id INTEGER PRIMARY KEY)"); err != nil {
		t.Fatal(out, err)
	}
	if got := named(db); got != 1 {
		t.Errorf("%d refused", got)
	}
}
