package row_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/whimbrel/whimbrel/row"
)

// model is what a batch should hold: nil is NULL.
type model [][][]byte

func (m model) check(t interface{ Fatalf(string, ...any) }, b *row.Batch) {
	if b.Len() != len(m) {
		t.Fatalf("%d rows, want %d", b.Len(), len(m))
	}
	size := 0
	for i, r := range m {
		var run []byte
		for j, want := range r {
			got := b.Cell(i, j)
			if (got == nil) != (want == nil) || !bytes.Equal(got, want) || b.Null(i, j) != (want == nil) {
				t.Fatalf("cell %d of row %d is %q, want %q", j, i, got, want)
			}
			if cap(got) != len(got) {
				t.Fatalf("cell %d of row %d could be appended to over its neighbour", j, i)
			}
			run = append(run, row.MakeKey(want)...)
		}
		if !bytes.Equal(b.Row(i), run) {
			t.Fatalf("row %d is %x, want %x", i, b.Row(i), run)
		}
		size += len(run)
	}
	if b.Size() != size {
		t.Fatalf("size %d, want %d", b.Size(), size)
	}
}

func drawCell(t *rapid.T) []byte {
	return rapid.OneOf(
		rapid.Just[[]byte](nil),
		rapid.Just([]byte{}),
		rapid.SliceOfN(rapid.Byte(), 0, 12),
		rapid.SampledFrom([][]byte{{0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, []byte("NULL"), bytes.Repeat([]byte("x"), 300)}),
	).Draw(t, "cell")
}

func drawRow(t *rapid.T, width int) [][]byte {
	cells := make([][]byte, width)
	for i := range cells {
		cells[i] = drawCell(t)
	}
	return cells
}

// put writes a row by the different ways there are.
func put(t *rapid.T, b *row.Batch, cells [][]byte) {
	for _, c := range cells {
		switch way := rapid.IntRange(0, 2).Draw(t, "way"); {
		case c == nil:
			b.AppendNull()
		case way == 0:
			b.Append(c)
		case way == 1:
			b.AppendString(string(c))
		default:
			b.End(append(b.Begin(), c...))
		}
	}
}

// TestBatchIsRows runs a batch beside a plain list of rows.
func TestBatchIsRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 4).Draw(t, "width")
		b, m := row.NewBatch(width), model(nil)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				cells := drawRow(t, width)
				put(t, b, cells)
				m = append(m, cells)
			},
			"run": func(t *rapid.T) {
				cells := drawRow(t, width)
				if err := b.AppendRow(row.MakeKey(cells...)); err != nil {
					t.Fatal(err)
				}
				m = append(m, cells)
			},
			"abandon": func(t *rapid.T) {
				put(t, b, drawRow(t, rapid.IntRange(0, width-1).Draw(t, "some")))
				if rapid.Bool().Draw(t, "open") {
					b.Begin()
				}
				b.Abandon()
			},
			"broken run": func(t *rapid.T) {
				run := row.MakeKey(drawRow(t, width)...)
				if err := b.AppendRow(run[:len(run)-1]); err == nil {
					t.Fatal("a run that is cut short was taken")
				}
			},
			"truncate": func(t *rapid.T) {
				n := rapid.IntRange(0, len(m)).Draw(t, "rows")
				b.Truncate(n)
				m = m[:n]
			},
			"reset": func(t *rapid.T) {
				b.Reset()
				m = nil
			},
			"": func(t *rapid.T) { m.check(t, b) },
		})
	})
}

// TestRunsTellRowsApart: two rows have one run exactly when they are the same row.
func TestRunsTellRowsApart(t *testing.T) {
	small := rapid.SliceOfN(rapid.SampledFrom([][]byte{nil, {}, {0}, {0, 0, 0, 0}, {255, 255, 255, 255}, []byte("a"), []byte("ab"), []byte("b")}), 3, 3)
	rapid.Check(t, func(t *rapid.T) {
		a, b := small.Draw(t, "a"), small.Draw(t, "b")
		same := true
		for i := range a {
			same = same && (a[i] == nil) == (b[i] == nil) && bytes.Equal(a[i], b[i])
		}
		if got := bytes.Equal(row.MakeKey(a...), row.MakeKey(b...)); got != same {
			t.Fatalf("%q and %q: equal runs %t, equal rows %t", a, b, got, same)
		}
	})
}

