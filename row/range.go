package row

import "bytes"

// Key is a key as a run of framed cells, one a key column in the key's order; nil means no bound.
// Keys are compared for order by the database they came from only, never here: a collation is the source's secret.
type Key []byte

// Cells returns the key's cells, nil for NULL. A malformed key returns an error.
func (k Key) Cells() ([][]byte, error) {
	var cells [][]byte
	for rest := []byte(k); len(rest) > 0; {
		cell, tail, err := cutCell(rest)
		if err != nil {
			return nil, err
		}
		cells, rest = append(cells, cell), tail
	}
	return cells, nil
}

// MakeKey frames cells as a key; a nil cell is NULL.
func MakeKey(cells ...[]byte) Key {
	if len(cells) == 0 {
		return nil
	}
	b := NewBatch(len(cells))
	for _, c := range cells {
		if c == nil {
			b.AppendNull()
		} else {
			b.Append(c)
		}
	}
	return Key(b.data)
}

// Range is a half-open stretch of a table in key order: the rows whose key is above After and not above Upto. A nil bound
// is open, so the zero Range is the whole table and the ranges of one table, laid end to end, miss nothing.
type Range struct {
	Number int // its place in the table's plan, from 1; 0 for a range that is not part of a plan
	After  Key
	Upto   Key
}

// Whole reports whether the range has no bounds.
func (r Range) Whole() bool { return r.After == nil && r.Upto == nil }

// Adjoin reports whether next begins exactly where r ends.
func (r Range) Adjoin(next Range) bool {
	return r.Upto != nil && next.After != nil && bytes.Equal(r.Upto, next.After)
}
