package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// events are what a row trigger can stand on.
var events = []string{"INSERT", "UPDATE", "DELETE"}

// trigger is one of our triggers.
type trigger struct{ name, when, event, body string }

func (d *database) record(t *schema.Table) string { return d.own("record_" + strconv.Itoa(t.Number)) }

func keyName(i int) string { return "k" + strconv.Itoa(i+1) }

// recorders are the triggers that note the keys of changed rows: the new key, and the old one too where it is not byte
// for byte the same (HAZARDS 26). They run after the row is changed, with what the application's triggers made of it.
func (d *database) recorders(t *schema.Table, key []keyColumn) []trigger {
	columns := make([]string, len(key))
	for i := range key {
		columns[i] = keyName(i)
	}
	note := func(row string) string {
		values := make([]string, len(key))
		for i, k := range key {
			values[i] = row + "." + quote(k.name)
		}
		return "INSERT INTO " + d.record(t) + " (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"
	}
	var same []string
	for _, k := range key {
		q := quote(k.name)
		if exact(k.typ) {
			same = append(same, "OLD."+q+" <=> NEW."+q)
		} else {
			same = append(same, "CAST(OLD."+q+" AS BINARY) <=> CAST(NEW."+q+" AS BINARY)")
		}
	}
	update := "BEGIN IF NOT (" + strings.Join(same, " AND ") + ") THEN " + note("OLD") + "; END IF; " + note("NEW") + "; END"
	n := strconv.Itoa(t.Number)
	return []trigger{
		{"whimbrel_insert_" + n, "AFTER", "INSERT", note("NEW")},
		{"whimbrel_update_" + n, "AFTER", "UPDATE", update},
		{"whimbrel_delete_" + n, "AFTER", "DELETE", note("OLD")},
	}
}

// Gaps names what the triggers of one table can not see.
func (d *database) Gaps(ctx context.Context, t *schema.Table, s schema.Shape) ([]driver.Notice, error) {
	var all []driver.Notice
	add := func(rule string, level driver.Level, message, do string) {
		all = append(all, driver.Notice{Rule: rule, Level: level, Table: t.Name, Message: message, Do: do})
	}
	const downtime = "Leave it a downtime table."
	if len(s.Key) == 0 || t.LiveKey() == nil {
		add("no-key", driver.NotLive, "The table has no primary key and no unique key whose columns are all NOT NULL.", "Give it one, or leave it a downtime table.")
	}
	if e := t.Options.Engine; e != "" && !strings.EqualFold(e, "InnoDB") {
		add("engine", driver.NotLive, "The engine "+e+" keeps rows of transactions that were rolled back.", "Convert it to InnoDB, or leave it a downtime table.")
	}
	above, err := d.cascadeGap(ctx, t, keyColumns(s))
	if err != nil {
		return nil, err
	}
	all = append(all, above...)
	for _, c := range keyColumns(s) {
		if c.typ.Kind == row.Float32 || c.typ.Kind == row.Float64 {
			add("float-key", driver.NotLive, "The key column "+c.name+" is a floating-point number, which can not be found again by its value.", downtime)
		}
	}
	if t.Options.Versioned {
		add("versioned", driver.Note, "The table is system-versioned: its current rows are captured, its history is not.", "Take the history over by hand if it is needed.")
	}
	if t.Options.Partitioned {
		add("partition", driver.Note, "TRUNCATE, DROP and EXCHANGE PARTITION fire no trigger; the table's fingerprint shows them.", "Do not change partitions during the move.")
	}
	add("truncate", driver.Note, "TRUNCATE fires no trigger; the table's fingerprint shows it, and the table is then compared in full.", "Do not truncate it during the move.")
	return all, nil
}

// claim writes this run down as the source's, or fails where another run's is there. What is there already is not made
// again, because even that would wait for the binary log to be on disk.
func (d *database) claim(ctx context.Context, s *session) error {
	owner := d.own("owner")
	if run, err := s.runOf(ctx, owner); err != nil || run == d.options.Run {
		return err
	}
	statements := []string{
		"CREATE TABLE IF NOT EXISTS " + owner + " (one TINYINT NOT NULL PRIMARY KEY, run VARCHAR(40) NOT NULL) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin",
		"INSERT IGNORE INTO " + owner + " VALUES (1, " + hexText(d.options.Run) + ")",
	}
	if d.version.maria() {
		statements = slices.Insert(statements, 1, "CREATE TABLE IF NOT EXISTS "+d.own("flush")+" (same INT NOT NULL) ENGINE=InnoDB", "INSERT INTO "+d.own("flush")+" VALUES (1), (1)")
	}
	for _, sql := range statements {
		if err := s.run(ctx, sql); err != nil {
			return err
		}
	}
	run, err := s.runOf(ctx, owner)
	if err == nil && run != d.options.Run {
		err = fmt.Errorf("the source is being moved by run %s; finish or reset that move first", run)
	}
	return err
}

