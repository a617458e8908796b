package verify_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// ledgerColumns are of a table in which rows can be taken for each other.
func ledgerColumns() []column {
	amount := schema.Type{Kind: row.Decimal, Precision: 12, Scale: 2}
	name := schema.Type{Kind: row.Text, Length: 40, Binary: true}
	return []column{
		{name: "id", typ: schema.Type{Kind: row.Int, Precision: 64}},
		{name: "amount", typ: amount, null: true},
		{name: "payer", typ: name, null: true},
		{name: "payee", typ: name, null: true},
		{name: "at", typ: schema.Type{Kind: row.Timestamp, Scale: 6}, null: true},
	}
}

func ledgerRow(i int) [][]byte {
	return cells(strconv.Itoa(i), strconv.Itoa(i%7)+".50", "p"+strconv.Itoa(i%5), "q"+strconv.Itoa(i%3), fmt.Sprintf("2026-03-29 02:30:%02d.000001", i%60))
}

// with returns a copy of a row with some cells changed: column, cell, column, cell, …
func with(r [][]byte, changes ...any) [][]byte {
	r = slices.Clone(r)
	for i := 0; i < len(changes); i += 2 {
		at, _ := changes[i].(int)
		text, _ := changes[i+1].(string)
		r[at] = []byte(text)
	}
	return r
}

// rowTwins are differences of whole rows, each with what must be found: the rows of these keys, and what becomes of them.
var rowTwins = []struct {
	name string
	keys []int
	rows func() [][][]byte
	want map[string]verify.What
}{
	{"missing", []int{7}, func() [][][]byte { return nil }, map[string]verify.What{"7": verify.Missing}},
	{"extra", []int{1000}, func() [][][]byte { return [][][]byte{ledgerRow(1000)} }, map[string]verify.What{"1000": verify.Extra}},
	{"an extra copy of another row", []int{1000}, func() [][][]byte { return [][][]byte{with(ledgerRow(7), 0, "1000")} }, map[string]verify.What{"1000": verify.Extra}},
	{"moved to another key", []int{7, 1007}, func() [][][]byte { return [][][]byte{with(ledgerRow(7), 0, "1007")} }, map[string]verify.What{"7": verify.Missing, "1007": verify.Extra}},
	{"stale", []int{7}, func() [][][]byte { return [][][]byte{with(ledgerRow(7), 1, "0.49", 4, "2026-03-28 02:30:07")} }, map[string]verify.What{"7": verify.Unlike}},
	{
		"two errors that cancel in a sum of amounts",
		[]int{7, 8},
		func() [][][]byte { return [][][]byte{with(ledgerRow(7), 1, "0.51"), with(ledgerRow(8), 1, "1.49")} },
		map[string]verify.What{"7": verify.Unlike, "8": verify.Unlike},
	},
	{
		"two rows with the same error, which cancel in an exclusive-or",
		[]int{7, 42},
		func() [][][]byte { return [][][]byte{with(ledgerRow(7), 1, "9.99"), with(ledgerRow(42), 1, "9.99")} },
		map[string]verify.What{"7": verify.Unlike, "42": verify.Unlike},
	},
	{
		"two rows that swapped all but their keys",
		[]int{7, 8},
		func() [][][]byte { return [][][]byte{with(ledgerRow(8), 0, "7"), with(ledgerRow(7), 0, "8")} },
		map[string]verify.What{"7": verify.Unlike, "8": verify.Unlike},
	},
	{
		"two values swapped between rows",
		[]int{7, 9},
		func() [][][]byte { return [][][]byte{with(ledgerRow(7), 2, "p4"), with(ledgerRow(9), 2, "p2")} },
		map[string]verify.What{"7": verify.Unlike, "9": verify.Unlike},
	},
	{"two columns swapped", []int{7}, func() [][][]byte { return [][][]byte{with(ledgerRow(7), 2, "q1", 3, "p2")} }, map[string]verify.What{"7": verify.Unlike}},
	{"the border between columns moved", []int{7}, func() [][][]byte { return [][][]byte{with(ledgerRow(7), 2, "p2q", 3, "1")} }, map[string]verify.What{"7": verify.Unlike}},
	{
		"one missing and one extra, so that the counts agree",
		[]int{7, 1000},
		func() [][][]byte { return [][][]byte{ledgerRow(1000)} },
		map[string]verify.What{"7": verify.Missing, "1000": verify.Extra},
	},
}

// TestEveryDifferenceOfRowsIsFoundInEveryProduct plants whole rows through each product, and finds them at their keys.
func TestEveryDifferenceOfRowsIsFoundInEveryProduct(t *testing.T) {
	for _, x := range products() {
		t.Run(x.name, func(t *testing.T) {
			source, target := newEnd(t, x.fresh(t), driver.Source, ledgerColumns(), true), newEnd(t, x.fresh(t), driver.Target, ledgerColumns(), true)
			var rows [][][]byte
			for i := range 300 {
				rows = append(rows, ledgerRow(i))
			}
			source.load(t, rows...)
			target.load(t, rows...)
			p := pairOf(source, target)
			for _, twin := range rowTwins {
				var keys, was [][][]byte
				for _, k := range twin.keys {
					keys = append(keys, ledgerRow(k)[:1])
					if k < 300 {
						was = append(was, ledgerRow(k))
					}
				}
				check(t, target.apply(t.Context(), keys, twin.rows()...))
				found(t, p, twin.name, twin.want)
				check(t, target.apply(t.Context(), keys, was...))
				found(t, p, "without "+twin.name, map[string]verify.What{})
			}
		})
	}
}

