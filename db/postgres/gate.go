package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// gate is a trigger before every statement that writes to a table or to a partition of it; rows that a subscription writes
// are stopped one by one.
type gate struct{ db *database }

const shutFunction = `CREATE OR REPLACE FUNCTION whimbrel_source.shut() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
	'BEGIN RAISE EXCEPTION ''writes to %.% are refused while this database is moved to another server, until the move has ended or was taken back'', TG_TABLE_SCHEMA, TG_TABLE_NAME
		USING ERRCODE = ''25006'', HINT = ''The operator of the move opens it again, or tells where its data are now.''; END'`

// Shut makes writes fail, table by table, and waits for those in flight.
func (g gate) Shut(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	if err := g.begin(ctx, l.session); err != nil {
		return fmt.Errorf("shut the source: %w", err)
	}
	end := time.Now().Add(w.Settled)
	for some := range slices.Chunk(tables, crowd) {
		if g.shutSome(ctx, l.session, some) == nil {
			continue
		}
		l.rollback(ctx)
		for _, t := range some {
			if err := g.shutOne(ctx, l.session, t, w, end); err != nil {
				return fmt.Errorf("shut %s: %w", t.Name, err)
			}
		}
	}
	left := driver.Wait{Lock: w.Lock, Settled: max(time.Until(end), time.Second)}
	if err := l.settle(ctx, g.db.names(tables), left); err != nil {
		return fmt.Errorf("shut the source: %w", err)
	}
	return nil
}

// begin makes the source ours, and the function that refuses writes.
func (g gate) begin(ctx context.Context, s *session) error {
	if err := s.exec(ctx, "BEGIN; SELECT pg_advisory_xact_lock("+itoa(lockClass)+", 0)"); err != nil {
		return err
	}
	if err := g.db.own(ctx, s); err != nil {
		return err
	}
	if err := s.exec(ctx, ourSchema(sourceSchema)+shutFunction); err != nil {
		return err
	}
	return s.commit(ctx)
}

// shutOne tries again and again, w.Lock at a time so that the application is not held up behind our request for a lock,
// until end; then it names who is in the way.
func (g gate) shutOne(ctx context.Context, s *session, t *schema.Table, w driver.Wait, end time.Time) error {
	target := g.db.dialect().table(t.Name)
	for {
		err := g.shutNow(ctx, s, t, target, w)
		if err == nil {
			return nil
		}
		s.rollback(ctx)
		if classify(err) != driver.Transient || ctx.Err() != nil {
			return err
		}
		if time.Now().After(end) {
			who, _ := s.holders(ctx, []string{target})
			return &failure{class: driver.Transient, err: fmt.Errorf("still writing: %s: %w", strings.Join(who, "; "), err)}
		}
	}
}

func (g gate) shutNow(ctx context.Context, s *session, t *schema.Table, target string, w driver.Wait) error {
	members, missing, err := g.open(ctx, s, t, target)
	if err != nil || len(missing) == 0 {
		return err
	}
	sql := lockTimeout(w.Lock)
	for _, m := range missing {
		sql += shutStatements(t, m)
	}
	if len(members) == 1 || g.db.version >= 130000 { // 12 has no such trigger on a partitioned table
		sql += shutRows(t, target)
	}
	return s.script(ctx, sql)
}

// shutStatements and shutRows plan the two triggers of a gate: the second is for rows that no statement of their own writes.
func shutStatements(t *schema.Table, name string) string {
	return triggerDDL(trigger("shut", t), "BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE", name, "FOR EACH STATEMENT", "whimbrel_source.shut")
}

func shutRows(t *schema.Table, name string) string {
	return triggerDDL(trigger("shutrow", t), "BEFORE INSERT OR UPDATE OR DELETE", name, "FOR EACH ROW", "whimbrel_source.shut")
}

// open returns the table with its partitions, and those of them whose gate is not shut.
func (g gate) open(ctx context.Context, s *session, t *schema.Table, target string) (members, missing []string, err error) {
	if members, err = s.partitions(ctx, target); err != nil {
		return nil, nil, err
	}
	const shut = `SELECT m.name FROM unnest($1::text[]) WITH ORDINALITY AS m(name, place) WHERE NOT EXISTS (SELECT FROM pg_trigger
		WHERE tgrelid = m.name::regclass AND tgname = $2 AND tgenabled = 'A') ORDER BY m.place`
	r, err := s.query(ctx, shut, nameArray(members), trigger("shut", t))
	if err != nil {
		return nil, nil, err
	}
	for _, line := range r.Rows {
		missing = append(missing, string(line[0]))
	}
	return members, missing, nil
}

