package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

//go:embed sql/note.sql
var noteBody string

//go:embed sql/holders.sql
var holdersQuery string

// capturer makes the source note keys. A table's record holds the key's columns with the table's own types and collations,
// and the time of the note; nothing orders it. Entries are known by their place and their transaction (record.go).
type capturer struct{ db *database }

func record(t *schema.Table) string { return fmt.Sprintf("whimbrel_source.record_%d", t.Number) }

func trigger(what string, t *schema.Table) string {
	return fmt.Sprintf("whimbrel_%s_%d", what, t.Number)
}

// Install makes record and triggers.
func (c capturer) Install(ctx context.Context, t *schema.Table, s schema.Shape, w driver.Wait) error {
	l, err := c.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	err = c.install(ctx, l.session, t, s, w)
	if err == nil {
		err = l.commit(ctx)
	}
	if err != nil {
		return fmt.Errorf("install capture on %s: %w", t.Name, err)
	}
	return nil
}

const sourceBook = `CREATE SCHEMA IF NOT EXISTS whimbrel_source;
	CREATE TABLE IF NOT EXISTS whimbrel_source.lane (
		table_no integer NOT NULL, lane integer NOT NULL, number bigint NOT NULL, PRIMARY KEY (table_no, lane))`

const ownerTable = `CREATE SCHEMA IF NOT EXISTS whimbrel_source;
	CREATE TABLE IF NOT EXISTS whimbrel_source.owner (sole boolean PRIMARY KEY DEFAULT true CHECK (sole), run text NOT NULL)`

// own writes this run down as the source's, or fails where another run's is there. The transaction holds lock 0 of our class.
func (db *database) own(ctx context.Context, s *session) error {
	run, err := s.runOf(ctx, "whimbrel_source.owner")
	switch {
	case err != nil:
		return err
	case run == db.options.Run && run != "":
		return nil
	case run != "":
		return fmt.Errorf("the source is being moved by run %s; finish or reset that move first", run)
	}
	if err := s.exec(ctx, ownerTable); err != nil {
		return err
	}
	_, err = s.query(ctx, "INSERT INTO whimbrel_source.owner (run) VALUES ($1)", db.options.Run)
	return err
}

// foreign reports that the source is another run's.
func (db *database) foreign(ctx context.Context, s *session) (bool, error) {
	run, err := s.runOf(ctx, "whimbrel_source.owner")
	return run != "" && run != db.options.Run, err
}

func (c capturer) install(ctx context.Context, s *session, t *schema.Table, sh schema.Shape, w driver.Wait) error {
	if len(sh.Key) == 0 {
		return fmt.Errorf("the table has no key")
	}
	begin := "BEGIN; " + lockTimeout(w.Lock) + "SELECT pg_advisory_xact_lock(" + itoa(lockClass) + ", 0);"
	if err := s.exec(ctx, begin); err != nil {
		return err
	}
	if err := c.db.own(ctx, s); err != nil {
		return err
	}
	if err := s.exec(ctx, sourceBook); err != nil {
		return err
	}
	target := c.db.dialect().table(t.Name)
	if r, err := s.query(ctx, "SELECT FROM pg_trigger WHERE tgrelid = $1::regclass AND tgname = $2 AND tgenabled = 'A'",
		target, trigger("empty", t)); err != nil || len(r.Rows) > 0 {
		return err
	}
	rows, err := s.rowLevel(ctx, target, sh)
	if err != nil {
		return err
	}
	if err := s.exec(ctx, recorderDDL(t, target, sh)); err != nil {
		return err
	}
	if rows {
		return s.installRows(ctx, t, target)
	}
	return s.exec(ctx, statementTriggers(t, target))
}

