package postgres

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// captured installs capture on a table.
func captured(t testing.TB, db *driver.Database, name string) (*schema.Table, schema.Shape) {
	t.Helper()
	table := tableOf(t, db, name)
	for range 2 {
		if err := db.Capturer.Install(t.Context(), table, shapeOf(table), patience); err != nil {
			t.Fatal(err)
		}
	}
	return table, shapeOf(table)
}

// taken forgets everything that is in the record and returns its keys, sorted, and whether the table was emptied.
func taken(t testing.TB, db *driver.Database, table *schema.Table, shape schema.Shape) (string, bool) {
	t.Helper()
	keys, images := row.NewBatch(len(shape.Key)), row.NewBatch(shape.Width())
	r, err := db.Recorder.Take(t.Context(), driver.Want{Table: table, Shape: shape, Lanes: 1, Most: 100000}, keys, images)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	emptied := r.Emptied()
	n, err := db.Recorder.Numbers(t.Context(), table, 0)
	if err == nil {
		err = r.Durable(t.Context(), n.Forgotten+1)
	}
	if err == nil {
		err = r.Forget(t.Context(), n.Forgotten+1)
	}
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(text(keys), ";")
	slices.Sort(all)
	return strings.Join(all, ";"), emptied
}

func TestEveryKindOfWriteIsNoted(t *testing.T) {
	kinds := map[string]string{
		"plain": `CREATE TABLE %t (id integer PRIMARY KEY, v text); CREATE TABLE child (id integer PRIMARY KEY, p integer REFERENCES %t ON DELETE CASCADE ON UPDATE CASCADE)`,
		"parts": `CREATE TABLE %t (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF %t FOR VALUES FROM (MINVALUE) TO (100);
			CREATE TABLE high PARTITION OF %t FOR VALUES FROM (100) TO (MAXVALUE)`,
		"heirs": `CREATE TABLE %t (id integer PRIMARY KEY, v text); CREATE TABLE heir () INHERITS (%t)`,
		"inexact": `CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
			CREATE TABLE %t (id numeric PRIMARY KEY, v text)`,
	}
	for kind, ddl := range kinds {
		t.Run(kind, func(t *testing.T) {
			p := pair(t, strings.ReplaceAll(ddl, "%t", kind))
			p.app.do("CREATE TABLE staging (id integer, v text)")
			table, shape := captured(t, p.source, kind)
			want := func(sql, keys string) {
				t.Helper()
				p.app.do(strings.ReplaceAll(sql, "%t", kind))
				if got, emptied := taken(t, p.source, table, shape); got != keys || emptied {
					t.Errorf("%s: noted %q, want %q (emptied %t)", sql, got, keys, emptied)
				}
			}
			want("INSERT INTO %t VALUES (1, 'a'), (2, 'b'), (3, 'c')", "1;2;3")
			want("UPDATE %t SET v = 'x' WHERE id = 2", "2")
			want("UPDATE %t SET id = id + 10", "1;11;12;13;2;3")
			want("BEGIN; UPDATE %t SET id = 999 WHERE id = 11; UPDATE %t SET id = 11 WHERE id = 12; UPDATE %t SET id = 12 WHERE id = 999; COMMIT", "11;12;999")
			want("BEGIN; DELETE FROM %t; INSERT INTO %t VALUES (77, 'x'); ROLLBACK", "")
			want("BEGIN; SAVEPOINT s; DELETE FROM %t; ROLLBACK TO s; DELETE FROM %t WHERE id = 13; COMMIT", "13")
			want("INSERT INTO %t VALUES (11, 'y'), (20, 'z') ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v", "11;20")
			want("INSERT INTO %t VALUES (11, 'no') ON CONFLICT DO NOTHING", "")
			want("MERGE INTO %t USING (VALUES (20, 'm'), (21, 'm')) AS s(id, v) ON %t.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v)", "20;21")
			want("WITH d AS (DELETE FROM %t WHERE id = 21 RETURNING *) INSERT INTO %t SELECT 22, v FROM d", "21;22")
			want("SET session_replication_role = replica; UPDATE %t SET v = 'r' WHERE id = 22; RESET session_replication_role", "22")
			want("INSERT INTO staging VALUES (1, 'other')", "")
			p.app.copyIn("COPY "+kind+" FROM STDIN", "31\tc\n32\tc\n")
			want("SELECT", "31;32")
			if kind == "plain" {
				want("INSERT INTO child VALUES (1, 31)", "")
			}
			if kind == "parts" {
				want("INSERT INTO low VALUES (50, 'direct')", "50")
				want("UPDATE %t SET id = 150 WHERE id = 50", "150;50")
				want("DELETE FROM high", "150")
				p.app.do("INSERT INTO high VALUES (160, 'x')")
				taken(t, p.source, table, shape)
				p.app.do("TRUNCATE high")
				if _, emptied := taken(t, p.source, table, shape); !emptied {
					t.Error("TRUNCATE of a partition was not noted")
				}
			}
			p.app.do("BEGIN; TRUNCATE " + kind + " CASCADE; ROLLBACK")
			if _, emptied := taken(t, p.source, table, shape); emptied {
				t.Error("a TRUNCATE that was rolled back was noted")
			}
			p.app.do("TRUNCATE " + kind + " CASCADE")
			b, err := p.source.Recorder.Backlog(t.Context(), table)
			if err != nil || !b.Truncated || b.Entries == 0 {
				t.Errorf("backlog %+v, %v", b, err)
			}
			if _, emptied := taken(t, p.source, table, shape); !emptied {
				t.Error("TRUNCATE was not noted")
			}
			if err := p.source.Capturer.Remove(t.Context(), table, patience); err != nil {
				t.Error(err)
			}
			if err := p.source.Capturer.Finish(t.Context()); err != nil {
				t.Error(err)
			}
			p.app.do("INSERT INTO " + kind + " VALUES (1, 'after')")
			if left := p.app.ask("SELECT tgname FROM pg_trigger WHERE tgname ~ 'whimbrel' UNION SELECT nspname FROM pg_namespace WHERE nspname ~ 'whimbrel'"); left != "" {
				t.Errorf("left: %s", left)
			}
		})
	}
}

