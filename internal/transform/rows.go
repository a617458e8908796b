package transform

import (
	"errors"
	"fmt"

	"github.com/expr-lang/expr/vm"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// rows turns rows of the source into rows of the view, of one shape. It is used by one goroutine.
type rows struct {
	form    *form
	shape   schema.Shape // of the view
	read    schema.Shape // of the source: what is needed
	cells   []cell
	inputs  []input // of expressions
	machine vm.VM
	env     map[string]any
	scratch []byte

	show   bool   // errors hold the row's cells
	losses Losses // nil where nobody is told
	lost   []LostValue
	before int // of these are those of earlier rows

	position []byte // of the row that is being made among those of the same one
}

// cell says how one cell of the view comes about.
type cell struct {
	made
	at int // the place of its column in what is read; -1 for an expression and a position
	to schema.ShapeColumn
}

// input is a column of the source that expressions use.
type input struct {
	name string
	at   int
	kind row.Kind
}

// reader makes what turns rows of the source into rows of a shape of the view.
func (f *form) reader(s schema.Shape) (*rows, error) {
	r := &rows{form: f, shape: s, env: map[string]any{}}
	natural := map[*schema.Column]int{}
	want := func(c *schema.Column) int {
		at, there := natural[c]
		if !there {
			at = len(r.read.Columns)
			natural[c], r.read.Columns = at, append(r.read.Columns, naturally(c))
		}
		return at
	}
	uses := func(e *expression) {
		for _, name := range e.uses {
			c := f.source.Column(name)
			if _, known := r.env[name]; !known {
				r.env[name] = nil
				r.inputs = append(r.inputs, input{name, want(c), naturalKind(c.Type)})
			}
		}
	}
	for _, sc := range s.Columns {
		c := cell{made: f.column(sc.Column.Name), at: -1, to: sc}
		switch {
		case c.name == "":
			return nil, fmt.Errorf("%s has no column %s in its new form", f.source.Name, sc.Column.Name)
		case c.position():
		case c.value != nil:
			uses(c.value)
		case c.convert == nil && naturalKind(c.from.Type) == naturalKind(sc.Column.Type): // as both sides agreed
			c.at = len(r.read.Columns)
			sc.Column = c.from
			r.read.Columns = append(r.read.Columns, sc)
		default:
			c.at = want(c.from)
		}
		r.cells = append(r.cells, c)
	}
	for _, k := range s.Key {
		if !r.cells[k].position() {
			r.read.Key = append(r.read.Key, r.cells[k].at)
		}
	}
	if f.where != nil {
		uses(f.where)
	}
	if f.split != nil {
		uses(f.split.each)
	}
	return r, nil
}

func (f *form) column(name string) made {
	for _, m := range f.columns {
		if m.name == name {
			return m
		}
	}
	return made{}
}

// naturally is how a column travels when nobody has agreed on anything about it.
func naturally(c *schema.Column) schema.ShapeColumn {
	sc := schema.ShapeColumn{Column: c, Cell: naturalKind(c.Type)}
	switch sc.Cell {
	case row.Decimal:
		if sc.Scale = c.Type.Scale; c.Type.Precision > 0 {
			sc.Scale = max(sc.Scale, 0)
		}
	case row.Time, row.Timestamp, row.Instant, row.Duration, row.Interval:
		sc.Digits = c.Type.Scale
	}
	return sc
}

// turn appends the rows of one batch, in their order, as rows of the view; those that the rule leaves out are left out.
func (r *rows) turn(from, to *row.Batch) error {
	for i := range from.Len() {
		if err := r.one(from, i, to); err != nil {
			return err
		}
	}
	return nil
}

// one appends one row, or those that are made of it, unless the rule leaves it out; after an error the batch is as it was.
func (r *rows) one(from *row.Batch, i int, to *row.Batch) error {
	r.before = len(r.lost)
	err := r.oneOf(from, i, to)
	if err != nil {
		r.lost = r.lost[:r.before]
	}
	return err
}

func (r *rows) oneOf(from *row.Batch, i int, to *row.Batch) error {
	if err := r.inputsOf(from, i); err != nil {
		return err
	}
	moved, err := r.moved(from, i)
	if err != nil || !moved {
		return err
	}
	if r.form.split != nil {
		return r.several(from, i, to)
	}
	return r.made(from, i, to)
}

// made appends one row of the view.
func (r *rows) made(from *row.Batch, i int, to *row.Batch) error {
	for c := range r.cells {
		if err := r.cell(from, i, &r.cells[c], to); err != nil {
			to.Abandon()
			return err
		}
	}
	return nil
}

func (r *rows) inputsOf(from *row.Batch, i int) error {
	for _, in := range r.inputs {
		value, err := valueOf(from.Cell(i, in.at), in.kind)
		if err != nil {
			return r.fail(from, i, in.name, err)
		}
		r.env[in.name] = value
	}
	return nil
}

// moved reports whether the rule leaves the row in.
func (r *rows) moved(from *row.Batch, i int) (bool, error) {
	if r.form.where == nil {
		return true, nil
	}
	value, err := r.form.where.run(&r.machine, r.env)
	if err != nil {
		return false, r.fail(from, i, "", fmt.Errorf("%w (where, %s)", err, at(r.form.rule.Place, r.form.where)))
	}
	is, truth := value.(bool)
	if value != nil && !truth {
		return false, r.fail(from, i, "", fmt.Errorf("can not be moved or left out: where gives %T and not true or false (%s)", value, at(r.form.rule.Place, r.form.where)))
	}
	return is, nil
}

func (r *rows) cell(from *row.Batch, i int, c *cell, to *row.Batch) error {
	if c.position() {
		to.Append(r.position)
		return nil
	}
	if c.at >= 0 && c.convert == nil {
		if data := from.Cell(i, c.at); data != nil {
			to.Append(data)
		} else {
			to.AppendNull()
		}
		return nil
	}
	var err error
	r.scratch = r.scratch[:0]
	if c.at >= 0 {
		data := from.Cell(i, c.at)
		if data == nil {
			return r.null(from, i, c, to)
		}
		if r.scratch, err = c.convert(r.scratch, data, c.to); errors.Is(err, errReplaced) {
			r.lose(from, i, c.name)
			err = nil
		}
	} else {
		var value any
		if value, err = c.value.run(&r.machine, r.env); err == nil && value == nil {
			return r.null(from, i, c, to)
		}
		if err == nil {
			r.scratch, err = appendValue(r.scratch, value, c.to)
		}
	}
	if err != nil {
		return r.fail(from, i, c.name, fmt.Errorf("%w (%s)", err, at(c.place, c.value)))
	}
	if r.scratch == nil {
		r.scratch = []byte{}
	}
	to.Append(r.scratch)
	return nil
}

// null appends NULL where the column takes it.
func (r *rows) null(from *row.Batch, i int, c *cell, to *row.Batch) error {
	if !c.to.Column.Null {
		where := c.place
		if where == "" {
			where = r.form.rule.Place
		}
		return r.fail(from, i, c.name, fmt.Errorf("would be NULL, which the column does not take (%s)", at(where, c.value)))
	}
	to.AppendNull()
	return nil
}
