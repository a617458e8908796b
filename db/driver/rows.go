package driver

import (
	"context"
	"io"
	"iter"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Splitter cuts a table into ranges without scanning it.
type Splitter interface {
	// Split yields ranges of the shape's key in key order, of about rows rows each. They adjoin, and the first and the last
	// are open, so that together they are the table whatever its rows do meanwhile. A table without a key, or one too small
	// to cut, is one whole range. Bounds are cells that Reader takes back as they are. Again: perhaps other cuts.
	Split(ctx context.Context, t *schema.Table, s schema.Shape, rows int64) iter.Seq2[row.Range, error]
}

// Query says which rows to read.
type Query struct {
	Table *schema.Table
	Shape schema.Shape
	Range row.Range  // the zero Range is the whole table
	Keys  *row.Batch // when not nil: the rows of these keys instead (cells of Shape.Keys()), in any order; keys that are not there are left out
	Order Order
}

// Order says whether the rows must come in key order.
type Order int

// AnyOrder lets the server choose; KeyOrder asks for the key's.
const (
	AnyOrder Order = iota
	KeyOrder
)

// Reader reads rows as canonical cells, committed ones only, from the primary.
type Reader interface {
	// Read opens a cursor. With Keys set, a row whose key is not byte for byte one of the keys is left out (HAZARDS C10).
	// Again: another cursor, another snapshot.
	Read(ctx context.Context, q Query) (Cursor, error)
}

// Cursor hands out the rows of one query once.
type Cursor interface {
	// Fill resets the batch and appends rows until it holds about 1 MiB or 5,000 rows or the rows end. At the end it returns
	// io.EOF, perhaps with the last rows in the batch. After an error the batch holds complete rows only and the cursor is
	// spent. A value that its cell can not say returns a *CellError.
	Fill(ctx context.Context, b *row.Batch) error
	// Durable returns when everything the cursor has handed out would survive a crash of the server, or an error if that
	// can not be had (HAZARDS C7). Called after the last Fill, on the same session. Again: does nothing.
	Durable(ctx context.Context) error
	// Close ends the query. Again: does nothing.
	Close() error
}

// CellError is a value that can not be carried, with its place. It never holds the value itself, but where the operator asked to
// see values.
type CellError struct {
	Table  schema.Name
	Column string // empty where it is the whole row
	Key    string // the row's key, for people; empty when not known
	Why    string // a clause: "is not valid UTF-8"
	Cells  string // what the row holds, for people; empty unless it was asked for
}

// Error names the place and the reason.
func (e *CellError) Error() string {
	s := "a row of " + e.Table.String()
	if e.Column != "" {
		s = "column " + e.Column + " of " + e.Table.String()
	}
	if e.Key != "" {
		return s + ", key " + e.Place()
	}
	return s + " " + e.Place()
}

// Place says of which row, why and, where that was asked for, with which cells.
func (e *CellError) Place() string {
	s := e.Why
	if e.Key != "" {
		s = e.Key + ", " + s
	}
	if e.Cells != "" {
		s += "; the row: " + e.Cells
	}
	return s
}

// Intake says what a load will bring.
type Intake struct {
	Table *schema.Table
	Shape schema.Shape // the columns that are written, none generated
	Range row.Range    // its Number is the ledger line
	Epoch int64
	Sole  bool // the table is empty and nobody else loads it: the product may use what is faster then
}

// Loader writes ranges of rows into tables that have no index but, where the product wants it, the primary key.
type Loader interface {
	// Load begins one transaction: first the fence and the range's ledger line (HAZARDS C3, C16), then the rows. A line
	// that is there already returns an error that Classify calls Exists: the range was loaded. An epoch that is not the
	// ledger's is Fenced. A duplicate of the primary key is an error (C5). Again: see above.
	Load(ctx context.Context, in Intake) (Load, error)
}

// Load is one range on its way in.
type Load interface {
	// Write takes every row of the batch; the batch may be reused when it returns. No value is truncated or altered: one
	// that does not fit is an error.
	Write(ctx context.Context, b *row.Batch) error
	// Commit makes rows and ledger line last, and returns the rows as the server counted them; a count that is not the
	// number written is an error and nothing is kept. An answer that is lost is Classify's Unknown: ask the ledger.
	Commit(ctx context.Context) (int64, error)
	// Close undoes what was not committed. Again: does nothing.
	Close() error
}

// Pipe passes rows between two databases of one product in the product's own wire format, unparsed.
type Pipe interface {
	// Format names the wire format for this table and shape, version and settings included; two pipes fit when both formats
	// are equal and not empty.
	Format(t *schema.Table, s schema.Shape) string
	// Out writes the rows of a query to w and returns their number. It returns only when they are durable at the source
	// (HAZARDS C7).
	Out(ctx context.Context, q Query, w io.Writer) (int64, error)
	// In loads one range from r: fence, ledger line, rows, and, when confirm says so after r has ended, commit. Rows and
	// errors as Load's.
	In(ctx context.Context, in Intake, r io.Reader, confirm func(rows int64) error) (int64, error)
}
