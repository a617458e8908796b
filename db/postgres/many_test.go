package postgres

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// someTables makes n tables with a row each and returns their DDL.
func someTables(n int) string {
	var sql strings.Builder
	for i := range n {
		fmt.Fprintf(&sql, "CREATE TABLE m%d (id integer PRIMARY KEY, name text); INSERT INTO m%d VALUES (1, 'x');", i, i)
	}
	return sql.String()
}

func TestManyStatementsHappenTogetherOrNotAtAll(t *testing.T) {
	p := pair(t, "")
	target, app := p.target, p.there
	good := []driver.Statement{{Purpose: "a", SQL: "CREATE TABLE public.a (id integer)"}, {Purpose: "b", SQL: "CREATE TABLE public.b (id integer)"}}
	bad := append(slices.Clone(good), driver.Statement{Purpose: "c", SQL: "CREATE TABLE public.a (id integer)"})
	if err := target.Many.ExecuteAll(t.Context(), bad); class(err) != driver.Exists {
		t.Fatalf("%v", err)
	}
	if left := app.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); left != "0" {
		t.Fatalf("%s tables are left", left)
	}
	if err := target.Many.ExecuteAll(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	if made := app.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); made != "2" {
		t.Fatalf("%s tables are there", made)
	}
}

func TestManyTablesAreGuardedAndOpened(t *testing.T) {
	p := pair(t, "")
	app := p.there
	app.do(someTables(5))
	tables := inspect(t, p.target).Tables
	for range 2 {
		if err := p.target.Many.ShutAll(t.Context(), tables, p.epoch); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		if err := app.try(fmt.Sprintf("INSERT INTO m%d VALUES (2)", i)); err == nil || !strings.Contains(err.Error(), "is being filled by a move") {
			t.Errorf("table %d: %v", i, err)
		}
	}
	app.do("DROP TABLE m4") // what is gone is open
	for range 2 {
		if err := p.target.Many.OpenAll(t.Context(), tables); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		app.do(fmt.Sprintf("INSERT INTO m%d VALUES (2)", i))
	}
	if left := app.ask("SELECT count(*) FROM pg_proc WHERE proname = 'guard'"); left != "0" {
		t.Errorf("the guard's function is left")
	}
}

func TestManyFingerprintsAreThoseOfEachTable(t *testing.T) {
	p := pair(t, someTables(3)+"CREATE TABLE parted (id integer PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parted DEFAULT")
	tables := inspect(t, p.source).Tables
	for _, table := range tables {
		if err := p.source.Capturer.Install(t.Context(), table, shapeOf(table), patience); err != nil {
			t.Fatal(err)
		}
	}
	tables = append(tables, &schema.Table{Name: schema.Name{Schema: "public", Name: "gone"}, Number: 99})
	all, err := p.source.Many.Fingerprints(t.Context(), tables)
	if err != nil {
		t.Fatal(err)
	}
	for i, table := range tables {
		one, err := p.source.Watcher.Fingerprint(t.Context(), table)
		if err != nil || one != all[i] {
			t.Errorf("%s: %q among others, %q alone, %v", table.Name, all[i], one, err)
		}
	}
	if all[len(all)-1] != "gone" {
		t.Errorf("a table that is not there: %q", all[len(all)-1])
	}
}

func TestManyLedgersAreThoseOfEachTable(t *testing.T) {
	p := pair(t, "")
	p.there.do("CREATE TABLE a (id integer); CREATE TABLE b (id integer); CREATE TABLE c (id integer)")
	tables := inspect(t, p.target).Tables
	for i, table := range tables[:2] {
		for n := range i + 1 {
			l, err := p.target.Loader.Load(t.Context(), driver.Intake{Table: table, Shape: shapeOf(table), Range: row.Range{Number: n + 1}, Epoch: p.epoch})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	all, err := p.target.Many.RangesAll(t.Context(), tables)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		one, err := p.target.Ledger.Ranges(t.Context(), table)
		if err != nil || !maps.Equal(one, all[table.Number]) {
			t.Errorf("%s: %v among others, %v alone, %v", table.Name, all[table.Number], one, err)
		}
	}
}