// others reports that the source is another run's.
func (d *database) others(ctx context.Context, s *session) (bool, error) {
	run, err := s.runOf(ctx, d.own("owner"))
	return run != "" && run != d.options.Run, err
}

// Install makes the record first, then the triggers, and last the helpers on the tables above.
func (d *database) Install(ctx context.Context, t *schema.Table, s schema.Shape, w driver.Wait) error {
	key := keyColumns(s)
	if len(key) == 0 {
		return fmt.Errorf("capture %s: the table has no key", t.Name)
	}
	columns := []string{"seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY", "at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP"}
	for i, k := range key {
		c := schema.Column{Name: keyName(i), Type: k.typ}
		if k.typ.Kind == row.JSON {
			c.Type.Kind = row.Text
		}
		columns = append(columns, d.dialect.column(t, &c, false))
	}
	if cascaded(t) {
		columns = append(columns, "walk BIGINT UNSIGNED")
	}
	err := d.control.with(ctx, func(ses *session) error {
		if err := d.claim(ctx, ses); err != nil {
			return err
		}
		if err := d.book(ctx, ses); err != nil {
			return err
		}
		sql := "CREATE TABLE IF NOT EXISTS " + d.record(t) + " (" + strings.Join(columns, ", ") + ") ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4"
		if err := ses.run(ctx, sql); err != nil {
			return err
		}
		if err := d.raise(ctx, ses, t, d.recorders(t, key), w); err != nil {
			return err
		}
		if err := d.help(ctx, ses, t, key, w); err != nil {
			return err
		}
		return d.reviewInstalled(ctx, ses)
	})
	if err != nil {
		return fmt.Errorf("capture %s: %w", t.Name, err)
	}
	return nil
}

