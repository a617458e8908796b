package mysql

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// TestNumberWaitsForACommitInFlight: an application's session stands for an Apply whose connection died while the server was at
// its COMMIT.
func TestNumberWaitsForACommitInFlight(t *testing.T) {
	p := newPair(t, "CREATE TABLE p (id INT PRIMARY KEY)")
	a := p.dst.app()
	if err := p.dst.d.work.with(t.Context(), func(s *session) error { return p.dst.d.ensureLane(t.Context(), s, p.to, 0) }); err != nil {
		t.Fatal(err)
	}
	a.do("BEGIN", "UPDATE whimbrel_target_lane SET number = 1 WHERE lane = 0")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if got, err := p.dst.Ledger.Number(ctx, p.to, 0); err == nil {
		t.Errorf("the number is %d while batch 1 may be committed", got)
	}
	a.do("COMMIT")
	if got, err := p.dst.Ledger.Number(t.Context(), p.to, 0); err != nil || got.Number != 1 {
		t.Error(got, err)
	}
}

// TestForgetOfWhatIsGoneIsTransient takes the same entry twice.
func TestForgetOfWhatIsGoneIsTransient(t *testing.T) {
	p := newPair(t, "CREATE TABLE p (id INT PRIMARY KEY)")
	p.src.app().do("INSERT INTO p VALUES (1)")
	for i, want := range []driver.Class{driver.Unclassified, driver.Transient} {
		r, err := p.src.Recorder.Take(t.Context(), driver.Want{Table: p.from, Shape: p.read, Lanes: 1, Most: 9}, row.NewBatch(1), row.NewBatch(1))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if i == 1 { // the entry goes between Take and Forget
			p.src.app().do("DELETE FROM whimbrel_source_record_" + strconv.Itoa(p.from.Number))
		}
		if got := p.src.Dialect.Classify(r.Forget(t.Context(), int64(i+1))); got != want {
			t.Errorf("Forget %d has class %d, want %d", i+1, got, want)
		}
		p.src.app().do("REPLACE INTO p VALUES (1)")
	}
}
