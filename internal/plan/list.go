package plan

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/whimbrel/whimbrel/schema"
)

// Entry is one line of a table list: a table's name with the place it stands at.
type Entry struct {
	Name string // as it is written: name, schema.name, or either in double quotes with "" for a quote
	File string
	Line int
}

// ListError says what is wrong with one entry, where it stands, and what to do.
type ListError struct {
	Entry Entry
	Why   string // a clause: "is listed twice, first in line 3"
	Do    string // one sentence
}

// Error gives place, name, reason and advice in one line.
func (e *ListError) Error() string {
	place := e.Entry.File
	if e.Entry.Line > 0 {
		place = fmt.Sprintf("%s:%d", place, e.Entry.Line)
	}
	return fmt.Sprintf("%s: %q %s. %s", place, e.Entry.Name, e.Why, e.Do)
}

// longestLine bounds a line of a table list: no product has names that long.
const longestLine = 4096

// ParseList reads a table list: one name a line. Blank lines and lines that begin with # say nothing; the line ends of any
// system are taken, and byte order marks around a name, of which lists put together have some in the middle. File names it
// in errors. It stops at the first line that can not be a name.
func ParseList(file string, list []byte) ([]Entry, error) {
	list = bytes.ReplaceAll(list, []byte("\r\n"), []byte("\n"))
	list = bytes.ReplaceAll(list, []byte("\r"), []byte("\n"))
	var entries []Entry
	for i, line := range bytes.Split(list, []byte("\n")) {
		e := Entry{Name: strings.TrimFunc(string(line), unseen), File: file, Line: i + 1}
		if e.Name == "" || e.Name[0] == '#' {
			continue
		}
		why := ""
		switch {
		case !utf8.ValidString(e.Name):
			why = "is not UTF-8 text"
		case strings.ContainsRune(e.Name, 0):
			why = "holds a NUL"
		case len(e.Name) > longestLine:
			e.Name, why = e.Name[:20], "is too long for a name"
		}
		if why != "" {
			e.Name = strings.ToValidUTF8(e.Name, "?")
			return nil, &ListError{Entry: e, Why: why, Do: "Write one table name a line, in UTF-8."}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func unseen(r rune) bool { return r == '\ufeff' || unicode.IsSpace(r) }

// Entries makes entries of the names of a setting, such as tables.uptime.
func Entries(setting string, names []string) []Entry {
	entries := make([]Entry, 0, len(names))
	for _, n := range names {
		entries = append(entries, Entry{Name: n, File: setting})
	}
	return entries
}

// catalog finds tables by the names people write.
type catalog struct {
	tables []*schema.Table
	full   map[string][]*schema.Table
	short  map[string][]*schema.Table
}

func newCatalog(tables []*schema.Table) *catalog {
	c := &catalog{tables: tables, full: map[string][]*schema.Table{}, short: map[string][]*schema.Table{}}
	for _, t := range tables {
		c.full[t.Name.String()] = append(c.full[t.Name.String()], t)
		c.short[t.Name.Name] = append(c.short[t.Name.Name], t)
	}
	return c
}

// find returns the one table that an entry names, spelled exactly as the catalog spells it.
func (c *catalog) find(e Entry) (*schema.Table, *ListError) {
	some := c.spelled(e.Name)
	switch len(some) {
	case 1:
		return some[0], nil
	case 0:
		return nil, &ListError{Entry: e, Why: "is no table of the source", Do: c.suggest(e.Name)}
	}
	names := make([]string, 0, len(some))
	for _, t := range some {
		names = append(names, t.Name.String())
	}
	return nil, &ListError{Entry: e, Why: "may be any of " + strings.Join(names, ", "), Do: "Write the schema before the name."}
}

// spelled returns the tables that a written name may mean: by the full name or the name alone as it stands, else with its
// quotes taken away.
func (c *catalog) spelled(written string) []*schema.Table {
	if some := c.either(written, written); len(some) > 0 {
		return some
	}
	parts := unquote(written)
	switch len(parts) {
	case 1:
		return c.either("", parts[0])
	case 2:
		var some []*schema.Table
		for _, t := range c.short[parts[1]] {
			if t.Name.Schema == parts[0] {
				some = append(some, t)
			}
		}
		return some
	}
	return nil
}

func (c *catalog) either(full, short string) []*schema.Table {
	some := append([]*schema.Table{}, c.full[full]...)
	for _, t := range c.short[short] {
		if t.Name.String() != full {
			some = append(some, t)
		}
	}
	return some
}

// unquote cuts "a"."b", a."b" or "a" into its parts without quotes; nil when it is nothing of the kind.
func unquote(s string) []string {
	var parts []string
	for {
		part, rest, fine := unquoteOne(s)
		if !fine {
			return nil
		}
		parts = append(parts, part)
		if rest == "" {
			return parts
		}
		if rest[0] != '.' || len(parts) == 2 {
			return nil
		}
		s = rest[1:]
	}
}

func unquoteOne(s string) (part, rest string, fine bool) {
	if !strings.HasPrefix(s, `"`) {
		at := strings.IndexByte(s, '.')
		if at < 0 {
			at = len(s)
		}
		return s[:at], s[at:], at > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] != '"':
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == '"':
			b.WriteByte('"')
			i++
		default:
			return b.String(), s[i+1:], true
		}
	}
	return "", "", false
}

// suggest names the table whose name is nearest to what was written.
func (c *catalog) suggest(written string) string {
	best, least := "", len([]rune(written))/3+2
	low := strings.ToLower(written)
	for _, t := range c.tables {
		for _, name := range [...]string{t.Name.Name, t.Name.String()} {
			if d := distance(low, strings.ToLower(name), least); d < least {
				best, least = name, d
			}
		}
	}
	if best == "" {
		return "Write the name as the database spells it, or take the line out."
	}
	return fmt.Sprintf("Did you mean %s?", best)
}

// distance is how many letters must be changed, put in, taken out or swapped with their neighbour to make b of a; bound
// when it is not less than that.
func distance(a, b string, bound int) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) >= bound || len(y)-len(x) >= bound {
		return bound
	}
	rows := [3][]int{make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		last, now := rows[(i+2)%3], rows[i%3]
		now[0] = i
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				now[j] = min(now[j], rows[(i+1)%3][j-2]+1)
			}
		}
	}
	return min(rows[len(x)%3][len(y)], bound)
}
