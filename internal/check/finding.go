// Package check says what would go wrong in a move before anything is changed. A Finding is one such thing in the
// operator's words: what it is, how bad, and what to do about it. The analysers here are small functions of few inputs;
// what needs a database is asked of it by the caller, and its answers (notices, facts, losses) come in as values.
package check

import (
	"cmp"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// Finding is one thing that an operator must know before a move.
type Finding struct {
	Rule    string       `json:"rule"` // a stable word for what was found
	Level   driver.Level `json:"level"`
	Table   schema.Name  `json:"table,omitzero"`   // empty for the server or the whole move
	Column  string       `json:"column,omitempty"` // empty for the table
	Object  string       `json:"object,omitempty"` // what else it is about: "index ix_note", "check positive"
	Message string       `json:"message"`          // a clause about the place: "cannot hold the zero date"
	Detail  string       `json:"detail,omitempty"` // figures of this very place: "12 rows, such as 17"
	Do      string       `json:"do,omitempty"`     // one sentence: what to do about it
}

// Key names the finding in what an operator has accepted: the same place and rule have the same key in the next check.
func (f Finding) Key() string {
	return f.Rule + "\x1f" + f.Table.Schema + "\x1f" + f.Table.Name + "\x1f" + f.Column + "\x1f" + f.Object
}

// Place names what the finding is about, for people; empty for the whole move.
func (f Finding) Place() string {
	place := ""
	if f.Table != (schema.Name{}) {
		place = f.Table.String()
	}
	if f.Column != "" {
		place = join(place, ".", f.Column)
	}
	if f.Object != "" {
		place = join(place, ", ", f.Object)
	}
	return place
}

func join(a, by, b string) string {
	if a == "" {
		return b
	}
	return a + by + b
}

// Notices turns what drivers say about servers, tables and columns into findings. A level that nobody knows forbids.
func Notices(notices []driver.Notice) []Finding {
	found := make([]Finding, 0, len(notices))
	for _, n := range notices {
		if weight(n.Level) < 0 {
			n.Level = driver.Forbidden
		}
		found = append(found, Finding{
			Rule: n.Rule, Level: n.Level, Table: n.Table, Column: n.Column, Message: n.Message, Do: n.Do,
		})
	}
	return found
}

// Forbids reports whether one of the findings stops the move until it is mended.
func Forbids(findings []Finding) bool { return len(at(findings, driver.Forbidden)) > 0 }

// Asks returns the findings that need the operator's consent.
func Asks(findings []Finding) []Finding { return at(findings, driver.Lossy) }

// NotLive returns the tables that may not be uptime tables, with the first reason each.
func NotLive(findings []Finding) map[schema.Name]string {
	reasons := map[schema.Name]string{}
	for _, f := range at(findings, driver.NotLive) {
		if _, known := reasons[f.Table]; !known {
			reasons[f.Table] = join(f.Column, " ", f.Message)
		}
	}
	return reasons
}

func at(findings []Finding, level driver.Level) []Finding {
	var some []Finding
	for _, f := range findings {
		if f.Level == level {
			some = append(some, f)
		}
	}
	return some
}

// Sort puts findings in their stable order: what forbids first, then by table, column, object and rule. It returns them
// without repetitions.
func Sort(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(weight(a.Level), weight(b.Level)),
			cmp.Compare(a.Table.Schema, b.Table.Schema), cmp.Compare(a.Table.Name, b.Table.Name),
			cmp.Compare(a.Column, b.Column), cmp.Compare(a.Object, b.Object),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Detail, b.Detail),
			cmp.Compare(a.Do, b.Do),
		)
	})
	return slices.Compact(findings)
}

// weight orders the levels; one that is not known comes first, so that nobody overlooks it.
func weight(l driver.Level) int {
	return slices.Index([]driver.Level{driver.Forbidden, driver.Lossy, driver.NotLive, driver.Note}, l)
}
