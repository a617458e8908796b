package verify

import (
	"context"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/row"
)

// Sample counts the rows of both sides and compares those of some ranges of the key, spread evenly over the table, by key.
// It proves nothing of the other rows: the tally's rows are of the whole table, its sums of the sample. A table without a key is compared in full.
func Sample(ctx context.Context, p Pair, ranges, most int) (Tally, error) {
	if len(p.Source.Shape.Key) == 0 || p.Source.Database.Splitter == nil {
		return Compare(ctx, p, most)
	}
	var tally Tally
	counts := [2]*row.Sum{&tally.Source, &tally.Target}
	if err := p.both(ctx, func(ctx context.Context, i int, s Side) error {
		s.Shape = s.Shape.Keys()
		return p.each(ctx, s, nil, func(*row.Batch, int, []byte) error {
			counts[i].Rows++
			return nil
		})
	}); err != nil {
		return tally, err
	}
	var plan []row.Range
	for r, err := range p.Source.Database.Splitter.Split(ctx, p.Source.Table, p.Source.Shape, 1000) {
		if err != nil {
			return tally, fmt.Errorf("cut %s: %w", p.Source.Table.Name, err)
		}
		plan = append(plan, r)
	}
	for i := 0; i < len(plan) && len(tally.Differing) < most; i += max(len(plan)/ranges, 1) {
		found, err := p.sampleOne(ctx, plan[i], counts)
		if err != nil {
			return tally, err
		}
		tally.Differing, tally.Ranges = append(tally.Differing, found...), append(tally.Ranges, plan[i])
	}
	if len(tally.Differing) == 0 && tally.Source.Rows != tally.Target.Rows {
		return Compare(ctx, p, most) // the counts say that there is a difference: find it
	}
	return tally, nil
}

func (p Pair) sampleOne(ctx context.Context, r row.Range, tallies [2]*row.Sum) ([]Difference, error) {
	keys := p.Source.Shape.Keys()
	cursor, err := p.Source.Database.Reader.Read(ctx, driver.Query{Table: p.Source.Table, Shape: keys, Range: r})
	if err != nil {
		return nil, err
	}
	defer cursor.Close()
	var found []Difference
	err = load.Rotate(ctx, cursor, keys.Width(), func(b *row.Batch) error {
		sums, err := p.byKey(ctx, b)
		if err != nil {
			return err
		}
		for i, side := range sums {
			for _, sum := range side {
				sum.Rows = 0 // the rows were counted
				tallies[i].Add(sum)
			}
		}
		found = append(found, differing(b, sums)...)
		return nil
	})
	return found, err
}
