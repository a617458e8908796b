package transform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Merge says which row a table has that is both the users' and the release's, where both have one of a key. A key that only one
// of them has keeps that one's row.
type Merge struct {
	Place string // file and line, where an error about it begins
	Wins  string // SourceWins, ReleaseWins, or an expression over source and release, the two rows, that gives one of them
}

// The policies that have a name.
const (
	SourceWins  = "source-wins"
	ReleaseWins = "release-wins"
)

// merge is what the view knows of one such table. Its methods may be called from several goroutines.
type merge struct {
	place  string
	wins   origin
	choice *choice // nil where one of them always wins

	mu      sync.Mutex
	content *Content // nil until it is known
	shaped  map[string]*shaped
}

// compileMerge makes the policy of a table, or says why it can not have one.
func (f *form) compileMerge() error {
	rule := f.rule.Merge
	if rule == nil {
		return nil
	}
	m := &merge{place: rule.Place, shaped: map[string]*shaped{}}
	key := f.view.LiveKey()
	if key == nil {
		return mistake(rule.Place, "merge: %s has no key by which a row of the users' and one of the release's are known as the same; give it a primary key, or say of it that it is the release's alone", f.source.Name)
	}
	for _, name := range key.Names() {
		if f.view.Column(name).Generated != nil {
			return mistake(rule.Place, "merge: column %s of the key of %s is computed; rows of such a key can not be merged", name, f.source.Name)
		}
	}
	for _, k := range f.secondary() {
		if !ofColumns(k) {
			return mistake(rule.Place, "merge: the unique key %s of %s has a condition or an expression, so that nobody can tell whether two rows share its value; make it one of columns", k.Name, f.source.Name)
		}
	}
	switch rule.Wins {
	case "":
		return mistake(rule.Place, "merge: %s needs source-wins, release-wins or an expression", f.source.Name)
	case SourceWins:
		m.wins = users
	case ReleaseWins:
		m.wins = release
	default:
		var err error
		if m.choice, err = compileChoice(rule.Wins, f.view); err != nil {
			return mistake(rule.Place, "merge: neither source-wins nor release-wins, and as an expression: %v", err)
		}
	}
	f.merge = m
	return nil
}

// secondary are the unique keys of the table beside the one that rows are known by.
func (f *form) secondary() []*schema.Key {
	live := f.view.LiveKey()
	var all []*schema.Key
	for _, k := range append([]*schema.Key{f.view.Primary}, f.view.Uniques...) {
		if k != nil && k != live {
			all = append(all, k)
		}
	}
	return all
}

func ofColumns(k *schema.Key) bool {
	return k.Where == "" && !slices.ContainsFunc(k.Columns, func(p schema.Part) bool { return p.Column == "" })
}

// Content is what a release has in a table that is the users' too: its rows in the table's new form. It is read once, so
// that every load, replay and comparison of a move merges with the same.
type Content struct {
	Columns []string `json:"columns"` // all of the new form
	Rows    []byte   `json:"rows"`    // their cells, framed, row by row, by key
}

// The most that is held in memory of one table.
const (
	mostContent      = 100_000
	mostContentBytes = 32 << 20
)

// batch returns the rows.
func (c *Content) batch() (*row.Batch, error) {
	b := row.NewBatch(len(c.Columns))
	cells, err := row.Key(c.Rows).Cells()
	if err != nil || len(cells)%b.Width() != 0 {
		return nil, errors.New("what is kept of the release's rows is not whole")
	}
	for _, cell := range cells {
		if cell == nil {
			b.AppendNull()
		} else {
			b.Append(cell)
		}
	}
	return b, nil
}

// Merged is a table that holds the users' rows and the release's.
type Merged struct {
	Source schema.Name
	Name   string // in the new release
	Place  string // of its policy
}

// Merged returns these tables, by name. None of their rows can be read before Merge has been told the release's.
func (v *View) Merged() []Merged {
	var all []Merged
	for name, f := range v.view.forms {
		if f.merge != nil {
			one := Merged{Source: name, Name: name.Name, Place: f.merge.place}
			if f.rule.To != "" {
				one.Name = f.rule.To
			}
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b Merged) int { return strings.Compare(a.Source.String(), b.Source.String()) })
	return all
}

// Merge tells the view the release's rows of a table. Again, with the same rows: does nothing; with others: an error.
func (v *View) Merge(table schema.Name, c *Content) error {
	f := v.view.forms[table]
	if f == nil || f.merge == nil {
		return fmt.Errorf("merge %s: the release says nothing of merging it", table)
	}
	f.merge.mu.Lock()
	defer f.merge.mu.Unlock()
	if had := f.merge.content; had != nil && (!slices.Equal(had.Columns, c.Columns) || !bytes.Equal(had.Rows, c.Rows)) {
		return fmt.Errorf("merge %s: the release's rows are not those that were merged before", table)
	}
	f.merge.content = c
	return nil
}

