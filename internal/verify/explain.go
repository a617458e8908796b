package verify

import (
	"context"

	"github.com/whimbrel/whimbrel/row"
)

// Explain names the columns in which each unlike row differs, for people: it reads the rows once more, and what has become
// equal meanwhile has none. It keeps digests of cells only, whatever their size. Tables without a key are left as they are.
func Explain(ctx context.Context, p Pair, found []Difference) error {
	if len(p.Source.Shape.Key) == 0 {
		return nil
	}
	return Pages(len(p.Source.Shape.Key), found, func(keys *row.Batch) error {
		var sides [2]map[string][][16]byte
		if err := p.both(ctx, func(ctx context.Context, i int, s Side) error {
			sides[i] = make(map[string][][16]byte, keys.Len())
			return p.each(ctx, s, keys, func(b *row.Batch, at int, key []byte) error {
				sides[i][string(key)] = p.digests(b, at)
				return nil
			})
		}); err != nil {
			return err
		}
		for i := range found {
			source, target := sides[0][string(found[i].Key)], sides[1][string(found[i].Key)]
			if found[i].What != Unlike || len(source) != len(target) {
				continue
			}
			for j := range source {
				if source[j] != target[j] {
					found[i].Columns = append(found[i].Columns, p.Source.Shape.Columns[j].Column.Name)
				}
			}
		}
		return nil
	})
}

// digests are those of a row's cells; NULL's is of no cell's bytes.
func (p Pair) digests(b *row.Batch, at int) [][16]byte {
	all := make([][16]byte, b.Width())
	for j := range all {
		if cell := b.Cell(at, j); cell != nil {
			all[j] = p.Seed.Digest(append([]byte{1}, cell...))
		}
	}
	return all
}
