package transform

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// view is an open source as the new release sees it.
type view struct {
	*driver.Database                       // the source as it is
	forms            map[schema.Name]*form // by the names of the tables that they are of, which are the source's but for fed ones
	losses           Losses
	show             bool  // errors about rows hold their cells
	broken           error // why there are no forms; then what begins something fails, and what takes something back does not
}

// View is an open database with rules before it.
type View struct {
	*driver.Database
	view *view
}

// Open puts rules before an open source, whose catalog it reads: the database it returns has the tables of the schemas in their new
// form, and a table that no rule names as it is. It plays the roles of a source only. A rule that does not fit the catalog
// makes every call fail that reads or prepares a table, with the rule's place; what takes something back works all the same.
// Closing it closes the source.
func Open(ctx context.Context, source *driver.Database, schemas []string, rules []Rule) (*View, error) {
	v := &view{Database: source, forms: map[schema.Name]*form{}}
	whole, err := source.Inspector.Inspect(ctx, schemas)
	if err != nil {
		return nil, err
	}
	v.broken = v.compile(whole, rules)
	seen := *source
	seen.Info.Limits.Literals = false // cells that are to be read by expressions and conversions are of their column's kind
	seen.Dialect, seen.Inspector = dialect{source.Dialect, v}, inspector{v}
	seen.Loader, seen.Ledger, seen.Lists, seen.Applier, seen.Guard, seen.Sequences = nil, nil, nil, nil, nil, nil
	seen.Reader = reader{v}
	v.optional(&seen)
	return &View{&seen, v}, nil
}

// optional puts views before the roles that not every database plays.
func (v *view) optional(seen *driver.Database) {
	source := v.Database
	if source.Surveyor != nil {
		seen.Surveyor = surveyor{v}
	}
	if source.Splitter != nil {
		seen.Splitter = splitter{v}
	}
	if source.Pipe != nil {
		seen.Pipe = pipe{v}
	}
	if source.Capturer != nil {
		seen.Capturer = capturer{v}
	}
	if source.Recorder != nil {
		seen.Recorder = recorder{v}
	}
	if source.Watcher != nil {
		seen.Watcher = watcher{source.Watcher, v}
	}
	if source.Gate != nil {
		seen.Gate = gate{source.Gate, v}
	}
	if source.Sequencer != nil {
		seen.Sequencer = sequencer{v}
	}
	if source.Many != nil {
		seen.Many = many{source.Many, v}
	}
	if source.Rights != nil {
		seen.Rights = rights{v}
	}
}

// compile makes the forms.
func (v *view) compile(whole *schema.Schema, rules []Rule) error {
	var errs []error
	for _, rule := range rules {
		f, err := formOf(rule, whole)
		switch {
		case err != nil:
			errs = append(errs, err)
		case v.forms[f.view.Name] != nil:
			errs = append(errs, mistake(rule.Place, "%s has a rule already, at %s", f.view.Name, v.forms[f.view.Name].rule.Place))
		default:
			v.forms[f.view.Name] = f
		}
	}
	if err := errors.Join(append(errs, v.fedOfMerged())...); err != nil {
		clear(v.forms)
		return err
	}
	for _, f := range v.forms {
		f.view = parents(v.forms, f.view)
	}
	return nil
}

// fedOfMerged refuses tables that are made of the rows of one that is merged: nobody says whether of the users' rows or of those that come.
func (v *view) fedOfMerged() error {
	var errs []error
	for _, f := range v.forms {
		if from := v.forms[f.source.Name]; f.fed() && from != nil && from.merge != nil {
			errs = append(errs, mistake(f.rule.Place, "of: %s is merged with the release's rows (%s), so that it can not be said of which rows others are made; take one of the two out", f.source.Name, from.merge.place))
		}
	}
	return errors.Join(errs...)
}

// formOf makes the form that a rule gives a table of the catalog, or that of the new table that it feeds from one.
func formOf(rule Rule, whole *schema.Schema) (*form, error) {
	table := find(whole, rule.Table)
	if rule.Of == "" {
		if table == nil {
			return nil, mistake(rule.Place, "there is no table %s at the source", rule.Table)
		}
		return compile(rule, table)
	}
	from := find(whole, rule.Of)
	switch {
	case table != nil:
		return nil, mistake(rule.Place, "there is a table %s at the source; one that is made of rows of %s needs another name", table.Name, rule.Of)
	case from == nil:
		return nil, mistake(rule.Place, "of: there is no table %s at the source", rule.Of)
	}
	return compileFed(rule, from, schema.Name{Schema: from.Name.Schema, Name: strings.TrimPrefix(rule.Table, from.Name.Schema+".")})
}

// fed reports whether the form is that of a new table beside what becomes of its source.
func (f *form) fed() bool { return f != nil && f.rule.Of != "" }

// find looks a table up by its name or its full name.
func find(whole *schema.Schema, name string) *schema.Table {
	i := slices.IndexFunc(whole.Tables, func(t *schema.Table) bool { return t.Name.Name == name || t.Name.String() == name })
	if i < 0 {
		return nil
	}
	return whole.Tables[i]
}

// source returns a table of the view as it is at the source.
func (v *view) source(t *schema.Table) *schema.Table {
	f := v.forms[t.Name]
	if f == nil {
		return t
	}
	is := *f.source
	is.Number = t.Number
	return &is
}

// sources returns tables of the view, in their order, as they are at the source: one that feeds others as often as it does.
func (v *view) sources(tables []*schema.Table) []*schema.Table {
	all := make([]*schema.Table, len(tables))
	for i, t := range tables {
		all[i] = v.source(t)
	}
	return all
}

// once returns the tables of the source that stand behind some of the view, each once: as itself where it is among them, else
// for the first that it feeds, so that the same tables stand for the same again.
func (v *view) once(tables []*schema.Table) []*schema.Table {
	taken := map[schema.Name]bool{}
	for _, t := range tables {
		if !v.forms[t.Name].fed() {
			taken[t.Name] = true
		}
	}
	var all []*schema.Table
	for _, t := range tables {
		is := v.source(t)
		if v.forms[t.Name].fed() {
			if taken[is.Name] {
				continue
			}
			taken[is.Name] = true
		}
		all = append(all, is)
	}
	return all
}

// shaped returns the table and a shape of it as they are at the source, for what needs no rows.
func (v *view) shaped(t *schema.Table, s schema.Shape) (*schema.Table, schema.Shape, error) {
	r, err := v.rows(t, s)
	if err != nil || r == nil {
		return t, s, err
	}
	return v.source(t), r.read, nil
}

// rows returns what turns the table's rows, nil for a table without a rule.
func (v *view) rows(t *schema.Table, s schema.Shape) (*rows, error) {
	if v.broken != nil {
		return nil, v.broken
	}
	f := v.forms[t.Name]
	if f == nil {
		return nil, nil
	}
	return v.reading(f, s)
}

// reading is what turns rows of a form.
func (v *view) reading(f *form, s schema.Shape) (*rows, error) {
	r, err := f.reader(s)
	if err != nil {
		return nil, err
	}
	r.losses, r.show = v.losses, v.show
	return r, nil
}

// Renamed returns the new names of the source's tables that get one.
func (v *View) Renamed() map[schema.Name]string {
	names := map[schema.Name]string{}
	for name, f := range v.view.forms {
		if f.rule.To != "" {
			names[name] = f.rule.To
		}
	}
	return names
}
