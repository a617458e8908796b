package load_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// twins are a source with tables of rows and a target with the same tables, empty.
type twins struct {
	source, target *memory.Server
	from, to       *driver.Database
	epoch          int64
}

func newTwins(t *testing.T) *twins {
	t.Helper()
	w := &twins{source: memory.New("source"), target: memory.New("target")}
	w.from, w.to = w.source.Open(driver.Source), w.target.Open(driver.Target)
	check(t, w.to.Ledger.Prepare(t.Context(), "r"))
	var err error
	w.epoch, err = w.to.Ledger.TakeOver(t.Context())
	check(t, err)
	return w
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// table makes a table with that many rows at the source, empty at the target, cut into three ranges.
func (w *twins) table(t *testing.T, number, rows int) *load.Table {
	t.Helper()
	id := &schema.Column{Name: "id", Type: schema.Type{Kind: row.Int, Precision: 64}}
	def := &schema.Table{
		Name: schema.Name{Schema: "main", Name: "t" + strconv.Itoa(number)}, Number: number, Columns: []*schema.Column{id},
		Primary: &schema.Key{Name: "pk", Columns: []schema.Part{{Column: "id"}}, Constraint: true},
	}
	shape := schema.Shape{Columns: []schema.ShapeColumn{{Column: id, Cell: row.Int}}, Key: []int{0}}
	check(t, w.source.Create(def))
	check(t, w.target.Create(def))
	x := w.source.Begin()
	for i := range rows {
		check(t, x.Insert(def.Name, []byte(strconv.Itoa(i))))
	}
	check(t, x.Commit())
	a, b := row.MakeKey([]byte("10")), row.MakeKey([]byte("20"))
	return &load.Table{
		From: load.End{Database: w.from, Table: def, Shape: shape}, To: load.End{Database: w.to, Table: def, Shape: shape},
		Ranges: []row.Range{{Number: 1, Upto: a}, {Number: 2, After: a, Upto: b}, {Number: 3, After: b}}, Planned: 3,
	}
}

// seen notes what a load tells.
type seen struct {
	mu      sync.Mutex
	in      []string
	stopped []string
	rows    int64
}

func (s *seen) RangeIn(_ *load.Table, r load.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows += r.Rows
}

func (s *seen) TableIn(_ context.Context, t *load.Table) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in = append(s.in, t.From.Table.Name.Name)
	return nil
}

func (s *seen) TableStopped(t *load.Table, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = append(s.stopped, t.From.Table.Name.Name)
}

func two() int { return 2 }

func TestTablesAreLoadedOnce(t *testing.T) {
	w := newTwins(t)
	tables := []*load.Table{w.table(t, 1, 30), w.table(t, 2, 0), w.table(t, 3, 100)}
	for range 2 { // again: the ledger has everything
		s := &seen{}
		check(t, load.Tables(t.Context(), tables, w.epoch, two, s))
		if slices.Sort(s.in); !slices.Equal(s.in, []string{"t1", "t2", "t3"}) || s.rows != 130 {
			t.Fatalf("in: %q, %d rows", s.in, s.rows)
		}
	}
	for i, rows := range []int{30, 0, 100} {
		if got := w.target.Rows(tables[i].To.Table.Name).Len(); got != rows {
			t.Errorf("table %d has %d rows, not %d", i+1, got, rows)
		}
	}
}

