package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

func TestTheGateRefusesEverybody(t *testing.T) {
	p := pair(t, `CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE "b ""c" (id integer PRIMARY KEY) PARTITION BY RANGE (id);
		CREATE TABLE part PARTITION OF "b ""c" FOR VALUES FROM (0) TO (10); INSERT INTO a VALUES (1)`)
	tables := inspect(t, p.source).Tables
	for range 2 {
		if err := p.source.Gate.Shut(t.Context(), tables, patience); err != nil {
			t.Fatal(err)
		}
	}
	for _, sql := range []string{
		"INSERT INTO a VALUES (2)", "UPDATE a SET id = 3", "DELETE FROM a", "DELETE FROM a WHERE false", "TRUNCATE a", "COPY a FROM PROGRAM 'echo 5'",
		`INSERT INTO "b ""c" VALUES (1)`, "INSERT INTO part VALUES (1)", "TRUNCATE part", "INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING",
		"SET session_replication_role = replica; DELETE FROM a",
	} {
		err := p.app.try(sql)
		if err == nil || !strings.Contains(err.Error(), "are refused while this database is moved") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	p.app.do("RESET session_replication_role")
	if err := p.source.Gate.Prove(t.Context(), tables, patience); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := p.source.Gate.Reopen(t.Context(), tables); err != nil {
			t.Fatal(err)
		}
	}
	p.app.do(`INSERT INTO a VALUES (2); INSERT INTO part VALUES (1)`)
	if err := p.source.Gate.Prove(t.Context(), tables, patience); err == nil || !strings.Contains(err.Error(), "is open") {
		t.Errorf("Prove of an open gate: %v", err)
	}
	if err := p.source.Capturer.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := p.app.ask("SELECT nspname FROM pg_namespace WHERE nspname ~ 'whimbrel'"); left != "" {
		t.Errorf("left: %s", left)
	}
}

// TestTheGateWaitsForWriters and names them; a prepared transaction is found by Prove.
func TestTheGateWaitsForWriters(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY)")
	tables := []*schema.Table{tableOf(t, p.source, "a")}
	writer := login(t, p.app.address)
	writer.do("SET application_name = 'till 3'; BEGIN; INSERT INTO a VALUES (1)")
	short := driver.Wait{Lock: 100 * time.Millisecond, Settled: 300 * time.Millisecond}
	if err := p.source.Gate.Shut(t.Context(), tables, short); class(err) != driver.Transient || !strings.Contains(err.Error(), "till 3") {
		t.Errorf("Shut beside a writer: %v", err)
	}
	all, err := p.source.Gate.Writers(t.Context())
	if err != nil || !named(all, "till 3", "idle in transaction") {
		t.Errorf("writers %v, %v", all, err)
	}
	done := make(chan error, 1)
	go func() { done <- p.source.Gate.Shut(context.Background(), tables, patience) }()
	writer.do("SELECT pg_sleep(0.3)")
	writer.do("COMMIT")
	if err := <-done; err != nil {
		t.Errorf("Shut after the writer has ended: %v", err)
	}
	if err := p.source.Gate.Reopen(t.Context(), tables); err != nil {
		t.Fatal(err)
	}
	writer.do("BEGIN; INSERT INTO a VALUES (2); PREPARE TRANSACTION 'two'")
	if err := p.source.Gate.Shut(t.Context(), tables, short); err == nil || !strings.Contains(err.Error(), "'two'") {
		t.Errorf("Shut beside a prepared transaction: %v", err)
	}
	if all, err = p.source.Gate.Writers(t.Context()); err != nil || !named(all, "", "prepared transaction") {
		t.Errorf("writers %v, %v", all, err)
	}
	writer.do("COMMIT PREPARED 'two'")
	if err := p.source.Gate.Shut(t.Context(), tables, patience); err != nil {
		t.Fatal(err)
	}
	holder := login(t, p.app.address)
	holder.do("BEGIN; LOCK TABLE a IN ROW EXCLUSIVE MODE; PREPARE TRANSACTION 'held'")
	if err := p.source.Gate.Prove(t.Context(), tables, short); err == nil || !strings.Contains(err.Error(), "'held'") {
		t.Errorf("Prove beside a prepared transaction: %v", err)
	}
	holder.do("ROLLBACK PREPARED 'held'")
	holder.do("BEGIN; LOCK TABLE a IN ROW EXCLUSIVE MODE")
	if err := p.source.Gate.Prove(t.Context(), tables, short); err == nil || !strings.Contains(err.Error(), "session") {
		t.Errorf("Prove beside an open transaction: %v", err)
	}
	holder.do("ROLLBACK")
	if err := p.source.Gate.Prove(t.Context(), tables, patience); err != nil {
		t.Error(err)
	}
}

func named(all []driver.Writer, program, state string) bool {
	for _, w := range all {
		if strings.HasPrefix(w.Program, "whimbrel") {
			return false
		}
		if w.Program == program && w.State == state {
			return true
		}
	}
	return false
}

func TestTheGuardLetsOnlyUsIn(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, v text)")
	r := p.replayer(t, "a")
	for range 2 {
		if err := p.target.Guard.Shut(t.Context(), r.to, p.epoch); err != nil {
			t.Fatal(err)
		}
	}
	for _, sql := range []string{"INSERT INTO a VALUES (9, 'x')", "DELETE FROM a", "TRUNCATE a", "SET session_replication_role = replica; UPDATE a SET v = ''"} {
		if err := p.there.try(sql); err == nil || !strings.Contains(err.Error(), "filled by a move") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	p.app.do("INSERT INTO a VALUES (1, 'x')")
	r.drain(t, 10)
	if err := p.target.Ledger.Clear(t.Context(), r.to, p.epoch); err != nil {
		t.Error(err)
	}
	if err := p.target.Ledger.Drop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := p.there.try("INSERT INTO a VALUES (9, 'x')"); err == nil {
		t.Error("dropping the ledger opened the table")
	}
	for range 2 {
		if err := p.target.Guard.Open(t.Context(), r.to); err != nil {
			t.Fatal(err)
		}
	}
	p.there.do("INSERT INTO a VALUES (9, 'x')")
	if left := p.there.ask("SELECT nspname FROM pg_namespace WHERE nspname ~ 'whimbrel'"); left != "" {
		t.Errorf("left: %s", left)
	}
}
