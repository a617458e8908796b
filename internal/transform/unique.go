package transform

import (
	"encoding/binary"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/whimbrel/whimbrel/row"
)

// unique is one unique key beside the one that rows are known by, and where its values are among the release's rows.
type unique struct {
	name     string
	columns  []string
	parts    []int // their places
	prefixes []prefix
	nulls    bool           // two NULLs are the same value
	at       map[string]int // the places of rows by value
}

// prefix is how much of a part counts.
type prefix struct {
	most     int // characters; 0 for all of it
	bytewise bool
}

// uniques are the unique keys of which the columns are all there.
func (f *form) uniques(columns []string) []unique {
	var all []unique
	for _, k := range f.secondary() {
		u := unique{name: k.Name, nulls: k.NullsEqual}
		for _, p := range k.Columns {
			u.columns = append(u.columns, p.Column)
			u.parts = append(u.parts, slices.Index(columns, p.Column))
			u.prefixes = append(u.prefixes, prefix{p.Prefix, f.view.Column(p.Column).Type.Kind == row.Bytes})
		}
		if !slices.Contains(u.parts, -1) {
			all = append(all, u)
		}
	}
	return all
}

// value is the key's value of a row, false where it has none that another row could share.
func (u *unique) value(dst []byte, b *row.Batch, i int) ([]byte, bool) {
	for n, at := range u.parts {
		cell := b.Cell(i, at)
		if cell == nil {
			if !u.nulls {
				return dst, false
			}
			dst = binary.BigEndian.AppendUint32(dst, math.MaxUint32)
			continue
		}
		cell = u.prefixes[n].of(cell)
		dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(cell))), cell...)
	}
	return dst, true
}

func (p prefix) of(cell []byte) []byte {
	switch {
	case p.most == 0 || len(cell) <= p.most:
		return cell
	case p.bytewise:
		return cell[:p.most]
	}
	end := 0
	for n := 0; n < p.most && end < len(cell); n++ {
		_, size := utf8.DecodeRune(cell[end:])
		end += size
	}
	return cell[:end]
}

// fill notes the values of all rows, and returns the place of one whose value another has, -1 where there is none.
func (u *unique) fill(b *row.Batch) int {
	u.at = make(map[string]int, b.Len())
	var value []byte
	for i := range b.Len() {
		var has bool
		if value, has = u.value(value[:0], b, i); !has {
			continue
		}
		if _, twice := u.at[string(value)]; twice {
			return i
		}
		u.at[string(value)] = i
	}
	return -1
}