// Ranges of tables that take turns are carried one at a time and in their order. While somebody else has the turn, other tables are loaded.
func TestTablesThatTakeTurnsKeepNobodyWaiting(t *testing.T) {
	w := newTwins(t)
	tables := []*load.Table{w.table(t, 1, 30), w.table(t, 2, 30), w.table(t, 3, 30)}
	turn := make(chan struct{}, 1)
	tables[0].Alone, tables[2].Alone = turn, turn
	var mu sync.Mutex
	var order []string
	under := 0
	w.target.Turn = func(_ context.Context, c memory.Call) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case strings.HasPrefix(c.About, "2/"):
			if c.Op == "Load.Commit" && c.Done && strings.HasSuffix(c.About, "/3") {
				<-turn // whoever had it gives it back
			}
		case c.Op == "Loader.Load" && !c.Done:
			under++
			order = append(order, c.About)
		case c.Op == "Load.Commit" && c.Done:
			under--
		}
		if under > 1 {
			t.Errorf("%d ranges at a time", under)
		}
		return nil
	}
	turn <- struct{}{}
	check(t, load.Tables(t.Context(), tables, w.epoch, two, &seen{}))
	if want := []string{"1/1", "1/2", "1/3", "3/1", "3/2", "3/3"}; !slices.Equal(order, want) {
		t.Errorf("carried as %q", order)
	}
	if len(turn) > 0 {
		t.Error("the turn was kept")
	}
}

// A row that is there already is an error: its table stops, and the others go on.
func TestATableThatStopsDoesNotStopTheOthers(t *testing.T) {
	w := newTwins(t)
	tables := []*load.Table{w.table(t, 1, 30), w.table(t, 2, 30)}
	x := w.target.Begin()
	check(t, x.Insert(tables[0].To.Table.Name, []byte("15")))
	check(t, x.Commit())
	s := &seen{}
	err := load.Tables(t.Context(), tables, w.epoch, two, s)
	if err == nil || !strings.Contains(err.Error(), "main.t1") || strings.Contains(err.Error(), "main.t2") {
		t.Fatalf("got %v", err)
	}
	if !slices.Equal(s.stopped, []string{"t1"}) || !slices.Equal(s.in, []string{"t2"}) {
		t.Fatalf("stopped %q, in %q", s.stopped, s.in)
	}
}

func TestACommitWhoseAnswerIsLostIsFoundInTheLedger(t *testing.T) {
	w := newTwins(t)
	table := w.table(t, 1, 30)
	w.target.Fault = func(op string) error {
		if op == "after Load.Commit" {
			return memory.Fail(driver.Unknown, op)
		}
		return nil
	}
	r, err := load.Range(t.Context(), load.Task{From: table.From, To: table.To, Range: table.Ranges[0], Epoch: w.epoch})
	check(t, err)
	if !r.Already || r.Rows != int64(w.target.Rows(table.To.Table.Name).Len()) {
		t.Fatalf("%+v", r)
	}
}

// The ledger says that the range is in, and can not be asked how many rows it has: nothing is known, and the call may be made again.
func TestALedgerThatCanNotBeAskedIsAskedAgain(t *testing.T) {
	w := newTwins(t)
	table := w.table(t, 1, 30)
	task := load.Task{From: table.From, To: table.To, Range: table.Ranges[0], Epoch: w.epoch}
	_, err := load.Range(t.Context(), task)
	check(t, err)
	w.target.Fault = func(op string) error {
		if op == "before Ledger.Ranges" {
			return memory.Fail(driver.Lost, op)
		}
		return nil
	}
	if _, err := load.Range(t.Context(), task); !load.Passing(w.to.Dialect, err) {
		t.Errorf("%v does not pass", err)
	}
	w.target.Fault = nil
	r, err := load.Range(t.Context(), task)
	check(t, err)
	if !r.Already {
		t.Errorf("%+v", r)
	}
}

func TestAnErrorOfEitherSideEndsTheRange(t *testing.T) {
	for _, at := range []string{"before Cursor.Fill", "before Load.Write", "before Load.Commit"} {
		w := newTwins(t)
		table := w.table(t, 1, 30)
		broken := errors.New("broken")
		fault := func(op string) error {
			if op == at {
				return broken
			}
			return nil
		}
		w.source.Fault, w.target.Fault = fault, fault
		_, err := load.Range(t.Context(), load.Task{From: table.From, To: table.To, Range: table.Ranges[0], Epoch: w.epoch})
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", at, err)
		}
		if rows := w.target.Rows(table.To.Table.Name).Len(); rows != 0 {
			t.Errorf("%s left %d rows", at, rows)
		}
	}
}

