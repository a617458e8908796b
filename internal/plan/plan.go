// Package plan decides, before anything starts, how each table is moved: its class with the reason, its number, how it is
// cut, in which order tables are loaded, and how long load and downtime will take as far as that can be told.
package plan

import (
	"cmp"
	"slices"

	"github.com/whimbrel/whimbrel/schema"
)

// Number gives every table its number, from 1 by schema and name, so that the same tables have the same numbers again.
// What Whimbrel makes for a table is named by it. Again: the same.
func Number(tables []*schema.Table) {
	sorted := slices.Clone(tables)
	slices.SortStableFunc(sorted, func(a, b *schema.Table) int { return compareNames(a.Name, b.Name) })
	for i, t := range sorted {
		t.Number = i + 1
	}
}

// Order returns the tables in the order of their load: the largest first, so that none is left running alone at the end.
func Order(tables []*schema.Table) []*schema.Table {
	sorted := slices.Clone(tables)
	slices.SortStableFunc(sorted, func(a, b *schema.Table) int {
		return cmp.Or(cmp.Compare(Size(b), Size(a)), cmp.Compare(b.Rows, a.Rows), compareNames(a.Name, b.Name))
	})
	return sorted
}

// usualRow is how many bytes a row is taken to have where the catalog does not know.
const usualRow = 128

// Size is a table's size in bytes as the catalog estimates it, or from its rows; 0 when nothing is known.
func Size(t *schema.Table) int64 {
	switch {
	case t.Bytes >= 0:
		return t.Bytes
	case t.Rows >= 0:
		return t.Rows * usualRow
	}
	return 0
}

// The size of a range. One that is larger makes a crash and the end of a load cost more; one that is smaller costs more
// transactions. MostRanges bounds what the ledger has to hold.
const (
	rangeBytes = 64 << 20
	mostRows   = 200_000
	leastRows  = 500
	mostRanges = 100_000
)

// RangeRows is about how many rows a range of the table shall have: as many as make 64 MiB, 200,000 at most.
func RangeRows(t *schema.Table) int64 {
	rows := int64(mostRows)
	if t.Rows > 0 && t.Bytes > 0 {
		rows = rangeBytes / max(t.Bytes/t.Rows, 1)
	}
	return max(min(rows, mostRows), leastRows, t.Rows/mostRanges)
}

// Ranges is about how many ranges that makes.
func Ranges(t *schema.Table) int64 {
	return max(t.Rows, 0)/RangeRows(t) + 1
}

func compareNames(a, b schema.Name) int {
	return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Name, b.Name))
}
