package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// copying is one COPY FROM STDIN under way: rows are encoded into a buffer and handed to the goroutine that feeds the
// server, which ends with end or abort.
type copying struct {
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

const flushAt = 64 << 10

// copyIn begins COPY FROM STDIN in the text format.
func (s *session) copyIn(ctx context.Context, sql string, all []codec) *copying {
	r, w := io.Pipe()
	c := &copying{session: s, pipe: w, codecs: all, buffer: s.spare[:0]}
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
	for j := range c.codecs {
		if j > 0 {
			c.buffer = append(c.buffer, '\t')
		}
		if err := c.cell(&c.codecs[j], b.Cell(i, j)); err != nil {
			return err
		}
	}
	c.buffer = append(c.buffer, '\n')
	c.rows++
	if len(c.buffer) >= flushAt {
		return c.flush()
	}
	return nil
}

func (c *copying) cell(k *codec, cell []byte) error {
	switch {
	case cell == nil:
		c.buffer = append(c.buffer, `\N`...)
		return nil
	case !k.fits(cell):
		return &driver.CellError{Column: k.column, Why: "is longer than the column keeps"}
	case k.form == raw:
		c.buffer = append(c.buffer, `\\x`...)
	case !k.clean && bytes.IndexByte(cell, 0) >= 0:
		return &driver.CellError{Column: k.column, Why: "holds the character NUL, which text cannot hold here"}
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
