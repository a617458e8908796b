package driver

import (
	"context"

	"github.com/whimbrel/whimbrel/schema"
)

// Surveyor looks at the values of a table before a move: it may scan the table, in the uptime, without locks.
type Surveyor interface {
	// Survey answers questions about the table's values with a fact for each that holds for a row. What nobody asks it may
	// tell or leave, and so it looks at no more of the table than the questions need; a question that no value of the column's
	// type can answer with yes costs nothing. Again: looks again.
	Survey(ctx context.Context, t *schema.Table, q Questions) ([]Fact, error)
}

// Questions are what a move must know about a table's values, by column.
type Questions map[string][]Question

// Question asks for one kind of fact.
type Question struct {
	What  FactKind
	Above int64 // Longest: only a value of more bytes than this is of interest
}

// Asks reports whether the column is asked about.
func (q Questions) Asks(column string, what FactKind) bool {
	_, asked := q.find(column, what)
	return asked
}

// Above returns the length in bytes above which a value of the column is of interest, and whether any is.
func (q Questions) Above(column string) (int64, bool) {
	longest, asked := q.find(column, Longest)
	return longest.Above, asked
}

func (q Questions) find(column string, what FactKind) (Question, bool) {
	for _, one := range q[column] {
		if one.What == what {
			return one, true
		}
	}
	return Question{}, false
}

// Ask adds a question. Of two about the longest value the one with the smaller length stays, which answers both.
func (q Questions) Ask(column string, one Question) {
	for i, had := range q[column] {
		if had.What == one.What {
			q[column][i].Above = min(had.Above, one.Above)
			return
		}
	}
	q[column] = append(q[column], one)
}

// Covers reports whether who has answered these questions has answered the others too.
func (q Questions) Covers(others Questions) bool {
	for column, some := range others {
		for _, one := range some {
			if had, asked := q.find(column, one.What); !asked || had.Above > one.Above {
				return false
			}
		}
	}
	return true
}

// Fact is one thing a survey found in a column.
type Fact struct {
	Column string
	What   FactKind
	Count  int64  // rows it holds for
	Value  int64  // Longest: bytes
	Sample string // the key of one such row, for people
}

// FactKind names what a survey looks for.
type FactKind string

// The facts.
const (
	Longest      FactKind = "longest"       // Value is the longest value of the column in bytes; asked for above a length only
	ZeroDate     FactKind = "zero-date"     // 0000-00-00 or a date with a zero month or day
	Infinite     FactKind = "infinite"      // infinity, -infinity in a date or a time
	BeforeYear1  FactKind = "before-1"      // a date before the year 1 (BC)
	AfterYear4   FactKind = "after-9999"    // a date after the year 9999
	NotANumber   FactKind = "nan"           // NaN or an infinite number
	NegativeZero FactKind = "negative-zero" // a floating-point number that is -0, which MariaDB and MySQL store as 0
	WrongClass   FactKind = "wrong-class"   // SQLite: a value whose storage class is not the declared type's
	BadText      FactKind = "bad-text"      // bytes that are not text in the declared character set
	NulInText    FactKind = "nul-in-text"   // U+0000 in text
	BadEnum      FactKind = "bad-enum"      // MariaDB, MySQL: the error value of an enum
	KeyIsNull    FactKind = "key-is-null"   // SQLite: NULL in a primary key
	TooLarge     FactKind = "too-large"     // a number larger than the declared type says (SQLite)
	Fractions    FactKind = "fractions"     // more digits after the point, or of the second, than declared (SQLite)
	NotJSON      FactKind = "not-json"      // text in a JSON column that is not JSON
	BeyondHours  FactKind = "beyond-hours"  // a MariaDB time below 0 or of 24 hours and more
	Replaced     FactKind = "replaced"      // a row in which a new release's rule replaces characters of the column; no driver finds it
	Unmade       FactKind = "unmade"        // a row of which a new release's rule can not make the column's value; no driver finds it
)

// FactKinds returns every kind.
func FactKinds() []FactKind {
	return []FactKind{
		Longest, ZeroDate, Infinite, BeforeYear1, AfterYear4, NotANumber, NegativeZero, WrongClass, BadText, NulInText, BadEnum,
		KeyIsNull, TooLarge, Fractions, NotJSON, BeyondHours, Replaced, Unmade,
	}
}