func TestKeys(t *testing.T) {
	b := row.NewBatch(3)
	b.AppendString("x")
	b.AppendNull()
	b.AppendString("")
	if got, want := b.AppendKey(nil, 0, []int{2, 0}), row.MakeKey([]byte{}, []byte("x")); !bytes.Equal(got, want) {
		t.Errorf("key %x, want %x", got, want)
	}
	if got := b.AppendKey([]byte("before"), 0, []int{1}); string(got) != "before\xff\xff\xff\xff" {
		t.Errorf("key %q", got)
	}
	if row.MakeKey() != nil {
		t.Error("a key of no cells is not the absent bound")
	}
	cells, err := row.MakeKey(nil, []byte{}, []byte("a")).Cells()
	if err != nil || len(cells) != 3 || cells[0] != nil || cells[1] == nil || len(cells[1]) != 0 || string(cells[2]) != "a" {
		t.Errorf("cells %q, %v", cells, err)
	}
	for _, broken := range []row.Key{{0}, {0, 0, 0, 2, 'a'}, {0x7f, 255, 255, 255, 'a'}, {255, 255, 255, 254}} {
		if _, err := broken.Cells(); err == nil {
			t.Errorf("%x was taken for a key", []byte(broken))
		}
	}
}

func TestRanges(t *testing.T) {
	one, two := row.MakeKey([]byte("1")), row.MakeKey([]byte("2"))
	low, middle, high := row.Range{Upto: one}, row.Range{After: one, Upto: two}, row.Range{After: two}
	if !(row.Range{Number: 3}).Whole() || low.Whole() || high.Whole() {
		t.Error("which range is the whole table")
	}
	if !low.Adjoin(middle) || !middle.Adjoin(high) || low.Adjoin(high) || high.Adjoin(low) || (row.Range{}).Adjoin(row.Range{}) {
		t.Error("which ranges adjoin")
	}
}

func TestBatchGivesHugeArenasBack(t *testing.T) {
	b := row.NewBatch(1)
	b.AppendString(strings.Repeat("x", 9<<20))
	b.Reset()
	if b.Len() != 0 || b.Size() != 0 {
		t.Fatal("not empty after Reset")
	}
	if n := testing.AllocsPerRun(1, func() { b.AppendString("x"); b.Reset() }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func TestABatchWithoutCellsIsAMistake(t *testing.T) {
	for _, width := range []int{0, -1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("width %d was taken", width)
				}
			}()
			row.NewBatch(width)
		}()
	}
}

func TestKindsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range row.Kinds() {
		if seen[k.String()] || k.String() == "unknown" || k.String() == "" {
			t.Errorf("kind %d is called %q", k, k)
		}
		seen[k.String()] = true
		numeric := k == row.Bool || k == row.Int || k == row.Decimal || k == row.Float32 || k == row.Float64
		if k.Numeric() != numeric {
			t.Errorf("%s: numeric %t", k, k.Numeric())
		}
	}
	if got := row.Kind(200).String(); got != "unknown" {
		t.Errorf("kind 200 is called %q", got)
	}
}

