package plan

import (
	"iter"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// granules is how many parts a usual range has, where a table is cut finer so that its last ranges can be small.
const granules = 8

// Cut is how a table is cut: in ranges of about Rows rows, of which several neighbours may be joined to one.
type Cut struct {
	Rows  int64 // to ask the splitter for
	Parts int64 // about how many ranges that makes, where some shall be joined; 0 for none
}

// CutOf cuts a table that has more than one range, but is no giant, finer than its ranges are: Guided joins most of the
// parts again. A table of one range stays whole, and one with many ranges for each session has no tail worth a thought.
func CutOf(t *schema.Table, rows int64, sessions int) Cut {
	ranges := t.Rows / max(rows, 1)
	if ranges < 1 || ranges > int64(sessions)*granules*granules || rows < granules*leastRows {
		return Cut{Rows: rows}
	}
	return Cut{Rows: rows / granules, Parts: t.Rows / (rows / granules)}
}

// Guided joins neighbours so that ranges become smaller towards the end of a table: large ones cost few transactions, and
// small ones at the end let all sessions end at about the same time, however unequal the rows are. This is guided
// self-scheduling: a range is half of what each session would get of the rest.
func (c Cut) Guided(ranges iter.Seq2[row.Range, error], sessions int) iter.Seq2[row.Range, error] {
	if c.Parts == 0 {
		return ranges
	}
	return func(yield func(row.Range, error) bool) {
		left := c.Parts
		var joined row.Range
		wanted := int64(0) // parts that the joined range still lacks
		for r, err := range ranges {
			if err != nil {
				yield(r, err)
				return
			}
			if wanted == 0 {
				joined, wanted = r, max(min(left/int64(2*sessions), granules), 1)
			}
			joined.Upto = r.Upto
			left, wanted = left-1, wanted-1
			if wanted == 0 && !yield(joined, nil) {
				return
			}
		}
		if wanted > 0 {
			yield(joined, nil)
		}
	}
}
