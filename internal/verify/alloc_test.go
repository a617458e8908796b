package verify_test

import (
	"context"
	"io"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// endless hands the same rows out so many times.
type endless struct {
	rows  *row.Batch
	times int
}

func (e endless) Read(context.Context, driver.Query) (driver.Cursor, error) {
	return &again{rows: e.rows, left: e.times}, nil
}

type again struct {
	rows *row.Batch
	left int
}

func (a *again) Fill(_ context.Context, b *row.Batch) error {
	b.Reset()
	if a.left == 0 {
		return io.EOF
	}
	a.left--
	for i := range a.rows.Len() {
		if err := b.AppendRow(a.rows.Row(i)); err != nil {
			return err
		}
	}
	return nil
}

func (*again) Durable(context.Context) error { return nil }
func (*again) Close() error                  { return nil }

// A comparison allocates for itself and not for its rows.
func TestComparingAllocatesNothingForARow(t *testing.T) {
	id := &schema.Column{Name: "id", Type: schema.Type{Kind: row.Int, Precision: 64}}
	name := &schema.Column{Name: "name", Type: schema.Type{Kind: row.Text}}
	shape := schema.Shape{Columns: []schema.ShapeColumn{{Column: id, Cell: row.Int}, {Column: name, Cell: row.Text}}, Key: []int{0}}
	rows := row.NewBatch(2)
	for i := range 1000 {
		rows.Append([]byte{byte('0' + i%10), byte('0' + i/10%10), byte('0' + i/100)})
		rows.AppendString("a name of some length")
	}
	allocated := func(times int) float64 {
		side := verify.Side{
			Database: &driver.Database{Reader: endless{rows: rows, times: times}},
			Table:    &schema.Table{Name: schema.Name{Name: "people"}}, Shape: shape,
		}
		return testing.AllocsPerRun(3, func() {
			if tally, err := verify.Compare(t.Context(), verify.Pair{Source: side, Target: side, Seed: 7}, 10); err != nil || !tally.Equal() {
				t.Fatal(tally, err)
			}
		})
	}
	few, many := allocated(10), allocated(110)
	if perRow := (many - few) / (2 * 100 * 1000); perRow > 0.001 {
		t.Errorf("%.4f allocations a row (%.0f for 20,000 rows, %.0f for 220,000)", perRow, few, many)
	}
}
