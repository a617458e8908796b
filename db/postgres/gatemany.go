package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/whimbrel/whimbrel/schema"
)

// crowd is how many tables share a transaction: enough that its wait for the disk does not count, few enough for the locks that
// a server has room for by default.
const crowd = 100

// standing is how a table's gate stands.
type standing struct {
	alone bool // it has no partitions
	shut  bool // with all of them
}

// gates asks for the gates of tables in one query, in their order.
func (g gate) gates(ctx context.Context, s *session, tables []*schema.Table) ([]standing, error) {
	const query = `SELECT m.members = 1, m.shut FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(name, no, place),
		LATERAL (SELECT count(*) AS members, bool_and(EXISTS (SELECT FROM pg_trigger
				WHERE tgrelid = p.id AND tgname = 'whimbrel_shut_' || w.no AND tgenabled = 'A')) AS shut
			FROM (SELECT w.name::regclass::oid AS id UNION SELECT relid::oid FROM pg_partition_tree(w.name::regclass)) AS p) AS m
		ORDER BY w.place`
	r, err := s.query(ctx, query, nameArray(g.db.names(tables)), numberArray(tables))
	if err != nil {
		return nil, err
	}
	if len(r.Rows) != len(tables) {
		return nil, fmt.Errorf("%d tables were asked for and %d found", len(tables), len(r.Rows))
	}
	all := make([]standing, len(r.Rows))
	for i, v := range r.Rows {
		all[i] = standing{alone: yes(v[0]), shut: yes(v[1])}
	}
	return all, nil
}

var errParted = errors.New("a table has partitions")

// shutSome makes the gates of plain tables in one transaction; any error leaves them to shutOne, which is patient.
func (g gate) shutSome(ctx context.Context, s *session, tables []*schema.Table) error {
	gates, err := g.gates(ctx, s, tables)
	if err != nil {
		return err
	}
	var sql strings.Builder
	for i, t := range tables {
		switch {
		case gates[i].shut:
		case !gates[i].alone:
			return errParted
		default:
			target := g.db.dialect().table(t.Name)
			sql.WriteString(shutStatements(t, target) + shutRows(t, target))
		}
	}
	if sql.Len() == 0 {
		return nil
	}
	return s.script(ctx, g.atOnce(tables, "SHARE ROW EXCLUSIVE")+sql.String())
}

// atOnce locks tables without waiting for anybody: nobody may have to wait for the first of them while we wait for the others.
func (g gate) atOnce(tables []*schema.Table, mode string) string {
	return "LOCK TABLE " + strings.Join(g.db.names(tables), ", ") + " IN " + mode + " MODE NOWAIT; "
}

// reopenSome drops the triggers of plain tables in one transaction; any error leaves them to reopenOne.
func (g gate) reopenSome(ctx context.Context, s *session, tables []*schema.Table) error {
	gates, err := g.gates(ctx, s, tables)
	if err != nil {
		return err
	}
	var sql strings.Builder
	sql.WriteString(g.atOnce(tables, "ACCESS EXCLUSIVE"))
	for i, t := range tables {
		if !gates[i].alone {
			return errParted
		}
		target := g.db.dialect().table(t.Name)
		fmt.Fprintf(&sql, "DROP TRIGGER IF EXISTS %s ON %s; DROP TRIGGER IF EXISTS %s ON %s;", trigger("shutrow", t), target, trigger("shut", t), target)
	}
	return s.script(ctx, sql.String())
}
