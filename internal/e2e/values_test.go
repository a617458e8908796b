package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestValuesAreShownOnlyWhenAsked: a row of which a rule can not make a column is told with its key and the rule, and with its cells
// where --show-values asks for them; else its values are nowhere, not in the log, the report or the state either.
func TestValuesAreShownOnlyWhenAsked(t *testing.T) {
	for _, source := range products() {
		t.Run(short(source), func(t *testing.T) {
			from, to := fresh(t, source), fresh(t, "sqlite")
			app := dial(t, from)
			if source == "sqlite" {
				app.do("PRAGMA journal_mode = wal")
			}
			app.do("CREATE TABLE person (id integer PRIMARY KEY, name varchar(200), note varchar(200))")
			for i := range 20 {
				app.do("INSERT INTO person VALUES (%d, '%d', '%s')", i, i, rowCanary)
			}
			m := newMove(t, plan{source: from, target: to, uptime: []string{"person"}, extra: "release: release\n"})
			if err := os.Mkdir(filepath.Join(m.dir, "release"), 0o700); err != nil {
				t.Fatal(err)
			}
			m.file("release/release.yaml", "name: inn\nversion: \"2\"\ntransform:\n  person:\n    columns:\n      number: {value: 'int(name) + (note == \"\" ? 1 : 2)', type: int}\n")
			app.do("UPDATE person SET name = '%s' WHERE id = 7", rowCanary)
			e := m.must(1, "check")
			said := `(1 row, key 7, can not be computed from the values of this row (` // then the place and the expression
			if !strings.Contains(e.out, said) || !strings.Contains(e.out, `release.yaml:6:15: int(name) + (note == "" ? 1 : 2))`) {
				t.Errorf("check says\n%s", e.out)
			}
			m.secrets(e, rowCanary)
			if e = m.must(1, "check", "--show-values"); !strings.Contains(e.out, `; the row: name="`+rowCanary+`", note="`+rowCanary+`"`) {
				t.Errorf("check --show-values says\n%s", e.out)
			}
			app.do("UPDATE person SET name = '7' WHERE id = 7")
			m.until("confirm-downtime")
			app.do("UPDATE person SET name = '%s' WHERE id = 8", rowCanary)
			e = m.do("run", "--yes")
			if e.code == 0 || !strings.Contains(e.said, "key 8, can not be computed") || !strings.Contains(e.said, "int(name) + (note") {
				t.Errorf("run ended with %d:\n%s", e.code, e.said)
			}
			for _, args := range [][]string{{"status"}, {"report"}, {"report", "--json"}} {
				m.secrets(m.do(args...), rowCanary)
			}
			m.secrets(e, rowCanary)
			if e = m.do("run", "--yes", "--show-values"); e.code == 0 || !strings.Contains(e.said, `; the row: name="`+rowCanary) {
				t.Errorf("run --show-values ended with %d:\n%s", e.code, e.said)
			}
		})
	}
}
