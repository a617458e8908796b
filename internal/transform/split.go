package transform

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/types"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// splitting is how one row becomes several, compiled.
type splitting struct {
	each *expression
	as   string
	name string // the column of the position
	most int
}

// mostElements bounds what one row can become: its rows are in memory together.
const mostElements = 10_000

// compileFed makes a table that is fed from the rows of another one. It has the columns that its rule names and no others, and
// its key is that of its source, with the position where a row becomes several.
func compileFed(rule Rule, source *schema.Table, name schema.Name) (*form, error) {
	f := &form{rule: rule, source: source}
	switch {
	case len(rule.Drop) > 0:
		return nil, mistake(rule.Place, "drop has no place here: a table that is fed from another one has only the columns that are named")
	case rule.Reading != (Reading{}):
		return nil, mistake(rule.Place, "charset has no place here: say it of the columns")
	case rule.Merge != nil:
		return nil, mistake(rule.Merge.Place, "merge has no place here: the rows of this table are made of those of %s", rule.Of)
	}
	if source.LiveKey() == nil {
		return nil, mistake(rule.Place, "%s has no key by which rows that are made of its rows could be known", source.Name)
	}
	if err := errors.Join(f.filter(), f.list()); err != nil {
		return nil, err
	}
	view := schema.Table{Name: name, Of: source.Name, Rows: source.Rows, Bytes: source.Bytes}
	view.Options.Collation = source.Options.Collation
	if err := f.add(&view); err != nil {
		return nil, err
	}
	for i, c := range view.Columns { // nothing is drawn or computed in a copy
		plain := *c
		plain.Identity, plain.Generated, plain.Default, plain.OnUpdate = schema.Identity{}, nil, nil, ""
		view.Columns[i] = &plain
	}
	f.view = &view
	return f, f.keyed()
}

// list reads how a row becomes several.
func (f *form) list() error {
	s := f.rule.Split
	if s == nil {
		return nil
	}
	is := &splitting{as: cmp.Or(s.As, "item"), name: s.Position, most: s.Most}
	switch {
	case s.Each == "":
		return mistake(s.Place, "split needs each, an expression that gives the list whose elements become rows")
	case s.Position == "":
		return mistake(s.Place, "split needs position, the name of the column that holds an element's place in the list")
	case s.Most < 1 || s.Most > mostElements:
		return mistake(s.Place, "split needs most, how many elements a list may have: 1 to %d", mostElements)
	case is.as == is.name:
		return mistake(s.Place, "the element and the column of its position are both named %s", is.as)
	}
	for _, name := range []string{is.as, is.name} {
		if f.source.Column(name) != nil {
			return mistake(s.Place, "%s is a column of %s; take another name here", name, f.source.Name)
		}
	}
	each, err := compileExpression(s.Each, scope{table: f.source})
	if err != nil {
		return mistake(s.Place, "each: %v", err)
	}
	if !isList(each.result) {
		return mistake(s.Place, "each: the expression gives %s and not a list", each.result)
	}
	is.each, f.split = each, is
	return nil
}

