package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// many does for many tables in one transaction and few round trips what the other roles do table by table.
type many struct{ db *database }

// ExecuteAll runs the statements as one script in one transaction.
func (m many) ExecuteAll(ctx context.Context, statements []driver.Statement) error {
	if len(statements) == 0 {
		return nil
	}
	l, err := m.db.worker(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	var sql strings.Builder
	for _, s := range statements {
		sql.WriteString(s.SQL)
		sql.WriteString(";\n")
	}
	if err := l.script(ctx, sql.String()); err != nil {
		return fmt.Errorf("%s, and %d statements more: %w", statements[0].Purpose, len(statements)-1, err)
	}
	return nil
}

// ShutAll makes the guard's triggers. The first table's is made by itself, with the function that all of them call.
func (m many) ShutAll(ctx context.Context, tables []*schema.Table, epoch int64) error {
	if len(tables) == 0 {
		return nil
	}
	if err := guard(m).Shut(ctx, tables[0], epoch); err != nil || len(tables) == 1 {
		return err
	}
	l, err := m.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	var sql strings.Builder
	for _, t := range tables[1:] {
		sql.WriteString(guard(m).trigger(t))
	}
	err = l.ours(ctx, epoch)
	if err == nil {
		err = l.exec(ctx, sql.String())
	}
	if err == nil {
		err = l.commit(ctx)
	}
	if err != nil {
		return fmt.Errorf("guard %d tables: %w", len(tables), err)
	}
	return nil
}

// briefly is how long one table of many is waited for, while others may wait for those before it; then the caller takes each
// alone.
const briefly = 100 * time.Millisecond

// OpenAll drops the guard's triggers.
func (m many) OpenAll(ctx context.Context, tables []*schema.Table) error {
	if len(tables) == 0 {
		return nil
	}
	l, err := m.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	var sql strings.Builder
	sql.WriteString(lockTimeout(briefly))
	sql.WriteString(opening(tables...))
	err = l.script(ctx, sql.String())
	guarded := false
	if err == nil {
		guarded, err = l.guards(ctx)
	}
	if err == nil && !guarded {
		err = l.dropGuard(ctx)
	}
	if err != nil {
		return fmt.Errorf("open %d tables: %w", len(tables), err)
	}
	if guarded {
		return nil
	}
	return l.dropSchema(ctx, targetSchema)
}

// guards reports whether some table is guarded still, without a look at each.
func (s *session) guards(ctx context.Context) (bool, error) {
	r, err := s.query(ctx, "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = to_regproc('whimbrel_target.guard'))")
	return err == nil && yes(r.Rows[0][0]), err
}

// Fingerprints runs the query of one fingerprint for each of the tables, on the server.
func (m many) Fingerprints(ctx context.Context, tables []*schema.Table) ([]string, error) {
	l, err := m.db.keeper(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	one := strings.NewReplacer("$1", "w.name", "$2", "w.no").Replace(strings.TrimRight(fingerprintQuery, "; \n"))
	query := "SELECT f.print FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(name, no, place)\n" +
		"LEFT JOIN LATERAL (\n" + one + "\n) AS f(print) ON true ORDER BY w.place"
	r, err := l.query(ctx, query, nameArray(m.db.names(tables)), numberArray(tables))
	if err != nil {
		return nil, fmt.Errorf("take the fingerprints of %d tables: %w", len(tables), err)
	}
	if len(r.Rows) != len(tables) {
		return nil, fmt.Errorf("take the fingerprints of %d tables: %d came", len(tables), len(r.Rows))
	}
	prints := make([]string, len(tables))
	for i, line := range r.Rows {
		if prints[i] = string(line[0]); line[0] == nil {
			prints[i] = "gone"
		}
	}
	return prints, nil
}

// RangesAll reads the ledger once.
func (m many) RangesAll(ctx context.Context, tables []*schema.Table) (map[int]map[int]int64, error) {
	l, err := m.db.keeper(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	const query = "SELECT table_no, number, rows FROM whimbrel_target.range WHERE table_no = ANY ($1::integer[])"
	rows := l.conn.ExecParams(ctx, query, [][]byte{[]byte(numberArray(tables))}, nil, nil, nil)
	all := map[int]map[int]int64{}
	for rows.NextRow() {
		v := rows.Values()
		no := int(number(v[0]))
		if all[no] == nil {
			all[no] = map[int]int64{}
		}
		all[no][int(number(v[1]))] = number(v[2])
	}
	if _, err := rows.Close(); err != nil {
		return nil, fmt.Errorf("read the ledger of %d tables: %w", len(tables), l.explain(ctx, err))
	}
	return all, nil
}

// numberArray writes the tables' numbers as the text of an array.
func numberArray(tables []*schema.Table) string {
	numbers := make([]string, len(tables))
	for i, t := range tables {
		numbers[i] = itoa(t.Number)
	}
	return "{" + strings.Join(numbers, ",") + "}"
}