// recorderDDL makes the record and the function that writes it. The function's body is a quoted literal: a column named $$
// would end any other kind of quoting.
func recorderDDL(t *schema.Table, target string, sh schema.Shape) string {
	columns, shown := make([]string, len(sh.Key)), make([]string, len(sh.Key))
	for i, k := range keyColumns(sh, "") {
		columns[i] = "k" + itoa(i+1)
		shown[i] = k + " AS " + columns[i]
	}
	list := strings.Join(columns, ", ")
	body := strings.NewReplacer("{record}", record(t), "{columns}", list,
		"{new_row}", strings.Join(keyColumns(sh, "NEW."), ", "), "{old_row}", strings.Join(keyColumns(sh, "OLD."), ", "),
		"{new}", strings.Join(keyColumns(sh, "n."), ", "), "{old}", strings.Join(keyColumns(sh, "o."), ", ")).Replace(noteBody)
	return fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %[1]s
			WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0)
			AS SELECT clock_timestamp() AS noted, %[2]s FROM %[3]s WITH NO DATA;
		CREATE OR REPLACE FUNCTION %[4]s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
			SET search_path = pg_catalog, pg_temp AS %[5]s;
		REVOKE ALL ON FUNCTION %[4]s() FROM PUBLIC`,
		record(t), strings.Join(shown, ", "), target, note(t), literal(body))
}

func note(t *schema.Table) string { return fmt.Sprintf("whimbrel_source.note_%d", t.Number) }

// statementTriggers note whole statements. The trigger for TRUNCATE is made last: where it is, all are.
func statementTriggers(t *schema.Table, target string) string {
	var sql strings.Builder
	for _, e := range []struct{ what, event, tables string }{
		{"insert", "INSERT", "REFERENCING NEW TABLE AS whimbrel_new"},
		{"update", "UPDATE", "REFERENCING OLD TABLE AS whimbrel_old NEW TABLE AS whimbrel_new"},
		{"delete", "DELETE", "REFERENCING OLD TABLE AS whimbrel_old"},
		{"empty", "TRUNCATE", ""},
	} {
		sql.WriteString(triggerDDL(trigger(e.what, t), "AFTER "+e.event, target, e.tables+" FOR EACH STATEMENT", note(t)))
	}
	return sql.String()
}

func triggerDDL(name, when, table, how, function string) string {
	return fmt.Sprintf(`DROP TRIGGER IF EXISTS %[1]s ON %[3]s; CREATE TRIGGER %[1]s %[2]s ON %[3]s %[4]s EXECUTE FUNCTION %[5]s();
		ALTER TABLE %[3]s ENABLE ALWAYS TRIGGER %[1]s;`, name, when, table, how, function)
}

// installRows notes single rows: of a partitioned table also those that are written to a partition by name, of any table
// those that a subscription applies. TRUNCATE of a partition fires no trigger of the root, so each has its own.
func (s *session) installRows(ctx context.Context, t *schema.Table, target string) error {
	members, err := s.partitions(ctx, target)
	if err != nil {
		return err
	}
	sql := triggerDDL(trigger("row", t), "AFTER INSERT OR UPDATE OR DELETE", target, "FOR EACH ROW", note(t))
	for _, m := range members {
		if m != target {
			sql += "ALTER TABLE " + m + " ENABLE ALWAYS TRIGGER " + trigger("row", t) + ";"
			sql += triggerDDL(trigger("empty", t), "AFTER TRUNCATE", m, "FOR EACH STATEMENT", note(t))
		}
	}
	return s.exec(ctx, sql+triggerDDL(trigger("empty", t), "AFTER TRUNCATE", target, "FOR EACH STATEMENT", note(t)))
}

// partitions returns the quoted names of a table and of everything below it in its partition tree.
func (s *session) partitions(ctx context.Context, target string) ([]string, error) {
	const query = `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_partition_tree($1::regclass) AS p
		JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.relid <> $1::regclass ORDER BY p.level, 1`
	r, err := s.query(ctx, query, target)
	if err != nil {
		return nil, err
	}
	names := []string{target}
	for _, line := range r.Rows {
		names = append(names, string(line[0]))
	}
	return names, nil
}

// rowLevel reports whether a trigger for each statement would miss or mix up rows: partitions and heirs can be written by
// name, a subscription's worker fires no statement trigger, and UNION takes keys that are equal but not the same for one.
func (s *session) rowLevel(ctx context.Context, target string, sh schema.Shape) (bool, error) {
	const query = `SELECT c.relkind = 'p' OR EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent))
		OR EXISTS (SELECT FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database())
		FROM pg_class c WHERE c.oid = $1::regclass`
	r, err := s.query(ctx, query, target)
	if err != nil || string(r.Rows[0][0]) == "t" {
		return true, err
	}
	exact, err := s.exact(ctx, target, sh)
	return !exact, err
}

// pause is how long a wait for others looks away.
const pause = 50 * time.Millisecond

// Settle waits until nobody holds a lock that lets it write. A transaction that is older but has not touched the tables is
// not waited for: PostgreSQL reads a table's triggers when it is locked, so its writes are noted.
func (c capturer) Settle(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	l, err := c.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	if err := l.settle(ctx, c.db.names(tables), w); err != nil {
		return fmt.Errorf("wait for transactions that could still write: %w", err)
	}
	return nil
}

// names are the quoted names of tables.
func (db *database) names(tables []*schema.Table) []string {
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = db.dialect().table(t.Name)
	}
	return names
}

// settle waits until everybody who held such a lock when it was called has let go of it at one time or another.
func (s *session) settle(ctx context.Context, names []string, w driver.Wait) error {
	if len(names) == 0 {
		return nil
	}
	end := time.Now().Add(w.Settled)
	left, err := s.holders(ctx, names)
	for err == nil && len(left) > 0 {
		if time.Now().After(end) {
			return &failure{class: driver.Transient, err: fmt.Errorf("still open: %s", strings.Join(left, "; "))}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		var now []string
		now, err = s.holders(ctx, names)
		left = slices.DeleteFunc(left, func(h string) bool { return !slices.Contains(now, h) })
	}
	return err
}

func (s *session) holders(ctx context.Context, names []string) ([]string, error) {
	r, err := s.query(ctx, holdersQuery, nameArray(names))
	if err != nil {
		return nil, err
	}
	all := make([]string, len(r.Rows))
	for i, line := range r.Rows {
		all[i] = string(line[0])
	}
	return all, nil
}

// Remove takes triggers, function and record away.
func (c capturer) Remove(ctx context.Context, t *schema.Table, w driver.Wait) error {
	l, err := c.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	others, err := c.db.foreign(ctx, l.session)
	if err == nil && !others {
		err = c.remove(ctx, l.session, t, w)
	}
	if err != nil {
		return fmt.Errorf("remove capture from %s: %w", t.Name, err)
	}
	return nil
}

func (c capturer) remove(ctx context.Context, s *session, t *schema.Table, w driver.Wait) error {
	names, err := s.withTriggers(ctx, note(t))
	if err != nil {
		return err
	}
	sql := "BEGIN; " + lockTimeout(w.Lock)
	for _, n := range names {
		sql += "DROP TRIGGER IF EXISTS " + n + ";"
	}
	if err := s.exec(ctx, sql+"DROP FUNCTION IF EXISTS "+note(t)+"(); DROP TABLE IF EXISTS "+record(t)); err != nil {
		return err
	}
	const lanes = `DO 'BEGIN IF to_regclass(''whimbrel_source.lane'') IS NOT NULL THEN
		DELETE FROM whimbrel_source.lane WHERE table_no = %d; END IF; END'`
	if err := s.exec(ctx, fmt.Sprintf(lanes, t.Number)); err != nil {
		return err
	}
	return s.commit(ctx)
}

