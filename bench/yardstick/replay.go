package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
)

// replay makes the changed rows of wide at the target what they are at the source: keys in batches of the table changed(seq,
// k), joined with the rows as they are, sent into a stage, and upserted from it, a transaction a batch.
func replay(ctx context.Context, from, to string, batch int64) error {
	list, err := columns(ctx, from, "wide")
	if err != nil {
		return err
	}
	format := "text"
	if product(from) == "postgres" {
		format = "binary"
	}
	write, done, err := applier(ctx, to, format, list)
	if err != nil {
		return err
	}
	defer done()
	read, last, finish, err := changes(ctx, from, to, list)
	if err != nil {
		return err
	}
	defer finish()
	var rows bytes.Buffer
	for first := int64(1); first <= last; first += batch {
		rows.Reset()
		query := fmt.Sprintf("SELECT w.* FROM (SELECT DISTINCT k FROM changed WHERE seq >= %d AND seq < %d) c JOIN wide w ON w.id = c.k", first, first+batch)
		if err := read(query, &rows); err != nil {
			return fmt.Errorf("read a batch: %w", err)
		}
		if err := write(&rows); err != nil {
			return fmt.Errorf("apply a batch: %w", err)
		}
	}
	return nil
}

// changes returns what reads a batch's rows in the form that the target takes, and the last number of the list.
func changes(ctx context.Context, from, to string, list []column) (read func(query string, into *bytes.Buffer) error, last int64, done func(), err error) {
	const question = "SELECT COALESCE(MAX(seq), 0) FROM changed"
	if product(from) == "postgres" {
		c, err := pgx.Connect(ctx, from)
		if err != nil {
			return nil, 0, nil, err
		}
		err = c.QueryRow(ctx, question).Scan(&last)
		return func(query string, into *bytes.Buffer) error {
			_, err := c.PgConn().CopyTo(ctx, into, "COPY ("+query+") TO STDOUT (FORMAT binary)")
			return err
		}, last, func() { _ = c.Close(ctx) }, err
	}
	db, err := open(from)
	if err != nil {
		return nil, 0, nil, err
	}
	err = db.QueryRowContext(ctx, question).Scan(&last)
	return func(query string, into *bytes.Buffer) error {
		rows, err := db.QueryContext(ctx, query)
		if err != nil {
			return err
		}
		defer rows.Close()
		return textOut(rows, list, into, product(to) == "postgres")
	}, last, func() { _ = db.Close() }, err
}

// applier returns what upserts a batch.
func applier(ctx context.Context, to, format string, list []column) (write func(*bytes.Buffer) error, done func(), err error) {
	var sets []string
	for _, c := range list[1:] {
		if product(to) == "postgres" {
			sets = append(sets, c.name+" = excluded."+c.name)
		} else {
			sets = append(sets, c.name+" = VALUES("+c.name+")")
		}
	}
	set := strings.Join(sets, ", ")
	if product(to) == "postgres" {
		return postgresApplier(ctx, to, format, set)
	}
	db, err := open(to)
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1) // the stage belongs to the session
	if _, err := db.ExecContext(ctx, "CREATE TEMPORARY TABLE stage LIKE wide"); err != nil {
		return nil, nil, err
	}
	return func(rows *bytes.Buffer) error { return mariadbBatch(ctx, db, rows, set) }, func() { _ = db.Close() }, nil
}

func mariadbBatch(ctx context.Context, db *sql.DB, rows *bytes.Buffer, set string) error {
	mysql.RegisterReaderHandler("batch", func() io.Reader { return rows })
	defer mysql.DeregisterReaderHandler("batch")
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, statement := range []string{
		"DELETE FROM stage",
		"LOAD DATA LOCAL INFILE 'Reader::batch' INTO TABLE stage CHARACTER SET binary",
		"INSERT INTO wide SELECT * FROM stage ON DUPLICATE KEY UPDATE " + set,
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func postgresApplier(ctx context.Context, to, format, set string) (write func(*bytes.Buffer) error, done func(), err error) {
	c, err := pgx.Connect(ctx, to)
	if err != nil {
		return nil, nil, err
	}
	if _, err := c.Exec(ctx, "CREATE TEMP TABLE stage (LIKE wide) ON COMMIT DELETE ROWS"); err != nil {
		return nil, nil, err
	}
	return func(rows *bytes.Buffer) error {
		tx, err := c.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(ctx) }()
		if _, err := c.PgConn().CopyFrom(ctx, rows, "COPY stage FROM STDIN (FORMAT "+format+")"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO wide SELECT * FROM stage ON CONFLICT (id) DO UPDATE SET "+set); err != nil {
			return err
		}
		return tx.Commit(ctx)
	}, func() { _ = c.Close(ctx) }, nil
}
