package mysql

import (
	"sync"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
)

// TestATriggerThatCameLateIsLookedAt lets a CREATE TRIGGER of an earlier attempt, whose session was lost, come through after the look
// at the triggers and before the last one is made: that is no failure, and the next call finds it.
func TestATriggerThatCameLateIsLookedAt(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE late (id INT PRIMARY KEY)", "INSERT INTO late VALUES (1)")
	tb := s.inspect("late")
	shape := s.install(tb)
	all := s.d.recorders(tb, keyColumns(shape))
	for _, one := range all {
		s.do("DROP TRIGGER " + quote(one.name))
	}
	want := all[len(all)-1]
	reader, earlier, look := s.app(), s.app(), s.app()
	reader.do("START TRANSACTION", "SELECT * FROM late") // both wait for it
	var wg sync.WaitGroup
	var err error
	wg.Go(func() {
		err = s.Capturer.Install(s.ctx, tb, shape, driver.Wait{Lock: 30 * time.Second, Settled: time.Second})
	})
	look.sees("1") // it has looked, and makes the first one
	wg.Go(func() {
		earlier.do("SET lock_wait_timeout=30", "CREATE TRIGGER "+quote(want.name)+" "+want.when+" "+want.event+" ON late FOR EACH ROW "+want.body)
	})
	look.sees("2")
	reader.do("COMMIT")
	wg.Wait()
	if c := s.Dialect.Classify(err); c != driver.Transient {
		t.Fatalf("%v is of class %d: it is not tried again", err, c)
	}
	if err := s.Capturer.Install(s.ctx, tb, shape, brief); err != nil {
		t.Error(err)
	}
}
