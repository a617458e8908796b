package postgres

import (
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Each test here takes a rule away and demands the damage: where it can not be seen, nothing shows that the rule is needed, or
// that the test of the rule would notice (docs/hazards.md, the column "twin").

// C7: what was read and is not on disk may never have been.
func TestWithoutDurableARowThatWasReadMayNeverHaveBeen(t *testing.T) {
	s := testserver.New(t, "postgres", "synchronous_commit=off", "wal_writer_delay=10s", "wal_writer_flush_after=0")
	address := s.Create(t, "shop")
	u := login(t, address)
	u.do("CREATE TABLE a (id integer PRIMARY KEY)")
	u.do("CHECKPOINT")
	db := open(t, address, driver.Source)
	table := tableOf(t, db, "a")
	u.do("INSERT INTO a VALUES (1)")
	c, err := db.Reader.Read(t.Context(), driver.Query{Table: table, Shape: shapeOf(table)})
	if err != nil {
		t.Fatal(err)
	}
	b := row.NewBatch(1)
	_ = c.Fill(t.Context(), b)
	_ = c.Close() // and not Durable
	s.Kill()
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if got := login(t, address).ask("SELECT count(*) FROM a"); b.Len() != 1 || got != "0" {
		t.Errorf("%d rows were read and %s are there after the crash: the barrier would not be needed", b.Len(), got)
	}
}

// C10: who looks a key up by the column's own equality finds another key's row.
func TestWithoutComparingBytesAKeyFindsAnothersRow(t *testing.T) {
	p := pair(t, `CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		CREATE TABLE a (k text COLLATE folded PRIMARY KEY); INSERT INTO a VALUES ('abc')`)
	table, shape := captured(t, p.source, "a")
	p.app.do("UPDATE a SET k = 'ABC'")
	if naive := p.app.ask("SELECT k FROM a WHERE k = 'abc'"); naive != "ABC" {
		t.Errorf("the old key finds %q: bytes need not be compared", naive)
	}
	keys, images := row.NewBatch(1), row.NewBatch(1)
	r, err := p.source.Recorder.Take(t.Context(), driver.Want{Table: table, Shape: shape, Lanes: 1, Most: 10}, keys, images)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if keys.Len() != 2 || text(images) != "ABC" {
		t.Errorf("keys %s, rows %s", text(keys), text(images))
	}
}

// C13: a trigger that was off for a moment leaves no trace but in the catalog.
func TestWithoutTheFingerprintAMutedTriggerLosesARow(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY)")
	table, shape := captured(t, p.source, "a")
	before, err := p.source.Watcher.Fingerprint(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	p.app.do("ALTER TABLE a DISABLE TRIGGER ALL; INSERT INTO a VALUES (1)")
	p.app.do(`DO $$ DECLARE n name; BEGIN FOR n IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'a'::regclass LOOP
		EXECUTE format('ALTER TABLE a ENABLE ALWAYS TRIGGER %I', n); END LOOP; END $$`)
	if noted, emptied := taken(t, p.source, table, shape); noted != "" || emptied {
		t.Errorf("%q was noted: a fingerprint would not be needed", noted)
	}
	after, err := p.source.Watcher.Fingerprint(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := p.source.Watcher.Judge(before, after); v == driver.Harmless {
		t.Error("the fingerprint does not show it")
	}
}

// C17: a record that is written with the application's rights, or that draws from a sequence, disturbs it.
func TestWithoutItsOwnRightsTheRecordDisturbsTheApplication(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id bigserial PRIMARY KEY, v text); SELECT setval('a_id_seq', 1000)")
	clerk := quote("clerk " + p.app.ask("SELECT current_database()")) // roles are the whole server's
	p.app.do("CREATE ROLE " + clerk + "; GRANT SELECT, INSERT ON a TO " + clerk + "; GRANT USAGE ON SEQUENCE a_id_seq TO " + clerk)
	defer func() { p.app.do("RESET ROLE; DROP OWNED BY " + clerk + "; DROP ROLE " + clerk) }()
	captured(t, p.source, "a")
	p.app.do("SET ROLE " + clerk + "; INSERT INTO a (v) VALUES ('x')")
	if got := p.app.ask("SELECT lastval()"); got != "1001" {
		t.Errorf("lastval is %s", got)
	}
	p.app.do("RESET ROLE; ALTER FUNCTION whimbrel_source.note_1_new_rows() SECURITY INVOKER; SET ROLE " + clerk)
	if err := p.app.try("INSERT INTO a (v) VALUES ('y')"); class(err) != driver.Refused {
		t.Errorf("the application's write with its own rights: %v", err)
	}
	p.app.do("RESET ROLE; ALTER FUNCTION whimbrel_source.note_1_new_rows() SECURITY DEFINER; ALTER TABLE whimbrel_source.record_1 ADD n bigserial; SET ROLE " + clerk)
	p.app.do("INSERT INTO a (v) VALUES ('z')")
	if err := p.app.try("SELECT lastval()"); class(err) != driver.Refused { // it would be the record's
		t.Errorf("lastval beside a sequence in the record: %v", err)
	}
}

// C14: a transaction that is open when the gate shuts, and is not waited for, is noted after the record was found empty.
func TestWithoutWaitingAWriterCommitsBehindTheDrain(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY)")
	table, shape := captured(t, p.source, "a")
	late := login(t, p.app.address)
	late.do("BEGIN; INSERT INTO a VALUES (1)")
	if err := p.source.Gate.Shut(t.Context(), []*schema.Table{table}, driver.Wait{Lock: patience.Lock, Settled: patience.Lock}); err == nil {
		t.Error("the gate is shut while somebody writes")
	}
	noted, _ := taken(t, p.source, table, shape)
	late.do("COMMIT")
	after, _ := taken(t, p.source, table, shape)
	if noted != "" || after != "1" {
		t.Errorf("%q was noted before the commit and %q after: nobody need be waited for", noted, after)
	}
	for i := range 2 {
		if err := p.source.Gate.Shut(t.Context(), []*schema.Table{table}, patience); err != nil {
			t.Errorf("shut %d: %v", i, err)
		}
	}
	if err := p.source.Gate.Prove(t.Context(), []*schema.Table{table}, patience); err != nil {
		t.Error(err)
	}
}

// The target's own triggers fire for whoever does not turn them off, and the row is not the source's any more.
func TestWithoutItsOwnRoleInReplicationARowIsChangedByTheTarget(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, v text)")
	p.there.do(`CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := ''fired''; RETURN NEW; END';
		CREATE TRIGGER t BEFORE INSERT OR UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f(); INSERT INTO a VALUES (9, 'nine')`)
	if got := p.there.ask("SELECT v FROM a"); got != "fired" {
		t.Errorf("a plain session's row is %q: triggers need not be turned off", got)
	}
	to := tableOf(t, p.target, "a")
	keys, images := row.NewBatch(1), row.NewBatch(2)
	keys.AppendString("9")
	images.AppendString("9")
	images.AppendString("nine")
	d := driver.Delta{Table: to, Shape: shapeOf(to), Epoch: p.epoch, Number: 1, Keys: keys, Images: images}
	if err := p.target.Applier.Apply(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if got := p.there.ask("SELECT v FROM a"); got != "nine" {
		t.Errorf("the row is %q after Apply", got)
	}
}
