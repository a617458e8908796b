package transform

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/plain"
	"github.com/whimbrel/whimbrel/row"
)

// ShowValues makes errors about rows hold the cells that the rule reads of them. It is called before anything is read; without it
// no error holds a value.
func (v *View) ShowValues() { v.view.show = true }

// fail names the row and, only where somebody asked for it, shows its cells.
func (r *rows) fail(from *row.Batch, i int, column string, err error) error {
	failed := &driver.CellError{Table: r.form.view.Name, Column: column, Key: r.key(from, i), Why: err.Error()}
	if r.show {
		failed.Cells = r.cellsOf(from, i, column, err)
	}
	return failed
}

func (r *rows) key(from *row.Batch, i int) string {
	parts := make([]string, len(r.read.Key))
	for n, k := range r.read.Key {
		parts[n] = string(from.Cell(i, k))
	}
	return strings.Join(parts, ", ")
}

// The most that is shown of a cell, of a row and of an expression, in characters.
const (
	mostOfCell       = 100
	mostOfRow        = 2000
	mostOfExpression = 200
)

// cellsOf writes what was read of a row for people: first the column that failed, then what the expressions use, then the rest.
func (r *rows) cellsOf(from *row.Batch, i int, column string, err error) string {
	var order []int
	if m := r.form.column(column); m.from != nil {
		for at, c := range r.read.Columns {
			if c.Column.Name == m.from.Name {
				order = append(order, at)
			}
		}
	}
	for _, in := range r.inputs {
		order = append(order, in.at)
	}
	for at := range r.read.Columns {
		order = append(order, at)
	}
	var texts []string
	seen := map[string]bool{}
	for _, at := range order {
		if c := r.read.Columns[at]; !seen[c.Column.Name] {
			seen[c.Column.Name] = true
			texts = append(texts, c.Column.Name+"="+shown(from.Cell(i, at), c.Cell))
		}
	}
	if s := r.form.split; s != nil && r.env[s.name] != nil {
		texts = append([]string{fmt.Sprintf("%s=%v, %s=%s", s.name, r.env[s.name], s.as, cut(fmt.Sprintf("%v", r.env[s.as]), mostOfCell))}, texts...)
	}
	var why *hidden
	if errors.As(err, &why) {
		texts = append(texts, "because: "+cut(why.cause, mostOfCell))
	}
	return plain.Line(cut(strings.Join(texts, ", "), mostOfRow))
}

// shown writes a cell for people.
func shown(cell []byte, k row.Kind) string {
	switch {
	case cell == nil:
		return "NULL"
	case k == row.Bytes || !utf8.Valid(cell):
		return "x'" + cut(hex.EncodeToString(cell), mostOfCell) + "'"
	}
	return `"` + cut(string(cell), mostOfCell) + `"`
}

// cut keeps so many characters of a text, and says that there were more.
func cut(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}

// at says where a rule stands and what it says.
func at(place string, e *expression) string {
	if e == nil {
		return place
	}
	return place + ": " + cut(strings.Join(strings.Fields(e.text), " "), mostOfExpression)
}

// hidden is why an expression has no value, in words that may hold values of the row: Error does not say them.
type hidden struct{ cause string }

func (h *hidden) Error() string { return "can not be computed from the values of this row" }
