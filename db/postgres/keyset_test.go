package postgres

import (
	"strconv"
	"testing"

	"github.com/whimbrel/whimbrel/row"
)

func TestAKeySetFindsKeysByTheirBytes(t *testing.T) {
	keys, one := row.NewBatch(2), row.NewBatch(2)
	keys.AppendString("not")
	keys.AppendString("in the set")
	set := setOf(keys, 1, 0)
	run := func(a, b string) []byte {
		one.Reset()
		one.AppendString(a)
		one.AppendString(b)
		return one.Row(0)
	}
	for round := range 2 {
		for i := range 1000 {
			if place, err := set.add(run(strconv.Itoa(i), "x")); place != i || err != nil {
				t.Fatalf("round %d: key %d is at %d, %v", round, i, place, err)
			}
		}
	}
	again := setOf(keys, 1, keys.Len())
	for _, s := range []*keySet{set, again} {
		if s.len() != 1000 || s.find(run("7", "x")) != 7 || s.find(run("7", "")) != -1 || s.find(run("not", "in the set")) != -1 {
			t.Errorf("%d keys, 7 at %d", s.len(), s.find(run("7", "x")))
		}
	}
	if _, err := set.add([]byte("no run")); err == nil || set.len() != 1000 {
		t.Errorf("%d keys, %v", set.len(), err)
	}
}

func TestAKeySetAllocatesNothingForAKey(t *testing.T) {
	keys, source := row.NewBatch(1), row.NewBatch(1)
	for i := range 500 {
		source.AppendString(strconv.Itoa(i))
	}
	for i := range source.Len() { // the arena's own growth
		if err := keys.AppendRow(source.Row(i)); err != nil {
			t.Fatal(err)
		}
	}
	set := setOf(keys, 0, 500)
	if n := testing.AllocsPerRun(50, func() {
		keys.Reset()
		clear(set.slots)
		for i := range source.Len() {
			_, _ = set.add(source.Row(i))
			_ = set.find(source.Row(i))
		}
	}); n != 0 {
		t.Errorf("%.0f allocations", n)
	}
}
