package drivertest

import (
	"strconv"
	"testing"

	"github.com/whimbrel/whimbrel/row"
)

// TestSamplesAreCells: what the suite asks of drivers is itself in the canonical encoding.
func TestSamplesAreCells(t *testing.T) {
	for _, s := range samples {
		for _, c := range s.Cells {
			want := c.Text
			switch s.Type.Kind {
			case row.Decimal:
				cell, _ := row.AppendDecimal(nil, []byte(c.Text), s.Type.Scale)
				want = string(cell)
			case row.Float32, row.Float64:
				bits := 64
				if s.Type.Kind == row.Float32 {
					bits = 32
				}
				f, err := strconv.ParseFloat(c.Text, bits)
				if err != nil {
					t.Error(err)
				}
				want = string(row.AppendFloat(nil, f, bits))
			case row.Time, row.Timestamp, row.Instant, row.Duration:
				want = string(row.AppendFraction(nil, []byte(c.Text)))
			}
			if c.Text != want {
				t.Errorf("%s: %s should be %s", s.Name, c.Text, want)
			}
		}
	}
}
