package postgres

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// A sample has about sampleRows rows and at least rangePages pages a range, because the rows of one page are often neighbours
// in the key, from at least leastPages and at most samplePages pages.
const (
	sampleRows  = 60
	rangePages  = 10
	leastPages  = 100
	samplePages = 4000
)

// Split takes a sample of the table's pages, lets the server sort their keys, and cuts at its quantiles.
func (db *database) Split(ctx context.Context, t *schema.Table, s schema.Shape, rows int64) iter.Seq2[row.Range, error] {
	return func(yield func(row.Range, error) bool) {
		bounds, err := db.quantiles(ctx, t, s, rows)
		if err != nil {
			yield(row.Range{}, fmt.Errorf("split %s: %w", t.Name, err))
			return
		}
		var after row.Key
		for i, bound := range bounds {
			if !yield(row.Range{Number: i + 1, After: after, Upto: bound}, nil) {
				return
			}
			after = bound
		}
		yield(row.Range{Number: len(bounds) + 1, After: after}, nil)
	}
}

// extent is what the catalog and the files say about a table's size, partitions included.
type extent struct{ rows, pages int64 }

const extentQuery = `SELECT coalesce(sum(greatest(c.reltuples, 0) / greatest(c.relpages, 1) * pg_relation_size(c.oid) / 8192), 0)::bigint,
	coalesce(sum(pg_relation_size(c.oid) / 8192), 0)::bigint
	FROM (SELECT $1::regclass AS oid UNION SELECT relid FROM pg_partition_tree($1::regclass)) AS p
	JOIN pg_class c ON c.oid = p.oid WHERE c.relkind = 'r'`

func (db *database) extent(ctx context.Context, s *session, t *schema.Table) (extent, error) {
	r, err := s.query(ctx, extentQuery, db.dialect().table(t.Name))
	if err != nil {
		return extent{}, err
	}
	return extent{rows: number(r.Rows[0][0]), pages: number(r.Rows[0][1])}, nil
}

func (db *database) quantiles(ctx context.Context, t *schema.Table, s schema.Shape, rows int64) ([]row.Key, error) {
	if len(s.Key) == 0 || rows <= 0 {
		return nil, nil
	}
	l, err := db.worker(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	size, err := db.extent(ctx, l.session, t)
	if err != nil || size.pages == 0 {
		return nil, err
	}
	if size.rows == 0 { // never analysed
		size.rows = size.pages * 100
	}
	ranges := (size.rows + rows - 1) / rows
	perPage := max(size.rows/size.pages, 1)
	pages := min(max(ranges*sampleRows/perPage, ranges*rangePages, leastPages), samplePages)
	percent := min(100*float64(pages)/float64(size.pages), 100)
	return db.sample(ctx, l.session, t, s, percent, rows)
}

// sample cuts the sorted sample where each part stands for about rows rows.
func (db *database) sample(ctx context.Context, l *session, t *schema.Table, s schema.Shape, percent float64, rows int64) ([]row.Key, error) {
	keys := s.Keys()
	columns := keyColumns(s, "")
	order := strings.Join(columns, ", ")
	d := db.dialect()
	sql := fmt.Sprintf(`SELECT %[1]s FROM (SELECT %[1]s, row_number() OVER (ORDER BY %[1]s) AS "whimbrel place", count(*) OVER () AS "whimbrel count"
		FROM %[2]s TABLESAMPLE SYSTEM (%[3]f)) AS s, LATERAL (SELECT round("whimbrel count" * %[4]f)::bigint AS ranges) AS n
		WHERE n.ranges > 1 AND "whimbrel place" < "whimbrel count"
		AND "whimbrel place" * n.ranges / "whimbrel count" > ("whimbrel place" - 1) * n.ranges / "whimbrel count"
		ORDER BY "whimbrel place"`, order, d.from(t), percent, 100/percent/float64(rows))
	all := db.codecs(keys)
	r := l.conn.ExecParams(ctx, sql, nil, nil, nil, formats(all))
	b := row.NewBatch(keys.Width())
	var failed error
	if fields := r.FieldDescriptions(); len(fields) == len(all) {
		failed = check(all, fields)
	}
	for r.NextRow() {
		if failed == nil {
			failed = appendRow(b, all, r.Values())
		}
	}
	if _, err := r.Close(); err != nil {
		return nil, l.explain(ctx, err)
	}
	return distinct(b), failed
}

// distinct returns the rows of a batch as keys, without repetition of neighbours.
func distinct(b *row.Batch) []row.Key {
	var bounds []row.Key
	for i := range b.Len() {
		key := string(b.Row(i))
		if len(bounds) == 0 || string(bounds[len(bounds)-1]) != key {
			bounds = append(bounds, row.Key(key))
		}
	}
	return bounds
}

// Interface checks: one database plays these itself.
var (
	_ driver.Splitter = (*database)(nil)
	_ driver.Reader   = (*database)(nil)
	_ driver.Surveyor = (*database)(nil)
)
