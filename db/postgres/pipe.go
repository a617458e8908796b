package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// steady are the built-in types whose binary form holds nothing that another server of this product could read in another
// way: no number of a type that is made by an application, no words of a setting, no value that only newer servers know
// (an infinite interval), and no byte in the server's own encoding ("char").
var steady = map[string]bool{
	"boolean": true, "smallint": true, "integer": true, "bigint": true, "oid": true, "numeric": true, "real": true,
	"double precision": true, "text": true, "character varying": true, "bpchar": true, "name": true, "bytea": true,
	"date": true, "time without time zone": true, "time with time zone": true, "timestamp without time zone": true,
	"timestamp with time zone": true, "uuid": true, "json": true, "jsonb": true, `"bit"`: true, "bit varying": true,
	"inet": true, "cidr": true, "macaddr": true, "point": true,
}

// layoutBetween is how a shape's rows pass from one database of this product to another: packed where all types are
// steady, or arrays of such, or enums, which travel as their words.
func layoutBetween(s schema.Shape) layout {
	for _, c := range s.Columns {
		name, array := strings.CutSuffix(plain(c.Column.Type.Raw), "[]")
		enum := len(c.Column.Type.Values) > 0 && !array
		if c.Column.Type.Def.Name == "" && !steady[name] || c.Column.Type.Def.Name != "" && !enum {
			return lines
		}
	}
	return packed
}

// Format names the format of COPY with the columns' types. The encoding of both streams is UTF-8, and every session has
// the settings that make a value's text the same everywhere.
func (db *database) Format(_ *schema.Table, s schema.Shape) string {
	format := "postgres copy text 1:"
	if layoutBetween(s) == packed {
		format = "postgres copy binary 1:"
	}
	for _, c := range s.Columns {
		if c.Column.Type.Raw == "" || c.Column.Type.Kind == row.Other && c.Column.Type.Def.Name != "" {
			return ""
		}
		format += " " + c.Column.Type.Raw + ";"
	}
	if db.encoding == "SQL_ASCII" {
		return ""
	}
	return format
}

// Out streams COPY of a query to w, in pieces of the size in which In sends them on.
func (db *database) Out(ctx context.Context, want driver.Query, w io.Writer) (int64, error) {
	l, err := db.worker(ctx)
	if err != nil {
		return 0, err
	}
	defer l.release()
	form := layoutBetween(want.Shape)
	q := query{inline: true, typed: form == packed}
	if err := db.selection(&q, want, db.codecs(want.Shape)); err != nil {
		return 0, fmt.Errorf("read %s: %w", want.Table.Name, err)
	}
	gathered := bufio.NewWriterSize(w, message)
	tag, err := l.conn.CopyTo(ctx, gathered, form.statement("COPY ("+q.sql.String()+") TO STDOUT"))
	if err == nil {
		err = gathered.Flush()
	}
	if err == nil {
		err = l.durable(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", want.Table.Name, l.explain(ctx, err))
	}
	return tag.RowsAffected(), nil
}

// In loads one range from a stream that Out made.
func (db *database) In(ctx context.Context, in driver.Intake, r io.Reader, confirm func(rows int64) error) (int64, error) {
	l, err := db.worker(ctx)
	if err != nil {
		return 0, err
	}
	defer l.release()
	defer l.rollback(ctx)
	rows, err := db.in(ctx, l.session, in, r, confirm)
	if err != nil {
		return 0, fmt.Errorf("load range %d of %s: %w", in.Range.Number, in.Table.Name, err)
	}
	return rows, nil
}

func (db *database) in(ctx context.Context, s *session, in driver.Intake, r io.Reader, confirm func(rows int64) error) (int64, error) {
	options, err := db.begin(ctx, s, in)
	if err != nil {
		return 0, err
	}
	form := layoutBetween(in.Shape)
	if form == packed {
		fit, err := s.fit(ctx, db.dialect().table(in.Table.Name), in.Shape)
		if err != nil {
			return 0, err
		}
		if !fit {
			return 0, errors.New("its columns are not of the types that were planned for it")
		}
	}
	source := &sticky{r: r}
	tag, err := s.conn.CopyFrom(ctx, source, form.statement(db.copyInto(in), options...))
	if source.err != nil && !errors.Is(source.err, io.EOF) {
		return 0, source.err
	}
	if err != nil {
		return 0, s.explain(ctx, err)
	}
	rows := tag.RowsAffected()
	if confirm != nil {
		if err := confirm(rows); err != nil {
			return 0, err
		}
	}
	return rows, s.book(ctx, in, rows)
}

// sticky keeps the error that ended a reader, because COPY only hands on its text.
type sticky struct {
	r   io.Reader
	err error
}

// Read reads on.
func (s *sticky) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil {
		s.err = err
	}
	return n, err
}
