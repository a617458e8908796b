package mysql

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/schema"
)

// A helper leaves a mark before it looks for rows, in the application's transaction. While that is open, a row may come below
// that the helper has not seen and that the foreign key changes all the same: whoever put it there noted it when they committed,
// but at that time the row was as it had been. So what is read while a helper's transaction is open goes into the record once
// more, with the number of the last mark, and is due when no transaction with that mark or an earlier one is left.
//
// Which marks belong to open transactions is read at READ UNCOMMITTED; those that are committed are removed before.

// walk is the table of the marks of one captured table's helpers.
func (d *database) walk(t *schema.Table) string { return d.own("walk_" + strconv.Itoa(t.Number)) }

// marks are the numbers of the first and the last mark that may belong to an open transaction; the first is above all numbers
// where there is none, the last is 0.
type marks struct{ first, last uint64 }

// sweepAtOnce is how many marks are removed at one time, againAtOnce how many entries come back in one statement: nobody else can
// note a change of the table meanwhile.
const (
	sweepAtOnce = 10_000
	againAtOnce = 500
)

// sweep removes the marks of transactions that have ended. Nobody may be between the beginning of a snapshot and the look at
// the marks then: a mark that is committed in between counts.
func (d *database) sweep(ctx context.Context, s *session, t *schema.Table) error {
	d.walks.Lock()
	defer d.walks.Unlock()
	for {
		lines, err := s.rows(ctx, "SELECT seq FROM "+d.walk(t)+" ORDER BY seq LIMIT "+strconv.Itoa(sweepAtOnce))
		if err != nil || len(lines) == 0 {
			return err
		}
		numbers := make([]uint64, len(lines))
		for i, l := range lines {
			if numbers[i], err = strconv.ParseUint(l[0], 10, 64); err != nil {
				return err
			}
		}
		if err := s.transact(ctx, func() error {
			for sql := range removals(d.walk(t), numbers) {
				if err := s.run(ctx, sql); err != nil {
					return err
				}
			}
			return nil
		}); err != nil || len(lines) < sweepAtOnce {
			return err
		}
	}
}

// open reads which marks may belong to open transactions.
func (d *database) open(ctx context.Context, s *session, t *schema.Table) (m marks, err error) {
	if err := s.run(ctx, "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED"); err != nil {
		return m, err
	}
	line, err := s.row(ctx, "SELECT COALESCE(MIN(seq), "+strconv.FormatUint(math.MaxUint64, 10)+"), COALESCE(MAX(seq), 0) FROM "+d.walk(t))
	if err != nil {
		return m, err
	}
	if m.first, err = strconv.ParseUint(line[0], 10, 64); err == nil {
		m.last, err = strconv.ParseUint(line[1], 10, 64)
	}
	return m, err
}

// again are the statements that put the entries with these numbers into the record once more, to be due when no mark up to this
// one is left. Those that wait for an earlier mark go on waiting for that one: whoever made a later mark saw their rows.
func again(record string, key int, seqs []uint64, mark uint64) []string {
	columns := make([]string, key)
	for i := range columns {
		columns[i] = keyName(i)
	}
	names := strings.Join(columns, ", ")
	var all []string
	for len(seqs) > 0 {
		some := seqs[:min(len(seqs), againAtOnce)]
		seqs = seqs[len(some):]
		sql := "INSERT INTO " + record + " (" + names + ", walk) SELECT DISTINCT r." + strings.ReplaceAll(names, ", ", ", r.") +
			", COALESCE(r.walk, " + strconv.FormatUint(mark, 10) + ") FROM " + numbered(some) + " s STRAIGHT_JOIN " + record + " r FORCE INDEX (PRIMARY) ON r.seq = s.n"
		all = append(all, sql)
	}
	return all
}