// TestADuplicateIsFoundInEveryProduct: a row that is there twice, in a table without a key, is neither equal to one nor to none.
func TestADuplicateIsFoundInEveryProduct(t *testing.T) {
	for _, x := range products() {
		t.Run(x.name, func(t *testing.T) {
			source, target := newEnd(t, x.fresh(t), driver.Source, ledgerColumns(), false), newEnd(t, x.fresh(t), driver.Target, ledgerColumns(), false)
			twice := [][][]byte{ledgerRow(1), ledgerRow(2), ledgerRow(2), ledgerRow(3)}
			source.load(t, twice...)
			target.load(t, twice...)
			p := pairOf(source, target)
			look := func(what string, want ...verify.What) {
				t.Helper()
				tally, err := verify.Compare(t.Context(), p, 10)
				check(t, err)
				var got []verify.What
				for _, d := range tally.Differing {
					got = append(got, d.What)
				}
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("%s: found %v, want %v", what, got, want)
				}
			}
			look("equal")
			target.load(t, ledgerRow(2))
			look("three times and twice", verify.Extra)
			source.load(t, ledgerRow(2), ledgerRow(3))
			look("three times each, and another twice and once", verify.Missing)
			target.load(t, ledgerRow(4))
			look("as many rows, but others", verify.Extra, verify.Missing)
			source.load(t, ledgerRow(4))
			target.load(t, ledgerRow(3))
			look("equal again")
			source.load(t, ledgerRow(5), ledgerRow(5))
			target.load(t, ledgerRow(6), ledgerRow(6))
			look("two of a row and two of another, which cancel in an exclusive-or", verify.Extra, verify.Missing)
		})
	}
}

// TestTenThousandCorruptions: each of ten thousand single corruptions, drawn from a seed, is found, and nothing else is. Every
// thousand are of other rows.
func TestTenThousandCorruptions(t *testing.T) {
	rnd, _ := seeded(t)
	open := memory.New("source").Open
	columns, all := corpus(open(driver.Source), open(driver.Target))
	byColumn := make([][][]byte, len(columns))
	for i := range columns[1:] {
		byColumn[i+1] = slices.DeleteFunc(sampled(all, i+1), func(cell []byte) bool { return len(cell) > 200 })
	}
	for range 10 {
		var rows [][][]byte
		for i := range 12 {
			r := cells(strconv.Itoa(i))
			for _, of := range byColumn[1:] {
				r = append(r, of[rnd.IntN(len(of))])
			}
			rows = append(rows, r)
		}
		thousandCorruptions(t, rnd, columns, byColumn, rows)
	}
	t.Log("verified memory/memory: 10,000 of 10,000 single corruptions found, each at its key; none in equal data")
}

func thousandCorruptions(t *testing.T, rnd *rand.Rand, columns []column, byColumn, rows [][][]byte) {
	t.Helper()
	source := newEnd(t, memory.New("source").Open, driver.Source, columns, true)
	target := newEnd(t, memory.New("target").Open, driver.Target, columns, true)
	source.load(t, rows...)
	target.load(t, rows...)
	p := pairOf(source, target)
	for n := range 1000 {
		what, key, want, r := corrupt(rnd, columns, byColumn, rows)
		check(t, target.apply(t.Context(), [][][]byte{key}, r...))
		found(t, p, what, map[string]verify.What{string(key[0]): want})
		var back [][][]byte
		if at, _ := strconv.Atoi(string(key[0])); at < len(rows) {
			back = append(back, rows[at])
		}
		check(t, target.apply(t.Context(), [][][]byte{key}, back...))
		if t.Failed() {
			t.Fatalf("after %d corruptions", n)
		}
		if n%50 == 0 {
			found(t, p, "equal data", map[string]verify.What{})
		}
	}
}

// corrupt draws one corruption of one row: gone, new, or with one cell that is another.
func corrupt(rnd *rand.Rand, columns []column, byColumn, rows [][][]byte) (what string, key [][]byte, is verify.What, r [][][]byte) {
	at := rnd.IntN(len(rows))
	switch rnd.IntN(10) {
	case 0:
		return "missing", rows[at][:1], verify.Missing, nil
	case 1:
		extra := slices.Clone(rows[at])
		extra[0] = []byte(strconv.Itoa(1000 + at))
		return "extra", extra[:1], verify.Extra, [][][]byte{extra}
	}
	for {
		i := 1 + rnd.IntN(len(columns)-1)
		near := twins(columns[i].typ, rows[at][i], byColumn[i])
		if len(near) == 0 {
			continue
		}
		other := slices.Clone(rows[at])
		other[i] = near[rnd.IntN(len(near))]
		return fmt.Sprintf("%s of row %d: %.60q is %.60q", columns[i].name, at, rows[at][i], other[i]), rows[at][:1], verify.Unlike, [][][]byte{other}
	}
}
