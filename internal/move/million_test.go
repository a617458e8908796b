package move

import (
	"context"
	"io"
	"iter"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// huge is a database that takes a table for one of many terabytes and cuts it into so many ranges. Of the ranges it reads and
// loads nothing, so that what is measured is what Whimbrel itself does for each.
type huge struct {
	driver.Splitter
	driver.Ledger
	ranges int
	loaded atomic.Int64
}

func (h *huge) Split(context.Context, *schema.Table, schema.Shape, int64) iter.Seq2[row.Range, error] {
	return func(yield func(row.Range, error) bool) {
		var after row.Key
		for i := 1; i < h.ranges; i++ {
			upto := row.MakeKey([]byte(strconv.Itoa(i * 200_000)))
			if !yield(row.Range{After: after, Upto: upto}, nil) {
				return
			}
			after = upto
		}
		yield(row.Range{After: after}, nil)
	}
}

// Ranges says that every other range is in, as it would be after a crash in the middle.
func (h *huge) Ranges(context.Context, *schema.Table) (map[int]int64, error) {
	in := map[int]int64{}
	for i := 2; i <= h.ranges; i += 2 {
		in[i] = 200_000
	}
	return in, nil
}

func (h *huge) Read(context.Context, driver.Query) (driver.Cursor, error) { return nothing{}, nil }

func (h *huge) Load(context.Context, driver.Intake) (driver.Load, error) {
	h.loaded.Add(1)
	return nothing{}, nil
}

// nothing is a range without rows, on both sides.
type nothing struct{ driver.Cursor }

func (nothing) Fill(_ context.Context, b *row.Batch) error {
	b.Reset()
	return io.EOF
}
func (nothing) Durable(context.Context) error           { return nil }
func (nothing) Close() error                            { return nil }
func (nothing) Write(context.Context, *row.Batch) error { return nil }
func (nothing) Commit(context.Context) (int64, error)   { return 0, nil }

// TestPlanningAndJournalingOfManyRanges loads a table of many ranges from its first plan to the last range's entry, with its
// statistics made up. WHIMBREL_RANGES=1000000 makes it a table of many terabytes: 512 MiB and a minute are the bound then, and
// what is tested otherwise is the same for each range.
func TestPlanningAndJournalingOfManyRanges(t *testing.T) {
	ranges := 20_000
	if n, err := strconv.Atoi(os.Getenv("WHIMBREL_RANGES")); err == nil {
		ranges = n
	}
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	h := &huge{ranges: ranges}
	source, target := *s.source.Open(driver.Source), *s.target.Open(driver.Target)
	h.Ledger = target.Ledger
	source.Splitter, source.Reader, source.Pipe = h, h, nil
	target.Ledger, target.Loader, target.Pipe, target.Many = h, h, nil, nil
	if err := h.Prepare(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	m.sides.opened = map[driver.Side]*driver.Database{driver.Source: &source, driver.Target: &target}

	id := &schema.Column{Name: "id", Type: schema.Type{Kind: row.Int, Precision: 64}}
	def := &schema.Table{Name: people, Number: 1, Columns: []*schema.Column{id}, Rows: int64(ranges) * 200_000, Bytes: int64(ranges) << 26}
	shape := schema.Shape{Columns: []schema.ShapeColumn{{Column: id, Cell: row.Int}}, Key: []int{0}}
	one := &table{number: 1, name: "people", class: Uptime, source: def, target: def, loaded: shapes{shape, shape}, rows: 200_000}
	m.laid.Store(&layout{tables: []*table{one}})

	most := watchHeap(t)
	began := time.Now()
	// The plan comes first: ranges that are in the ledger already are of a plan that is known.
	if _, err := m.state.SavePlan(t.Context(), 1, numbered(h.Split(t.Context(), def, shape, 0))); err != nil {
		t.Fatal(err)
	}
	in := false
	if err := m.load(t.Context(), []*table{one}, func(context.Context, *table) error {
		in = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	spent, heap := time.Since(began), most()
	t.Logf("%d ranges: %v, %d MiB", ranges, spent, heap>>20)
	if want := int64(ranges) / 2; !in || h.loaded.Load() != want {
		t.Fatalf("%d ranges were loaded, not %d", h.loaded.Load(), want)
	}
	// A minute and less than 512 MiB for a million; what a few take besides is a busy machine's.
	if bound := time.Duration(ranges)*time.Minute/1_000_000 + 10*time.Second; spent > bound {
		t.Errorf("took %v, more than %v", spent, bound)
	}
	if bound := uint64(ranges)*400 + 64<<20; heap > bound {
		t.Errorf("took %d MiB, more than %d", heap>>20, bound>>20)
	}
}

// watchHeap returns a function that says how much the heap held at the most since.
func watchHeap(t *testing.T) func() uint64 {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan uint64)
	go func() {
		most := uint64(0)
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapInuse)
			select {
			case <-ctx.Done():
				tick.Stop()
				ended <- most
				return
			case <-tick.C:
			}
		}
	}()
	return func() uint64 {
		cancel()
		return <-ended
	}
}
