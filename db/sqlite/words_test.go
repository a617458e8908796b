package sqlite

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
)

// strange is text of a stranger's that leaves a table behind where it is written into a statement without care.
const strange = `it') FROM t; CREATE TABLE pwned (id INTEGER); --`

// TestStrangeRulesAreProven: the names of a rule and its tables stand in the statement that proves it, and in what is said where it fails.
func TestStrangeRulesAreProven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "target.db")
	app := connectApp(t, path)
	defer app.Close()
	name := quote(strange)
	app.must(t, "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
	app.must(t, "CREATE TABLE "+name+" (id INTEGER PRIMARY KEY, up INTEGER, CONSTRAINT "+name+" CHECK (id > 0), CONSTRAINT "+quote("up "+strange)+" FOREIGN KEY (up) REFERENCES "+name+" (id))")
	db := openAt(t, path, driver.Target)
	defer db.Close()
	table, _ := shaped(t, db, strange, 1)
	_, prove := db.Dialect.CreateConstraints(table)
	if len(prove) != 2 {
		t.Fatalf("%d rules are proven", len(prove))
	}
	for _, st := range prove {
		if err := db.Executor.Execute(t.Context(), st); err != nil {
			t.Errorf("%s: %v", st.Purpose, err)
		}
	}
	app.must(t, "INSERT INTO "+name+" VALUES (-1, 7)")
	for _, st := range prove {
		if err := db.Executor.Execute(t.Context(), st); err == nil || !strings.Contains(err.Error(), strange) {
			t.Errorf("%s of a row that breaks it: %v", st.Purpose, err)
		}
	}
	if got := app.query(t, "SELECT name FROM sqlite_schema WHERE name = 'pwned'"); len(got) > 0 {
		t.Error("a stranger's text was carried out")
	}
}
