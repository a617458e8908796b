package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"strings"

	_ "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	_ "github.com/mattn/go-sqlite3"
)

// product is the scheme of a database's URL.
func product(u string) string {
	scheme, _, _ := strings.Cut(u, ":")
	return scheme
}

// open opens a MariaDB or an SQLite database.
func open(u string) (*sql.DB, error) {
	if path, ok := strings.CutPrefix(u, "sqlite:"); ok {
		return sql.Open("sqlite3", "file:"+path)
	}
	p, err := url.Parse(u)
	if err != nil {
		return nil, err
	}
	password, _ := p.User.Password()
	return sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)%s", p.User.Username(), password, p.Host, p.Path))
}

// keys are the columns by which streams share a table.
var keys = map[string]string{"line": "l_orderkey", "wide": "id"}

// ranges cuts a table into conditions on its key, for n streams.
func ranges(ctx context.Context, u, table string, n int) ([]string, error) {
	if n == 1 {
		return []string{"1=1"}, nil
	}
	question, most := "SELECT MAX("+keys[table]+") FROM "+table, int64(0)
	if product(u) == "postgres" {
		c, err := pgx.Connect(ctx, u)
		if err != nil {
			return nil, err
		}
		defer c.Close(ctx)
		if err := c.QueryRow(ctx, question).Scan(&most); err != nil {
			return nil, err
		}
	} else {
		db, err := open(u)
		if err != nil {
			return nil, err
		}
		defer db.Close()
		if err := db.QueryRowContext(ctx, question).Scan(&most); err != nil {
			return nil, err
		}
	}
	var all []string
	for i := range int64(n) {
		all = append(all, fmt.Sprintf("%s > %d AND %s <= %d", keys[table], most*i/int64(n), keys[table], most*(i+1)/int64(n)))
	}
	return all, nil
}

// copyOut streams the answer of a query from PostgreSQL.
func copyOut(ctx context.Context, u, query, format string, w io.Writer) error {
	c, err := pgx.Connect(ctx, u)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	out := bufio.NewWriterSize(w, 1<<16)
	if _, err := c.PgConn().CopyTo(ctx, out, "COPY ("+query+") TO STDOUT (FORMAT "+format+")"); err != nil {
		return err
	}
	return out.Flush()
}

// column is one column of a table as its own product declares it.
type column struct{ name, kind string }

// columns asks for a table's columns.
func columns(ctx context.Context, u, table string) ([]column, error) {
	question := "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = '" + table + "' AND table_schema = "
	var list []column
	add := func(scan func(...any) error) error {
		var c column
		err := scan(&c.name, &c.kind)
		c.kind = strings.ToLower(c.kind)
		list = append(list, c)
		return err
	}
	if product(u) == "postgres" {
		c, err := pgx.Connect(ctx, u)
		if err != nil {
			return nil, err
		}
		defer c.Close(ctx)
		rows, err := c.Query(ctx, question+"current_schema() ORDER BY ordinal_position")
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			if err := add(rows.Scan); err != nil {
				return nil, err
			}
		}
		return list, rows.Err()
	}
	db, err := open(u)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	question += "database() ORDER BY ordinal_position"
	if product(u) == "sqlite" {
		question = "SELECT name, type FROM pragma_table_info('" + table + "') ORDER BY cid"
	}
	rows, err := db.QueryContext(ctx, question)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := add(rows.Scan); err != nil {
			return nil, err
		}
	}
	return list, rows.Err()
}

// selection is the query for a range of a table. SQLite's driver turns what is declared as a date or a truth into a value of
// Go: an expression keeps what is stored. PostgreSQL's truths and bytes are asked for as other products read them where the
// target is another product.
func selection(u, table, condition string, list []column, abroad bool) string {
	var names []string
	for _, c := range list {
		switch {
		case product(u) == "sqlite" && (c.kind == "date" || c.kind == "timestamp"):
			names = append(names, c.name+"||''")
		case product(u) == "sqlite" && c.kind == "boolean":
			names = append(names, c.name+"+0")
		case product(u) == "postgres" && c.kind == "boolean" && abroad:
			names = append(names, c.name+"::int")
		case product(u) == "postgres" && c.kind == "bytea" && abroad:
			names = append(names, "encode("+c.name+",'hex')")
		default:
			names = append(names, c.name)
		}
	}
	return "SELECT " + strings.Join(names, ", ") + " FROM " + table + " WHERE " + condition
}

// blob says whether a column holds bytes and not text.
func (c column) blob() bool { return strings.Contains(c.kind, "blob") || c.kind == "bytea" }

// raw scans rows into bytes that are good until the next one.
type raw struct {
	rows  *sql.Rows
	cells []sql.RawBytes
	into  []any
}

func newRaw(rows *sql.Rows) (*raw, error) {
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	r := &raw{rows: rows, cells: make([]sql.RawBytes, len(names)), into: make([]any, len(names))}
	for i := range r.cells {
		r.into[i] = &r.cells[i]
	}
	return r, nil
}

// textOut writes rows as the text that COPY and LOAD DATA read; bytes as PostgreSQL reads them where hexadecimal is set.
func textOut(rows *sql.Rows, list []column, w io.Writer, hexadecimal bool) error {
	r, err := newRaw(rows)
	if err != nil {
		return err
	}
	b := make([]byte, 0, 1<<17)
	for rows.Next() {
		if err := rows.Scan(r.into...); err != nil {
			return err
		}
		for i, v := range r.cells {
			if i > 0 {
				b = append(b, '\t')
			}
			switch {
			case v == nil:
				b = append(b, `\N`...)
			case hexadecimal && list[i].blob():
				b = hex.AppendEncode(append(b, `\\x`...), v)
			default:
				b = escaped(b, v)
			}
		}
		if b = append(b, '\n'); len(b) > 1<<16 {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// special are the bytes that the text forms write with a backslash, and what follows it.
var special = [256]byte{'\\': '\\', '\t': 't', '\n': 'n', '\r': 'r', 0: '0'}

func escaped(b, v []byte) []byte {
	done := 0
	for i, c := range v {
		if s := special[c]; s != 0 {
			b = append(append(b, v[done:i]...), '\\', s)
			done = i + 1
		}
	}
	return append(b, v[done:]...)
}