// book makes the tables that all records share, where one is missing. The rows of mark are put in at last.
func (d *database) book(ctx context.Context, s *session) error {
	there, err := s.rows(ctx, "SELECT (SELECT COUNT(*) FROM "+d.own("mark")+" WHERE slot = 15), (SELECT COUNT(*) FROM "+d.own("lane")+" WHERE table_no = 0)")
	if err == nil && there[0][0] == "1" || err != nil && classes[number(err)] != driver.Missing {
		return err
	}
	for _, sql := range []string{
		"CREATE TABLE IF NOT EXISTS " + d.own("lane") + " (table_no INT NOT NULL, lane INT NOT NULL, number BIGINT NOT NULL, promiser BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (table_no, lane)) ENGINE=InnoDB",
		"CREATE TABLE IF NOT EXISTS " + d.own("mark") + " (slot INT NOT NULL PRIMARY KEY, number BIGINT NOT NULL) ENGINE=InnoDB",
		"INSERT IGNORE INTO " + d.own("mark") + " VALUES (0,0),(1,0),(2,0),(3,0),(4,0),(5,0),(6,0),(7,0),(8,0),(9,0),(10,0),(11,0),(12,0),(13,0),(14,0),(15,0)",
	} {
		if err := s.run(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// raise makes triggers that are not there, and makes anew those that are other than they should be. It waits w.Lock for
// the table, then gives up, because behind a waiting CREATE TRIGGER everybody waits (HAZARDS 74).
func (d *database) raise(ctx context.Context, s *session, t *schema.Table, triggers []trigger, w driver.Wait) error {
	there, err := d.triggers(ctx, s, t)
	if err != nil {
		return err
	}
	if err := patience(ctx, s, w); err != nil {
		return err
	}
	for _, want := range triggers {
		i := slices.IndexFunc(there, func(h standing) bool { return h.name == want.name })
		if i >= 0 && there[i].body == inert && want.body != inert {
			return nameless(want.name, t)
		}
		if i >= 0 && there[i].body == want.body {
			continue
		}
		create := "CREATE TRIGGER "
		if i >= 0 && d.version.maria() {
			create = "CREATE OR REPLACE TRIGGER " // nobody writes between the two
		} else if i >= 0 {
			if err := s.run(ctx, d.dropping(t.Name.Schema, want.name)); err != nil {
				return err
			}
		}
		if err := d.create(ctx, s, create+d.definition(t, want)); classes[number(err)] == driver.Exists && err != nil {
			// An earlier attempt, whose session was lost, has come through meanwhile: what it made is looked at by the next call.
			if err := d.orphaned(ctx, s, t.Name.Schema, want.name); err != nil {
				return err
			}
			return &waitError{fmt.Sprintf("trigger %s was just made by an earlier attempt", want.name)}
		} else if err != nil {
			return err
		}
	}
	return nil
}

// orphaned takes a trigger's name away that belongs to no trigger: MariaDB writes the name before the trigger, each into a file, and a loss of
// power in between leaves a name that can not be used again. DROP TRIGGER clears it (warning 4181).
func (d *database) orphaned(ctx context.Context, s *session, home, name string) error {
	there, err := d.byName(ctx, s, home, name)
	if err != nil || len(there) > 0 {
		return err
	}
	return s.run(ctx, d.dropping(home, name))
}

// patience sets how long DDL of this session waits for a table's lock; the server counts whole seconds.
func patience(ctx context.Context, s *session, w driver.Wait) error {
	return s.run(ctx, "SET lock_wait_timeout="+strconv.Itoa(waiting(w)))
}

func waiting(w driver.Wait) (seconds int) {
	if w.Lock <= 0 {
		return 2
	}
	return int(math.Ceil(w.Lock.Seconds()))
}

// lower takes triggers away from a table, also where it is renamed while it is waited for.
func (d *database) lower(ctx context.Context, s *session, t *schema.Table, names []string, w driver.Wait) error {
	named := func(all []standing) []standing {
		return slices.DeleteFunc(slices.Clone(all), func(h standing) bool { return !slices.Contains(names, h.name) })
	}
	there, err := d.onTable(ctx, s, t)
	if err != nil || len(named(there)) == 0 {
		return err
	}
	if err := patience(ctx, s, w); err != nil {
		return err
	}
	for range 3 {
		if err := d.renew(ctx, s, t, waiting(w)); err != nil && classes[number(err)] != driver.Missing {
			return err
		}
		there, err := d.onTable(ctx, s, t)
		if err != nil {
			return err
		}
		if going := named(there); len(going) > 0 {
			return d.takeOff(ctx, s, t, there, going)
		}
		elsewhere, err := d.byName(ctx, s, t.Name.Schema, names...)
		if err != nil || len(elsewhere) == 0 {
			return err
		}
		t = &schema.Table{Name: elsewhere[0].on}
	}
	return &waitError{fmt.Sprintf("%s is renamed again and again, and its triggers can not be dropped", t.Name)}
}

// standing is a trigger that is there.
type standing struct {
	trigger
	created, definer, mode string
	on                     schema.Name
}

func (g standing) ours() bool { return strings.HasPrefix(g.name, "whimbrel_") }

// triggers returns our triggers on a table, by name.
func (d *database) triggers(ctx context.Context, s *session, t *schema.Table) ([]standing, error) {
	all, err := d.onTable(ctx, s, t)
	return slices.DeleteFunc(all, func(h standing) bool { return !h.ours() }), err
}

// onTable returns the triggers on a table, by name.
func (d *database) onTable(ctx context.Context, s *session, t *schema.Table) ([]standing, error) {
	return d.standing(ctx, s, "event_object_schema = ? AND event_object_table = ?", orElse(t.Name.Schema, d.schema), t.Name.Name)
}

// byName returns the triggers of a database that have one of the names, on whatever table. It takes a while where tables are many.
func (d *database) byName(ctx context.Context, s *session, home string, names ...string) ([]standing, error) {
	args := []sqldriver.Value{orElse(home, d.schema)}
	for _, n := range names {
		args = append(args, n)
	}
	return d.standing(ctx, s, "trigger_schema = ? AND trigger_name IN (?"+strings.Repeat(", ?", len(names)-1)+")", args...)
}

// standing returns triggers, by table and name.
func (d *database) standing(ctx context.Context, s *session, which string, args ...sqldriver.Value) ([]standing, error) {
	all, err := s.rows(ctx, `SELECT trigger_name, action_timing, event_manipulation, action_statement, created, definer, sql_mode, event_object_schema, event_object_table
		FROM information_schema.triggers WHERE `+which+` ORDER BY event_object_schema, event_object_table, trigger_name`, args...)
	there := make([]standing, len(all))
	for i, l := range all {
		there[i] = standing{trigger{l[0], l[1], l[2], l[3]}, l[4], l[5], l[6], schema.Name{Schema: l[7], Name: l[8]}}
	}
	return there, err
}

func numberedNames(t *schema.Table, words ...string) []string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = "whimbrel_" + w + "_" + strconv.Itoa(t.Number)
	}
	return all
}

// Remove takes a table's triggers and record away.
func (d *database) Remove(ctx context.Context, t *schema.Table, w driver.Wait) error {
	err := d.control.with(ctx, func(s *session) error {
		if others, err := d.others(ctx, s); err != nil || others {
			return err
		}
		if err := d.unpost(ctx, s, capturing, []int{t.Number}, nil, w); err != nil {
			return err
		}
		if err := d.lower(ctx, s, t, numberedNames(t, "insert", "update", "delete"), w); err != nil {
			return err
		}
		ours := d.record(t)
		if cascaded(t) {
			ours += ", " + d.walk(t)
		}
		if err := s.run(ctx, "DROP TABLE IF EXISTS "+ours); err != nil {
			return err
		}
		err := s.run(ctx, "DELETE FROM "+d.own("lane")+" WHERE table_no = ?", int64(t.Number))
		if number(err) == 1146 {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("remove the capture of %s: %w", t.Name, err)
	}
	return nil
}

// Finish takes away what is left of ours: triggers of ours in the database that no table's Remove or Reopen took, our tables
// of this side but the book of shadows, which goes with the last of them, and whose the source is last.
func (d *database) Finish(ctx context.Context) error {
	err := d.control.with(ctx, func(s *session) error {
		if others, err := d.others(ctx, s); err != nil || others {
			return err
		}
		if err := d.unpost(ctx, s, "whimbrel_", nil, nil, driver.Wait{Lock: 10 * time.Second}); err != nil {
			return err
		}
		left, err := d.standing(ctx, s, "trigger_schema = ? AND trigger_name REGEXP '^whimbrel_(insert|update|delete|shut_insert|shut_update|shut_delete)_[0-9]+$'", d.schema)
		if err != nil {
			return err
		}
		for _, h := range left {
			if err := d.lower(ctx, s, &schema.Table{Name: h.on}, []string{h.name}, driver.Wait{Lock: 10 * time.Second}); err != nil {
				return err
			}
		}
		tables, err := s.rows(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_name LIKE ? AND table_name REGEXP ? AND table_name <> ? ORDER BY table_name = ?",
			d.schema, `whimbrel\_`+string(d.options.Side)+`\_%`, ourTables, "whimbrel_"+string(d.options.Side)+"_shadow", "whimbrel_"+string(d.options.Side)+"_owner")
		if err != nil {
			return err
		}
		for _, line := range tables {
			if err := s.run(ctx, "DROP TABLE IF EXISTS "+quote(d.schema)+"."+quote(line[0])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("finish the capture: %w", err)
	}
	return nil
}

// Settle waits for the transactions that have written, or that nobody holds, and are open now. A transaction that has
// not written yet fires the triggers when it does.
func (d *database) Settle(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	err := d.control.with(ctx, func(s *session) error {
		_, err := d.awaitWriters(ctx, s, w)
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for older transactions: %w", err)
	}
	return nil
}

// awaitWriters waits for the transactions that are open when it begins and returns those that are open when it ends.
func (d *database) awaitWriters(ctx context.Context, s *session, w driver.Wait) (map[string]string, error) {
	now, err := d.writing(ctx, s)
	if err != nil {
		return nil, err
	}
	older := now
	limit := time.Now().Add(w.Settled)
	for {
		var left []string
		for id, who := range now {
			if _, ok := older[id]; ok {
				left = append(left, who)
			}
		}
		if len(left) == 0 {
			return now, nil
		}
		if time.Now().After(limit) {
			slices.Sort(left)
			return nil, &waitError{strings.Join(left, "; ") + ": end it, then go on"}
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(staleness):
		}
		if now, err = d.writing(ctx, s); err != nil {
			return nil, err
		}
	}
}
