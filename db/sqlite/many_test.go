package sqlite

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// TestManyHappenTogetherOrNotAtAll: a statement that fails leaves nothing of those before it.
func TestManyHappenTogetherOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "target.db")
	d := openAt(t, path, driver.Target)
	defer d.Close()
	good := []driver.Statement{{Purpose: "a", SQL: "CREATE TABLE a (x)"}, {Purpose: "b", SQL: "CREATE TABLE b (x)"}}
	bad := append(append([]driver.Statement{}, good...), driver.Statement{Purpose: "make c", SQL: "CREATE TABLE c (x, x)"})
	if err := d.Many.ExecuteAll(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "make c") {
		t.Fatalf("%v", err)
	}
	app := connectApp(t, path)
	defer app.Close()
	if left := app.query(t, "SELECT count(*) FROM sqlite_schema")[0]; left != "0" {
		t.Fatalf("%s objects are left", left)
	}
	if err := d.Many.ExecuteAll(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	if made := app.query(t, "SELECT count(*) FROM sqlite_schema")[0]; made != "2" {
		t.Fatalf("%s objects were made", made)
	}
}

// TestManyAreAsEach: what is done for many tables is what is done for each of them.
func TestManyAreAsEach(t *testing.T) {
	path := newFile(t, "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY)")
	d := openAt(t, path, driver.Target)
	defer d.Close()
	app := connectApp(t, path)
	defer app.Close()
	tables := make([]*schema.Table, 3)
	shapes := make([]schema.Shape, 3)
	for i, name := range []string{"a", "b", "c"} {
		tables[i], shapes[i] = shaped(t, d, name, i+1)
	}
	epoch := epochOf(t, d)
	for range 2 {
		if err := d.Many.ShutAll(t.Context(), tables, epoch); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range tables {
		if _, err := program(t, path, "INSERT INTO "+table.Name.Name+" VALUES (1)"); err == nil {
			t.Errorf("%s took a row while it was shut", table.Name)
		}
	}
	for range 2 {
		if err := d.Many.OpenAll(t.Context(), tables); err != nil {
			t.Fatal(err)
		}
	}
	if left := app.query(t, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'")[0]; left != "0" {
		t.Errorf("%s triggers are left", left)
	}

	prints, err := d.Many.Fingerprints(t.Context(), tables)
	if err != nil {
		t.Fatal(err)
	}
	for i, table := range tables {
		if one, err := d.Watcher.Fingerprint(t.Context(), table); err != nil || one != prints[i] {
			t.Errorf("%s: %q among others, %q alone, %v", table.Name, prints[i], one, err)
		}
	}

	for i, table := range tables[:2] {
		for n := range i + 1 {
			l, err := d.Loader.Load(t.Context(), driver.Intake{Table: table, Shape: shapes[i], Range: row.Range{Number: n + 1}, Epoch: epoch})
			if err != nil {
				t.Fatal(err)
			}
			b := row.NewBatch(1)
			b.AppendString(fmt.Sprint(n))
			if err := l.Write(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	all, err := d.Many.RangesAll(t.Context(), tables[1:])
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	one, err := d.Ledger.Ranges(t.Context(), tables[1])
	if err != nil || len(one) != 2 || !maps.Equal(one, all[2]) {
		t.Errorf("%v among others, %v alone, %v", all[2], one, err)
	}
}
