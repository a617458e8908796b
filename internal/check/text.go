package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/plain"
	"github.com/whimbrel/whimbrel/schema"
)

// Text writes findings for people: what forbids the move first, one line each with what to do, table by table. What holds
// for several tables in the same words is one line with their number.
func Text(findings []Finding) string {
	findings = Sort(slices.Clone(findings))
	for i := range findings {
		findings[i] = findings[i].plain()
	}
	var b strings.Builder
	for _, part := range [...]struct {
		level driver.Level
		title string
	}{
		{driver.Forbidden, "Forbids the move"},
		{driver.Lossy, "Would be lost: needs your consent"},
		{driver.NotLive, "Cannot be moved while the application runs"},
		{driver.Note, "To know"},
	} {
		some := at(findings, part.level)
		if len(some) == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s (%d)\n", part.title, len(some))
		writeFolds(&b, fold(some))
	}
	return b.String()
}

// plain is the finding with every text in one line, whatever names it holds.
func (f Finding) plain() Finding {
	f.Table = schema.Name{Schema: plain.Line(f.Table.Schema), Name: plain.Line(f.Table.Name)}
	for _, s := range []*string{&f.Column, &f.Object, &f.Message, &f.Detail, &f.Do} {
		*s = plain.Line(*s)
	}
	return f
}

// folded is a set of findings that say the same of several places.
type folded struct {
	findings []Finding
	tables   []schema.Name
}

// fold gathers findings that have rule, message and advice in common, in the order of their first one: those of several
// tables first.
func fold(findings []Finding) []folded {
	var folds []folded
	places := map[[3]string]int{}
	for _, f := range findings {
		words := [3]string{f.Rule, f.Message, f.Do}
		at, known := places[words]
		if !known {
			at = len(folds)
			places[words] = at
			folds = append(folds, folded{})
		}
		folds[at].findings = append(folds[at].findings, f)
		if !slices.Contains(folds[at].tables, f.Table) {
			folds[at].tables = append(folds[at].tables, f.Table)
		}
	}
	slices.SortStableFunc(folds, func(a, b folded) int {
		return min(len(b.tables), 2) - min(len(a.tables), 2)
	})
	return folds
}

func writeFolds(b *strings.Builder, folds []folded) {
	lines := map[schema.Name]int{}
	for _, f := range folds {
		if len(f.tables) == 1 {
			lines[f.tables[0]]++
		}
	}
	told := map[schema.Name]bool{}
	for i, f := range folds {
		table := f.tables[0]
		switch {
		case len(f.tables) > 1:
			writeLine(b, "  ", severalTables(f), f)
		case table == (schema.Name{}):
			writeLine(b, "  ", within(f), f)
		case lines[table] == 1:
			place := f.findings[0].Place()
			if len(f.findings) > 1 {
				place = table.String() + ", " + within(f)
			}
			writeLine(b, "  ", place, f)
		case !told[table]:
			told[table] = true
			fmt.Fprintf(b, "  %s\n", table)
			for _, g := range folds[i:] {
				if len(g.tables) == 1 && g.tables[0] == table {
					writeLine(b, "    ", within(g), g)
				}
			}
		}
	}
}

// within names what a fold of one table is about inside it: its columns and objects.
func within(f folded) string {
	var names []string
	for _, g := range f.findings {
		inner := g
		inner.Table = schema.Name{}
		if p := inner.Place(); p != "" {
			names = append(names, p)
		}
	}
	return few(names)
}

func severalTables(f folded) string {
	names := make([]string, 0, len(f.findings))
	for _, g := range f.findings {
		names = append(names, g.Place())
	}
	count := fmt.Sprintf("%d tables", len(f.tables))
	if len(names) > len(f.tables) {
		count += fmt.Sprintf(", %d places", len(names))
	}
	return count + " (" + few(names) + ")"
}

// few joins the first names and counts the rest.
func few(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}

func writeLine(b *strings.Builder, indent, place string, f folded) {
	first := f.findings[0]
	b.WriteString(indent)
	if place != "" {
		b.WriteString(place + ": ")
	}
	b.WriteString(strings.TrimSuffix(first.Message, "."))
	if len(f.findings) == 1 && first.Detail != "" {
		b.WriteString(" (" + first.Detail + ")")
	}
	b.WriteString(".")
	if first.Do != "" {
		b.WriteString(" " + first.Do)
	}
	b.WriteByte('\n')
}
