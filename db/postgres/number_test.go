package postgres

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// TestNumberWaitsForACommitInFlight: somebody else's session stands for an Apply whose connection died while the server was at
// its COMMIT.
func TestNumberWaitsForACommitInFlight(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id int PRIMARY KEY)")
	to := tableOf(t, p.target, "a")
	to.Number = 3
	for n, first := range []string{"INSERT INTO whimbrel_target.lane VALUES (3, 0, 1, 1, 0)", "UPDATE whimbrel_target.lane SET number = 2"} {
		p.there.do(fmt.Sprintf("BEGIN; SELECT pg_advisory_xact_lock_shared(%d, 3); %s", lockClass, first))
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if got, err := p.target.Ledger.Number(ctx, to, 0); err == nil {
			t.Errorf("the number is %d while batch %d may be committed", got, n+1)
		}
		cancel()
		p.there.do("COMMIT")
		if got, err := p.target.Ledger.Number(t.Context(), to, 0); err != nil || got.Number != int64(n+1) {
			t.Errorf("batch %d, %v, want %d", got, err, n+1)
		}
	}
}

// TestAnApplyHoldsItsNumberUntilItHasCommitted: a batch is at its COMMIT, where a deferred trigger waits, and its number is not to be
// had before it is done: who read the one before it would take the batch again while it comes through.
func TestAnApplyHoldsItsNumberUntilItHasCommitted(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, v text)")
	p.there.do(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(1, 1); RETURN NULL; END';
		CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait(); ALTER TABLE a ENABLE ALWAYS TRIGGER slow`)
	to := tableOf(t, p.target, "a")
	for n := range int64(2) {
		p.there.do("SELECT pg_advisory_lock(1, 1)")
		delta := driver.Delta{Table: to, Shape: shapeOf(to), Epoch: p.epoch, Number: n + 1, Keys: row.NewBatch(1), Images: row.NewBatch(2)}
		for _, b := range []*row.Batch{delta.Keys, delta.Images} {
			b.AppendString(fmt.Sprint(n))
		}
		delta.Images.AppendString("new")
		var applying sync.WaitGroup
		applying.Go(func() {
			if err := p.target.Applier.Apply(context.WithoutCancel(t.Context()), delta); err != nil {
				t.Error(err)
			}
		})
		const waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1 AND objid = 1 AND NOT granted"
		for end := time.Now().Add(time.Minute); p.there.ask(waiting) != "1"; {
			if time.Now().After(end) {
				t.Fatal("the batch never came to its COMMIT")
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if got, err := p.target.Ledger.Number(ctx, to, 0); err == nil {
			t.Errorf("the number is %d while batch %d commits", got, n+1)
		}
		cancel()
		p.there.do("SELECT pg_advisory_unlock(1, 1)")
		if got, err := p.target.Ledger.Number(t.Context(), to, 0); err != nil || got.Number != n+1 {
			t.Errorf("batch %d, %v, want %d", got, err, n+1)
		}
		applying.Wait()
	}
}
