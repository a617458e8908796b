package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// Whoever asks for a session only if one is free does not try again and again at a server that has no place, and what is made for it is
// not given up with the business of whoever asked first.
func TestASpareSessionIsMadeMeanwhile(t *testing.T) {
	db := open(t, testserver.Postgres(t), driver.Target).Executor.(*database)
	held, err := db.worker(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.release()
	ctx, cancel := context.WithCancel(t.Context())
	l, err := db.spare(ctx)
	cancel() // the batch is settled before the session is there
	if l != nil || err != nil {
		t.Fatal(l, err)
	}
	for begun := time.Now(); db.workers.Stat().IdleResources() == 0; time.Sleep(time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatal("no session is made")
		}
	}
	if l, err = db.spare(t.Context()); l == nil || err != nil {
		t.Fatal(l, err)
	}
	l.drop()
	for db.workers.Stat().TotalResources() > 1 {
		time.Sleep(time.Millisecond)
	}
	db.refused.Store(time.Now().UnixNano())
	if l, err = db.spare(t.Context()); l != nil || err != nil {
		t.Fatal(l, err)
	}
	if n := db.workers.Stat().TotalResources(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// Whoever comes to a database that was closed makes no session.
func TestNoSessionOfAClosedDatabase(t *testing.T) {
	db := open(t, testserver.Postgres(t), driver.Target).Executor.(*database)
	if err := db.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.worker(t.Context()); classify(err) != driver.Lost {
		t.Error(err)
	}
	if n := db.workers.Stat().TotalResources(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}
