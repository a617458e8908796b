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
	sums, err := p.byKey(ctx, keys)
	if err != nil {
		return nil, err
	}
	return differing(keys, sums), nil
}

// byKey reads the rows of these keys from both sides and sums them up by key.
func (p Pair) byKey(ctx context.Context, keys *row.Batch) (sums [2]map[string]row.Sum, err error) {
	err = p.both(ctx, func(ctx context.Context, i int, s Side) error {
		sums[i] = make(map[string]row.Sum, keys.Len())
		return p.each(ctx, s, keys, func(b *row.Batch, at int, key []byte) error {
			sum := sums[i][string(key)]
			sum.AddRow(p.Seed, b.Row(at))
			sums[i][string(key)] = sum
			return nil
		})
	})
	return sums, err
}

// differing lists the keys of a batch whose sums are not the same.
func differing(keys *row.Batch, sums [2]map[string]row.Sum) []Difference {
	var found []Difference
	for i := range keys.Len() {
		key := keys.Row(i)
		if a, b := sums[0][string(key)], sums[1][string(key)]; a != b {
			found = append(found, Difference{Key: slices.Clone(key), What: what(a, b)})
		}
	}
	return found
}

// page is how many keys are compared in one go.
const page = 5_000

// Pages calls use with batches of the differences' keys.
func Pages(width int, found []Difference, use func(*row.Batch) error) error {
	return inPages(width, page, found, use)
}

// inPages is Pages with so many keys in a batch.
func inPages(width, most int, found []Difference, use func(*row.Batch) error) error {
	b := row.NewBatch(width)
	for part := range slices.Chunk(found, most) {
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
