package postgres

import (
	"fmt"
	"strings"
	"testing"
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
				facts, err := db.Survey(t.Context(), table)
				if err != nil {
					t.Fatal(err)
				}
				var got, want []string
				for _, f := range facts {
					if f.Value == 0 {
						got = append(got, fmt.Sprintf("%s %s %d %s", f.Column, f.What, f.Count, f.Sample))
					}
				}
				for _, q := range db.survey(table).counts {
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
	v := db.survey(tableOf(t, p.source, "calm"))
	facts, calm, err := v.first(t.Context(), l.session)
	if err != nil || !calm || len(facts) != 1 || facts[0].Column != "s" || facts[0].Value != 3 || facts[0].Count != 1 {
		t.Errorf("%v, %t, %v", facts, calm, err)
	}
}
