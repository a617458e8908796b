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

const sourceBook = `CREATE TABLE IF NOT EXISTS whimbrel_source.lane (
		table_no integer NOT NULL, lane integer NOT NULL, number bigint NOT NULL, promiser bigint NOT NULL DEFAULT 0, PRIMARY KEY (table_no, lane))`

const ownerTable = `CREATE TABLE IF NOT EXISTS whimbrel_source.owner (sole boolean PRIMARY KEY DEFAULT true CHECK (sole), run text NOT NULL)`

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
	if err := s.exec(ctx, ourSchema(sourceSchema)+ownerTable); err != nil {
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
	if err := s.exec(ctx, ourSchema(sourceSchema)+sourceBook); err != nil {
		return err
	}
	target := c.db.dialect().table(t.Name)
	if r, err := s.query(ctx, "SELECT FROM pg_trigger WHERE tgrelid = $1::regclass AND tgname = $2 AND tgenabled = 'A'",
		target, trigger("empty", t)); err != nil || len(r.Rows) > 0 {
		return err
	}
	why, err := s.rowLevel(ctx, target)
	if err != nil {
		return err
	}
	exact, err := s.exact(ctx, target, sh)
	if err != nil {
		return err
	}
	members, kinds := []string{target}, statements
	if why != "" {
		kinds = singles
		if members, err = s.partitions(ctx, target); err != nil {
			return err
		}
	}
	kinds = append(slices.Clone(kinds), moves(sh, exact), empties)
	return s.exec(ctx, recorderDDL(t, target, sh, kinds)+triggersDDL(t, members, kinds))
}

