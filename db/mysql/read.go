package mysql

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

var errBound = errors.New("the bound of a range has not the key's width")

// keysAtOnce is how many keys one statement asks for. More make the server's range optimizer slow.
const keysAtOnce = 500

// Read opens a cursor. Key lists are asked for in parts, each a statement with a snapshot of its own.
func (d *database) Read(ctx context.Context, q driver.Query) (driver.Cursor, error) {
	l, err := d.work.take(ctx)
	if err != nil {
		return nil, err
	}
	c := &cursor{lease: l, ctx: ctx, d: d, q: q, cells: newCells(q.Table, q.Shape)}
	if q.Keys == nil {
		err = c.readRange()
	} else {
		c.wanted = map[[16]byte]struct{}{}
		for i := range q.Keys.Len() {
			c.wanted[row.Seed(0).Digest(q.Keys.Row(i))] = struct{}{}
		}
	}
	if err != nil {
		l.back()
		return nil, fmt.Errorf("read %s: %w", q.Table.Name, err)
	}
	return c, nil
}

type cursor struct {
	*lease
	ctx    context.Context // of Read: watched while rows are on their way
	d      *database
	q      driver.Query
	cells  *cells
	rows   bool        // a statement's rows are on their way
	leave  func() bool // ends the watch on ctx while they are
	asked  int         // keys asked for so far
	wanted map[[16]byte]struct{}
	key    []byte
	done   bool
}

func (c *cursor) readRange() error {
	key := keyColumns(c.q.Shape)
	where, err := within(key, c.q.Range)
	if err != nil {
		return err
	}
	sql := "SELECT " + c.cells.exprs("t") + " FROM " + c.d.dialect.name(c.q.Table.Name) + " t"
	if where != "" || c.q.Order == driver.KeyOrder && len(key) > 0 {
		sql = "SELECT " + c.cells.exprs("t") + c.d.along(c.q.Table, key)
	}
	if where != "" {
		sql += " WHERE " + where
	}
	if c.q.Order == driver.KeyOrder && len(key) > 0 {
		sql += order(key, "")
	}
	return c.ask(sql)
}

// ask begins a statement.
func (c *cursor) ask(sql string) error {
	err := c.query(c.ctx, sql, len(c.cells.ops))
	if c.rows = err == nil; c.rows {
		c.leave = c.watch(c.ctx)
	}
	return err
}

// readKeys asks for the next part of the key list; io.EOF when there is none.
func (c *cursor) readKeys() error {
	if c.asked >= c.q.Keys.Len() {
		return io.EOF
	}
	last := min(c.asked+keysAtOnce, c.q.Keys.Len())
	key := keyColumns(c.q.Shape)
	sql := "SELECT " + c.cells.exprs("t") + c.d.along(c.q.Table, key) + " WHERE " + among(key, c.q.Keys, c.asked, last)
	c.asked = last
	return c.ask(sql)
}

// Fill appends rows until the batch is full.
func (c *cursor) Fill(ctx context.Context, b *row.Batch) error {
	b.Reset()
	if c.done || c.resource == nil {
		return io.EOF
	}
	unwatch := c.watch(ctx)
	err := c.fill(b)
	if !unwatch() && (err == nil || errors.Is(err, io.EOF)) {
		err = context.Cause(ctx)
	}
	if err == nil || errors.Is(err, io.EOF) {
		c.done = errors.Is(err, io.EOF)
		return err
	}
	c.done = true
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	} else if c.ctx.Err() != nil {
		err = context.Cause(c.ctx)
	}
	return fmt.Errorf("read %s: %w", c.q.Table.Name, err)
}

func (c *cursor) fill(b *row.Batch) error {
	for b.Size() < 1<<20 && b.Len() < 5000 {
		if !c.rows {
			if c.q.Keys == nil {
				return io.EOF
			}
			if err := c.readKeys(); err != nil {
				return err
			}
		}
		switch err := c.wire.next(c.cells, b); {
		case errors.Is(err, io.EOF):
			c.over()
			continue
		case err != nil:
			b.Abandon()
			c.over()
			c.kill() // whatever is left on the wire
			return err
		}
		if c.wanted != nil && !c.asksFor(b) {
			b.Truncate(b.Len() - 1)
		}
	}
	return nil
}

// over notes that no rows are on their way.
func (c *cursor) over() {
	c.rows = false
	c.leave()
}

// asksFor reports whether the last row's key is byte for byte one that was asked for, and asks for it no more, so that a
// row which two keys find under a collation comes once.
func (c *cursor) asksFor(b *row.Batch) bool {
	c.key = b.AppendKey(c.key[:0], b.Len()-1, c.q.Shape.Key)
	digest := row.Seed(0).Digest(c.key)
	_, ok := c.wanted[digest]
	delete(c.wanted, digest)
	return ok
}

// Durable waits for the server's log.
func (c *cursor) Durable(ctx context.Context) error {
	if c.resource == nil {
		return errors.New("the cursor is closed")
	}
	if c.rows {
		return errUnread
	}
	return c.d.durable(ctx, c.session)
}

// Close ends the query; a session whose rows were not all read is ended with it.
func (c *cursor) Close() error {
	if c.rows {
		c.over()
		c.kill() // what is left of the rows is not waited for
	}
	c.back()
	return nil
}
