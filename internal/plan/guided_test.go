package plan

import (
	"errors"
	"strconv"
	"testing"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

func parts(n int) func(func(row.Range, error) bool) {
	return func(yield func(row.Range, error) bool) {
		var after row.Key
		for i := range n {
			upto := row.MakeKey([]byte(strconv.Itoa(i)))
			if i == n-1 {
				upto = nil
			}
			if !yield(row.Range{After: after, Upto: upto}, nil) {
				return
			}
			after = upto
		}
	}
}

// However wrong the estimate was, the joined ranges adjoin and are the table, and the last of them are small.
func TestGuidedRangesAreTheTable(t *testing.T) {
	for _, estimate := range []int64{1, 8, 80, 800} {
		for _, n := range []int{1, 2, 9, 80, 200} {
			var after row.Key
			ranges, last := 0, false
			for r, err := range (Cut{Rows: 1, Parts: estimate}).Guided(parts(n), 4) {
				if err != nil || last || string(r.After) != string(after) {
					t.Fatalf("estimate %d, %d parts: after %q comes %+v, %v", estimate, n, after, r, err)
				}
				after, last = r.Upto, r.Upto == nil
				ranges++
			}
			if !last || ranges > n {
				t.Errorf("estimate %d, %d parts: %d ranges, ended %v", estimate, n, ranges, last)
			}
		}
	}
}

func TestGuidedRangesBecomeSmaller(t *testing.T) {
	var sizes []int
	for r := range (Cut{Rows: 1, Parts: 80}).Guided(parts(80), 2) {
		from, to := -1, 79
		if cells, err := r.After.Cells(); err == nil && len(cells) > 0 {
			from, _ = strconv.Atoi(string(cells[0]))
		}
		if cells, err := r.Upto.Cells(); err == nil && len(cells) > 0 {
			to, _ = strconv.Atoi(string(cells[0]))
		}
		sizes = append(sizes, to-from)
	}
	if sizes[0] != granules || sizes[len(sizes)-1] != 1 {
		t.Errorf("sizes %v", sizes)
	}
	for i := 1; i < len(sizes); i++ {
		if sizes[i] > sizes[i-1] {
			t.Errorf("sizes grow: %v", sizes)
		}
	}
}

func TestGuidedPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	for _, err := range (Cut{Parts: 8}).Guided(func(yield func(row.Range, error) bool) { yield(row.Range{}, broken) }, 1) {
		if !errors.Is(err, broken) {
			t.Fatal(err)
		}
	}
}

func TestCutOf(t *testing.T) {
	for _, c := range []struct {
		rows, usual int64
		want        Cut
	}{
		{0, 200_000, Cut{Rows: 200_000}},
		{199_999, 200_000, Cut{Rows: 200_000}},
		{2_000_000, 200_000, Cut{Rows: 25_000, Parts: 80}},
		{2_000_000_000, 200_000, Cut{Rows: 200_000}}, // ranges enough
		{100_000, 500, Cut{Rows: 500}},               // rows too large to be cut finer
	} {
		if got := CutOf(&schema.Table{Rows: c.rows}, c.usual, 4); got != c.want {
			t.Errorf("%d rows: %+v, not %+v", c.rows, got, c.want)
		}
	}
}
