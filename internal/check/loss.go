package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Facts are what surveys found, by table. A table that is a key here was surveyed, also when nothing was found.
type Facts map[schema.Name][]driver.Fact

// Of returns the facts of one column.
func (f Facts) Of(table schema.Name, column string) []driver.Fact {
	var some []driver.Fact
	for _, fact := range f[table] {
		if fact.Column == column {
			some = append(some, fact)
		}
	}
	return some
}

// Surveyed reports whether the table's values were looked at.
func (f Facts) Surveyed(table schema.Name) bool { _, ok := f[table]; return ok }

// Loss is what one column would lose on its way, as the target's dialect says from the type alone.
type Loss struct {
	Table  schema.Name
	Column string
	Target schema.Type // the type the column gets
	driver.Loss
}

// LargestValue is the longest value in bytes that a move carries whatever the target could hold: rows travel in memory.
const LargestValue = 64 << 20

// Losses judges losses by what surveys found: one that depends on values counts when they were found, with how many rows
// and the key of one; where nobody looked it is told and neither forbids nor asks. Largest is the longest value the target holds, 0 when it has no limit.
func Losses(losses []Loss, facts Facts, largest int64) []Finding {
	var found []Finding
	for _, l := range losses {
		f := Finding{Rule: "type", Level: l.Level, Table: l.Table, Column: l.Column, Message: l.Message, Do: cure(l.Level)}
		if len(l.Unless) > 0 {
			fact, real := l.Met(facts.Of(l.Table, l.Column), largest)
			switch {
			case real:
				f.Rule, f.Detail = string(fact.What), figures(fact)
				if l.Level == driver.Lossy && l.refused(fact) {
					f.Level, f.Do = driver.Forbidden, cure(driver.Forbidden)
				}
			case facts.Surveyed(l.Table):
				continue
			default:
				f.Rule, f.Level, f.Detail = string(l.Unless[0]), driver.Note, "nobody looked whether there are such values"
				f.Do = "A row that has one will stop its table: rehearse the move first."
			}
		}
		found = append(found, f)
	}
	return found
}

// Bound is the longest value in bytes that is no loss for certain, where the loss depends on lengths: what the type the column
// gets holds, or largest where that type has no bound; 0 when that has none either.
func (l Loss) Bound(largest int64) int64 { return cmp.Or(l.Target.Length, largest) }

// Met returns the first fact of the column that makes the loss real. The longest value does so when it is longer, in bytes,
// than the type the column gets, or than largest where that type has no bound.
func (l Loss) Met(facts []driver.Fact, largest int64) (driver.Fact, bool) {
	for _, f := range facts {
		if !slices.Contains(l.Unless, f.What) {
			continue
		}
		if f.What == driver.Longest && f.Value > l.Bound(largest) || f.What != driver.Longest && f.Count > 0 {
			return f, true
		}
	}
	return driver.Fact{}, false
}

// refused reports that the target will refuse the value, since nothing makes another of it: consent does not help. Dates and
// times that are none become NULL where the operator accepts it, and the error value of an enum is an empty text. A text's
// length is known in bytes, its bound in characters of one to four: only what is too long for certain is refused here.
func (l Loss) refused(f driver.Fact) bool {
	switch f.What {
	case driver.ZeroDate, driver.Infinite, driver.BeforeYear1, driver.AfterYear4, driver.BadEnum:
		return false
	case driver.Longest:
		return l.Target.Length == 0 || l.Target.Kind != row.Text || f.Value > 4*l.Target.Length
	}
	return true
}

// unsayable are the facts about values that a cell of the column's kind has no bytes for, whatever the target is.
var unsayable = map[driver.FactKind]string{
	driver.ZeroDate:    "holds dates that are no dates",
	driver.Infinite:    "holds infinite dates or times",
	driver.BeforeYear1: "holds dates before the year 1",
	driver.AfterYear4:  "holds dates after the year 9999",
	driver.WrongClass:  "holds values that are not of its declared type",
	driver.BadText:     "holds bytes that are not text in its character set",
	driver.KeyIsNull:   "holds NULL, and is part of the primary key",
	driver.Unmade:      "can not be made of some rows by the release's rule",
}

// Unsayable returns the facts about such values.
func Unsayable() []driver.FactKind { return slices.Sorted(maps.Keys(unsayable)) }

// Told reports whether a loss of the column speaks of such values.
func Told(losses []Loss, table schema.Name, column string, what driver.FactKind) bool {
	return slices.ContainsFunc(losses, func(l Loss) bool {
		return l.Table == table && l.Column == column && slices.Contains(l.Unless, what)
	})
}

// Values finds, among the facts of one table, what forbids the move of a column although no loss speaks of it: values that
// no cell of the column's kind can say; and values that a new release's rule changes, which needs consent.
func Values(table schema.Name, facts []driver.Fact, losses []Loss) []Finding {
	var found []Finding
	for _, f := range facts {
		if f.What == driver.Replaced && f.Count > 0 {
			found = append(found, Finding{
				Rule: string(f.What), Level: driver.Lossy, Table: table, Column: f.Column, Detail: figures(f),
				Message: "holds bytes that are no character of the set they are read in: U+FFFD stands for them at the target",
				Do:      "Accept it, or mend them at the source; every key stands in lossy.tsv beside report.json.",
			})
		}
		if why := unsayable[f.What]; why != "" && f.Count > 0 && !Told(losses, table, f.Column, f.What) {
			found = append(found, Finding{
				Rule: string(f.What), Level: driver.Forbidden, Table: table, Column: f.Column, Message: why,
				Detail: figures(f), Do: "Change these values at the source, or skip the table.",
			})
		}
	}
	return found
}

// Long finds values that are too long to travel or for the target; largest as for Losses.
func Long(facts Facts, largest int64) []Finding {
	if largest <= 0 || largest > LargestValue {
		largest = LargestValue
	}
	var found []Finding
	for table, some := range facts {
		for _, f := range some {
			if f.What != driver.Longest || f.Value <= largest {
				continue
			}
			found = append(found, Finding{
				Rule: "too-long", Level: driver.Forbidden, Table: table, Column: f.Column,
				Message: "holds a value longer than the " + Bytes(largest) + " that can be moved",
				Detail:  figures(f), Do: "Shorten it at the source, or skip the table.",
			})
		}
	}
	return Sort(found)
}

func figures(f driver.Fact) string {
	text := ""
	switch {
	case f.What == driver.Longest:
		text = Bytes(f.Value)
	case f.Count == 1:
		text = "1 row"
	default:
		text = fmt.Sprintf("%d rows", f.Count)
	}
	if f.Sample == "" {
		return text
	}
	if f.What == driver.Longest || f.Count == 1 {
		return text + ", key " + f.Sample
	}
	return text + ", such as key " + f.Sample
}

// Bytes writes a size for people: 70 bytes, 1.5 MiB.
func Bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	size, unit := float64(n)/1024, 0
	for size >= 1024 && unit < 3 {
		size, unit = size/1024, unit+1
	}
	return fmt.Sprintf("%.4g %s", size, [...]string{"KiB", "MiB", "GiB", "TiB"}[unit])
}

func cure(l driver.Level) string {
	switch l {
	case driver.Forbidden:
		return "Change the column or its values at the source, or skip the table."
	case driver.Lossy:
		return "Accept it, or change the column or its values at the source first."
	case driver.NotLive:
		return "Move the table in the downtime."
	}
	return ""
}
