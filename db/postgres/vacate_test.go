package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// autovacuum is how many of the server's workers are at the table v.
const autovacuum = `SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
	WHERE l.relation = 'v'::regclass AND l.mode = 'ShareUpdateExclusiveLock' AND a.backend_type = 'autovacuum worker'`

// housekept returns a guarded table of the target at which a vacuum is that the server began by itself and that would take hours; another one
// does not begin soon.
func housekept(t *testing.T, p *twins) *schema.Table {
	t.Helper()
	p.there.do(`CREATE TABLE v (id int PRIMARY KEY, n int) WITH (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
		autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
		INSERT INTO v SELECT i, 0 FROM generate_series(1, 50000) AS i; UPDATE v SET n = 1`)
	p.there.do("ALTER SYSTEM SET autovacuum_naptime = '1s'")
	p.there.do("SELECT pg_reload_conf()")
	t.Cleanup(func() {
		for _, sql := range []string{"ALTER SYSTEM RESET autovacuum_naptime", "SELECT pg_reload_conf()"} {
			if _, err := p.there.conn.Exec(context.Background(), sql).ReadAll(); err != nil {
				t.Error(err)
			}
		}
	})
	table := tableOf(t, p.target, "v")
	if err := p.target.Guard.Shut(t.Context(), table, p.epoch); err != nil {
		t.Fatal(err)
	}
	for begins := time.Now(); p.there.ask(autovacuum) == "0"; time.Sleep(20 * time.Millisecond) {
		if time.Since(begins) > 2*time.Minute {
			t.Fatal("the server's own vacuum did not begin")
		}
	}
	p.there.do("ALTER SYSTEM SET autovacuum_naptime = '1h'")
	p.there.do("SELECT pg_reload_conf()")
	return table
}

// Before a table is opened its vacuum is left off, whoever opens it then waits for nobody.
func TestHousekeepingLeavesATable(t *testing.T) {
	p := pair(t, "")
	table := housekept(t, p)
	if err := p.target.Vacate(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	if n := p.there.ask(autovacuum); n != "0" {
		t.Errorf("%s workers are at the table still", n)
	}
	if err := p.target.Guard.Open(t.Context(), table); err != nil {
		t.Fatal(err)
	}
}

// Where the account may have it so, a vacuum that has begun again meanwhile gives way at once, and not after a second.
func TestOpeningDoesNotWaitForHousekeeping(t *testing.T) {
	p := pair(t, "")
	table := housekept(t, p)
	began := time.Now()
	if err := p.target.Guard.Open(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	if took > 800*time.Millisecond { // deadlock_timeout is a second
		t.Errorf("to open the table took %v", took)
	}
	t.Logf("opened in %v", took)
}

// A table that somebody is at for long is not waited for without a word: whoever opens it learns who that is, and opens it later.
func TestOpeningSaysWhoIsInTheWay(t *testing.T) {
	p := pair(t, "")
	p.there.do("CREATE TABLE w (id int PRIMARY KEY)")
	table := tableOf(t, p.target, "w")
	if err := p.target.Guard.Shut(t.Context(), table, p.epoch); err != nil {
		t.Fatal(err)
	}
	other := login(t, p.there.address)
	other.do("BEGIN; LOCK TABLE w IN SHARE UPDATE EXCLUSIVE MODE")
	err := p.target.Guard.Open(t.Context(), table)
	if err == nil || classify(err) != driver.Transient || !strings.Contains(err.Error(), "session "+other.ask("SELECT pg_backend_pid()")) {
		t.Errorf("%v (%v)", err, classify(err))
	}
	other.do("COMMIT")
	if err := p.target.Guard.Open(t.Context(), table); err != nil {
		t.Error(err)
	}
}
