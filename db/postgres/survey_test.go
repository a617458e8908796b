package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/driver/drivertest"
)

// TestASurveyMissesNothing: the cheap conditions of the first reading let no row pass that one of the counted conditions
// holds for, whatever else is in the row.
func TestASurveyMissesNothing(t *testing.T) {
	p := pair(t, "CREATE DOMAIN amount AS numeric; CREATE DOMAIN since AS timestamptz")
	db := p.source.Surveyor.(*database)
	for name, values := range edges {
		t.Run(name, func(t *testing.T) {
			u := *p.app
			u.t = t
			types := []string{name}
			switch name {
			case "numeric":
				types = append(types, "amount")
			case "timestamp without time zone":
				types = append(types, "since")
			}
			for _, kind := range types {
				u.do("DROP TABLE IF EXISTS looked; CREATE TABLE looked (id integer PRIMARY KEY, a " + kind + ", b " + kind + ", n double precision)")
				for i, v := range values {
					u.do(fmt.Sprintf("INSERT INTO looked VALUES (%[1]d, %[2]s, NULL, NULL), (%[1]d + 1000, NULL, %[2]s, 1), (%[1]d + 2000, %[2]s, %[2]s, 'NaN')", i, literal(v)))
				}
				table := tableOf(t, p.source, "looked")
				facts, err := db.Survey(t.Context(), table, drivertest.Everything(table))
				if err != nil {
					t.Fatal(err)
				}
				var got, want []string
				for _, f := range facts {
					if f.Value == 0 {
						got = append(got, fmt.Sprintf("%s %s %d %s", f.Column, f.What, f.Count, f.Sample))
					}
				}
				for _, q := range db.survey(table, drivertest.Everything(table)).counts {
					if n := u.ask("SELECT count(*), min(id::text) FROM looked WHERE " + q.when); n[0] != '0' {
						want = append(want, fmt.Sprintf("%s %s %s", q.column, q.what, strings.Replace(n, ",", " ", 1)))
					}
				}
				if g, w := strings.Join(got, "; "), strings.Join(want, "; "); g != w || len(want) == 0 {
					t.Errorf("%s: %s, not %s", kind, g, w)
				}
			}
		})
	}
}

// TestACalmTableIsReadOnce and its lengths are found with no row that is not calm.
func TestACalmTableIsReadOnce(t *testing.T) {
	p := pair(t, "CREATE TABLE calm (id integer PRIMARY KEY, s text, d date, n numeric(5,2), f real); INSERT INTO calm VALUES (1, 'abc', '2024-01-01', 1, 0), (2, NULL, NULL, NULL, NULL)")
	db := p.source.Surveyor.(*database)
	l, err := db.worker(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.release()
	table := tableOf(t, p.source, "calm")
	v := db.survey(table, drivertest.Everything(table))
	facts, calm, err := v.first(t.Context(), l.session)
	if err != nil || !calm || len(facts) != 1 || facts[0].Column != "s" || facts[0].Value != 3 || facts[0].Count != 1 {
		t.Errorf("%v, %t, %v", facts, calm, err)
	}
}

// TestLongValuesAreFoundWhereTheyAre: a value that is stored packed, outside of its table's pages, in a partition too; and a
// table that has none is not read for them.
func TestLongValuesAreFoundWhereTheyAre(t *testing.T) {
	const long = 5 << 20
	p := pair(t, `CREATE TABLE whole (id integer PRIMARY KEY, s text, j jsonb); INSERT INTO whole VALUES (1, 'short', '{}');
		CREATE TABLE parts (id integer PRIMARY KEY, s text, j jsonb) PARTITION BY LIST (id);
		CREATE TABLE one PARTITION OF parts FOR VALUES IN (1); CREATE TABLE other PARTITION OF parts DEFAULT`)
	db := p.source.Surveyor.(*database)
	for _, name := range []string{"whole", "parts"} {
		table := tableOf(t, p.source, name)
		look := func(above int64) string {
			q := driver.Questions{}
			for _, c := range table.Columns {
				q.Ask(c.Name, driver.Question{What: driver.Longest, Above: above})
			}
			facts, err := db.Survey(t.Context(), table, q)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(facts)
		}
		if got := look(4 << 20); got != "[]" {
			t.Errorf("%s: %s", name, got)
		}
		p.app.do(fmt.Sprintf("INSERT INTO %s SELECT 7, repeat('x', %d), jsonb_build_object('a', repeat('y', %[2]d))", name, long))
		want := fmt.Sprintf("[{s longest 1 %d } {j longest 1 %d }]", long, long+len(`{"a": ""}`))
		if got := look(4 << 20); got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
		if got := look(6 << 20); got != "[]" {
			t.Errorf("%s: %s", name, got)
		}
	}
}