// Prove asks for a lock that no writer's lock can stand beside, on all tables at once, with the gate in place.
func (g gate) Prove(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	if len(tables) == 0 {
		return nil
	}
	l, err := g.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	for some := range slices.Chunk(tables, crowd) {
		gates, err := g.gates(ctx, l.session, some)
		if err != nil {
			return fmt.Errorf("prove that the source is shut: %w", err)
		}
		for i, t := range some {
			if !gates[i].shut {
				return fmt.Errorf("prove that the source is shut: %s is open", t.Name)
			}
		}
	}
	if err := g.prepared(ctx, l.session, g.db.names(tables)); err != nil {
		return fmt.Errorf("prove that the source is shut: %w", err)
	}
	for some := range slices.Chunk(tables, crowd) {
		if err := g.still(ctx, l.session, g.db.names(some), w); err != nil {
			return fmt.Errorf("prove that the source is shut: %w", err)
		}
	}
	return nil
}

// still has the lock of some tables for a moment. The gate of every table was in place before: whoever wrote earlier has ended
// when the lock is granted, whoever comes later is refused, so that the moments need not be the same for all tables, for whose
// locks together a server may have no room.
func (g gate) still(ctx context.Context, s *session, names []string, w driver.Wait) error {
	err := s.exec(ctx, "BEGIN; "+lockTimeout(w.Lock)+"LOCK TABLE "+strings.Join(names, ", ")+" IN SHARE MODE")
	if err == nil {
		return s.exec(ctx, "COMMIT")
	}
	s.rollback(ctx)
	who, _ := s.holders(ctx, names)
	return fmt.Errorf("still open: %s: %w", strings.Join(who, "; "), err)
}

// prepared names prepared transactions that hold a lock of a writer on one of the tables.
func (g gate) prepared(ctx context.Context, s *session, names []string) error {
	who, err := s.holders(ctx, names)
	who = slices.DeleteFunc(who, func(h string) bool { return !strings.HasPrefix(h, "prepared") })
	if err == nil && len(who) > 0 {
		return &failure{class: driver.Transient, err: errors.New("still open: " + strings.Join(who, "; "))}
	}
	return err
}

// Reopen drops the triggers.
func (g gate) Reopen(ctx context.Context, tables []*schema.Table) error {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	if others, err := g.db.foreign(ctx, l.session); err != nil || others {
		return err
	}
	for some := range slices.Chunk(tables, crowd) {
		if g.reopenSome(ctx, l.session, some) == nil {
			continue
		}
		l.rollback(ctx)
		for _, t := range some {
			if err := g.reopenOne(ctx, l.session, t); err != nil {
				return fmt.Errorf("reopen %s: %w", t.Name, err)
			}
		}
	}
	left, err := l.withTriggers(ctx, "whimbrel_source.shut")
	if err != nil || len(left) > 0 {
		return err
	}
	if err := l.exec(ctx, "DROP FUNCTION IF EXISTS whimbrel_source.shut()"); err != nil && classify(err) != driver.Missing {
		return fmt.Errorf("reopen the source: %w", err)
	}
	return l.dropSchema(ctx, sourceSchema)
}

func (g gate) reopenOne(ctx context.Context, s *session, t *schema.Table) error {
	members, err := s.partitions(ctx, g.db.dialect().table(t.Name))
	if err != nil {
		if classify(err) == driver.Missing {
			return nil
		}
		return err
	}
	sql := fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s;", trigger("shutrow", t), members[0])
	for _, m := range members {
		sql += fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s;", trigger("shut", t), m)
	}
	return s.exec(ctx, sql)
}

// Writers names everybody's sessions in this database but ours, and prepared transactions.
func (g gate) Writers(ctx context.Context) ([]driver.Writer, error) {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	const query = `SELECT pid::text, coalesce(usename, ''), coalesce(application_name, ''),
			coalesce(extract(epoch FROM clock_timestamp() - xact_start), 0)::float8, coalesce(state, '')
		FROM pg_stat_activity WHERE datname = current_database() AND backend_type IN ('client backend', 'logical replication worker')
			AND pid <> pg_backend_pid() AND left(coalesce(application_name, ''), length($1)) <> $1
		UNION ALL SELECT gid, owner, '', extract(epoch FROM clock_timestamp() - prepared)::float8, 'prepared transaction'
		FROM pg_prepared_xacts WHERE database = current_database() ORDER BY 4 DESC, 1`
	r, err := l.query(ctx, query, label(g.db.options))
	if err != nil {
		return nil, fmt.Errorf("list the writers: %w", err)
	}
	all := make([]driver.Writer, len(r.Rows))
	for i, v := range r.Rows {
		all[i] = driver.Writer{
			Session: string(v[0]), User: string(v[1]), Program: string(v[2]), State: string(v[4]),
			Since: time.Duration(decimalOf(v[3]) * float64(time.Second)),
		}
	}
	return all, nil
}
