package verify

import (
	"context"
	"fmt"
	"slices"

	"github.com/whimbrel/whimbrel/row"
)

// Keys compares the rows of these keys only and returns those that differ, in the order of the batch.
func Keys(ctx context.Context, p Pair, keys *row.Batch) ([]Difference, error) {
	if keys.Len() == 0 {
		return nil, nil
	}
	var sides [2]map[string]row.Sum
	if err := p.both(ctx, func(ctx context.Context, i int, s Side) error {
		sides[i] = make(map[string]row.Sum, keys.Len())
		return p.each(ctx, s, keys, func(b *row.Batch, at int, key []byte) error {
			sum := sides[i][string(key)]
			sum.AddRow(p.Seed, b.Row(at))
			sides[i][string(key)] = sum
			return nil
		})
	}); err != nil {
		return nil, err
	}
	var found []Difference
	for i := range keys.Len() {
		key := keys.Row(i)
		if a, b := sides[0][string(key)], sides[1][string(key)]; a != b {
			found = append(found, Difference{Key: slices.Clone(key), What: what(a, b)})
		}
	}
	return found, nil
}

// page is how many keys are compared in one go.
const page = 5_000

// Pages calls use with batches of the differences' keys.
func Pages(width int, found []Difference, use func(*row.Batch) error) error {
	b := row.NewBatch(width)
	for part := range slices.Chunk(found, page) {
		b.Reset()
		for _, d := range part {
			if err := b.AppendRow(d.Key); err != nil {
				return fmt.Errorf("key of a difference: %w", err)
			}
		}
		if err := use(b); err != nil {
			return err
		}
	}
	return nil
}