// recorderDDL makes the record and the functions that write it. A function's body is a quoted literal: a column named $$ would
// end any other kind of quoting. The functions run with their owner's rights. They have no search path of their own, which would
// cost a third of a noted row: each name in them says its schema, and no operator is used, so that the application's path decides
// nothing.
func recorderDDL(t *schema.Table, target string, sh schema.Shape, kinds []noting) string {
	columns, shown := make([]string, len(sh.Key)), make([]string, len(sh.Key))
	for i, k := range keyColumns(sh, "") {
		columns[i] = "k" + itoa(i+1)
		shown[i] = k + " AS " + columns[i]
	}
	sql := fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %[1]s
			WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0)
			AS SELECT clock_timestamp() AS noted, %[2]s FROM %[3]s WITH NO DATA;`, record(t), strings.Join(shown, ", "), target)
	entries := map[what]string{
		newRows: "SELECT pg_catalog.clock_timestamp(), " + strings.Join(keyColumns(sh, "n."), ", ") + " FROM whimbrel_new AS n",
		oldRows: "SELECT pg_catalog.clock_timestamp(), " + strings.Join(keyColumns(sh, "o."), ", ") + " FROM whimbrel_old AS o",
		newRow:  "VALUES (pg_catalog.clock_timestamp(), " + strings.Join(keyColumns(sh, "NEW."), ", ") + ")",
		oldRow:  "VALUES (pg_catalog.clock_timestamp(), " + strings.Join(keyColumns(sh, "OLD."), ", ") + ")",
	}
	made := map[what]bool{}
	for _, n := range kinds {
		if made[n.what] {
			continue
		}
		made[n.what] = true
		into, from := "noted, "+strings.Join(columns, ", "), entries[n.what]
		if n.what == everyRow {
			into, from = "noted", "VALUES (pg_catalog.clock_timestamp())"
		}
		body := strings.NewReplacer("{record}", record(t), "{columns}", into, "{entries}", from).Replace(statementOf(noteBody))
		sql += fmt.Sprintf(`CREATE OR REPLACE FUNCTION %[1]s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
			AS %[2]s; REVOKE ALL ON FUNCTION %[1]s() FROM PUBLIC;`, note(t, n.what), literal(body))
	}
	return sql
}

// statementOf is a file's text without the comments before its statement: a name with a line end in it, filled in there, would end
// the comment, and what follows in the name would be said with our rights.
func statementOf(text string) string { return text[strings.Index(text, "\nBEGIN\n")+1:] }

// what a function of a recorder notes.
type what string

const (
	newRows  what = "new_rows"
	oldRows  what = "old_rows"
	newRow   what = "new_row"
	oldRow   what = "old_row"
	everyRow what = "every_row"
)

func note(t *schema.Table, w what) string {
	return fmt.Sprintf("whimbrel_source.note_%d_%s", t.Number, w)
}

// notes are the functions of a table's recorder.
func notes(t *schema.Table) []string {
	return []string{note(t, newRows), note(t, oldRows), note(t, newRow), note(t, oldRow), note(t, everyRow)}
}

// noting is a trigger that calls a function of a table's recorder.
type noting struct {
	name, when, how string
	what            what
}

func (n noting) ddl(t *schema.Table, table string) string {
	return triggerDDL(trigger(n.name, t), n.when, table, n.how, note(t, n.what))
}

// moves notes the key that a row had before an UPDATE changed it. Its condition is asked in the server's own code, so that a
// row which keeps its key costs next to nothing. Where equal keys need not be equal bytes the bytes are compared.
func moves(sh schema.Shape, exact bool) noting {
	was, is := strings.Join(keyColumns(sh, "OLD."), ", "), strings.Join(keyColumns(sh, "NEW."), ", ")
	changed := "ROW(" + was + ") IS DISTINCT FROM ROW(" + is + ")"
	if !exact {
		changed = "ROW(" + was + ")::record OPERATOR(pg_catalog.*<>) ROW(" + is + ")::record"
	}
	return noting{"key", "AFTER UPDATE", "FOR EACH ROW WHEN (" + changed + ")", oldRow}
}

// empties notes that the table was emptied. It is made last: where it is, all are.
var empties = noting{"empty", "AFTER TRUNCATE", "FOR EACH STATEMENT", everyRow}

// statements note whole statements: each costs the application one call, however many rows it changes.
var statements = []noting{
	{"insert", "AFTER INSERT", "REFERENCING NEW TABLE AS whimbrel_new FOR EACH STATEMENT", newRows},
	{"update", "AFTER UPDATE", "REFERENCING NEW TABLE AS whimbrel_new FOR EACH STATEMENT", newRows},
	{"delete", "AFTER DELETE", "REFERENCING OLD TABLE AS whimbrel_old FOR EACH STATEMENT", oldRows},
}

// singles note row by row: of a partitioned table also rows that are written to a partition by name, of any table those that
// a subscription applies.
var singles = []noting{
	{"row", "AFTER INSERT OR UPDATE", "FOR EACH ROW", newRow},
	{"delete", "AFTER DELETE", "FOR EACH ROW", oldRow},
}

// triggerDDL makes a trigger anew that fires whatever the session's role in replication is.
func triggerDDL(name, when, table, how, function string) string {
	return fmt.Sprintf(`DROP TRIGGER IF EXISTS %[1]s ON %[3]s; CREATE TRIGGER %[1]s %[2]s ON %[3]s %[4]s EXECUTE FUNCTION %[5]s();
		ALTER TABLE %[3]s ENABLE ALWAYS TRIGGER %[1]s;`, name, when, table, how, function)
}

// triggersDDL makes the triggers of a table and, where it has partitions, what these need beside their copies of the root's:
// a copy is not always on, and TRUNCATE of a partition fires no trigger of the root, so that each has its own.
func triggersDDL(t *schema.Table, members []string, kinds []noting) string {
	sql, target := "", members[0]
	for _, n := range kinds {
		for _, m := range members[1:] {
			if n.what == everyRow {
				sql += n.ddl(t, m)
			}
		}
		sql += n.ddl(t, target)
		for _, m := range members[1:] {
			if n.what != everyRow {
				sql += "ALTER TABLE " + m + " ENABLE ALWAYS TRIGGER " + trigger(n.name, t) + ";"
			}
		}
	}
	return sql
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

// rowLevel says, in a clause, why a trigger for each statement would miss rows of a table; empty where it would not.
// Partitions and heirs can be written by name, and a subscription's worker fires no statement trigger (HAZARDS 8, 11).
func (s *session) rowLevel(ctx context.Context, target string) (string, error) {
	const query = `SELECT CASE WHEN c.relkind = 'p' THEN 'it has partitions'
		WHEN EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent)) THEN 'it takes part in inheritance'
		WHEN EXISTS (SELECT FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database())
			THEN 'the database subscribes to changes of another' ELSE '' END
		FROM pg_class c WHERE c.oid = $1::regclass`
	r, err := s.query(ctx, query, target)
	if err != nil {
		return "", err
	}
	return string(r.Rows[0][0]), nil
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

// holders names whoever holds a lock on these tables with which it may write, but the server's own; anybody whoever holds any.
func (s *session) holders(ctx context.Context, names []string) ([]string, error) {
	return s.locks(ctx, names, "false")
}

func (s *session) anybody(ctx context.Context, names []string) ([]string, error) {
	return s.locks(ctx, names, "true")
}

func (s *session) locks(ctx context.Context, names []string, every string) ([]string, error) {
	r, err := s.query(ctx, holdersQuery, nameArray(names), every)
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

// remove needs no language of the server's: one that can not be loaded any more is a reason to be here (blocked).
func (c capturer) remove(ctx context.Context, s *session, t *schema.Table, w driver.Wait) error {
	names, err := s.withTriggers(ctx, notes(t)...)
	if err != nil {
		return err
	}
	r, err := s.query(ctx, "SELECT to_regclass('whimbrel_source.lane') IS NOT NULL")
	if err != nil {
		return err
	}
	sql := "BEGIN; " + lockTimeout(w.Lock)
	for _, n := range names {
		sql += "DROP TRIGGER IF EXISTS " + n + ";"
	}
	sql += "DROP FUNCTION IF EXISTS " + strings.Join(notes(t), "(), ") + "(); DROP TABLE IF EXISTS " + record(t)
	if yes(r.Rows[0][0]) {
		sql += "; DELETE FROM whimbrel_source.lane WHERE table_no = " + itoa(t.Number)
	}
	if err := s.exec(ctx, sql); err != nil {
		return err
	}
	return s.commit(ctx)
}

// withTriggers returns "trigger ON table" for every trigger that calls one of these functions of ours and is not a
// partition's copy.
func (s *session) withTriggers(ctx context.Context, functions ...string) ([]string, error) {
	const query = `SELECT quote_ident(t.tgname) || ' ON ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE t.tgfoid IN (SELECT to_regproc(f) FROM unnest($1::text[]) AS f) AND NOT t.tgisinternal AND coalesce(to_jsonb(t) ->> 'tgparentid', '0') = '0'
		ORDER BY c.relkind DESC, 1`
	r, err := s.query(ctx, query, nameArray(functions))
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
	r, err := l.query(ctx, `SELECT DISTINCT (regexp_match(p.proname, '^note_([0-9]+)_'))[1] FROM pg_proc p
		WHERE p.pronamespace = to_regnamespace('whimbrel_source') AND p.proname ~ '^note_[0-9]+_'`)
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
		all = append(all, gap("inherits", driver.Note, "The table takes part in inheritance; its own rows are moved.", ""))
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
	why, err := l.rowLevel(ctx, c.db.dialect().table(t.Name))
	if err == nil && why != "" {
		all = append(all, [4]string{
			"row-triggers", string(driver.Note), "Changes of the table are noted row by row, not statement by statement, because " + why + ".",
			"Expect statements that change many rows to cost the source about twice their own work while it moves.",
		})
	}
	return all, err
}
