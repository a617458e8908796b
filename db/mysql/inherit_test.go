package mysql

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// TestASessionThatCommitsIsNotEnded: on a full disk, that would cost transactions that others commit after it. Here it waits
// for a replica that does not come.
func TestASessionThatCommitsIsNotEnded(t *testing.T) {
	address := testserver.New(t, "mariadb").Create(t, "shop") // its commits are held up, no other test's
	earlier := open(t, address, driver.Target)
	if err := earlier.Ledger.Prepare(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	earlier.do("CREATE TABLE held (id INT PRIMARY KEY)")
	epoch := earlier.takeOver()
	l, err := earlier.d.work.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.back()
	err = errors.Join(l.begin(t.Context()), earlier.d.fence(t.Context(), l.session, epoch), l.run(t.Context(), "INSERT INTO held VALUES (1)"))
	if err != nil {
		t.Fatal(err)
	}
	admin := earlier.app()
	admin.do("SET GLOBAL rpl_semi_sync_master_timeout=3600000", "SET GLOBAL rpl_semi_sync_master_wait_point=AFTER_SYNC", "SET GLOBAL rpl_semi_sync_master_enabled=1")
	committed, taken := make(chan error, 1), make(chan error, 1)
	go func() { committed <- l.commit(t.Context()) }()
	eventually(t, "it commits", func() bool {
		return admin.text("SELECT COUNT(*) FROM information_schema.processlist WHERE info = 'COMMIT' AND state LIKE 'Waiting for semi-sync%'") == "1"
	})
	successor := open(t, address, driver.Target)
	eventually(t, "it is found", func() bool {
		err := successor.Inherit(t.Context())
		if err != nil && successor.Dialect.Classify(err) != driver.Transient {
			t.Fatal(err)
		}
		return err != nil && strings.Contains(err.Error(), "commits still")
	})
	go func() { _, err := successor.Ledger.TakeOver(t.Context()); taken <- err }()
	eventually(t, "the one that takes over waits for it", func() bool {
		return admin.text("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'UPDATE%epoch%'") == "1"
	})
	time.Sleep(5 * staleness) // in which it would be ended
	admin.do("SET GLOBAL rpl_semi_sync_master_enabled=0")
	if err := errors.Join(<-committed, <-taken); err != nil {
		t.Error(err)
	}
	if n := admin.text("SELECT COUNT(*) FROM held"); n != "1" {
		t.Errorf("%s rows of a commit that was acknowledged", n)
	}
}

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
	eventually(t, "the earlier process's session ends", func() bool { return s.Dialect.Classify(earlier.run(t.Context(), "DO 1")) == driver.Lost })
	application.do("UPDATE held SET id = 3") // nothing is held any more
	for who, l := range others {
		if err := l.run(t.Context(), "DO 1"); err != nil {
			t.Errorf("%s session was ended: %v", who, err)
		}
	}
}
