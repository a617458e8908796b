package sqlite

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/row"
)

// TestScaledIsTheShortestText: where a float is written as a decimal without a search for its shortest text, it is that text.
func TestScaledIsTheShortestText(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	quick := 0
	try := func(f float64, scale int) {
		got, ok := appendScaled(nil, f, scale)
		if !ok {
			return
		}
		quick++
		want, whole := row.AppendDecimal(nil, strconv.AppendFloat(nil, f, 'f', -1, 64), scale)
		if !whole || string(got) != string(want) {
			t.Fatalf("%v at scale %d: %q, want %q", f, scale, got, want)
		}
	}
	for range 300_000 {
		scale := r.IntN(17) - 1
		units := r.Int64N(int64(math.Pow10(1 + r.IntN(17))))
		f := float64(units) / math.Pow10(max(scale, 0))
		if r.IntN(2) == 0 {
			f = -f
		}
		for _, near := range []float64{f, math.Nextafter(f, 0), math.Nextafter(f, math.Inf(1)), r.NormFloat64() * 1e3, math.Float64frombits(r.Uint64())} {
			if !math.IsNaN(near) {
				try(near, scale)
			}
		}
	}
	for _, f := range []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), 1e15, 999_999_999_999_999, 0.1 + 0.2, 5e-324, math.MaxFloat64} {
		for scale := -1; scale < 20; scale++ {
			try(f, scale)
		}
	}
	if quick < 100_000 {
		t.Errorf("only %d floats were written the quick way", quick)
	}
}

// TestLiteralsComeBack: every stored value is itself again after its way as a literal, and its text is the one SQLite's own
// reader takes for that value.
func TestLiteralsComeBack(t *testing.T) {
	app := connectApp(t, ":memory:")
	defer app.Close()
	c := column{literal: true}
	st, _, err := app.Prepare("SELECT ?1")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	check := func(v value) {
		t.Helper()
		cell, why := appendLiteral([]byte("before"), &v)
		if why != "" || string(cell[:6]) != "before" {
			t.Fatal(v, why)
		}
		cell = cell[6:]
		if v.class == sqlite3.FLOAT && !math.IsInf(v.f, 0) {
			want := strconv.FormatFloat(v.f, 'g', -1, 64)
			if !strings.ContainsAny(want, ".e") {
				want += ".0"
			}
			if string(cell) != want {
				t.Errorf("%v is written %q, want %q", v.f, cell, want)
			}
		}
		if err := c.bindLiteral(st, 1, cell); err != nil {
			t.Fatal(err)
		}
		var back value
		if st.Step(); true {
			back.scan(st, 0)
		}
		if back.class != v.class || back.class == sqlite3.INTEGER && back.i != v.i || back.class == sqlite3.FLOAT && back.f != v.f ||
			back.class >= sqlite3.TEXT && string(back.b) != string(v.b) {
			t.Errorf("%+v became %+v by way of %q", v, back, cell)
		}
		if err := st.Reset(); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []string{"", "'", "''", "'''", "a'b", "'a", "a'", "1", "x'00'", "é'\x00'", strings.Repeat("it's ", 50)} {
		check(value{class: sqlite3.TEXT, b: []byte(s)})
		check(value{class: sqlite3.BLOB, b: []byte(s)})
	}
	for _, i := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64} {
		check(value{class: sqlite3.INTEGER, i: i})
	}
	for _, f := range []float64{0, math.Copysign(0, -1), 1, 5.5, 0.05, 0.5, -12.34, 999_999.99, 1e6, 1234567.5, 1e-5, 1e300, 5e-324, math.Inf(1), math.Inf(-1)} {
		check(value{class: sqlite3.FLOAT, f: f})
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		check(value{class: sqlite3.FLOAT, f: float64(r.IntN(1_000_000_000)-500_000_000) / math.Pow10(r.IntN(6))})
	}
}
