package row_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/whimbrel/whimbrel/row"
)

func sumOf(seed row.Seed, runs ...[]byte) row.Sum {
	var s row.Sum
	for _, r := range runs {
		s.AddRow(seed, r)
	}
	return s
}

// TestSumsDoNotKnowAnOrder: a sum depends on which rows and how many, not on their order or how they were cut into parts.
func TestSumsDoNotKnowAnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 8), 0, 12).Draw(t, "runs")
		seed := row.Seed(rapid.Uint64().Draw(t, "seed"))
		whole := sumOf(seed, runs...)
		if got := sumOf(seed, rapid.Permutation(runs).Draw(t, "mixed")...); got != whole {
			t.Fatalf("%s in another order, %s", got, whole)
		}
		cut := rapid.IntRange(0, len(runs)).Draw(t, "cut")
		parts := sumOf(seed, runs[:cut]...)
		parts.Add(sumOf(seed, runs[cut:]...))
		if parts != whole {
			t.Fatalf("%s in parts, %s", parts, whole)
		}
		b := row.NewBatch(1)
		for _, r := range runs {
			b.Append(r)
		}
		var batched, single row.Sum
		batched.AddBatch(seed, b)
		for i := range b.Len() {
			single.AddRow(seed, b.Row(i))
		}
		if batched != single {
			t.Fatalf("%s by the batch, %s by the row", batched, single)
		}
	})
}

// TestSumsSeeDuplicates is why sums add: under exclusive-or, pairs of equal rows would vanish.
func TestSumsSeeDuplicates(t *testing.T) {
	a, b := []byte("row a"), []byte("row b")
	var seen []row.Sum
	for _, runs := range [][][]byte{{}, {a, a}, {b, b}, {a, b}, {a, a, a}, {a}, {a, a, b, b}} {
		s := sumOf(1, runs...)
		for _, other := range seen {
			if s.Hi == other.Hi && s.Lo == other.Lo {
				t.Errorf("%d rows have the hash of another set", len(runs))
			}
		}
		seen = append(seen, s)
	}
	var xor row.Sum // the twin that breaks the rule
	for range 2 {
		hi, lo := row.Seed(1).Hash(a)
		xor.Hi, xor.Lo = xor.Hi^hi, xor.Lo^lo
	}
	if xor != (row.Sum{}) {
		t.Error("exclusive-or was expected to lose a pair")
	}
}

func TestSumsCarry(t *testing.T) {
	s := row.Sum{Rows: 1, Hi: 1, Lo: math.MaxUint64}
	s.Add(row.Sum{Rows: 2, Hi: math.MaxUint64, Lo: 2})
	if want := (row.Sum{Rows: 3, Hi: 1, Lo: 1}); s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	if got := s.String(); got != "3 rows 00000000000000010000000000000001" {
		t.Error(got)
	}
}

func TestSeedsGiveOtherHashes(t *testing.T) {
	run := []byte("row")
	hi, lo := row.Seed(1).Hash(run)
	if otherHi, otherLo := row.Seed(2).Hash(run); hi == otherHi || lo == otherLo {
		t.Error("another seed gives the same hash")
	}
	d := row.Seed(1).Digest(run)
	for i := range 8 {
		if d[i] != byte(hi>>(56-8*i)) || d[8+i] != byte(lo>>(56-8*i)) {
			t.Fatalf("digest %x of hash %016x%016x", d, hi, lo)
		}
	}
}
