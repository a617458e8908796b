package e2e

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestWhoIsWaitedForIsNamed: somebody's transaction is open when the source is to be shut. The program says who it is while the application
// stands still, to whoever looks too, and goes on when he has left.
func TestWhoIsWaitedForIsNamed(t *testing.T) {
	for source, session := range map[string]string{
		"postgres": "SELECT pg_backend_pid()", "mariadb": "SELECT CONNECTION_ID()",
		"sqlite": "SELECT 'process " + strconv.Itoa(os.Getpid()) + "'", // the file tells no more
	} {
		t.Run(short(source), func(t *testing.T) {
			t.Parallel()
			l := &live{t: t, source: fresh(t, source), target: fresh(t, "sqlite")}
			if source == "sqlite" {
				if err := open(t, l.source).Script("PRAGMA journal_mode = WAL;"); err != nil {
					t.Fatal(err)
				}
			}
			if err := open(t, l.source).Script("CREATE TABLE seat (id int NOT NULL PRIMARY KEY, note varchar(40)); INSERT INTO seat VALUES (1, 'seat');"); err != nil {
				t.Fatal(err)
			}
			m := newMove(t, plan{source: l.source, target: l.target, uptime: []string{"seat"}})
			m.until("confirm-downtime")
			late, err := dial(t, l.source).BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			var who string
			if err := late.QueryRow(session).Scan(&who); err != nil {
				t.Fatal(err)
			}
			if _, err := late.Exec("UPDATE seat SET note = 'late'"); err != nil {
				t.Fatal(err)
			}
			p := m.start("", "run", "--yes")
			for limit := time.Now().Add(time.Minute); !strings.Contains(p.said.String(), "session "+who+" "); <-time.After(10 * time.Millisecond) {
				if time.Now().After(limit) {
					t.Errorf("session %s was not named:\n%s", who, p.said.String())
					break
				}
			}
			if e := m.do("status"); !strings.Contains(e.out, "shut the source: for ") || !strings.Contains(e.out, "session "+who+" ") {
				t.Errorf("status does not name session %s:\n%s%s", who, e.out, e.said)
			}
			if err := late.Commit(); err != nil {
				t.Error(err)
			}
			if e := m.finish(p); e.code != 0 {
				t.Fatalf("the move ended with %d:\n%s", e.code, tail(e.said))
			}
			l.equalRows()
		})
	}
}
