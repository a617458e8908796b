package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/schema"
)

// Class says when and from where a table is moved.
type Class string

// Uptime: loaded while the application runs, then replayed. Downtime: loaded in the downtime. Repository: comes from the
// target release's shadow, not from the source's content. Skip: not moved.
const (
	Uptime     Class = "uptime"
	Downtime   Class = "downtime"
	Repository Class = "repository"
	Skip       Class = "skip"
)

// Choice is one table's class with the reason, a clause for people.
type Choice struct {
	Table  *schema.Table
	Class  Class
	Reason string
}

// Wishes are what the configuration says about tables.
type Wishes struct {
	Uptime     []Entry  // from the table list and tables.uptime
	Repository []Entry  // from the target release
	Skip       []string // patterns: * is any letters, ? is one; of a name, or of schema.name
	Standard   bool     // the procedure has no uptime tables: those named are moved in the downtime
}

// Classify gives every table its class, in the order of the tables. NotLive holds the tables that may not be moved live
// and why (check.NotLive). Every entry that is wrong is an error of its own, joined; then the choices are nil.
func Classify(tables []*schema.Table, w Wishes, notLive map[schema.Name]string) ([]Choice, error) {
	c := newCatalog(tables)
	skipped := map[*schema.Table]string{}
	for _, t := range tables {
		for _, pattern := range w.Skip {
			if skipped[t] == "" && (Match(pattern, t.Name.Name) || Match(pattern, t.Name.String())) {
				skipped[t] = pattern
			}
		}
	}
	named := map[*schema.Table]Choice{}
	places := map[*schema.Table]Entry{}
	var wrong []error
	take := func(entries []Entry, class Class) {
		for _, e := range entries {
			t, bad := c.find(e)
			if bad == nil {
				bad = refuse(t, e, class, places, skipped, notLive)
			}
			if bad != nil {
				wrong = append(wrong, bad)
				continue
			}
			places[t] = e
			named[t] = Choice{Table: t, Class: class, Reason: "named in " + place(e)}
			if class == Uptime && w.Standard {
				named[t] = Choice{Table: t, Class: Downtime, Reason: "the procedure moves every table in the downtime"}
			}
		}
	}
	take(w.Uptime, Uptime)
	take(w.Repository, Repository)
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	choices := make([]Choice, 0, len(tables))
	for _, t := range tables {
		choice, isNamed := named[t]
		switch {
		case isNamed:
		case skipped[t] != "":
			choice = Choice{Table: t, Class: Skip, Reason: "matches " + skipped[t] + " of tables.skip"}
		default:
			choice = Choice{Table: t, Class: Downtime, Reason: rest(t, notLive)}
		}
		choices = append(choices, choice)
	}
	follow(choices, named)
	return choices, nil
}

// follow gives a table that is made of another one's rows the class of that one, unless it is named itself.
func follow(choices []Choice, named map[*schema.Table]Choice) {
	classes := map[schema.Name]Class{}
	for _, c := range choices {
		classes[c.Table.Name] = c.Class
	}
	for i, c := range choices {
		of, known := classes[c.Table.Of]
		if _, own := named[c.Table]; own || c.Class == Skip || !known {
			continue
		}
		if of == Repository {
			of = Skip
		}
		choices[i].Class, choices[i].Reason = of, "its rows are made of those of "+c.Table.Of.String()
	}
}

// refuse says what is wrong with naming a table, nil when nothing is.
func refuse(
	t *schema.Table, e Entry, class Class, places map[*schema.Table]Entry, skipped map[*schema.Table]string,
	notLive map[schema.Name]string,
) *ListError {
	first, twice := places[t]
	switch {
	case twice:
		return &ListError{Entry: e, Why: "is named twice, first in " + place(first), Do: "Take one of the two out."}
	case skipped[t] != "":
		return &ListError{
			Entry: e, Why: "matches " + skipped[t] + " of tables.skip", Do: "Take it out here, or narrow the pattern.",
		}
	case class != Uptime:
		return nil
	case t.LiveKey() == nil:
		return &ListError{
			Entry: e, Why: "may not be moved live: it has no primary key and no unique key without NULL",
			Do: "Give it a key, or take it out so that it is moved in the downtime.",
		}
	case notLive[t.Name] != "":
		return &ListError{
			Entry: e, Why: notLiveBecause(notLive[t.Name]),
			Do: "Take it out, so that it is moved in the downtime.",
		}
	}
	return nil
}

func place(e Entry) string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	return e.File
}

// rest says why a table that nobody named is moved in the downtime.
func rest(t *schema.Table, notLive map[schema.Name]string) string {
	switch {
	case t.LiveKey() == nil:
		return "it has no key that rows are known by"
	case notLive[t.Name] != "":
		return notLiveBecause(notLive[t.Name])
	}
	return "not named as an uptime table"
}

// notLiveBecause gives a reason that is a clause ("is below a cascade") or a sentence.
func notLiveBecause(reason string) string {
	reason = strings.TrimSuffix(reason, ".")
	if r, _ := utf8.DecodeRuneInString(reason); unicode.IsUpper(r) {
		return "may not be moved live: " + reason
	}
	return "may not be moved live: it " + reason
}

// Match reports whether a name matches a pattern: * stands for any letters, ? for one, everything else for itself.
func Match(pattern, name string) bool {
	p, n := []rune(pattern), []rune(name)
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(n) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark, i = i, j, i+1
		case i < len(p) && (p[i] == '?' || p[i] == n[j]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// Of returns the tables of a class.
func Of(choices []Choice, class Class) []*schema.Table {
	var some []*schema.Table
	for _, c := range choices {
		if c.Class == class {
			some = append(some, c.Table)
		}
	}
	return some
}

// large is the size from which a downtime table is worth a word.
const large = 1 << 30

// Findings says what an operator must know of the classes: skipped tables, large ones in the downtime, those that have no
// key, and patterns that match nothing.
func Findings(choices []Choice, w Wishes) []check.Finding {
	var found []check.Finding
	for _, c := range choices {
		f := check.Finding{Rule: "class", Level: driver.Note, Table: c.Table.Name}
		switch {
		case c.Class == Skip:
			f.Message, f.Detail = "is not moved", c.Reason
		case c.Class == Downtime && c.Table.LiveKey() == nil:
			f.Rule, f.Message = "no-key", "has no primary key and no unique key without NULL: it is moved in the downtime"
			if Size(c.Table) >= large {
				f.Detail, f.Do = check.Bytes(Size(c.Table)), "Give it a key at the source to move it live."
			}
		case c.Class == Downtime && Size(c.Table) >= large && !w.Standard:
			f.Rule, f.Message, f.Detail = "large", "is large and moved in the downtime", check.Bytes(Size(c.Table))
			f.Do = "Name it in the table list if the downtime is too long."
		default:
			continue
		}
		found = append(found, f)
	}
	for _, pattern := range w.Skip {
		if !slices.ContainsFunc(choices, func(c Choice) bool {
			return Match(pattern, c.Table.Name.Name) || Match(pattern, c.Table.Name.String())
		}) {
			found = append(found, check.Finding{
				Rule: "skip-nothing", Level: driver.Note, Object: pattern, Message: "is a pattern of tables.skip that matches no table",
				Do: "Mend it or take it out.",
			})
		}
	}
	if !w.Standard && len(choices) > 0 && len(Of(choices, Uptime)) == 0 {
		found = append(found, check.Finding{
			Rule: "no-uptime-table", Level: driver.Note, Message: "no table is moved while the application runs",
			Do: "Name the large ones in tables.list or tables.uptime, or choose procedure: standard.",
		})
	}
	return check.Sort(found)
}
