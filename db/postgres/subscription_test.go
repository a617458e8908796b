package postgres

import (
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// TestWhatASubscriptionAppliesIsNoted: a subscription's worker fires no trigger for each statement, so that where one is there when
// capture is installed, rows are noted one by one (HAZARDS 8).
func TestWhatASubscriptionAppliesIsNoted(t *testing.T) {
	s := testserver.New(t, "postgres", "wal_level=logical")
	publisher, address := s.Create(t, "publisher"), s.Create(t, "shop")
	from, app := login(t, publisher), login(t, address)
	const table = "CREATE TABLE a (id integer PRIMARY KEY, v text); CREATE TABLE done (id integer PRIMARY KEY)"
	from.do(table)
	app.do(table)
	from.do("CREATE PUBLICATION everything FOR TABLE a, done")
	from.do("SELECT pg_create_logical_replication_slot('everything', 'pgoutput')")
	app.do("CREATE SUBSCRIPTION everything CONNECTION " + literal(publisher) + " PUBLICATION everything WITH (create_slot = false, copy_data = false)")
	db := open(t, address, driver.Source)
	a, shape := captured(t, db, "a")
	for _, c := range []struct{ sql, keys string }{
		{"INSERT INTO a VALUES (1, 'a'), (2, 'b')", "1;2"},
		{"UPDATE a SET v = 'x' WHERE id = 2", "2"},
		{"UPDATE a SET id = 3 WHERE id = 1", "1;3"},
		{"DELETE FROM a WHERE id = 2", "2"},
	} {
		from.do("BEGIN; " + c.sql + "; INSERT INTO done SELECT count(*) FROM done; COMMIT")
		applied(t, app, from.ask("SELECT count(*) FROM done"))
		if got, _ := taken(t, db, a, shape); got != c.keys {
			t.Errorf("%s: noted %q, want %q", c.sql, got, c.keys)
		}
	}
	if got := app.ask("SELECT id FROM a"); got != "3" {
		t.Errorf("the subscription has brought %q", got)
	}
}

// applied returns when a subscription has brought that many rows of done.
func applied(t *testing.T, u *user, rows string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); u.ask("SELECT count(*) FROM done") != rows; {
		if time.Now().After(end) {
			t.Fatalf("the subscription has not brought %s rows within a minute", rows)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
