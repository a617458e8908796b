package main

import (
	"context"
	"fmt"
	"hash/maphash"
	"os"
)

// readTables reads every row of the tables once and says a hash of them, so that nothing of it can be left out.
func readTables(ctx context.Context, u string, tables []string, streams int) error {
	for _, table := range tables {
		list, err := columns(ctx, u, table)
		if err != nil {
			return err
		}
		parts, err := ranges(ctx, u, table, streams)
		if err != nil {
			return err
		}
		sums := make([]uint64, len(parts))
		err = together(len(parts), func(i int) (err error) {
			sums[i], err = hash(ctx, u, selection(u, table, parts[i], list, false))
			return err
		})
		if err != nil {
			return fmt.Errorf("read %s: %w", table, err)
		}
		fmt.Fprintln(os.Stderr, table, sums)
	}
	return nil
}

// hash is of PostgreSQL's binary stream as it comes, or of the rows of others, cell by cell, added up.
func hash(ctx context.Context, u, query string) (uint64, error) {
	var h maphash.Hash
	if product(u) == "postgres" {
		err := copyOut(ctx, u, query, "binary", &h)
		return h.Sum64(), err
	}
	db, err := open(u)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	r, err := newRaw(rows)
	if err != nil {
		return 0, err
	}
	var sum uint64
	for rows.Next() {
		if err := rows.Scan(r.into...); err != nil {
			return 0, err
		}
		h.Reset()
		for _, v := range r.cells {
			_, _ = h.Write(v)
			_ = h.WriteByte(0)
		}
		sum += h.Sum64()
	}
	return sum, rows.Err()
}
