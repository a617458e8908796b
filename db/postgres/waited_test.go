package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// TestValuesThatAnIndexCollationHoldsEqual are in each other's way though the column's own collation tells them apart.
func TestValuesThatAnIndexCollationHoldsEqual(t *testing.T) {
	p := pair(t, "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); "+
		"CREATE TABLE a (id integer PRIMARY KEY, email text); CREATE UNIQUE INDEX a_email ON a (email COLLATE ci)")
	r := p.replayer(t, "a")
	p.app.do("INSERT INTO a VALUES (1, 'm5'), (2, 'n6')")
	r.drain(t, 10)
	p.app.do("UPDATE a SET email = 'x' WHERE id = 1; UPDATE a SET email = 'M5' WHERE id = 2; UPDATE a SET email = 'N6' WHERE id = 1")
	r.drain(t, 1)
}

// TestTakeSeesTheRowsOfATableThatWasRewritten while it waited for the table: a snapshot from before the rewrite sees none.
func TestTakeSeesTheRowsOfATableThatWasRewritten(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, v integer)")
	r := p.replayer(t, "a")
	p.app.do("INSERT INTO a SELECT n, n FROM generate_series(1, 100) AS n")
	p.app.do("BEGIN; ALTER TABLE a ALTER v TYPE integer USING (v + 0)")
	keys, images := row.NewBatch(1), row.NewBatch(2)
	taken := make(chan error, 1)
	go func() {
		receipt, err := p.source.Recorder.Take(t.Context(), driver.Want{Table: r.from, Shape: r.here, Lanes: 1, Most: 1000}, keys, images)
		if err == nil {
			err = receipt.Close()
		}
		taken <- err
	}()
	waiting(t, p)
	p.app.do("COMMIT")
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	if keys.Len() != 100 || images.Len() != 100 {
		t.Errorf("%d keys and %d rows were taken, not 100 of each", keys.Len(), images.Len())
	}
}

// TestATakeThatWaitsForATableEndsWithItsContext.
func TestATakeThatWaitsForATableEndsWithItsContext(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY)")
	r := p.replayer(t, "a")
	p.app.do("INSERT INTO a VALUES (1)")
	p.app.do("BEGIN; LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
	over := errors.New("over")
	ctx, cancel := context.WithCancelCause(t.Context())
	taken := make(chan error, 2)
	go func() {
		_, err := p.source.Recorder.Take(ctx, driver.Want{Table: r.from, Shape: r.here, Lanes: 1, Most: 10}, row.NewBatch(1), row.NewBatch(1))
		taken <- err
	}()
	go func() {
		cursor, err := p.source.Reader.Read(ctx, driver.Query{Table: r.from, Shape: r.here})
		if err == nil {
			err = cursor.Fill(ctx, row.NewBatch(1))
		}
		taken <- err
	}()
	waiting(t, p)
	cancel(over)
	for range 2 {
		select {
		case err := <-taken:
			if err == nil {
				t.Error("a table that is locked was read")
			}
		case <-time.After(20 * time.Second):
			t.Fatal("it waits on")
		}
	}
	p.app.do("ROLLBACK")
}

// waiting returns when a session waits for a lock of the table a.
func waiting(t *testing.T, p *twins) {
	t.Helper()
	for began := time.Now(); p.app.ask("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'a'::regclass") == "0"; {
		if time.Since(began) > 20*time.Second {
			t.Fatal("nobody waits for the table")
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
}
