package transform

import (
	"regexp"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/schema"
)

// rename gives what stands beside the columns their new names: keys, indexes, foreign keys, checks and computed columns. What
// speaks of a column that is not what it was is left out, with a note; but the key that rows are known by must stay.
func (f *form) rename() error {
	s, v := f.source, f.view
	v.Primary = f.key(s.Primary)
	v.Uniques, v.Indexes, v.Foreign, v.Checks = nil, nil, nil, nil
	for _, k := range s.Uniques {
		if made := f.key(k); made != nil {
			v.Uniques = append(v.Uniques, made)
		} else {
			f.note("loses its unique key " + k.Name)
		}
	}
	if live := s.LiveKey(); live != nil {
		made := f.key(live)
		if is := v.LiveKey(); made == nil || is == nil || !slices.Equal(made.Names(), is.Names()) {
			return mistake(f.rule.Place, "the columns of the key of %s (%s) must stay as they are, under any names: rows are known by them", s.Name, strings.Join(live.Names(), ", "))
		}
	} else if s.Primary != nil && v.Primary == nil {
		f.note("loses its primary key")
	}
	f.indexes()
	for _, k := range s.Foreign {
		columns, all := f.renamed(k.Columns)
		if !all {
			f.note("loses its foreign key " + k.Name)
			continue
		}
		made := *k
		made.Columns = columns
		v.Foreign = append(v.Foreign, &made)
	}
	f.words()
	return nil
}

func (f *form) indexes() {
	for _, i := range f.source.Indexes {
		parts, all := f.parts(i.Columns)
		include, included := f.renamed(i.Include)
		if !all || !included || f.changes(i.Where) {
			f.note("loses its index " + i.Name)
			continue
		}
		made := *i
		made.Columns, made.Include = parts, include
		f.view.Indexes = append(f.view.Indexes, &made)
	}
}

// words looks at what is in the source's own words.
func (f *form) words() {
	for _, c := range f.source.Checks {
		if f.changes(c.Expression) {
			f.note("loses its check " + c.Name)
			continue
		}
		f.view.Checks = append(f.view.Checks, c)
	}
	for i, c := range f.view.Columns {
		if c.Generated != nil && f.changes(c.Generated.Expression) {
			plain := *c
			plain.Generated = nil
			f.view.Columns[i] = &plain
			f.note("keeps the moved values of column " + c.Name + ", which was computed")
		}
	}
}

func (f *form) key(k *schema.Key) *schema.Key {
	if k == nil {
		return nil
	}
	parts, all := f.parts(k.Columns)
	if !all || f.changes(k.Where) {
		return nil
	}
	made := *k
	made.Columns = parts
	return &made
}

func (f *form) parts(parts []schema.Part) ([]schema.Part, bool) {
	made := slices.Clone(parts)
	for i, p := range parts {
		if p.Column == "" {
			if f.changes(p.Expression) {
				return nil, false
			}
			continue
		}
		name, stays := f.nameOf(p.Column)
		if !stays {
			return nil, false
		}
		made[i].Column = name
	}
	return made, true
}

func (f *form) renamed(columns []string) ([]string, bool) {
	made := slices.Clone(columns)
	for i, c := range columns {
		name, stays := f.nameOf(c)
		if !stays {
			return nil, false
		}
		made[i] = name
	}
	return made, true
}

// nameOf returns the name of the column of the view that has the cells of one of the source.
func (f *form) nameOf(column string) (string, bool) {
	for _, m := range f.columns {
		if m.from != nil && m.from.Name == column && m.convert == nil {
			return m.name, true
		}
	}
	return "", false
}

// changes reports whether words in the source's own language speak of a column that is not what it was.
func (f *form) changes(words string) bool {
	if words == "" {
		return false
	}
	for _, c := range f.source.Columns {
		name, stays := f.nameOf(c.Name)
		if stays && name == c.Name {
			continue
		}
		if regexp.MustCompile(`(?i)(^|\W)` + regexp.QuoteMeta(c.Name) + `($|\W)`).MatchString(words) {
			return true
		}
	}
	return false
}

func (f *form) note(what string) {
	f.notes = append(f.notes, what+", which speaks of columns that are not what they were")
}

// parents gives foreign keys the names that their parents' columns have in the view.
func parents(forms map[schema.Name]*form, t *schema.Table) *schema.Table {
	made := *t
	made.Foreign = nil
	for _, k := range t.Foreign {
		parent := forms[k.Parent]
		if parent == nil {
			made.Foreign = append(made.Foreign, k)
			continue
		}
		columns, all := parent.renamed(k.ParentCols)
		if !all {
			parent.note("is no longer what foreign key " + k.Name + " of " + t.Name.String() + " points to; it is left out")
			continue
		}
		one := *k
		one.ParentCols = columns
		made.Foreign = append(made.Foreign, &one)
	}
	return &made
}
