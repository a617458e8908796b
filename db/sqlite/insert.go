package sqlite

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Most of what a row costs an INSERT is what the statement does once: to begin, to open the table and its indexes, to end. So
// rows go in several at a time.
const (
	groupRows  = 16
	groupBytes = 256 << 10 // what a statement is given stays in its session's memory until it is given something else
)

// verb is how a row that is in the way is met, whatever the table's own words (UNIQUE ON CONFLICT IGNORE) say about that.
type verb string

const (
	refusing  verb = "INSERT OR ABORT" // which undoes the whole statement
	replacing verb = "INSERT OR REPLACE"
)

// inserter writes rows of one table in the session's transaction.
type inserter struct {
	s       *session
	table   *schema.Table
	columns []column
	verb    verb
	one     *sqlite3.Stmt
	several *sqlite3.Stmt // takes groupRows rows; nil until there are as many
}

func (s *session) inserter(t *schema.Table, columns []column, v verb) (*inserter, error) {
	w := &inserter{s: s, table: t, columns: columns, verb: v}
	var err error
	w.one, err = w.prepare(1)
	return w, err
}

func (w *inserter) prepare(rows int) (*sqlite3.Stmt, error) {
	width := len(w.columns)
	values := make([]string, rows)
	for i := range values {
		if values[i] = marks(1+i*width, width); width == 1 {
			values[i] = "(" + values[i] + ")"
		}
	}
	st, _, err := w.s.conn.Prepare(string(w.verb) + " INTO " + quote(w.table.Name.Name) + " (" + nameList(w.columns) + ") VALUES " +
		strings.Join(values, ", "))
	return st, err
}

func (w *inserter) close() {
	_ = w.one.Close()
	_ = w.several.Close()
}

// write writes every row of a batch. After an error it returns the row that was refused; some of those before it are written
// then, so that the transaction must not be committed.
func (w *inserter) write(b *row.Batch) (at int, err error) {
	if w.several == nil && b.Len() >= groupRows {
		if w.several, err = w.prepare(groupRows); err != nil {
			return 0, err
		}
	}
	for at < b.Len() {
		if w.groups(b, at) {
			err := w.group(b, at)
			if err == nil {
				at += groupRows
				continue
			}
			if !w.refused(err) {
				return at, err
			}
		}
		for end := min(at+groupRows, b.Len()); at < end; at++ { // one by one, which tells the one that is refused
			if err := w.row(b, at); err != nil {
				return at, err
			}
		}
	}
	return at, nil
}

// groups reports whether the next rows go together.
func (w *inserter) groups(b *row.Batch, at int) bool {
	if at+groupRows > b.Len() {
		return false
	}
	size := 0
	for i := range groupRows {
		size += len(b.Row(at + i))
	}
	return size <= groupBytes
}

// group writes groupRows rows with one statement. After an error none of them is written.
func (w *inserter) group(b *row.Batch, at int) error {
	for i := range groupRows {
		if _, err := w.bind(w.several, 1+i*len(w.columns), b, at+i); err != nil {
			return err
		}
	}
	return w.several.Exec()
}

// refused reports that an error is about one of the rows, and that the transaction is still there.
func (w *inserter) refused(err error) bool {
	about := errors.Is(err, errData) || errors.Is(err, sqlite3.CONSTRAINT) || errors.Is(err, sqlite3.MISMATCH) || errors.Is(err, sqlite3.TOOBIG)
	return about && !w.s.conn.GetAutocommit()
}

// row writes one row.
func (w *inserter) row(b *row.Batch, at int) error {
	huge, err := w.bind(w.one, 1, b, at)
	if err == nil {
		err = w.one.Exec()
	}
	if err != nil || !huge {
		return err
	}
	return w.one.ClearBindings() // a connection's memory holds three such values, and not one more of the row before
}

// bind gives a row to a statement, from parameter first on. NULL for a column that forbids it is refused here, because REPLACE
// would write the column's default instead.
func (w *inserter) bind(st *sqlite3.Stmt, first int, b *row.Batch, at int) (huge bool, err error) {
	for n := range w.columns {
		c := &w.columns[n]
		cell := b.Cell(at, n)
		if cell == nil && !c.null {
			return huge, c.refuse("is NULL and does not allow it")
		}
		if len(cell) > hugeValue {
			w.s.spent, huge = true, true
		}
		if err := c.bind(st, first+n, cell); err != nil {
			return huge, err
		}
	}
	return huge, nil
}

// placed names the key of the row that was refused.
func placed(err error, s schema.Shape, b *row.Batch, i int) error {
	if len(s.Key) == 0 {
		return err
	}
	key := ""
	for n, k := range s.Key {
		if n > 0 {
			key += ", "
		}
		if cell := b.Cell(i, k); cell == nil {
			key += "NULL"
		} else {
			key += string(cell[:min(len(cell), 100)])
		}
	}
	return fmt.Errorf("key %s: %w", key, err)
}
