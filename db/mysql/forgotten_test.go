package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
)

// interposed does something before a session begins the snapshot of a batch.
type interposed struct {
	connection
	before func()
}

func (i interposed) ExecContext(ctx context.Context, sql string, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	if strings.HasPrefix(sql, "START TRANSACTION WITH CONSISTENT SNAPSHOT") {
		i.before()
	}
	return i.connection.ExecContext(ctx, sql, args)
}

// TestEntriesThatGoMeanwhileTakeNoRowAlong: an earlier process that has slept forgets its batch while its successor takes the same
// entries. A key whose entry is gone when the rows are read must not look like that of a row that is gone: the target would lose it.
func TestEntriesThatGoMeanwhileTakeNoRowAlong(t *testing.T) {
	address := testserver.MariaDB(t)
	s := open(t, address, driver.Source)
	s.do("CREATE TABLE slept (id INT PRIMARY KEY, v TEXT)", "INSERT INTO slept VALUES (1, 'a'), (2, 'b')")
	tb := s.inspect("slept")
	shape := s.install(tb)
	s.do("UPDATE slept SET v = 'c' WHERE id = 1")
	take := func(s *side) (driver.Receipt, *row.Batch, *row.Batch) {
		t.Helper()
		keys, images := row.NewBatch(1), row.NewBatch(shape.Width())
		r, err := s.Recorder.Take(s.ctx, driver.Want{Table: tb, Shape: shape, Lanes: 1, Most: 100}, keys, images)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return r, keys, images
	}
	earlier, keys, images := take(s)
	if keys.Len() != 1 || images.Len() != 1 {
		t.Fatalf("%d keys and %d rows", keys.Len(), images.Len())
	}
	if err := earlier.Durable(s.ctx, 1); err != nil {
		t.Fatal(err)
	}
	successor := open(t, address, driver.Source)
	l, err := successor.d.work.take(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	slept := 0
	l.session.conn = interposed{l.session.conn, func() {
		if slept++; slept > 1 {
			return
		}
		if err := earlier.Forget(s.ctx, 1); err != nil {
			t.Errorf("the earlier process forgets: %v", err)
		}
	}}
	l.back()
	_, keys, images = take(successor)
	if slept == 0 {
		t.Fatal("nothing came between")
	}
	if keys.Len() != images.Len() {
		t.Errorf("%d keys and %d rows: a row that is there passes for one that is gone", keys.Len(), images.Len())
	}
	s.do("UPDATE slept SET v = 'd' WHERE id = 1")
	if earlier, _, _ = take(s); earlier.Entries() != 1 {
		t.Fatalf("%d entries", earlier.Entries())
	}
	if l, err = successor.d.work.take(s.ctx); err != nil {
		t.Fatal(err)
	}
	keys, images = row.NewBatch(1), row.NewBatch(shape.Width())
	k := recorder{successor.d}.newTake(l, driver.Want{Table: tb, Shape: shape, Lanes: 1, Most: 100}, keys, images)
	defer k.receipt.back()
	if err := errors.Join(k.begin(s.ctx), k.entries(s.ctx)); err != nil {
		t.Fatal(err)
	}
	if err := earlier.Forget(s.ctx, 2); err != nil {
		t.Errorf("the earlier process forgets: %v", err)
	}
	if err := k.rows(s.ctx); err != nil || keys.Len() != 1 || images.Len() != 1 {
		t.Errorf("between entries and rows: %d keys and %d rows, %v", keys.Len(), images.Len(), err)
	}
}
