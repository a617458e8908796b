package postgres

import (
	"context"
	"fmt"
	"testing"
	"time"
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
		if got, err := p.target.Ledger.Number(t.Context(), to, 0); err != nil || got != int64(n+1) {
			t.Errorf("batch %d, %v, want %d", got, err, n+1)
		}
	}
}
