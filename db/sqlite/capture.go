package sqlite

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

//go:embed sql/state.sql
var stateSQL string

// capturer makes the file note which keys change: a record table and triggers, all of them in the file, so that whoever
// writes carries them out. The record's key columns have no type, so that a key is noted byte for byte with its storage
// class; its own number is AUTOINCREMENT, so that a number is never used twice (HAZARDS 39).
type capturer struct{ d *database }

func recordName(t *schema.Table) string { return "whimbrel_source_record_" + itoa(t.Number) }

func triggerName(what string, t *schema.Table) string {
	return "whimbrel_" + what + "_" + itoa(t.Number)
}

// recordTriggers are the triggers of one table, by what they do.
var recordTriggers = []string{"insert", "update", "delete", "displace_insert", "displace_update"}

// Gaps names the blind spots of capture for a table.
func (c capturer) Gaps(ctx context.Context, t *schema.Table, sh schema.Shape) ([]driver.Notice, error) {
	var notices []driver.Notice
	add := func(rule string, level driver.Level, column, message, do string) {
		notices = append(notices, driver.Notice{Rule: rule, Level: level, Table: t.Name, Column: column, Message: message, Do: do})
	}
	if len(sh.Key) == 0 {
		add("no-key", driver.NotLive, "", "The table has no primary or unique key whose columns are all NOT NULL.",
			"Move it in the downtime, or declare such a key; a PRIMARY KEY here takes NULL unless it says NOT NULL.")
	}
	for _, k := range sh.Keys().Columns {
		switch {
		case k.Cell == row.Float32 || k.Cell == row.Float64:
			add("float-key", driver.NotLive, k.Column.Name, "The key is a float, which can not be compared exactly.", "Move the table in the downtime.")
		case !knownCollation(k.Column.Type.Collation):
			add("collation", driver.NotLive, k.Column.Name,
				"The key is compared by "+k.Column.Type.Collation+", a rule that only the application has.", "Move the table in the downtime.")
		}
	}
	for _, column := range t.Columns {
		if column.Type.Kind == row.Bytes {
			add("blob-write", driver.Lossy, column.Name,
				"A BLOB that an application changes in place (sqlite3_blob_write) fires no trigger.",
				"If the application does that, compare this table in full in the downtime.")
		}
	}
	mode := ""
	err := c.d.read(ctx, c.d.control, func(s *session) (err error) {
		mode, err = s.journal()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for gaps of %s: %w", t.Name, err)
	}
	if mode != "wal" {
		add("journal-mode", driver.NotLive, "", "The file is not in WAL mode, so that reading it would hold up the application.",
			"Run PRAGMA journal_mode = WAL once on the file.")
	}
	return notices, nil
}

func knownCollation(name string) bool {
	return name == "" || strings.EqualFold(name, "BINARY") || strings.EqualFold(name, "NOCASE") || strings.EqualFold(name, "RTRIM")
}

// Install makes record and triggers in one short transaction. It holds the write lock only while it writes the schema, and
// no write is in flight then: SQLite has one writer.
func (c capturer) Install(ctx context.Context, t *schema.Table, sh schema.Shape, w driver.Wait) error {
	err := c.d.change(ctx, orWait(w.Lock), func(s *session) error {
		if err := c.d.claim(s); err != nil {
			return err
		}
		if err := s.conn.Exec(stateSQL); err != nil {
			return err
		}
		for _, sql := range captureStatements(t, sh) {
			if err := s.conn.Exec(sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("install capture of %s: %w", t.Name, err)
	}
	return nil
}

// claim writes this run down as the source's, or fails where another run's is there.
func (d *database) claim(s *session) error {
	run, err := s.runOf("whimbrel_source_owner")
	switch {
	case err != nil || run == d.run && run != "":
		return err
	case run != "":
		return fmt.Errorf("the source is being moved by run %s; finish or reset that move first", run)
	}
	if err := s.conn.Exec("CREATE TABLE IF NOT EXISTS whimbrel_source_owner (run TEXT NOT NULL)"); err != nil {
		return err
	}
	_, err = s.exec("INSERT INTO whimbrel_source_owner (run) VALUES (?1)", text(d.run))
	return err
}

// others reports that the source is another run's.
func (d *database) others(s *session) (bool, error) {
	run, err := s.runOf("whimbrel_source_owner")
	return run != "" && run != d.run, err
}

// change is a write that alters the schema at the source: once capture is there it counts the steps that the schema version
// takes by us, so that the watcher sees the steps of others.
func (d *database) change(ctx context.Context, wait time.Duration, fn func(*session) error) error {
	return d.write(ctx, wait, func(s *session) error {
		before, err := s.schemaVersion()
		if err != nil {
			return err
		}
		if err := fn(s); err != nil {
			return err
		}
		counting, err := s.has("whimbrel_source_steps")
		if err != nil || !counting {
			return err
		}
		after, err := s.schemaVersion()
		if err != nil {
			return err
		}
		_, err = s.exec("UPDATE whimbrel_source_steps SET steps = steps + ?1", number(after-before))
		return err
	})
}

// has reports whether the file has an object of this name.
func (s *session) has(name string) (there bool, err error) {
	err = s.one("SELECT 1 FROM sqlite_schema WHERE name = ?1", func(*sqlite3.Stmt) { there = true }, text(name))
	return there, err
}

func (s *session) schemaVersion() (n int64, err error) {
	err = s.one("PRAGMA main.schema_version", func(st *sqlite3.Stmt) { n = st.ColumnInt64(0) })
	return n, err
}

func orWait(d time.Duration) time.Duration {
	if d <= 0 {
		return lockWait
	}
	return d
}

// captureStatements are the record and the triggers of a table, for tests and for people as well.
func captureStatements(t *schema.Table, sh schema.Shape) []string {
	keys := sh.Keys().Names()
	fields := make([]string, len(keys))
	for i := range keys {
		fields[i] = "k" + itoa(i+1)
	}
	all := []string{
		"CREATE TABLE IF NOT EXISTS " + recordName(t) + " (seq INTEGER PRIMARY KEY AUTOINCREMENT, " +
			"at REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400), op TEXT NOT NULL, " + strings.Join(fields, ", ") + ")",
	}
	trigger := func(what, when, body string) {
		all = append(all, "CREATE TRIGGER IF NOT EXISTS "+triggerName(what, t)+" "+when+" ON "+quote(t.Name.Name)+
			" FOR EACH ROW BEGIN\n"+body+"END")
	}
	insert := "  INSERT INTO " + recordName(t) + " (op, " + strings.Join(fields, ", ") + ") "
	trigger("insert", "AFTER INSERT", insert+"VALUES ('i', "+prefixed("NEW.", keys)+");\n")
	trigger("delete", "AFTER DELETE", insert+"VALUES ('d', "+prefixed("OLD.", keys)+");\n")
	trigger("update", "AFTER UPDATE", insert+"VALUES ('u', "+prefixed("NEW.", keys)+");\n"+
		insert+"SELECT 'k', "+prefixed("OLD.", keys)+" WHERE NOT ("+sameKey("OLD.", "NEW.", keys)+");\n")
	if body := displaced(t, keys, insert, ""); body != "" {
		trigger("displace_insert", "BEFORE INSERT", body)
		trigger("displace_update", "BEFORE UPDATE", displaced(t, keys, insert, " AND NOT ("+sameKey("t.", "OLD.", keys)+")"))
	}
	return all
}

func prefixed(prefix string, names []string) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = prefix + quote(n)
	}
	return strings.Join(all, ", ")
}

// sameKey is true where two keys are the same bytes of the same class: IS alone would take 1 and 1.0, and 'a' and 'A' under
// NOCASE, for the same (HAZARDS 26).
func sameKey(a, b string, names []string) string {
	var all []string
	for _, n := range names {
		all = append(all, a+quote(n)+" IS "+b+quote(n)+" COLLATE BINARY", "typeof("+a+quote(n)+") = typeof("+b+quote(n)+")")
	}
	return strings.Join(all, " AND ")
}

// displaced notes, for each unique key, the row that holds the values about to be written: REPLACE, in a statement or in the
// table's own ON CONFLICT clause, deletes it without a delete trigger unless the application's connection says
// recursive_triggers (HAZARDS 14). Where nothing is replaced, a key too many is noted, which does no harm.
func displaced(t *schema.Table, keys []string, insert, but string) string {
	var b strings.Builder
	uniques := t.Uniques
	if t.Primary != nil && soleInteger(t) == nil {
		uniques = append([]*schema.Key{t.Primary}, uniques...)
	} else if t.Primary != nil && t.LiveKey() != t.Primary {
		uniques = append([]*schema.Key{t.Primary}, uniques...)
	}
	var news []string
	for _, c := range t.Columns {
		news = append(news, "NEW."+quote(c.Name)+" AS "+quote(c.Name))
	}
	for _, k := range uniques {
		from, match := quote(t.Name.Name)+" AS t", make([]string, 0, len(k.Columns))
		var made []string
		for i, p := range k.Columns {
			collation := " COLLATE " + quote(partCollation(t, p))
			if p.Expression == "" {
				match = append(match, "t."+quote(p.Column)+" = NEW."+quote(p.Column)+collation)
				continue
			}
			name := "whimbrel_v" + itoa(i)
			made = append(made, "("+p.Expression+") AS "+name)
			match = append(match, "("+p.Expression+") = n."+name+collation)
		}
		if len(made) > 0 {
			from += ", (SELECT " + strings.Join(made, ", ") + " FROM (SELECT " + strings.Join(news, ", ") + ")) AS n"
		}
		if k.Where != "" {
			match = append(match, "("+k.Where+")")
		}
		b.WriteString(insert + "SELECT 'r', " + prefixed("t.", keys) + " FROM " + from + " WHERE " + strings.Join(match, " AND ") + but + ";\n")
	}
	return b.String()
}

// partCollation is the collation by which a key's part is compared.
func partCollation(t *schema.Table, p schema.Part) string {
	if p.Collation != "" {
		return p.Collation
	}
	if c := t.Column(p.Column); c != nil && c.Type.Collation != "" {
		return c.Type.Collation
	}
	return "BINARY"
}

// Settle returns when no write that began before is in flight: the write lock was free for a moment. A read transaction that
// was open before can not turn into a write once the schema has changed under it (SQLITE_BUSY_SNAPSHOT).
func (c capturer) Settle(ctx context.Context, _ []*schema.Table, w driver.Wait) error {
	if err := c.d.lockOnce(ctx, w.Settled, func(*session) error { return nil }); err != nil {
		return fmt.Errorf("wait for older writes: %w", err)
	}
	return nil
}

// lockOnce holds the write lock for the moment that fn takes and writes nothing. Who else has the file open is named when the
// lock is not had.
func (d *database) lockOnce(ctx context.Context, wait time.Duration, fn func(*session) error) error {
	if err := d.turn(ctx); err != nil {
		return err
	}
	defer d.done()
	s, err := d.take(ctx, d.control)
	if err != nil {
		return err
	}
	defer d.give(s)
	if err := d.begin(ctx, s, orWait(wait)); err != nil {
		return d.withOpeners(err)
	}
	err = fn(s)
	_ = s.end()
	return err
}

// Remove takes triggers and record of a table away.
func (c capturer) Remove(ctx context.Context, t *schema.Table, w driver.Wait) error {
	err := c.d.change(ctx, orWait(w.Lock), func(s *session) error {
		if others, err := c.d.others(s); err != nil || others {
			return err
		}
		for _, what := range recordTriggers {
			if _, err := s.exec("DROP TRIGGER IF EXISTS " + triggerName(what, t)); err != nil {
				return err
			}
		}
		if _, err := s.exec("DROP TABLE IF EXISTS " + recordName(t)); err != nil {
			return err
		}
		there, err := s.has("whimbrel_source_lane")
		if err == nil && there {
			_, err = s.exec("DELETE FROM whimbrel_source_lane WHERE table_no = ?1", number(int64(t.Number)))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("remove capture of %s: %w", t.Name, err)
	}
	return nil
}

// Finish takes away what is left of ours at the source, the gate included.
func (c capturer) Finish(ctx context.Context) error {
	err := c.d.write(ctx, lockWait, func(s *session) error {
		if others, err := c.d.others(s); err != nil || others {
			return err
		}
		var drops []string
		err := s.each("SELECT type, name FROM sqlite_schema WHERE type IN ('trigger', 'table')", func(st *sqlite3.Stmt) error {
			what, name := st.ColumnText(0), st.ColumnText(1)
			if what == "trigger" && ourTriggers.MatchString(name) && !strings.HasPrefix(name, "whimbrel_guard_") ||
				what == "table" && ourTables.MatchString(name) && strings.HasPrefix(name, "whimbrel_source_") {
				drops = append(drops, "DROP "+what+" IF EXISTS "+quote(name))
			}
			return nil
		})
		for _, sql := range drops {
			if err == nil {
				_, err = s.exec(sql)
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("remove what is left at the source: %w", err)
	}
	return nil
}