// TestAnHeirIsNotedThroughItsParent: a statement on the parent changes rows of the heir and fires no statement trigger there. Each
// table notes its own rows, whoever names which.
func TestAnHeirIsNotedThroughItsParent(t *testing.T) {
	p := pair(t, `CREATE TABLE people (id integer PRIMARY KEY, v text); CREATE TABLE staff (PRIMARY KEY (id)) INHERITS (people);
		INSERT INTO people VALUES (1, 'a'); INSERT INTO staff VALUES (2, 'b'), (3, 'c')`)
	people, peopleShape := captured(t, p.source, "people")
	staff, staffShape := captured(t, p.source, "staff")
	for _, c := range []struct{ sql, people, staff string }{
		{"UPDATE people SET v = 'x'", "1", "2;3"},
		{"UPDATE people SET id = id + 10", "1;11", "12;13;2;3"},
		{"DELETE FROM people WHERE id = 13", "", "13"},
		{"UPDATE ONLY people SET v = 'y'", "11", ""},
		{"INSERT INTO staff VALUES (14, 'd')", "", "14"},
	} {
		p.app.do(c.sql)
		if got, _ := taken(t, p.source, people, peopleShape); got != c.people {
			t.Errorf("%s: noted %q of the parent, want %q", c.sql, got, c.people)
		}
		if got, _ := taken(t, p.source, staff, staffShape); got != c.staff {
			t.Errorf("%s: noted %q of the heir, want %q", c.sql, got, c.staff)
		}
	}
	for _, c := range []struct {
		table *schema.Table
		shape schema.Shape
		rows  string
	}{{people, peopleShape, "11,y"}, {staff, staffShape, "12,x;14,d"}} { // each table's rows are its own
		whole := text(rows(t, p.source.Reader, driver.Query{Table: c.table, Shape: c.shape, Order: driver.KeyOrder}))
		keys, images := row.NewBatch(1), row.NewBatch(2)
		for _, id := range []string{"11", "12", "14"} {
			keys.AppendString(id)
		}
		r, err := p.source.Recorder.Take(t.Context(), driver.Want{Table: c.table, Shape: c.shape, Lanes: 1, Also: keys}, row.NewBatch(1), images)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		if whole != c.rows || text(images) != c.rows {
			t.Errorf("%s: rows %q, of keys %q, want %q", c.table.Name, whole, text(images), c.rows)
		}
	}
}

func (u *user) copyIn(sql, data string) {
	u.t.Helper()
	if _, err := u.conn.CopyFrom(u.t.Context(), strings.NewReader(data), sql); err != nil {
		u.t.Fatal(err)
	}
}

