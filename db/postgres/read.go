package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

const (
	fillSize = 1 << 20
	fillRows = 5000
)

func itoa(n int) string { return strconv.Itoa(n) }

// Read opens a cursor on a session of its own.
func (db *database) Read(ctx context.Context, want driver.Query) (driver.Cursor, error) {
	l, err := db.worker(ctx)
	if err != nil {
		return nil, err
	}
	c, err := db.cursor(ctx, l.session, want)
	if err != nil {
		l.release()
		return nil, err
	}
	c.lease = l
	return c, nil
}

// cursor reads one query's rows, field by field of the wire, until they end or it is closed.
type cursor struct {
	lease   *lease // nil where the session is somebody else's
	session *session
	table   schema.Name
	codecs  []codec
	rows    *pgconn.ResultReader
	looked  bool
	ctx     context.Context // of the query; ending it ends the session
	cancel  context.CancelCauseFunc
	ended   bool
	err     error
}

func (db *database) cursor(ctx context.Context, s *session, want driver.Query) (*cursor, error) {
	if want.Shape.Width() == 0 {
		return nil, fmt.Errorf("read %s: the shape has no columns", want.Table.Name)
	}
	all := db.codecs(want.Shape)
	var q query
	if err := db.selection(&q, want, all); err != nil {
		return nil, fmt.Errorf("read %s: %w", want.Table.Name, err)
	}
	c := &cursor{session: s, table: want.Table.Name, codecs: all}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	stop := context.AfterFunc(ctx, func() { c.cancel(context.Cause(ctx)) }) // the server may wait for a lock before the first row
	defer stop()
	c.rows = s.conn.ExecParams(c.ctx, q.sql.String(), q.params, nil, nil, formats(all))
	return c, nil
}

// Fill resets the batch and appends rows.
func (c *cursor) Fill(ctx context.Context, b *row.Batch) error {
	b.Reset()
	return c.fill(ctx, b, fillRows, fillSize)
}

// fill appends rows until the batch has so many, or so many bytes, or they end.
func (c *cursor) fill(ctx context.Context, b *row.Batch, rows, size int) error {
	if c.ended {
		return c.spent()
	}
	stop := context.AfterFunc(ctx, func() { c.cancel(context.Cause(ctx)) })
	defer stop()
	if err := c.look(); err != nil {
		return c.fail(err)
	}
	for c.rows.NextRow() {
		if err := appendRow(b, c.codecs, c.rows.Values()); err != nil {
			return c.fail(err)
		}
		if b.Len() >= rows || b.Size() >= size {
			return nil
		}
	}
	c.ended = true
	_, err := c.rows.Close()
	if err != nil {
		return c.fail(c.session.explain(c.ctx, err))
	}
	c.err = io.EOF
	return io.EOF
}

// look compares the columns' types with those of the shape, once.
func (c *cursor) look() error {
	fields := c.rows.FieldDescriptions()
	if c.looked || len(fields) != len(c.codecs) {
		return nil // an error is on its way, which the rows' end tells
	}
	c.looked = true
	return check(c.codecs, fields)
}

func (c *cursor) spent() error {
	if c.err == nil {
		return errors.New("the cursor is closed")
	}
	return c.err
}

func (c *cursor) fail(err error) error {
	var cell *driver.CellError
	if errors.As(err, &cell) {
		cell.Table = c.table
	} else {
		err = fmt.Errorf("read %s: %w", c.table, err)
	}
	c.err = err
	c.finish()
	return err
}

// finish ends the query; where rows are left, it ends the session with it.
func (c *cursor) finish() {
	if !c.ended {
		c.ended = true
		c.cancel(errors.New("the cursor was closed"))
		_, _ = c.rows.Close()
	}
	c.cancel(nil)
}

// Durable waits for the server's log to be on disk up to what was read.
func (c *cursor) Durable(ctx context.Context) error {
	if !errors.Is(c.err, io.EOF) {
		return errors.New("durable: the cursor was not read to its end")
	}
	return c.session.durable(ctx)
}

// Close ends the query and gives the session back.
func (c *cursor) Close() error {
	c.finish()
	if c.lease != nil {
		c.lease.release()
	}
	return nil
}
