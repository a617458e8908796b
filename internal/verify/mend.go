package verify

import (
	"context"
	"fmt"

	"github.com/whimbrel/whimbrel/row"
)

// Mender makes the target's rows of some keys what the source's are, and writes no others.
type Mender interface {
	Mend(ctx context.Context, keys *row.Batch) error
}

// mended is how many keys are mended in one go: their rows are in memory together.
const mended = 500

// Mend has exactly the differing keys mended and compares them again. A key that still differs though its row at the source
// stood still meanwhile is in the tally's Differing: the target does not keep what it is given, or somebody else writes there.
// One whose row moved is counted in Left: it is on the changed list, because the replay that mended it noted it.
func Mend(ctx context.Context, p Pair, m Mender, found []Difference) (tally Tally, err error) {
	before := map[string]row.Sum{}
	for round := range rounds {
		var still []Difference
		err := inPages(len(p.Source.Shape.Key), mended, found, func(keys *row.Batch) error {
			if err := m.Mend(ctx, keys); err != nil {
				return fmt.Errorf("mend %d rows: %w", keys.Len(), err)
			}
			sums, err := p.byKey(ctx, keys)
			if err != nil {
				return err
			}
			differ := differing(keys, sums)
			still = append(still, differ...)
			tally.settle(keys, sums, differ, before, round+1 == rounds)
			return nil
		})
		if found = still; err != nil || len(found) == 0 {
			return tally, err
		}
	}
	return tally, nil
}

// settle adds what one look at mended keys came to. Those that differ are looked at once more, but after the last look.
func (t *Tally) settle(keys *row.Batch, sums [2]map[string]row.Sum, differ []Difference, before map[string]row.Sum, last lastLook) {
	unequal := make(map[string]Difference, len(differ))
	for _, d := range differ {
		unequal[string(d.Key)] = d
	}
	for i := range keys.Len() {
		key := string(keys.Row(i))
		source, target := sums[0][key], sums[1][key]
		d, differs := unequal[key]
		if differs && !bool(last) {
			before[key] = source
			continue
		}
		t.Source.Add(source)
		t.Target.Add(target)
		switch was, known := before[key]; {
		case differs && known && was == source:
			t.Differing = append(t.Differing, d)
		case differs:
			t.Left++
		}
	}
}

// lastLook says that keys are not looked at again.
type lastLook bool
