package postgres

import (
	"bytes"
	"context"
	_ "embed" // for the statements in sql/
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// layout is the format that COPY takes rows in: lines of text, or, packed, fields with their length and in the binary form
// of their type (codec.wire), for which the server need not parse text.
type layout uint8

const (
	lines layout = iota
	packed
)

//go:embed sql/fits.sql
var fitsQuery string

// layout is how rows of a shape go into a table: packed where every column has a binary form and is of the type that the
// form is made for. The catalog is asked, because a server that is given the bytes of one type for another would take them.
// Name is quoted and may be one of a temporary table; again: asks again.
func (s *session) layout(ctx context.Context, name string, shape schema.Shape, all []codec) (layout, error) {
	if !binaries(all) {
		return lines, nil
	}
	fit, err := s.fit(ctx, name, shape)
	if fit {
		return packed, err
	}
	return lines, err
}

// fit reports whether the columns of a table have the types that the shape names.
func (s *session) fit(ctx context.Context, name string, shape schema.Shape) (bool, error) {
	types := make([]string, shape.Width())
	for i, c := range shape.Columns {
		types[i] = dialect{home: s.home}.typeName(c.Column.Type)
	}
	r, err := s.query(ctx, fitsQuery, name, nameArray(shape.Names()), nameArray(types))
	return err == nil && yes(r.Rows[0][0]), err
}

// copying is one COPY FROM STDIN under way: rows are encoded into a buffer and handed to the goroutine that feeds the
// server, which ends with end or abort.
type copying struct {
	layout  layout
	session *session
	ctx     context.Context // of the whole COPY; ending it ends the session
	cancel  context.CancelCauseFunc
	pipe    *io.PipeWriter
	codecs  []codec
	buffer  []byte
	rows    int64
	fed     sync.WaitGroup
	stored  int64
	err     error
}

// statement completes COPY with its options.
func (l layout) statement(sql string, options ...string) string {
	if l == packed {
		options = append(options, "FORMAT binary")
	}
	if len(options) == 0 {
		return sql
	}
	return sql + " (" + strings.Join(options, ", ") + ")"
}

// message is how many bytes pgconn takes at a time and sends as one message; less would be sent as a message of its own.
const message = 64<<10 - 5

// copyAs begins a COPY whose statement ends with FROM STDIN, in a layout that session.layout returned for these codecs and
// with more options of COPY.
func (s *session) copyAs(ctx context.Context, sql string, all []codec, l layout, options ...string) *copying {
	sql = l.statement(sql, options...)
	r, w := io.Pipe()
	c := &copying{layout: l, session: s, pipe: w, codecs: all, buffer: s.spare[:0]}
	if l == packed {
		c.buffer = append(c.buffer, signature...)
	}
	c.ctx, c.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	c.fed.Go(func() {
		tag, err := s.conn.CopyFrom(c.ctx, r, sql)
		c.stored, c.err = tag.RowsAffected(), s.explain(c.ctx, err)
		if err == nil {
			err = io.ErrClosedPipe
		}
		_ = r.CloseWithError(err)
	})
	return c
}

// write encodes every row of a batch. The server's own error, if any, comes from end.
func (c *copying) write(ctx context.Context, b *row.Batch) error {
	stop := context.AfterFunc(ctx, func() { c.cancel(context.Cause(ctx)) })
	defer stop()
	for i := range b.Len() {
		if err := c.row(b, i); err != nil {
			return err
		}
	}
	return nil
}

func (c *copying) row(b *row.Batch, i int) error {
	var err error
	if c.layout == packed {
		err = c.pack(b, i)
	} else {
		err = c.line(b, i)
	}
	c.rows++
	if err == nil && len(c.buffer) >= message {
		err = c.send()
	}
	return err
}

// null is the length of NULL, in a row's run and in COPY's binary format.
const null = 1<<32 - 1

// pack encodes a row in binary.
func (c *copying) pack(b *row.Batch, i int) error {
	c.buffer = append(c.buffer, byte(len(c.codecs)>>8), byte(len(c.codecs)))
	run := b.Row(i)
	for j := range c.codecs {
		size := binary.BigEndian.Uint32(run)
		if run = run[4:]; size == null {
			c.buffer = append(c.buffer, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		cell := run[:size]
		run = run[size:]
		k := &c.codecs[j]
		if err := k.refuses(cell); err != nil {
			return err
		}
		if len(cell) > piece && (k.wire == textWire || k.wire == jsonbWire) {
			if err := c.large(k, cell); err != nil {
				return err
			}
			continue
		}
		var ok bool
		if c.buffer, ok = k.appendWire(c.buffer, cell); !ok {
			return &driver.CellError{Column: k.column, Why: "is not a value of the column's type"}
		}
	}
	return nil
}

// large sends a long cell from where it lies.
func (c *copying) large(k *codec, cell []byte) error {
	c.buffer = k.appendLength(c.buffer, len(cell))
	if err := c.flush(); err != nil {
		return err
	}
	_, err := c.pipe.Write(cell)
	return err
}

// line encodes a row as text.
func (c *copying) line(b *row.Batch, i int) error {
	for j := range c.codecs {
		if j > 0 {
			c.buffer = append(c.buffer, '\t')
		}
		if err := c.cell(&c.codecs[j], b.Cell(i, j)); err != nil {
			return err
		}
	}
	c.buffer = append(c.buffer, '\n')
	return nil
}

// refuses returns the error about a cell that the server would cut, round or not take, nil for any other.
func (c *codec) refuses(cell []byte) error {
	switch {
	case !c.fits(cell):
		return &driver.CellError{Column: c.column, Why: "is longer than the column keeps"}
	case !c.clean && c.form != raw && bytes.IndexByte(cell, 0) >= 0:
		return &driver.CellError{Column: c.column, Why: "holds the character NUL, which text cannot hold here"}
	}
	return nil
}

func (c *copying) cell(k *codec, cell []byte) error {
	if cell == nil {
		c.buffer = append(c.buffer, `\N`...)
		return nil
	}
	if err := k.refuses(cell); err != nil {
		return err
	}
	if k.form == raw {
		c.buffer = append(c.buffer, `\\x`...)
	}
	for len(cell) > piece {
		c.buffer = k.appendPiece(c.buffer, cell[:piece])
		cell = cell[piece:]
		if err := c.flush(); err != nil {
			return err
		}
	}
	c.buffer = k.appendPiece(c.buffer, cell)
	return nil
}

// send hands on the whole messages that are in the buffer.
func (c *copying) send() error {
	whole := len(c.buffer) - len(c.buffer)%message
	_, err := c.pipe.Write(c.buffer[:whole])
	c.buffer = c.buffer[:copy(c.buffer, c.buffer[whole:])]
	return err
}

func (c *copying) flush() error {
	if len(c.buffer) == 0 {
		return nil
	}
	_, err := c.pipe.Write(c.buffer)
	c.buffer = c.buffer[:0]
	return err
}

// end waits for the server's count; one that is not what was written is an error. Cancel of ctx ends the session.
func (c *copying) end(ctx context.Context) (int64, error) {
	stop := context.AfterFunc(ctx, func() { c.cancel(context.Cause(ctx)) })
	defer stop()
	if c.layout == packed {
		c.buffer = append(c.buffer, ending...)
	}
	if err := c.flush(); err == nil {
		_ = c.pipe.Close()
	}
	c.wait()
	c.session.spare = c.buffer
	switch {
	case c.err != nil:
		return 0, c.err
	case c.stored != c.rows:
		return 0, fmt.Errorf("the server counted %d rows where %d were written", c.stored, c.rows)
	}
	return c.stored, nil
}

var errAborted = errors.New("the load was given up")

// abort ends the COPY without keeping anything and returns the server's error, if that was the cause. Again: the same.
func (c *copying) abort() error {
	_ = c.pipe.CloseWithError(errAborted)
	c.wait()
	return c.err
}

// wait returns when the goroutine has ended. A session that broke is hung up at once: a server that still expects rows does
// not understand the polite good-bye, and would keep the session until a time-out.
func (c *copying) wait() {
	c.fed.Wait()
	if c.session.conn.IsClosed() {
		_ = c.session.conn.Conn().Close()
	}
}
