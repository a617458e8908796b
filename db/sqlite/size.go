package sqlite

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/schema"
)

// estimate fills rows and bytes without a scan: rows from ANALYZE's table where it is there, else from the distance
// between the smallest and the largest row number; bytes from the mean length of a few rows. Neither can be more than the
// file holds.
func (s *session) estimate(tables []*schema.Table) error {
	var file int64
	err := s.one("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
		func(st *sqlite3.Stmt) { file = st.ColumnInt64(0) })
	if err != nil {
		return err
	}
	known, err := s.analysed()
	if err != nil {
		return err
	}
	for _, t := range tables {
		rows, ok := known[t.Name.Name]
		if !ok {
			if rows, err = s.span(t); err != nil {
				return err
			}
		}
		if rows < 0 {
			continue
		}
		mean, err := s.meanRow(t)
		if err != nil {
			return err
		}
		t.Rows = rows
		if float64(rows)*mean > float64(file) {
			t.Rows = int64(float64(file) / mean)
		}
		t.Bytes = int64(float64(t.Rows) * mean)
	}
	return nil
}

// free returns the bytes that are free on the file's disk for who is no administrator.
func (d *database) free(context.Context) (int64, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(d.path), &disk); err != nil {
		return 0, fmt.Errorf("look at the disk of %s: %w", d.path, err)
	}
	return int64(disk.Bavail) * disk.Bsize, nil
}

// analysed reads the rows that ANALYZE counted, by table.
func (s *session) analysed() (map[string]int64, error) {
	rows := map[string]int64{}
	if there, err := s.has("sqlite_stat1"); err != nil || !there {
		return rows, err
	}
	return rows, s.each("SELECT tbl, stat FROM sqlite_stat1", func(st *sqlite3.Stmt) error {
		first, _, _ := strings.Cut(st.ColumnText(1), " ")
		if n, err := strconv.ParseInt(first, 10, 64); err == nil {
			rows[st.ColumnText(0)] = max(rows[st.ColumnText(0)], n)
		}
		return nil
	})
}

// span is the distance of the row numbers, -1 for a table that has none.
func (s *session) span(t *schema.Table) (int64, error) {
	id := rowNumber(t)
	if id == "" {
		return -1, nil
	}
	rows := int64(0)
	err := s.one("SELECT (SELECT min("+id+") FROM "+quote(t.Name.Name)+"), (SELECT max("+id+") FROM "+quote(t.Name.Name)+")",
		func(st *sqlite3.Stmt) {
			if st.ColumnType(0) == sqlite3.INTEGER {
				rows = int64(min(float64(st.ColumnInt64(1))-float64(st.ColumnInt64(0))+1, math.MaxInt64/2))
			}
		})
	return rows, err
}

// rowNumber is a word that means the row's own number in this table, empty where there is none or columns hide it.
func rowNumber(t *schema.Table) string {
	if t.Options.WithoutRow {
		return ""
	}
	for _, w := range []string{"rowid", "_rowid_", "oid"} {
		free := true
		for _, c := range t.Columns {
			free = free && !strings.EqualFold(c.Name, w)
		}
		if free {
			return w
		}
	}
	return ""
}

// meanRow is the mean length in bytes of the first rows, what a row costs beside its values included.
func (s *session) meanRow(t *schema.Table) (float64, error) {
	var b strings.Builder
	for i, c := range t.Columns {
		if i > 0 {
			b.WriteString(" + ")
		}
		b.WriteString("coalesce(octet_length(" + quote(c.Name) + "), 0) + 1")
	}
	mean := 16.0
	err := s.one("SELECT avg(n) + 8 FROM (SELECT "+b.String()+" AS n FROM "+quote(t.Name.Name)+" LIMIT 100)",
		func(st *sqlite3.Stmt) { mean = max(st.ColumnFloat(0), mean) })
	return mean, err
}
