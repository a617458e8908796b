package mysql

import (
	"net/url"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// TestSessionsOfAnEarlierProcessEnd: what a process that has frozen holds at the source does not hold its successor up; sessions of
// others, another run's and the application's among them, go on.
func TestSessionsOfAnEarlierProcessEnd(t *testing.T) {
	address := testserver.MariaDB(t)
	opened := func(run string, side driver.Side) *driver.Database {
		t.Helper()
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		db, err := Driver.Open(t.Context(), u, driver.Options{Side: side, Run: run, Sessions: 4})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	hold := func(db *driver.Database) *lease {
		t.Helper()
		l, err := db.Executor.(*database).work.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.back)
		if err := l.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		return l
	}
	s := open(t, address, driver.Source)
	s.do("CREATE TABLE held (id INT PRIMARY KEY)", "INSERT INTO held VALUES (1)")
	earlier := hold(opened("one", driver.Source))
	if err := earlier.run(t.Context(), "UPDATE held SET id = 2"); err != nil { // and it freezes
		t.Fatal(err)
	}
	others := map[string]*lease{"another run's": hold(opened("onefold", driver.Source)), "the other side's": hold(opened("one", driver.Target))}
	application := s.app()
	successor := opened("one", driver.Source)
	others["its own"] = hold(successor)
	for range 2 {
		if err := successor.Inherit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ended := false
	for limit := time.Now().Add(30 * time.Second); !ended && time.Now().Before(limit); {
		ended = s.Dialect.Classify(earlier.run(t.Context(), "DO 1")) == driver.Lost
	}
	if !ended {
		t.Error("the earlier process's session goes on")
	}
	application.do("UPDATE held SET id = 3") // nothing is held any more
	for who, l := range others {
		if err := l.run(t.Context(), "DO 1"); err != nil {
			t.Errorf("%s session was ended: %v", who, err)
		}
	}
}
