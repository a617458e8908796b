package mysql

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// outpour loads rows from a first id up to a last, in batches of 1,000, with a value of some bytes and one number of its own.
func outpour(s *side, in driver.Intake, last, size int, number func(id int) string) error {
	l, err := s.Loader.Load(s.ctx, in)
	if err != nil {
		return err
	}
	defer l.Close()
	b, filler := row.NewBatch(3), bytes.Repeat([]byte{'\\'}, size)
	for id := 1; id <= last; {
		for b.Reset(); id <= last && b.Len() < 1000; id++ {
			b.AppendString(strconv.Itoa(id))
			b.AppendString(number(id))
			b.Append(filler)
		}
		if err := l.Write(s.ctx, b); err != nil {
			return err
		}
	}
	n, err := l.Commit(s.ctx)
	if err == nil && n != int64(last) {
		err = errors.New("another count")
	}
	return err
}

func pouring(s *side) (*schema.Table, driver.Intake) {
	s.do("CREATE TABLE poured (id INT PRIMARY KEY, t TINYINT, v BLOB)")
	tb := s.inspect("poured")
	return tb, driver.Intake{Table: tb, Shape: shapeOf(tb), Epoch: s.takeOver()}
}

// TestTheRowIsNamedHoweverFarItIs puts one value that does not fit far into a range, behind the end of a statement.
func TestTheRowIsNamedHoweverFarItIs(t *testing.T) {
	s := target(t)
	tb, in := pouring(s)
	for i, test := range []struct {
		infile          bool
		last, bad, size int
	}{{true, statementRows + 3000, statementRows + 1017, 0}, {true, 1500, 1, 0}, {true, 6000, 5678, statementBytes / 5000}, {false, 3500, 2899, 1500}} {
		in.Range.Number, s.d.infile = i+1, test.infile
		err := outpour(s, in, test.last, test.size, func(id int) string {
			if id == test.bad {
				return "128"
			}
			return "1"
		})
		var cell *driver.CellError
		if !errors.As(err, &cell) || cell.Key != strconv.Itoa(test.bad) || cell.Column != "t" {
			t.Errorf("%+v: %v", test, err)
		}
		s.class(err, driver.BadData)
		if n := s.app().text("SELECT COUNT(*) FROM poured"); n != "0" {
			t.Fatalf("%s rows are left", n)
		}
	}
	if ranges, _ := s.Ledger.Ranges(s.ctx, tb); len(ranges) != 0 {
		t.Fatalf("lines of failed loads: %v", ranges)
	}
	s.d.infile = true
	in.Range.Number = 9
	if err := outpour(s, in, statementRows+10, 0, func(int) string { return "1" }); err != nil {
		t.Fatal(err)
	}
}

// TestALoadThatIsGivenUpIsUndone gives loads up in the middle of a statement: the session and the range are free at once.
func TestALoadThatIsGivenUpIsUndone(t *testing.T) {
	s := target(t)
	_, in := pouring(s)
	in.Range.Number = 1
	for i, leave := range []func(driver.Load, context.CancelFunc){
		func(driver.Load, context.CancelFunc) {},
		func(_ driver.Load, cancel context.CancelFunc) { cancel() },
		func(l driver.Load, cancel context.CancelFunc) {
			cancel()
			ctx, stop := context.WithCancel(s.ctx)
			stop()
			if err := l.Write(ctx, batch(3, []string{"2", "1", ""})); !errors.Is(err, context.Canceled) {
				t.Errorf("a write whose context is over: %v", err)
			}
		},
		func(l driver.Load, _ context.CancelFunc) { l.(*load).kill() },
	} {
		ctx, cancel := context.WithCancel(s.ctx)
		for range 5 { // more than there are sessions
			l, err := s.Loader.Load(ctx, in)
			if err != nil {
				break
			}
			if err := l.Write(ctx, batch(3, []string{"1", "1", ""})); err != nil {
				t.Fatal(err)
			}
			leave(l, cancel)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		began := time.Now()
		in.Range.Number = 10 + i
		if err := outpour(s, in, 1, 0, func(int) string { return "1" }); err != nil || time.Since(began) > 20*time.Second {
			t.Fatalf("after way %d, %v: %v", i, time.Since(began), err)
		}
		s.do("DELETE FROM poured")
		in.Range.Number = 1
	}
}
