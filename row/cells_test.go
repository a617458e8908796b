package row_test

import (
	"bytes"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/whimbrel/whimbrel/row"
)

// decimals are numbers as sources write them, with the scale of their column and the cell; "no" where there is none.
var decimals = []struct {
	src   string
	scale int
	want  string
}{
	{"1.5", 2, "1.50"},
	{"1.50", 1, "1.5"},
	{"1.5", 0, "no"},
	{"1.0", 0, "1"},
	{"1", 0, "1"},
	{"1", 2, "1.00"},
	{"1.", 1, "1.0"},
	{".5", 1, "0.5"},
	{"-.5", 2, "-0.50"},
	{"007.50", 2, "7.50"},
	{"000", 0, "0"},
	{"-0", 0, "-0"},
	{"-0.00", 2, "-0.00"},
	{"1.250", -1, "1.250"},
	{"0012", -1, "12"},
	{"100", -1, "100"},
	{"0.05", 1, "no"},
	{"0.050", 2, "0.05"},
	{"99999999999999999999999999999999999999.9", 1, "99999999999999999999999999999999999999.9"},
	{"NaN", 2, "NaN"},
	{"Infinity", 0, "Infinity"},
	{"-Infinity", -1, "-Infinity"},
	{"", 2, "no"},
	{"-", 2, "no"},
	{".", 2, "no"},
	{"-.", -1, "no"},
	{"1e5", 2, "no"},
	{"1e5", -1, "no"},
	{"+1", 0, "no"},
	{"1.2.3", 3, "no"},
	{"1-2", 0, "no"},
	{"--1", 0, "no"},
	{"12abc", 0, "no"},
	{"inf", 0, "no"},
	{"nan", 0, "no"},
	{"1,5", 1, "no"},
	{" 1", 0, "no"},
	{"0x10", 0, "no"},
}

func TestAppendDecimal(t *testing.T) {
	for _, c := range decimals {
		got, ok := row.AppendDecimal([]byte("before"), []byte(c.src), c.scale)
		want := "before" + c.want
		if c.want == "no" {
			want = "before"
		}
		if ok != (c.want != "no") || string(got) != want {
			t.Errorf("AppendDecimal(%q, %d) = %q, %t; want %s", c.src, c.scale, got, ok, c.want)
		}
	}
}

// TestDecimalsKeepTheirValue: a cell is the same number, with exactly the column's digits, and a cell is its own cell.
func TestDecimalsKeepTheirValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := rapid.StringMatching(`-?[0-9]{1,20}(\.[0-9]{0,12})?`).Draw(t, "src")
		scale := rapid.IntRange(-1, 15).Draw(t, "scale")
		cell, ok := row.AppendDecimal(nil, []byte(src), scale)
		want, _ := new(big.Rat).SetString(strings.TrimSuffix(src, "."))
		if !ok {
			shifted := new(big.Rat).Mul(want, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
			if shifted.IsInt() {
				t.Fatalf("%s fits %d digits and was refused", src, scale)
			}
			return
		}
		got, _ := new(big.Rat).SetString(string(cell))
		if got == nil || got.Cmp(want) != 0 {
			t.Fatalf("%s became %s", src, cell)
		}
		_, digits, _ := strings.Cut(string(cell), ".")
		if scale >= 0 && len(digits) != scale {
			t.Fatalf("%s has not %d digits", cell, scale)
		}
		again, ok := row.AppendDecimal(nil, cell, scale)
		if !ok || string(again) != string(cell) {
			t.Fatalf("%s became %s", cell, again)
		}
	})
}

func TestAppendFraction(t *testing.T) {
	for src, want := range map[string]string{
		"10:00:00": "10:00:00", "10:00:00.500000": "10:00:00.5", "10:00:00.000000": "10:00:00", "10:00:00.": "10:00:00",
		"10:00:00.000001": "10:00:00.000001", "2024-01-10": "2024-01-10", "2024-01-01 00:00:00.100": "2024-01-01 00:00:00.1",
		"1 year 00:00:01.50": "1 year 00:00:01.5", "24:00:00": "24:00:00", "": "", "100": "100",
	} {
		if got := string(row.AppendFraction([]byte("x"), []byte(src))); got != "x"+want {
			t.Errorf("AppendFraction(%q) = %q, want %q", src, got, want)
		}
	}
}

func TestFloatsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := math.Float64frombits(rapid.Uint64().Draw(t, "bits"))
		got, err := strconv.ParseFloat(string(row.AppendFloat(nil, f, 64)), 64)
		if err != nil || math.Float64bits(got) != math.Float64bits(f) && !(math.IsNaN(f) && math.IsNaN(got)) {
			t.Fatalf("%x became %x, %v", math.Float64bits(f), math.Float64bits(got), err)
		}
		g := math.Float32frombits(rapid.Uint32().Draw(t, "bits32"))
		got, err = strconv.ParseFloat(string(row.AppendFloat(nil, float64(g), 32)), 32)
		if err != nil || math.Float32bits(float32(got)) != math.Float32bits(g) && g == g {
			t.Fatalf("%x became %x, %v", math.Float32bits(g), math.Float32bits(float32(got)), err)
		}
	})
}

func TestBitsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringMatching(`[01]{0,70}`).Draw(t, "cell")
		packed, ok := row.ParseBits([]byte("x"), []byte(cell))
		if !ok || len(packed) != 1+(len(cell)+7)/8 {
			t.Fatalf("%q: %x, %t", cell, packed, ok)
		}
		if got := string(row.AppendBits(nil, packed[1:], len(cell))); got != cell {
			t.Fatalf("%q became %q", cell, got)
		}
	})
	if got, ok := row.ParseBits([]byte("x"), []byte("0120")); ok || string(got) != "x" {
		t.Errorf("%q, %t", got, ok)
	}
	if got := string(row.AppendBits(nil, []byte{0xff}, 12)); got != "000011111111" {
		t.Errorf("bits beyond the bytes are %s", got)
	}
}

// TestCellsDoNotAllocate: the functions that write cells append to what they are given.
func TestCellsDoNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 256)
	number, words, bits := []byte("-00123.4500"), []byte("NaN"), []byte("0110100101")
	ok := true
	n := testing.AllocsPerRun(100, func() {
		dst, ok = row.AppendDecimal(dst[:0], number, 6)
		dst, ok = row.AppendDecimal(dst[:0], words, 6)
		dst = row.AppendFraction(dst[:0], moment)
		dst = row.AppendFloat(dst[:0], 0.1, 64)
		dst = row.AppendFloat(dst[:0], math.Inf(-1), 32)
		dst = row.AppendUUID(dst[:0], [16]byte{1})
		dst = row.AppendBits(dst[:0], number, 80)
		dst, ok = row.ParseBits(dst[:0], bits)
	})
	if n != 0 || !ok {
		t.Errorf("%v allocations", n)
	}
}

// FuzzCells: what is written as a cell is written again as the same, and a key comes back as its cells.
func FuzzCells(f *testing.F) {
	for _, s := range []string{"", "-0.0", "1e5", "00012.3400", "-.5", "2024-01-01 00:00:00.500000", "0101", "NaN", "9223372036854775808.000000000000000000001"} {
		f.Add([]byte(s), 2, []byte("x"))
	}
	f.Fuzz(func(t *testing.T, src []byte, scale int, other []byte) {
		scale = scale & 63
		if once, ok := row.AppendDecimal(nil, src, scale); ok {
			twice, again := row.AppendDecimal(nil, once, scale)
			if !again || !bytes.Equal(once, twice) {
				t.Fatalf("%q at %d is %q, and %q", src, scale, once, twice)
			}
		}
		once := row.AppendFraction(nil, src)
		if twice := row.AppendFraction(nil, once); bytes.Count(src, []byte(".")) < 2 && !bytes.Equal(once, twice) {
			t.Fatalf("%q is %q, and %q", src, once, twice)
		}
		if bits, ok := row.ParseBits(nil, src); ok {
			if back := row.AppendBits(nil, bits, len(src)); !bytes.Equal(back, src) {
				t.Fatalf("the bits %q came back as %q", src, back)
			}
		}
		cells, err := row.MakeKey(src, nil, other).Cells()
		if err != nil || len(cells) != 3 || !bytes.Equal(cells[0], src) || cells[1] != nil || !bytes.Equal(cells[2], other) {
			t.Fatalf("%q %q: %q, %v", src, other, cells, err)
		}
		if cells, err := row.Key(src).Cells(); err == nil && len(src) > 0 {
			if again := row.MakeKey(cells...); !bytes.Equal(again, src) {
				t.Fatalf("%x is %x", src, again)
			}
		}
	})
}
