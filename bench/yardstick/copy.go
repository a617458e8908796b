package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
)

// copyTables copies table after table and then runs the statements at the target, one after another.
func copyTables(ctx context.Context, from, to string, tables []string, streams int, then []string) error {
	for _, table := range tables {
		list, err := columns(ctx, from, table)
		if err != nil {
			return err
		}
		parts, err := ranges(ctx, from, table, streams)
		if err != nil {
			return err
		}
		if err := together(len(parts), func(i int) error { return copyPart(ctx, from, to, table, parts[i], list) }); err != nil {
			return fmt.Errorf("copy %s: %w", table, err)
		}
	}
	for _, s := range then {
		if err := execute(ctx, to, s); err != nil {
			return err
		}
	}
	return nil
}

func execute(ctx context.Context, u, statement string) error {
	if product(u) == "postgres" {
		c, err := pgx.Connect(ctx, u)
		if err != nil {
			return err
		}
		defer c.Close(ctx)
		_, err = c.Exec(ctx, statement)
		return err
	}
	db, err := open(u)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, statement)
	return err
}

// copyPart copies one stream's part: a pipe from the reader to the writer, or rows one by one into SQLite.
func copyPart(ctx context.Context, from, to, table, condition string, list []column) error {
	if product(to) == "sqlite" {
		return insertPart(ctx, from, to, selection(from, table, condition, list, true), table, list)
	}
	same := product(from) == product(to)
	query, format := selection(from, table, condition, list, !same), "text"
	if same && product(to) == "postgres" {
		format = "binary"
	}
	r, w := io.Pipe()
	return together(2, func(i int) error {
		if i == 0 {
			err := send(ctx, from, query, format, list, w, product(to) == "postgres")
			_ = w.CloseWithError(err) // always nil
			return err
		}
		err := receive(ctx, to, table, format, list, r, product(from) == "postgres")
		_ = r.CloseWithError(err)
		return err
	})
}

// send writes a query's rows.
func send(ctx context.Context, from, query, format string, list []column, w io.Writer, hexadecimal bool) error {
	if product(from) == "postgres" {
		return copyOut(ctx, from, query, format, w)
	}
	db, err := open(from)
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	return textOut(rows, list, w, hexadecimal)
}

var handlers atomic.Int64

// receive loads what a reader has. Bytes come as hexadecimal digits to MariaDB where they come from PostgreSQL.
func receive(ctx context.Context, to, table, format string, list []column, r io.Reader, hexadecimal bool) error {
	if product(to) == "postgres" {
		c, err := pgx.Connect(ctx, to)
		if err != nil {
			return err
		}
		defer c.Close(ctx)
		_, err = c.PgConn().CopyFrom(ctx, r, "COPY "+table+" FROM STDIN (FORMAT "+format+")")
		return err
	}
	db, err := open(to)
	if err != nil {
		return err
	}
	defer db.Close()
	name := fmt.Sprintf("part%d", handlers.Add(1))
	mysql.RegisterReaderHandler(name, func() io.Reader { return r })
	defer mysql.DeregisterReaderHandler(name)
	_, err = db.ExecContext(ctx, "LOAD DATA LOCAL INFILE 'Reader::"+name+"' INTO TABLE "+table+" CHARACTER SET binary"+unhexed(list, hexadecimal))
	return err
}

// unhexed is the end of LOAD DATA that turns digits into bytes, where they come as digits.
func unhexed(list []column, hexadecimal bool) string {
	var names, sets []string
	for _, c := range list {
		if c.blob() && hexadecimal {
			names, sets = append(names, "@"+c.name), append(sets, c.name+"=UNHEX(@"+c.name+")")
		} else {
			names = append(names, c.name)
		}
	}
	if len(sets) == 0 {
		return ""
	}
	return " (" + strings.Join(names, ",") + ") SET " + strings.Join(sets, ",")
}

// insertPart inserts rows into SQLite by one prepared statement in one transaction, without a journal.
func insertPart(ctx context.Context, from, to, query, table string, list []column) error {
	db, err := open(to + "?_journal_mode=OFF&_synchronous=OFF&_cache_size=-262144")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	insert, err := tx.PrepareContext(ctx, "INSERT INTO "+table+" VALUES(?"+strings.Repeat(",?", len(list)-1)+")")
	if err != nil {
		return err
	}
	defer insert.Close()
	put := func(cells []any) error {
		_, err := insert.ExecContext(ctx, cells...)
		return err
	}
	if product(from) == "postgres" {
		err = eachCopied(ctx, from, query, list, put)
	} else {
		err = eachRow(ctx, from, query, list, put)
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}

// eachRow passes the rows of a MariaDB or SQLite query on: from SQLite as its driver gives values, from MariaDB as texts.
func eachRow(ctx context.Context, from, query string, list []column, put func([]any) error) error {
	db, err := open(from)
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	if product(from) == "sqlite" {
		return eachValue(rows, len(list), put)
	}
	r, err := newRaw(rows)
	if err != nil {
		return err
	}
	cells := make([]any, len(list))
	for rows.Next() {
		if err := rows.Scan(r.into...); err != nil {
			return err
		}
		for i, v := range r.cells {
			switch {
			case v == nil:
				cells[i] = nil
			case list[i].blob():
				cells[i] = []byte(v)
			default:
				cells[i] = string(v)
			}
		}
		if err := put(cells); err != nil {
			return err
		}
	}
	return rows.Err()
}

func eachValue(rows *sql.Rows, n int, put func([]any) error) error {
	cells, into := make([]any, n), make([]any, n)
	for i := range cells {
		into[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := put(cells); err != nil {
			return err
		}
	}
	return rows.Err()
}

// eachCopied passes on the rows that COPY writes as text; bytes are hexadecimal digits in it.
func eachCopied(ctx context.Context, from, query string, list []column, put func([]any) error) error {
	r, w := io.Pipe()
	return together(2, func(i int) error {
		if i == 0 {
			err := copyOut(ctx, from, query, "text", w)
			_ = w.CloseWithError(err) // always nil
			return err
		}
		err := putLines(r, list, put)
		_ = r.CloseWithError(err)
		return err
	})
}

func putLines(r io.Reader, list []column, put func([]any) error) error {
	in := bufio.NewReaderSize(r, 1<<20)
	cells := make([]any, len(list))
	for {
		line, err := in.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		line = line[:len(line)-1]
		for i := range cells {
			var field []byte
			field, line, _ = bytes.Cut(line, []byte{'\t'})
			switch {
			case string(field) == `\N`:
				cells[i] = nil
			case list[i].blob():
				if cells[i], err = hex.DecodeString(string(field)); err != nil {
					return err
				}
			default:
				cells[i] = unescaped(field)
			}
		}
		if err := put(cells); err != nil {
			return err
		}
	}
}

// plain undoes special.
var plain = func() (back [256]byte) {
	for i := range back {
		back[i] = byte(i)
	}
	for c, s := range special {
		if s != 0 {
			back[s] = byte(c)
		}
	}
	back['b'], back['f'], back['v'] = '\b', '\f', '\v'
	return back
}()

func unescaped(field []byte) string {
	if bytes.IndexByte(field, '\\') < 0 {
		return string(field)
	}
	out := make([]byte, 0, len(field))
	for i := 0; i < len(field); i++ {
		if field[i] == '\\' && i+1 < len(field) {
			i++
			out = append(out, plain[field[i]])
			continue
		}
		out = append(out, field[i])
	}
	return string(out)
}
