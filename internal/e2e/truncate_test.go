package e2e

import (
	"fmt"
	"testing"
)

// TestTruncate empties a table that was loaded and compared while the application ran, and fills it again. PostgreSQL's
// trigger notes it; MariaDB has none for it, so that the table's fingerprint must show it, and then the table must be
// compared in full.
func TestTruncate(t *testing.T) {
	for source, level := range map[string]string{"postgres": "full-uptime+changed", "mariadb": "full-downtime"} {
		t.Run(short(source), func(t *testing.T) {
			l := &live{t: t, source: fresh(t, source), target: fresh(t, "postgres")}
			from, to := open(t, l.source), open(t, l.target)
			fill := "CREATE TABLE seat (id int PRIMARY KEY, n int UNIQUE);\n"
			for i := range 300 {
				fill += fmt.Sprintf("INSERT INTO seat VALUES (%d, %d);\n", i, i)
			}
			if err := from.Script(fill); err != nil {
				t.Fatal(err)
			}
			m := newMove(t, plan{
				source: l.source, target: l.target, uptime: []string{"seat"}, extra: "verify: {levels: {seat: full-uptime+changed}}\n",
			})
			m.until("confirm-downtime")
			if err := from.Script("TRUNCATE TABLE seat;\nINSERT INTO seat VALUES (7, 8), (8, 7), (1000, 1);\nUPDATE seat SET n = n + 50;\n"); err != nil {
				t.Fatal(err)
			}
			m.must(0, "run", "--yes")
			rows, err := to.Query("SELECT id, n FROM seat ORDER BY id")
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(rows); got != "[[7 58] [8 57] [1000 51]]" {
				t.Errorf("the target holds %s", got)
			}
			for _, x := range m.report().Tables {
				if x.Verdict != "equal" || x.VerifyLevel != level {
					t.Errorf("%s is %q by %s, not by %s", x.Name, x.Verdict, x.VerifyLevel, level)
				}
			}
		})
	}
}