// withTriggers returns "trigger ON table" for every trigger that calls a function of ours and is not a partition's copy.
func (s *session) withTriggers(ctx context.Context, function string) ([]string, error) {
	const query = `SELECT quote_ident(t.tgname) || ' ON ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE t.tgfoid = to_regproc($1) AND NOT t.tgisinternal AND coalesce(to_jsonb(t) ->> 'tgparentid', '0') = '0'
		ORDER BY c.relkind DESC, 1`
	r, err := s.query(ctx, query, function)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(r.Rows))
	for i, line := range r.Rows {
		names[i] = string(line[0])
	}
	return names, nil
}

// Finish takes the rest away, whose the source is last. A gate that is shut stays, with the function that it needs.
func (c capturer) Finish(ctx context.Context) error {
	l, err := c.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	if others, err := c.db.foreign(ctx, l.session); err != nil || others {
		return err
	}
	r, err := l.query(ctx, `SELECT DISTINCT (regexp_match(p.proname, '^note_([0-9]+)$'))[1] FROM pg_proc p
		WHERE p.pronamespace = to_regnamespace('whimbrel_source') AND p.proname ~ '^note_[0-9]+$'`)
	if err != nil {
		return fmt.Errorf("remove what is left at the source: %w", err)
	}
	for _, line := range r.Rows {
		t := &schema.Table{Number: int(number(line[0])), Name: schema.Name{Name: "table " + string(line[0])}}
		if err := c.remove(ctx, l.session, t, driver.Wait{Lock: 2 * time.Second}); err != nil {
			l.rollback(ctx)
			return fmt.Errorf("remove what is left at the source: %w", err)
		}
	}
	if err := l.exec(ctx, "DROP TABLE IF EXISTS whimbrel_source.lane, whimbrel_source.owner"); err != nil && classify(err) != driver.Missing {
		return fmt.Errorf("remove what is left at the source: %w", err)
	}
	return l.dropSchema(ctx, sourceSchema)
}