// TestCascadesAreNoted: what a foreign key does to a child is noted there.
func TestCascadesAreNoted(t *testing.T) {
	p := pair(t, `CREATE TABLE parent (id integer PRIMARY KEY);
		CREATE TABLE child (id integer PRIMARY KEY, a integer REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, b integer REFERENCES parent ON DELETE SET NULL ON UPDATE SET NULL);
		CREATE TABLE grandchild (id integer REFERENCES child ON DELETE CASCADE ON UPDATE CASCADE PRIMARY KEY);
		INSERT INTO parent VALUES (1), (2), (3); INSERT INTO child VALUES (10, 1, 2), (20, 2, 3), (30, 3, 1); INSERT INTO grandchild VALUES (10), (30)`)
	child, shape := captured(t, p.source, "child")
	grandchild, grandshape := captured(t, p.source, "grandchild")
	p.app.do("DELETE FROM parent WHERE id = 1")
	if got, _ := taken(t, p.source, child, shape); got != "10;30" {
		t.Errorf("child: %q", got)
	}
	if got, _ := taken(t, p.source, grandchild, grandshape); got != "10" {
		t.Errorf("grandchild: %q", got)
	}
	p.app.do("UPDATE parent SET id = 4 WHERE id = 3; UPDATE child SET id = 31 WHERE id = 30")
	if got, _ := taken(t, p.source, child, shape); got != "20;30;31" {
		t.Errorf("child: %q", got)
	}
	if got, _ := taken(t, p.source, grandchild, grandshape); got != "30;31" {
		t.Errorf("grandchild: %q", got)
	}
}

// TestBothKeysAreNoted where an UPDATE changes a key: one of several rows, a part of the key, by a trigger of the application
// that the statement does not show, and where the keys are equal and not the same.
func TestBothKeysAreNoted(t *testing.T) {
	p := pair(t, `CREATE TABLE plain (id integer, sub text, v text, PRIMARY KEY (id, sub)); CREATE TABLE blanks (id bpchar PRIMARY KEY, v text);
		CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE folded (id text COLLATE ci PRIMARY KEY, v text);
		CREATE DOMAIN code AS numeric; CREATE TABLE coded (id code PRIMARY KEY, v text);
		CREATE TABLE turned (id integer PRIMARY KEY, v text); CREATE FUNCTION turn() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id := -OLD.id; RETURN NEW; END';
		CREATE TRIGGER turn BEFORE UPDATE ON turned FOR EACH ROW EXECUTE FUNCTION turn()`)
	for _, c := range []struct{ table, rows, sql, keys string }{
		{"plain", "(1, 'a', ''), (2, 'b', ''), (3, 'c', '')", "UPDATE plain SET id = CASE WHEN id = 2 THEN 20 ELSE id END, v = 'x'", "1,a;2,b;20,b;3,c"},
		{"plain", "(4, 'd', '')", "UPDATE plain SET sub = 'D' WHERE id = 4", "4,D;4,d"},
		{"blanks", "('a', '')", "UPDATE blanks SET id = 'a  '", "a;a  "},
		{"folded", "('anna', '')", "UPDATE folded SET id = 'Anna'", "Anna;anna"},
		{"folded", "('bob', '')", "UPDATE folded SET v = 'x' WHERE id = 'bob'", "bob"},
		{"coded", "(1.0, '')", "UPDATE coded SET id = 1.00", "1.0;1.00"},
		{"turned", "(7, ''), (8, '')", "UPDATE turned SET v = 'x' WHERE id = 7", "-7;7"},
	} {
		table, shape := captured(t, p.source, c.table)
		p.app.do("INSERT INTO " + c.table + " VALUES " + c.rows)
		taken(t, p.source, table, shape)
		p.app.do(c.sql)
		if got, _ := taken(t, p.source, table, shape); got != c.keys {
			t.Errorf("%s: noted %q, want %q", c.sql, got, c.keys)
		}
	}
}