// Content reads the release's rows of a table where its build has made them: in a shadow, through which the database looks,
// nil where the build has made no such table. It refuses what does not fit the table's new form. Again: as they are then.
func (v *View) Content(ctx context.Context, table schema.Name, shadow *driver.Database, made *schema.Table) (*Content, error) {
	f := v.view.forms[table]
	if f == nil || f.merge == nil {
		return nil, fmt.Errorf("read the release's rows of %s: the release says nothing of merging it", table)
	}
	if made == nil {
		return nil, mistake(f.merge.place, "merge: the release's build has made no table for the rows of %s; let it make one of its new name, or take the table out of merge", table)
	}
	a, err := f.adapt(made, shadow.Dialect)
	if err != nil {
		return nil, err
	}
	cursor, err := shadow.Reader.Read(ctx, driver.Query{Table: made, Shape: a.from})
	if err != nil {
		return nil, fmt.Errorf("read the release's rows of %s: %w", table, err)
	}
	defer cursor.Close()
	in, out := row.NewBatch(a.from.Width()), row.NewBatch(len(f.view.Columns))
	for ended := false; !ended; {
		err := cursor.Fill(ctx, in)
		if ended = errors.Is(err, io.EOF); err != nil && !ended {
			return nil, fmt.Errorf("read the release's rows of %s: %w", table, err)
		}
		for i := range in.Len() {
			if err := a.one(in, i, out); err != nil {
				return nil, err
			}
		}
		if out.Len() > mostContent || out.Size() > mostContentBytes {
			return nil, mistake(f.merge.place, "merge: the release has more than %d rows or %d MiB in %s, which is no default content; say of it that it is the release's alone", mostContent, mostContentBytes>>20, made.Name)
		}
	}
	return a.sorted(out)
}

// known returns the release's rows in a shape of the table's new form.
func (f *form) known(s schema.Shape) (*shaped, error) {
	m := f.merge
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.content == nil {
		return nil, fmt.Errorf("read %s: the release's rows, which are to be merged with the users', are not known yet", f.source.Name)
	}
	name := nameOf(s)
	if m.shaped[name] == nil {
		made, err := f.shape(m.content, s)
		if err != nil {
			return nil, err
		}
		m.shaped[name] = made
	}
	return m.shaped[name], nil
}

// after is a value of a generator that none of the release's rows has either.
func (f *form) after(g driver.Generator) (string, error) {
	if f.merge == nil {
		return g.Next, nil
	}
	c := f.view.Column(g.Column)
	their, err := f.known(schema.Shape{Columns: []schema.ShapeColumn{naturally(c)}, Key: []int{0}})
	if err != nil {
		return "", err
	}
	next, ok := new(big.Int).SetString(g.Next, 10)
	if !ok {
		return "", fmt.Errorf("the generator of %s %s hands out %q, which is no number", g.Table, g.Column, g.Next)
	}
	step := big.NewInt(1)
	if c.Identity.Increment < 0 {
		step.Neg(step)
	}
	for i := range their.rows.Len() {
		had, ok := new(big.Int).SetString(string(their.rows.Cell(i, 0)), 10)
		if ok && had.Cmp(next)*step.Sign() >= 0 {
			next.Add(had, step)
		}
	}
	return next.String(), nil
}

// nameOf tells shapes of one table apart.
func nameOf(s schema.Shape) string {
	var name strings.Builder
	for _, c := range s.Columns {
		fmt.Fprintf(&name, "%q %d %d %d,", c.Column.Name, c.Cell, c.Scale, c.Digits)
	}
	fmt.Fprint(&name, s.Key)
	return name.String()
}

// shaped are the release's rows in one shape. It does not change.
type shaped struct {
	rows    *row.Batch
	at      map[string]int // their places by key
	uniques []unique       // of which the shape has all columns
}

func (f *form) shape(c *Content, s schema.Shape) (*shaped, error) {
	from, err := c.batch()
	if err != nil {
		return nil, err
	}
	made := &shaped{rows: row.NewBatch(s.Width()), at: make(map[string]int, from.Len())}
	var scratch []byte
	for i := range from.Len() {
		for _, sc := range s.Columns {
			cell := from.Cell(i, slices.Index(c.Columns, sc.Column.Name))
			switch sc.Cell {
			case row.Decimal, row.Time, row.Timestamp, row.Instant: // with the digits that both sides agreed on
				if cell != nil {
					if scratch, err = canonical(scratch[:0], cell, sc); err != nil {
						return nil, &driver.CellError{Table: f.source.Name, Column: sc.Column.Name, Key: f.keyOf(c, from, i), Why: "of the release " + err.Error() + " (" + f.merge.place + ")"}
					}
					cell = scratch
				}
			}
			if cell == nil {
				made.rows.AppendNull()
			} else {
				made.rows.Append(cell)
			}
		}
		made.at[string(made.rows.AppendKey(nil, i, s.Key))] = i
	}
	made.uniques = f.uniques(s.Names())
	for i := range made.uniques {
		made.uniques[i].fill(made.rows)
	}
	return made, nil
}

// keyOf writes the key of one of the release's rows for people.
func (f *form) keyOf(c *Content, b *row.Batch, i int) string {
	var parts []string
	for _, name := range f.view.LiveKey().Names() {
		parts = append(parts, string(b.Cell(i, slices.Index(c.Columns, name))))
	}
	return strings.Join(parts, ", ")
}