// Gaps names what triggers can not see here, and what makes a table unfit for an uptime.
func (c capturer) Gaps(ctx context.Context, t *schema.Table, s schema.Shape) ([]driver.Notice, error) {
	gap := func(rule string, level driver.Level, message, do string) driver.Notice {
		return driver.Notice{Rule: rule, Level: level, Table: t.Name, Message: message, Do: do}
	}
	const downtime = "Move it in the downtime."
	var all []driver.Notice
	if len(s.Key) == 0 {
		all = append(all, gap("no-key", driver.NotLive, "The table has no primary key and no unique key without NULL.", downtime))
	}
	if t.Options.Unlogged {
		all = append(all, gap("unlogged", driver.NotLive, "The table is unlogged: a crash would empty it, and not its record.", downtime))
	}
	for _, k := range s.Key {
		if kind := s.Columns[k].Column.Type.Kind; kind == row.Float32 || kind == row.Float64 {
			all = append(all, gap("float-key", driver.NotLive, "A column of the key is a floating-point number.", downtime))
		}
	}
	if len(t.Options.Inherits)+len(t.Options.Children) > 0 {
		all = append(all, gap("inherits", driver.Note, "The table takes part in inheritance; its own rows are moved and noted one by one.", ""))
	}
	more, err := c.gapsInCatalog(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("look for gaps in the capture of %s: %w", t.Name, err)
	}
	for _, g := range more {
		all = append(all, gap(g[0], driver.Level(g[1]), g[2], g[3]))
	}
	return all, nil
}

const gapsQuery = `SELECT 'trigger-right', 'not-live', 'The role may not create triggers on the table.', 'Grant it TRIGGER, or move the table in the downtime.'
		WHERE NOT has_table_privilege($1::text, 'TRIGGER') OR NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = $1::text::regclass), 'USAGE')
	UNION ALL SELECT 'row-security', 'forbidden', 'Row security hides rows of the table from the role.', 'Give the role BYPASSRLS, or let it own the table.'
		WHERE row_security_active($1::text)
	UNION ALL SELECT 'foreign-partition', 'not-live', 'A partition is a foreign table, whose changes no trigger sees.', 'Move it in the downtime.'
		WHERE EXISTS (SELECT FROM pg_partition_tree($1::text::regclass) p JOIN pg_class c ON c.oid = p.relid WHERE c.relkind = 'f')`

func (c capturer) gapsInCatalog(ctx context.Context, t *schema.Table) ([][4]string, error) {
	l, err := c.db.keeper(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	r, err := l.query(ctx, gapsQuery, c.db.dialect().table(t.Name))
	if err != nil {
		return nil, err
	}
	var all [][4]string
	for _, line := range r.Rows {
		all = append(all, [4]string{string(line[0]), string(line[1]), string(line[2]), string(line[3])})
	}
	return all, nil
}
