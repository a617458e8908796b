package postgres

import (
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// TestSessionsOfAnEarlierProcessEnd: what a process that has frozen holds at the source does not hold its successor up; sessions of
// others, another run's among them, go on.
func TestSessionsOfAnEarlierProcessEnd(t *testing.T) {
	address := testserver.Postgres(t)
	hold := func(run string, side driver.Side) *lease {
		t.Helper()
		d := openFor(t, address, side, run)
		l, err := d.Executor.(*database).worker(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.release)
		if err := l.exec(t.Context(), "BEGIN; SELECT 1"); err != nil {
			t.Fatal(err)
		}
		return l
	}
	earlier, another, target := hold("one", driver.Source), hold("onefold", driver.Source), hold("one", driver.Target)
	successor := openFor(t, address, driver.Source, "one")
	own, err := successor.Executor.(*database).worker(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer own.release()
	for range 2 {
		if err := successor.Inherit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := earlier.exec(t.Context(), "SELECT 1"); classify(err) != driver.Lost {
		t.Errorf("the earlier process's session goes on: %v", err)
	}
	for who, l := range map[string]*lease{"another run's": another, "the other side's": target, "its own": own} {
		if err := l.exec(t.Context(), "SELECT 1"); err != nil {
			t.Errorf("%s session was ended: %v", who, err)
		}
	}
}