// isList reports whether values of a type are lists, or may be.
func isList(t reflect.Type) bool {
	if t == nil || t == anyType {
		return true
	}
	return (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && t != bytesType
}

// scope is what expressions of the columns may speak of.
func (f *form) scope() scope {
	s := scope{table: f.source}
	if f.split != nil {
		var element types.Type = types.Any
		if t := f.split.each.result; t != nil && t != anyType && t.Elem() != anyType {
			element = types.TypeOf(reflect.Zero(t.Elem()).Interface())
		}
		s.more = map[string]types.Type{f.split.as: element, f.split.name: types.Int}
	}
	return s
}

// keyed gives a fed table its key, and the column of the position behind the columns that it has of its source's key.
func (f *form) keyed() error {
	key := &schema.Key{Name: f.view.Name.Name + "_pkey", Constraint: true}
	behind := 0
	for _, column := range f.source.LiveKey().Names() {
		name, there := f.nameOf(column)
		if !there || f.view.Column(name).Null {
			return mistake(f.rule.Place, "the columns must have those of the key of %s (%s) as they are, under any names: rows are known by them",
				f.source.Name, strings.Join(f.source.LiveKey().Names(), ", "))
		}
		key.Columns = append(key.Columns, schema.Part{Column: name})
		behind = max(behind, slices.Index(f.view.Columns, f.view.Column(name))+1)
	}
	if f.split != nil {
		if f.view.Column(f.split.name) != nil {
			return mistake(f.rule.Split.Place, "there are two columns %s", f.split.name)
		}
		position := &schema.Column{Name: f.split.name, Type: schema.Type{Kind: row.Int, Precision: 32}, Made: true}
		f.view.Columns = slices.Insert(f.view.Columns, behind, position)
		f.columns = slices.Insert(f.columns, behind, made{name: f.split.name, place: f.rule.Split.Place})
		key.Columns = append(key.Columns, schema.Part{Column: f.split.name})
	}
	f.view.Primary = key
	return nil
}

// several appends the rows that are made of one.
func (r *rows) several(from *row.Batch, i int, to *row.Batch) error {
	s := r.form.split
	delete(r.env, s.name) // of the row before
	list, err := s.each.run(&r.machine, r.env)
	if err != nil {
		return r.fail(from, i, s.name, fmt.Errorf("%w (each, %s)", err, at(r.form.rule.Split.Place, s.each)))
	}
	if list == nil {
		return nil
	}
	elements := reflect.ValueOf(list)
	switch {
	case !isList(elements.Type()):
		return r.fail(from, i, s.name, fmt.Errorf("can not be made: each gives %T and not a list (%s)", list, at(r.form.rule.Split.Place, s.each)))
	case elements.Len() > s.most:
		return r.fail(from, i, s.name, fmt.Errorf("can not be made: the list has %d elements, and most allows %d (%s)", elements.Len(), s.most, r.form.rule.Split.Place))
	}
	before := to.Len()
	for n := range elements.Len() {
		r.env[s.as], r.env[s.name] = elements.Index(n).Interface(), n+1
		r.position = strconv.AppendInt(r.position[:0], int64(n)+1, 10)
		if err := r.made(from, i, to); err != nil {
			to.Truncate(before)
			return err
		}
	}
	return nil
}

// ownKey are the places, in a key of the view, of the cells that are the source's key, and place that of the position.
func (r *rows) ownKey() (own []int, place int) {
	for n, k := range r.shape.Key {
		if r.cells[k].position() {
			place = n
		} else {
			own = append(own, n)
		}
	}
	return own, place
}

// parents returns the keys of the rows that these keys' rows are made of, each once, and at most so many. Cut says that some
// were left.
func (r *rows) parents(keys *row.Batch, most int) (parents *row.Batch, cut bool, err error) {
	own, _ := r.ownKey()
	parents = row.NewBatch(len(own))
	seen := map[string]struct{}{}
	var key []byte
	for i := range keys.Len() {
		key = keys.AppendKey(key[:0], i, own)
		if _, known := seen[string(key)]; known {
			continue
		}
		if parents.Len() == most {
			return parents, true, nil
		}
		seen[string(key)] = struct{}{}
		if err := parents.AppendRow(key); err != nil {
			return nil, false, err
		}
	}
	return parents, false, nil
}

// children appends every key that a row made of one of these could have, and those asked for that none could.
func (r *rows) children(parents, asked, keys *row.Batch) error {
	_, place := r.ownKey()
	var position []byte
	known := make(map[string]struct{}, parents.Len())
	for i := range parents.Len() {
		known[string(parents.Row(i))] = struct{}{}
		for n := range r.form.split.most {
			position = strconv.AppendInt(position[:0], int64(n)+1, 10)
			r.child(parents, i, place, position, keys)
		}
	}
	if asked == nil {
		return nil
	}
	own, place := r.ownKey()
	var key []byte
	for i := range asked.Len() {
		key = asked.AppendKey(key[:0], i, own)
		if _, read := known[string(key)]; read && !r.possible(asked.Cell(i, place)) {
			if err := keys.AppendRow(asked.Row(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// child appends one key of the view.
func (r *rows) child(parents *row.Batch, i, place int, position []byte, keys *row.Batch) {
	for n, own := 0, 0; n < len(r.shape.Key); n++ {
		if n == place {
			keys.Append(position)
			continue
		}
		keys.Append(parents.Cell(i, own))
		own++
	}
}

// possible reports whether a row that is made of another one can have this position.
func (r *rows) possible(position []byte) bool {
	n, err := strconv.Atoi(string(position))
	return err == nil && n >= 1 && n <= r.form.split.most && strconv.Itoa(n) == string(position)
}