// TestNamesOfAnySpellingAreNoted, in table and key columns, and through composite keys.
func TestNamesOfAnySpellingAreNoted(t *testing.T) {
	for _, name := range []string{`a"b`, "a b", "Mixed", "größe", "$$", "x$$; DROP TABLE y; --", "a'b", "NEW", "select", `\`, "{record}", "{entries}", "\r\n", "new\nline", "x\n-- y", "x\ny\" z", strings.Repeat("ö", 31)} {
		p := pair(t, "CREATE TABLE "+quote(name)+" ("+quote(name)+" text, "+quote("old")+" bytea, v integer, PRIMARY KEY ("+quote(name)+", "+quote("old")+"))")
		table, shape := captured(t, p.source, name)
		p.app.do("INSERT INTO " + quote(name) + ` VALUES ('k', '\x00ff', 1)`)
		p.app.do("UPDATE " + quote(name) + " SET v = 2")
		if got, _ := taken(t, p.source, table, shape); got != "k,\x00\xff" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestTheApplicationSeesNothing: lastval, row counts, rights and search paths stay its own.
func TestTheApplicationSeesNothing(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id bigserial PRIMARY KEY, v text)")
	p.app.do("CREATE ROLE clerk; GRANT SELECT, INSERT, UPDATE ON a TO clerk; GRANT USAGE ON SEQUENCE a_id_seq TO clerk; GRANT USAGE ON SCHEMA public TO clerk")
	table, shape := captured(t, p.source, "a")
	p.app.do("SET ROLE clerk; CREATE TEMP TABLE now (x integer)")
	p.app.do("SET search_path = pg_temp, public; INSERT INTO a (v) VALUES ('x')")
	if got := p.app.ask("SELECT lastval()"); got != "1" {
		t.Errorf("lastval is %s", got)
	}
	all, err := p.app.conn.Exec(t.Context(), "UPDATE a SET v = 'y'").ReadAll()
	if err != nil || all[0].CommandTag.RowsAffected() != 1 {
		t.Errorf("%v", err)
	}
	if err := p.app.try("DELETE FROM whimbrel_source.record_1"); class(err) != driver.Refused {
		t.Errorf("the clerk may change the record: %v", err)
	}
	if got, _ := taken(t, p.source, table, shape); got != "1" {
		t.Errorf("noted %q", got)
	}
	p.app.do("RESET ROLE; DROP OWNED BY clerk; DROP ROLE clerk")
}

// TestForgetTakesOnlyWhatWasTaken, late commits and reused places included.
func TestForgetTakesOnlyWhatWasTaken(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, v text)")
	table, shape := captured(t, p.source, "a")
	late := login(t, p.app.address)
	late.do("BEGIN; INSERT INTO a VALUES (1, 'late')")
	p.app.do("INSERT INTO a VALUES (2, 'early'), (3, 'early')")
	want := driver.Want{Table: table, Shape: shape, Lanes: 1, Most: 2}
	keys, images := row.NewBatch(1), row.NewBatch(2)
	r, err := p.source.Recorder.Take(t.Context(), want, keys, images)
	if err != nil || r.Entries() != 2 || text(images) != "2,early;3,early" {
		t.Fatalf("%v %q", err, text(images))
	}
	late.do("COMMIT")
	p.app.do("UPDATE a SET v = 'new' WHERE id = 2")
	if err := r.Forget(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	if got, _ := taken(t, p.source, table, shape); got != "1;2" {
		t.Errorf("left in the record: %q", got)
	}
}

// TestAPlaceThatIsGivenAgainIsNotForgotten: a process that has slept forgets what its successor has forgotten before it, when other
// entries stand at those places. And in a record that was written anew the place of an entry may be that of another one of the same
// transaction.
func TestAPlaceThatIsGivenAgainIsNotForgotten(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, v text)")
	table, shape := captured(t, p.source, "a")
	take := func(most int, want string) driver.Receipt {
		t.Helper()
		keys, images := row.NewBatch(1), row.NewBatch(2)
		r, err := p.source.Recorder.Take(t.Context(), driver.Want{Table: table, Shape: shape, Lanes: 1, Most: most}, keys, images)
		if err != nil || text(keys) != want {
			t.Fatalf("%q, %v", text(keys), err)
		}
		return r
	}
	places := func() string { return p.app.ask("SELECT string_agg(ctid::text, ' ') FROM whimbrel_source.record_1") }
	p.app.do("INSERT INTO a VALUES (1, 'a'), (2, 'b')")
	slept, was := take(9, "1;2"), places()
	if got, _ := taken(t, p.source, table, shape); got != "1;2" {
		t.Fatal(got)
	}
	p.app.do("VACUUM whimbrel_source.record_1")
	p.app.do("INSERT INTO a VALUES (3, 'c'), (4, 'd')")
	if now := places(); now != was {
		t.Fatalf("the entries stand at %s and not at %s", now, was)
	}
	if err := slept.Forget(t.Context(), 1); class(err) != driver.Transient {
		t.Errorf("Forget of entries that are gone: %v", err)
	}
	_ = slept.Close()
	if got, _ := taken(t, p.source, table, shape); got != "3;4" {
		t.Errorf("left in the record: %q", got)
	}
	p.app.do("VACUUM whimbrel_source.record_1")
	p.app.do("INSERT INTO a VALUES (7, 'x'), (8, 'x'), (9, 'x')")
	first := take(1, "7")
	if err := first.Forget(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	_ = first.Close()
	second := take(1, "8")
	p.app.do("VACUUM FULL whimbrel_source.record_1")
	if err := second.Forget(t.Context(), 4); class(err) != driver.Transient {
		t.Errorf("Forget after the record was written anew: %v", err)
	}
	_ = second.Close()
	if got := p.app.ask("SELECT string_agg(k1::text, ';' ORDER BY k1) FROM whimbrel_source.record_1"); got != "8;9" {
		t.Errorf("left in the record: %q", got)
	}
}

// TestLanesPartTheKeys: every entry is in exactly one lane, and a key always in the same.
func TestLanesPartTheKeys(t *testing.T) {
	p := pair(t, "CREATE TABLE a (x text, y numeric, z char(4), PRIMARY KEY (x, y, z))")
	table, shape := captured(t, p.source, "a")
	p.app.do("INSERT INTO a SELECT 'k' || g, g * 1.5, 'z' FROM generate_series(1, 1000) g; UPDATE a SET y = y + 1")
	lane := map[string]int{}
	var receipts []driver.Receipt
	for i := range 4 {
		keys, images := row.NewBatch(3), row.NewBatch(3)
		r, err := p.source.Recorder.Take(t.Context(), driver.Want{Table: table, Shape: shape, Lane: i, Lanes: 4, Most: 100000}, keys, images)
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
		if keys.Len() < 300 {
			t.Errorf("lane %d has %d keys", i, keys.Len())
		}
		for j := range keys.Len() {
			if was, ok := lane[string(keys.Row(j))]; ok {
				t.Fatalf("a key is in lanes %d and %d", was, i)
			}
			lane[string(keys.Row(j))] = i
		}
	}
	if len(lane) != 2000 {
		t.Errorf("%d keys", len(lane))
	}
	for _, r := range receipts {
		if err := r.Forget(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
	}
	if n := p.app.ask("SELECT count(*) FROM whimbrel_source.record_1"); n != "0" {
		t.Errorf("%s entries left", n)
	}
}

// TestInstallDoesNotHoldTheApplicationUp: a lock that is not had is Transient, and soon.
func TestInstallDoesNotHoldTheApplicationUp(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY)")
	table := tableOf(t, p.source, "a")
	writer := login(t, p.app.address)
	writer.do("BEGIN; INSERT INTO a VALUES (1)")
	start := time.Now()
	err := p.source.Capturer.Install(t.Context(), table, shapeOf(table), driver.Wait{Lock: 200 * time.Millisecond})
	if class(err) != driver.Transient || time.Since(start) > 5*time.Second {
		t.Fatalf("after %s: %v", time.Since(start), err)
	}
	writer.do("COMMIT")
	captured(t, p.source, "a")
	writer.do("BEGIN; INSERT INTO a VALUES (2)")
	err = p.source.Capturer.Settle(t.Context(), []*schema.Table{table}, driver.Wait{Settled: 200 * time.Millisecond})
	if class(err) != driver.Transient || !strings.Contains(err.Error(), "session") {
		t.Errorf("Settle beside a writer: %v", err)
	}
	writer.do("PREPARE TRANSACTION 'the two'")
	err = p.source.Capturer.Settle(t.Context(), []*schema.Table{table}, driver.Wait{Settled: 200 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "prepared transaction 'the two'") {
		t.Errorf("Settle beside a prepared transaction: %v", err)
	}
	writer.do("COMMIT PREPARED 'the two'")
	if err := p.source.Capturer.Settle(t.Context(), []*schema.Table{table}, patience); err != nil {
		t.Error(err)
	}
}

// TestTheWatcherJudges what happens to a table and to our triggers.
func TestTheWatcherJudges(t *testing.T) {
	const subscription = "CREATE SUBSCRIPTION other CONNECTION 'dbname=other' PUBLICATION other WITH (connect = false, slot_name = NONE)"
	cases := []struct {
		sql  string
		want driver.Verdict
	}{
		{"GRANT SELECT ON a TO PUBLIC", driver.Harmless},
		{"COMMENT ON TABLE a IS 'x'", driver.Harmless},
		{"VACUUM FULL a", driver.Harmless},
		{"ANALYZE a", driver.Harmless},
		{"CREATE INDEX ON a (v)", driver.Harmless},
		{"TRUNCATE a", driver.Harmless},
		{"ALTER TABLE a DISABLE TRIGGER ALL; ALTER TABLE a ENABLE ALWAYS TRIGGER whimbrel_insert_1; ALTER TABLE a ENABLE ALWAYS TRIGGER whimbrel_update_1; ALTER TABLE a ENABLE ALWAYS TRIGGER whimbrel_key_1;" +
			"ALTER TABLE a ENABLE ALWAYS TRIGGER whimbrel_delete_1; ALTER TABLE a ENABLE ALWAYS TRIGGER whimbrel_empty_1", driver.Suspect},
		{"VACUUM FULL whimbrel_source.record_1", driver.Suspect},
		{"ALTER TABLE a ENABLE ROW LEVEL SECURITY", driver.Suspect},
		{subscription, driver.Suspect},
		{subscription + "; INSERT INTO pg_subscription_rel SELECT oid, 'a'::regclass, 'r' FROM pg_subscription", driver.Invalid},
		{"ALTER TABLE a ENABLE TRIGGER USER", driver.Invalid},
		{"DROP TRIGGER whimbrel_update_1 ON a", driver.Invalid},
		{"ALTER TABLE a ADD COLUMN w integer", driver.Invalid},
		{"ALTER TABLE a ALTER COLUMN v TYPE varchar(10)", driver.Invalid},
		{"ALTER TABLE a RENAME TO b; CREATE TABLE a (id integer PRIMARY KEY, v text)", driver.Invalid},
		{"DROP TABLE a", driver.Invalid},
		{"ALTER TABLE a SET UNLOGGED", driver.Invalid},
		{"CREATE TABLE heir () INHERITS (a)", driver.Invalid},
	}
	for _, c := range cases {
		p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, v text)")
		table, _ := captured(t, p.source, "a")
		before, err := p.source.Watcher.Fingerprint(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		p.app.do(strings.ReplaceAll(c.sql, "VACUUM", "VACUUM"))
		after, err := p.source.Watcher.Fingerprint(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		if got, why := p.source.Watcher.Judge(before, after); got != c.want || why == "" {
			t.Errorf("%s: %s (%s), want %s", c.sql, got, why, c.want)
		}
		// What hides changes now does so from the beginning too, if it was there when the first fingerprint was taken.
		if got, why := p.source.Watcher.Judge(after, after); strings.Contains(why, "off") != strings.Contains(c.sql, "TRIGGER USER") ||
			strings.Contains(why, "subscription") != strings.Contains(c.sql, "_rel") {
			t.Errorf("%s from the beginning: %s (%s)", c.sql, got, why)
		}
	}
}

// TestGapsAreNamed.
func TestGapsAreNamed(t *testing.T) {
	p := pair(t, `CREATE TABLE nokey (id integer); CREATE UNLOGGED TABLE fleeting (id integer PRIMARY KEY); CREATE TABLE floating (id float8 PRIMARY KEY);
		CREATE TABLE fine (id integer PRIMARY KEY); CREATE TABLE parts (id integer PRIMARY KEY) PARTITION BY HASH (id);
		CREATE TABLE parent (id integer PRIMARY KEY); CREATE TABLE heir (PRIMARY KEY (id)) INHERITS (parent)`)
	for name, want := range map[string]string{
		"nokey": "no-key", "fleeting": "unlogged", "floating": "float-key", "fine": "",
		"parts": "row-triggers", "parent": "inherits row-triggers", "heir": "inherits row-triggers",
	} {
		table := tableOf(t, p.source, name)
		all, err := p.source.Capturer.Gaps(t.Context(), table, shapeOf(table))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range all {
			got = append(got, n.Rule)
			if (n.Level == driver.NotLive) != (want != "" && !strings.Contains(want, "row-triggers")) {
				t.Errorf("%s: %+v", name, n)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