// ways are the two on which a range travels: passed through in the product's own form, or read and written as cells.
var ways = map[string]func(*twins){
	"passed": func(*twins) {},
	"copied": func(w *twins) { w.from.Pipe = nil },
}

// What a range has read is on the source's disk before the target commits it: a crash of the source takes nothing back that the
// target keeps (HAZARDS C7).
func TestACrashTakesNothingBackThatWasLoaded(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			w := newTwins(t)
			way(w)
			table := w.table(t, 1, 5)
			w.source.Lazy = true
			x := w.source.Begin()
			check(t, x.Insert(table.From.Table.Name, []byte("7")))
			check(t, x.Commit())
			_, err := load.Range(t.Context(), load.Task{From: table.From, To: table.To, Range: table.Ranges[0], Epoch: w.epoch})
			check(t, err)
			w.source.Crash()
			if a, b := w.source.Rows(table.From.Table.Name).Len(), w.target.Rows(table.To.Table.Name).Len(); a != 6 || b != 6 {
				t.Errorf("%d rows at the source and %d at the target", a, b)
			}
		})
	}
}

// overcounting is a source's pipe, and a target's loader, that count a row which there is not.
type overcounting struct {
	driver.Pipe
	driver.Loader
}

// Out says that it has sent one row more than it has.
func (o overcounting) Out(ctx context.Context, q driver.Query, w io.Writer) (int64, error) {
	n, err := o.Pipe.Out(ctx, q, w)
	return n + 1, err
}

// Load begins a load that counts so.
func (o overcounting) Load(ctx context.Context, in driver.Intake) (driver.Load, error) {
	l, err := o.Loader.Load(ctx, in)
	return overcounted{l}, err
}

type overcounted struct{ driver.Load }

// Commit says that one row more came than did.
func (o overcounted) Commit(ctx context.Context) (int64, error) {
	n, err := o.Load.Commit(ctx)
	return n + 1, err
}

// Rows that are sent and do not come, or come and were not sent, stop the table: passed through, before they are committed.
func TestRowsThatWereSentAreCounted(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			w := newTwins(t)
			w.from.Pipe, w.to.Loader = overcounting{Pipe: w.from.Pipe}, overcounting{Loader: w.to.Loader}
			way(w)
			table := w.table(t, 1, 30)
			s := &seen{}
			err := load.Tables(t.Context(), []*load.Table{table}, w.epoch, two, s)
			if err == nil || !strings.Contains(err.Error(), "rows were sent") || !slices.Equal(s.stopped, []string{"t1"}) || len(s.in) > 0 {
				t.Errorf("%v; stopped %q, in %q", err, s.stopped, s.in)
			}
			if rows := w.target.Rows(table.To.Table.Name).Len(); name == "passed" && rows != 0 {
				t.Errorf("%d rows are at the target", rows)
			}
		})
	}
}

func TestPatienceHasAnEnd(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	calls := 0
	over := errors.New("over")
	_, err := load.Patiently(ctx, memory.Dialect{}, memory.Dialect{}, func() (int, error) {
		if calls++; calls == 2 {
			cancel(over)
		}
		return 0, memory.Fail(driver.Transient, "busy")
	})
	if !errors.Is(err, over) || calls != 2 {
		t.Fatalf("%d calls, %v", calls, err)
	}
	calls = 0
	if _, err = load.Patiently(t.Context(), memory.Dialect{}, memory.Dialect{}, func() (int, error) {
		calls++
		return 0, memory.Fail(driver.BadData, "no")
	}); err == nil || calls != 1 {
		t.Fatalf("%d calls, %v", calls, err)
	}
}
