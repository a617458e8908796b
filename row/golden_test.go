package row_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/row"
)

var update = flag.Bool("update", false, "write testdata/encoding.txt anew")

// TestEncoding holds the encoding itself: cells, rows, hashes and sums, byte for byte. A difference here means that two
// versions of the program can not compare rows or continue each other's move.
func TestEncoding(t *testing.T) {
	var got strings.Builder
	fmt.Fprintln(&got, "# The canonical encoding, byte for byte (docs/encoding.md). Written by the test: go test ./row -run TestEncoding -update")
	writeCells(&got)
	writeRows(&got)
	const path = "testdata/encoding.txt"
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() == string(want) {
		return
	}
	gotLines, wantLines := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		if i >= len(gotLines) || i >= len(wantLines) || gotLines[i] != wantLines[i] {
			t.Fatalf("line %d of %s:\ngot  %s\nwant %s", i+1, path, at(gotLines, i), at(wantLines, i))
		}
	}
}

func at(lines []string, i int) string {
	if i >= len(lines) {
		return "(the end)"
	}
	return lines[i]
}

// writeCells writes what the functions that make cells do: kind, what is given, the cell.
func writeCells(out *strings.Builder) {
	fmt.Fprintln(out, "\n# cells: kind, what a driver gives, the cell as text")
	for _, c := range decimals {
		cell, ok := row.AppendDecimal(nil, []byte(c.src), c.scale)
		text := string(cell)
		if !ok {
			text = "(refused)"
		}
		fmt.Fprintf(out, "%s\t%q at scale %d\t%s\n", row.Decimal, c.src, c.scale, text)
	}
	for _, bits := range []int{32, 64} {
		kind := row.Float64
		if bits == 32 {
			kind = row.Float32
		}
		for _, f := range []float64{
			0, math.Copysign(0, -1), 1, -1.5, 0.1, 100000, 1000000, 123456789, 1e20, 1e21, 1e-4, 1e-5, 16777216, math.MaxFloat32,
			math.SmallestNonzeroFloat32, math.Inf(1), math.Inf(-1), math.NaN(),
		} {
			fmt.Fprintf(out, "%s\t%v\t%s\n", kind, f, row.AppendFloat(nil, f, bits))
		}
	}
	for _, f := range []float64{math.MaxFloat64, math.SmallestNonzeroFloat64, 0.30000000000000004, 9007199254740993} {
		fmt.Fprintf(out, "%s\t%v\t%s\n", row.Float64, f, row.AppendFloat(nil, f, 64))
	}
	for _, s := range []string{"10:00:00.000000", "10:00:00.500000", "24:00:00", "2024-02-29 23:59:59.999999", "0001-01-01 00:00:00.0", "-838:59:59.0100"} {
		fmt.Fprintf(out, "times\t%q\t%s\n", s, row.AppendFraction(nil, []byte(s)))
	}
	fmt.Fprintf(out, "%s\t16 bytes, 00 to ff\t%s\n", row.UUID, row.AppendUUID(nil, [16]byte{
		0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
		0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
	}))
	for _, n := range []int{1, 8, 10, 16, 20} {
		fmt.Fprintf(out, "%s\tthe last %d of 02 81\t%s\n", row.Bits, n, row.AppendBits(nil, []byte{0x02, 0x81}, n))
	}
}

// writeRows writes rows, their runs, hashes, digests and sums.
func writeRows(out *strings.Builder) {
	rows := [][][]byte{
		{[]byte("1"), []byte("Ada"), nil},
		{[]byte("1"), []byte("Ada"), {}},
		{[]byte("1A"), []byte("da"), nil},
		{nil, nil, nil},
		{{}, {}, {}},
		{{0}, {0xff, 0xff, 0xff, 0xff}, []byte("ü😀")},
		{[]byte("-1"), []byte("2024-02-29 12:34:56.5"), []byte(`{"b": 1}`)},
	}
	b := row.NewBatch(3)
	fmt.Fprintln(out, "\n# rows: cells, the run in hexadecimal, its hash with seed 1, its digest with seed 0")
	for i, cells := range rows {
		for _, c := range cells {
			if c == nil {
				b.AppendNull()
				fmt.Fprint(out, "NULL, ")
			} else {
				b.Append(c)
				fmt.Fprintf(out, "%q, ", c)
			}
		}
		hi, lo := row.Seed(1).Hash(b.Row(i))
		digest := row.Seed(0).Digest(b.Row(i))
		fmt.Fprintf(out, "\t%s\t%016x%016x\t%s\n", hex.EncodeToString(b.Row(i)), hi, lo, hex.EncodeToString(digest[:]))
	}
	var all, twice row.Sum
	all.AddBatch(1, b)
	twice.Add(all)
	twice.Add(all)
	fmt.Fprintf(out, "\n# sums with seed 1\nthese rows\t%s\nthese rows twice\t%s\nno rows\t%s\n", all, twice, row.Sum{})
}
