package mysql

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// TestForgettingWaitsForNobody forgets entries between which, before which and behind which an application has others that
// are not committed, in runs and one by one, out of a record that holds hardly more than them: for such a one the server would
// like to read the whole table.
func TestForgettingWaitsForNobody(t *testing.T) {
	for _, gap := range []int{2, 7, 60, 300} {
		t.Run(fmt.Sprintf("every %d", gap), func(t *testing.T) {
			s := source(t)
			s.do("CREATE TABLE f (id INT PRIMARY KEY)")
			tb := s.inspect("f")
			shape := s.install(tb)
			a, late := s.app(), s.app()
			late.do("BEGIN")
			want := 0
			for i := 0; i < 700; {
				late.do(fmt.Sprintf("INSERT INTO f VALUES (%d)", i))
				var rows []string
				for i++; i%gap != 0; i++ {
					rows = append(rows, fmt.Sprintf("(%d)", i))
				}
				want += len(rows)
				a.do("INSERT INTO f VALUES " + strings.Join(rows, ","))
			}
			late.do("INSERT INTO f VALUES (9999)")
			began := time.Now()
			if n := len(s.taken(tb, shape, 1)); n != want {
				t.Fatalf("%d entries, not %d", n, want)
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Fatalf("it took %s", took)
			}
			late.do("COMMIT")
			if n := len(s.taken(tb, shape, 2)); n != 700/gap+min(700%gap, 1)+1 {
				t.Fatalf("%d late entries", n)
			}
			if n := len(s.taken(tb, shape, 3)); n != 0 {
				t.Fatalf("%d entries too many", n)
			}
		})
	}
}

// TestAnEntryThatIsGoneIsNotForgotten takes the same entries twice.
func TestAnEntryThatIsGoneIsNotForgotten(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE f (id INT PRIMARY KEY)")
	tb := s.inspect("f")
	shape := s.install(tb)
	for _, many := range []int{3, 80} {
		s.app().do("DELETE FROM f", "INSERT INTO f SELECT seq FROM seq_1_to_"+fmt.Sprint(many))
		var receipts [2]driver.Receipt
		for i := range receipts {
			var err error
			receipts[i], err = s.Recorder.Take(s.ctx, driver.Want{Table: tb, Shape: shape, Lanes: 1, Most: 1000}, row.NewBatch(1), row.NewBatch(1))
			if err != nil {
				t.Fatal(err)
			}
			defer receipts[i].Close()
		}
		if err := receipts[0].Forget(s.ctx, 1); err != nil {
			t.Fatal(err)
		}
		s.class(receipts[1].Forget(s.ctx, 2), driver.Transient)
	}
	if n, err := s.Recorder.Numbers(s.ctx, tb, 0); err != nil || n.Forgotten != 1 {
		t.Fatal(n, err)
	}
}

// TestABatchIsTakenBeyondAnother takes entries while an earlier receipt is open, and finds those that the other left out, by a
// Take without it.
func TestABatchIsTakenBeyondAnother(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE f (id INT PRIMARY KEY, v INT NOT NULL DEFAULT 0)")
	tb := s.inspect("f")
	shape := s.install(tb)
	late := s.app()
	late.do("BEGIN", "INSERT INTO f (id) VALUES (500)")
	s.app().do("INSERT INTO f (id) SELECT seq FROM seq_1_to_100", "UPDATE f SET v = 1 WHERE id IN (1, 2, 3)")
	take := func(beyond driver.Receipt, want string) driver.Receipt {
		t.Helper()
		keys := row.NewBatch(1)
		r, err := s.Recorder.Take(s.ctx, driver.Want{Table: tb, Shape: shape, Lanes: 1, Most: 60, Beyond: beyond}, keys, row.NewBatch(2))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		if got := show(keys); fmt.Sprintf("%s %s %d", got[0], got[len(got)-1], len(got)) != want {
			t.Fatal(got)
		}
		return r
	}
	first := take(nil, "1 60 60")
	late.do("COMMIT") // its number is before those of the first
	second := take(first, "61 3 43")
	third := take(nil, "500 59 60")
	_ = third.Close()
	for i, r := range []driver.Receipt{first, second, nil} {
		if r == nil {
			r = take(nil, "500 500 1")
		}
		if err := r.Forget(s.ctx, int64(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := s.Recorder.Backlog(s.ctx, tb); err != nil || b.Entries != 0 {
		t.Fatal(b, err)
	}
	if _, err := s.Recorder.Take(s.ctx, driver.Want{Table: tb, Shape: shape, Lanes: 1, Most: 1, Beyond: struct{ driver.Receipt }{}}, row.NewBatch(1), row.NewBatch(2)); err == nil {
		t.Fatal("a stranger's receipt was taken")
	}
}
