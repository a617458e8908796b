package sqlite

import (
	"encoding/hex"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"go.uber.org/goleak"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/driver/drivertest"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// asProgram is set where this binary is another program that opens a file.
const asProgram = "WHIMBREL_TEST_STATEMENTS"

func TestMain(m *testing.M) {
	if statements := os.Getenv(asProgram); statements != "" {
		otherProgram(os.Args[1], statements)
		return
	}
	goleak.VerifyTestMain(m)
}

// otherProgram runs statements on the file of a URL and prints what they return.
func otherProgram(address, statements string) {
	u, err := url.Parse(address)
	if err != nil {
		log.Fatal(err)
	}
	conn, err := sqlite3.Open(u.Path)
	if err != nil {
		log.Fatal(err)
	}
	for statements != "" {
		st, rest, err := conn.Prepare(statements)
		if err != nil {
			log.Fatal(err)
		}
		statements = rest
		if st == nil {
			continue
		}
		for st.Step() {
			for i := range st.ColumnCount() {
				fmt.Print(st.ColumnText(i), " ")
			}
			fmt.Println()
		}
		if err := st.Close(); err != nil {
			log.Fatal(err)
		}
	}
}

// TestSuite: the suite every driver passes.
func TestSuite(t *testing.T) {
	drivertest.Run(t, drivertest.Config{
		Place:    newPlace,
		Absent:   []string{"Inherit", "Pipe", "Rights", "Sequences", "Stager", "Vacate", "Blocked"},
		Truncate: drivertest.Rowwise,
		Folded:   schema.Type{Kind: row.Text, Raw: "TEXT", Collation: "NOCASE"},
		Samples: []drivertest.Sample{{Name: "untyped", Type: schema.Type{Kind: row.Other}, Cells: []drivertest.Cell{
			{Text: "1"},
			{Text: "-9223372036854775808"},
			{Text: "1.0"},
			{Text: "1.5e+300"},
			{Text: "-0.0"},
			{Text: "9e999"},
			{Text: "-9e999"},
			{Text: "''"},
			{Text: "'1'"},
			{Text: "'it''s'"},
			{Text: "x''"},
			{Text: "x'00ff'"},
		}}},
	})
}

func newPlace(t testing.TB) drivertest.Place {
	address := testserver.SQLite(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	path, err := filePath(u)
	if err != nil {
		t.Fatal(err)
	}
	// The file is there, in WAL mode, as an application leaves it.
	app := connectApp(t, path)
	app.must(t, "PRAGMA journal_mode = WAL")
	app.Close()
	return drivertest.Place{
		Open: func(t testing.TB, side driver.Side, run string) *driver.Database { return openFor(t, path, side, run) },
		App: drivertest.SQL{
			Connect:  func(t testing.TB) drivertest.Session { return connectApp(t, path) },
			Quote:    quote,
			Literal:  appLiteral,
			Truncate: "DELETE FROM",
		},
		Shadow: func(t testing.TB, name string) (driver.Shadow, *url.URL) {
			return driver.Shadow{Place: filepath.Join(filepath.Dir(path), name)}, u
		},
		Program: func(t testing.TB, address, statements string) (string, error) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], address)
			cmd.Env = append(os.Environ(), asProgram+"="+statements)
			out, err := cmd.CombinedOutput()
			return string(out), err
		},
		Left: func(t testing.TB) []string { return leftovers(t, path) },
	}
}

func openAt(t testing.TB, path string, side driver.Side) *driver.Database {
	t.Helper()
	return openFor(t, path, side, "test-run")
}

func openFor(t testing.TB, path string, side driver.Side, run string) *driver.Database {
	t.Helper()
	d, err := Driver.Open(t.Context(), &url.URL{Scheme: "sqlite", Path: path}, driver.Options{Side: side, Run: run})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// epochOf prepares the ledger and takes the file over.
func epochOf(t testing.TB, d *driver.Database) int64 {
	t.Helper()
	if err := d.Ledger.Prepare(t.Context(), "test-run"); err != nil {
		t.Fatal(err)
	}
	epoch, err := d.Ledger.TakeOver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return epoch
}

// application is a connection as an application has one: the library's own settings, triggers on.
type application struct{ *sqlite3.Conn }

func connectApp(t testing.TB, path string) application {
	t.Helper()
	c, err := sqlite3.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Exec("PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = OFF"); err != nil {
		t.Fatal(err)
	}
	return application{c}
}

func (a application) must(t testing.TB, sql string) {
	t.Helper()
	if err := a.Exec(sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// query returns rows as text, cells separated by |, quoted as SQL.
func (a application) query(t testing.TB, sql string) []string {
	t.Helper()
	st, _, err := a.Prepare(sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	defer st.Close()
	var rows []string
	for st.Step() {
		cells := make([]string, st.ColumnCount())
		for i := range cells {
			var v value
			if v.scan(st, i); v.class == sqlite3.NULL {
				cells[i] = "NULL"
				continue
			}
			out, why := appendLiteral(nil, &v)
			cells[i] = string(out) + why
		}
		rows = append(rows, strings.Join(cells, "|"))
	}
	if err := st.Err(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return rows
}

func appLiteral(t schema.Type, cell []byte) string {
	switch {
	case t.Kind == row.Bytes:
		return "x'" + hex.EncodeToString(cell) + "'"
	}
	if slices.Contains(cell, 0) {
		return "CAST(x'" + hex.EncodeToString(cell) + "' AS TEXT)"
	}
	return quoteText(string(cell))
}

func leftovers(t testing.TB, path string) []string {
	t.Helper()
	app := connectApp(t, path)
	defer app.Close()
	return app.query(t, "SELECT type || ' ' || name FROM sqlite_schema WHERE name LIKE 'whimbrel%'")
}
