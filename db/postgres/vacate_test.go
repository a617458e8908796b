package postgres

import (
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
)

// autovacuum is how many of the server's workers are at the table v.
const autovacuum = `SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
	WHERE l.relation = 'v'::regclass AND l.mode = 'ShareUpdateExclusiveLock' AND a.backend_type = 'autovacuum worker'`

// A vacuum that the server began by itself, and that would take hours, is left off before a table is opened: whoever opens it then
// waits for nobody.
func TestHousekeepingLeavesATable(t *testing.T) {
	p := pair(t, "")
	p.there.do(`CREATE TABLE v (id int PRIMARY KEY, n int) WITH (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
		autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
		INSERT INTO v SELECT i, 0 FROM generate_series(1, 50000) AS i; UPDATE v SET n = 1`)
	p.there.do("ALTER SYSTEM SET autovacuum_naptime = '1s'")
	p.there.do("SELECT pg_reload_conf()")
	defer func() {
		p.there.do("ALTER SYSTEM RESET autovacuum_naptime")
		p.there.do("SELECT pg_reload_conf()")
	}()
	table := tableOf(t, p.target, "v")
	if err := p.target.Guard.Shut(t.Context(), table, p.epoch); err != nil {
		t.Fatal(err)
	}
	for begins := time.Now(); p.there.ask(autovacuum) == "0"; time.Sleep(20 * time.Millisecond) {
		if time.Since(begins) > 2*time.Minute {
			t.Fatal("the server's own vacuum did not begin")
		}
	}
	p.there.do("ALTER SYSTEM SET autovacuum_naptime = '1h'") // and does not come back for now
	p.there.do("SELECT pg_reload_conf()")
	if err := p.target.Vacate(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	if n := p.there.ask(autovacuum); n != "0" {
		t.Errorf("%s workers are at the table still", n)
	}
	began := time.Now()
	if err := p.target.Guard.Open(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 800*time.Millisecond { // deadlock_timeout is a second
		t.Errorf("to open the table took %v", took)
	}
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
