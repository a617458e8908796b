package verify

import (
	"context"
	"fmt"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
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
		return p.rows(ctx, s, keys, sides[i])
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

func (p Pair) rows(ctx context.Context, s Side, keys *row.Batch, into map[string]row.Sum) error {
	cursor, err := s.Database.Reader.Read(ctx, driver.Query{Table: s.Table, Shape: s.Shape, Keys: keys})
	if err != nil {
		return err
	}
	defer cursor.Close()
	var key []byte
	return p.Pace.Read(ctx, cursor, s.Shape.Width(), func(b *row.Batch) error {
		for i := range b.Len() {
			key = b.AppendKey(key[:0], i, s.Shape.Key)
			sum := into[string(key)]
			sum.AddRow(p.Seed, b.Row(i))
			into[string(key)] = sum
		}
		return nil
	})
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