// FuzzAppendRow gives any bytes to a batch: they are a row, or an error that leaves the batch as it was.
func FuzzAppendRow(f *testing.F) {
	f.Add([]byte{}, uint8(1))
	f.Add([]byte(row.MakeKey([]byte("a"), nil, []byte{})), uint8(3))
	f.Add([]byte{0, 0, 0, 5, 'a'}, uint8(1))
	f.Add([]byte{255, 255, 255, 254, 0}, uint8(1))
	f.Add(append([]byte(row.MakeKey([]byte("a"))), 0), uint8(1))
	f.Fuzz(func(t *testing.T, run []byte, width uint8) {
		b := row.NewBatch(int(width)%8 + 1)
		for range b.Width() {
			b.AppendString("first")
		}
		first := bytes.Clone(b.Row(0))
		err := b.AppendRow(run)
		if !bytes.Equal(b.Row(0), first) {
			t.Fatal("the row before was changed")
		}
		if err != nil {
			if b.Len() != 1 || b.Size() != len(first) {
				t.Fatalf("an error left %d rows, %d bytes", b.Len(), b.Size())
			}
			return
		}
		if b.Len() != 2 || !bytes.Equal(b.Row(1), run) {
			t.Fatalf("%x came back as %x", run, b.Row(1))
		}
		if cells, err := row.Key(run).Cells(); err != nil || len(cells) != b.Width() {
			t.Fatalf("%d cells, %v", len(cells), err)
		}
	})
}

// fill writes n rows of 16 cells as a reader does.
func fill(b *row.Batch, n int) {
	for range n {
		for j := range 16 {
			switch j % 4 {
			case 0:
				b.AppendString("12345678")
			case 1:
				b.AppendNull()
			case 2:
				b.End(row.AppendFraction(b.Begin(), moment))
			default:
				b.AppendString("some text that a row may have")
			}
		}
	}
}

var moment = []byte("2024-02-29 12:34:56.500000")

// TestTheRowPathDoesNotAllocate: a batch that is warm is filled, read, hashed and copied without an allocation.
func TestTheRowPathDoesNotAllocate(t *testing.T) {
	b, c := row.NewBatch(16), row.NewBatch(16)
	var sum row.Sum
	var key, cell []byte
	work := func() {
		b.Reset()
		c.Reset()
		fill(b, 100)
		for i := range b.Len() {
			if err := c.AppendRow(b.Row(i)); err != nil {
				t.Fatal(err)
			}
			key = b.AppendKey(key[:0], i, []int{3, 0})
			cell = append(cell[:0], b.Cell(i, 2)...)
		}
		sum.AddBatch(7, c)
		c.Truncate(50)
		c.Abandon()
	}
	work()
	if n := testing.AllocsPerRun(20, work); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

func BenchmarkBatch(b *testing.B) {
	batch := row.NewBatch(16)
	fill(batch, 1000)
	b.Run("fill", func(b *testing.B) {
		b.SetBytes(int64(batch.Size()))
		b.ReportAllocs()
		for b.Loop() {
			batch.Reset()
			fill(batch, 1000)
		}
	})
	b.Run("sum", func(b *testing.B) {
		b.SetBytes(int64(batch.Size()))
		b.ReportAllocs()
		var s row.Sum
		for b.Loop() {
			s.AddBatch(1, batch)
		}
	})
	b.Run("cells", func(b *testing.B) {
		b.SetBytes(int64(batch.Size()))
		b.ReportAllocs()
		total := 0
		for b.Loop() {
			for i := range batch.Len() {
				for j := range batch.Width() {
					total += len(batch.Cell(i, j))
				}
			}
		}
		if total == 0 {
			b.Fatal("no cells")
		}
	})
}

func ExampleBatch() {
	b := row.NewBatch(2)
	b.AppendString("1")
	b.AppendNull()
	fmt.Printf("%d row: %x\n", b.Len(), b.Row(0))
	// Output: 1 row: 0000000131ffffffff
}

func TestReshapeKeepsMemoryAndForgetsRows(t *testing.T) {
	b := row.NewBatch(2)
	b.AppendString("a")
	b.AppendString("b")
	b.AppendString("half a row")
	b.Reshape(1)
	if b.Len() != 0 || b.Size() != 0 || b.Width() != 1 {
		t.Fatalf("%d rows, %d bytes, width %d", b.Len(), b.Size(), b.Width())
	}
	b.AppendString("c")
	if b.Len() != 1 || string(b.Cell(0, 0)) != "c" {
		t.Errorf("%d rows, %q", b.Len(), b.Row(0))
	}
}
