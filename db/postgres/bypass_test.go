package postgres

import (
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// TestRowsThatARoleMayNotSeeAreNotMissing: where row security hides rows from the move's role, that forbids the move; and where it
// comes later, a batch fails and is not taken for deletions (HAZARDS 53).
func TestRowsThatARoleMayNotSeeAreNotMissing(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'x'), (2, 'y')")
	name, address := role(t, p.app, "mover")
	database := strings.TrimPrefix(mustParse(t, address).Path, "/")
	p.app.do("GRANT CREATE ON DATABASE " + database + " TO " + name + "; GRANT CREATE, USAGE ON SCHEMA public TO " + name + "; ALTER TABLE a OWNER TO " + name)
	s := open(t, address, driver.Source)
	a := tableOf(t, s, "a")
	a.Number = 1
	shape := shapeOf(a)
	if err := s.Capturer.Install(t.Context(), a, shape, driver.Wait{}); err != nil {
		t.Fatal(err)
	}
	p.app.do("UPDATE a SET v = 'z'; ALTER TABLE a ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY mine ON a USING (id = 1)")
	keys, images := row.NewBatch(1), row.NewBatch(2)
	if r, err := s.Recorder.Take(t.Context(), driver.Want{Table: a, Shape: shape, Lanes: 1, Most: 10}, keys, images); err == nil {
		_ = r.Close()
		t.Errorf("%d keys are taken with %d rows", keys.Len(), images.Len())
	}
	if c, err := s.Reader.Read(t.Context(), driver.Query{Table: a, Shape: shape}); err == nil {
		if err = c.Fill(t.Context(), images); err == nil || images.Len() > 0 {
			t.Errorf("%d rows are read", images.Len())
		}
		_ = c.Close()
	}
	all, err := s.Capturer.Gaps(t.Context(), a, shape)
	if err != nil {
		t.Fatal(err)
	}
	forbidden := false
	for _, n := range all {
		forbidden = forbidden || n.Rule == "row-security" && n.Level == driver.Forbidden
	}
	if !forbidden {
		t.Errorf("row security is no gap: %+v", all)
	}
}

// TestThePartitionsOfACapturedTable: each way to change rows through its partitions without a trigger alters the fingerprint
// (HAZARDS 6, 7).
func TestThePartitionsOfACapturedTable(t *testing.T) {
	for _, sql := range []string{
		"ALTER TABLE a DETACH PARTITION low", "DROP TABLE low", "CREATE TABLE more (id integer NOT NULL, v text); INSERT INTO more VALUES (500, 'x'); ALTER TABLE a ATTACH PARTITION more FOR VALUES FROM (200) TO (1000)",
	} {
		p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF a FOR VALUES FROM (0) TO (200)")
		table, _ := captured(t, p.source, "a")
		before, err := p.source.Watcher.Fingerprint(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		p.app.do(sql)
		after, err := p.source.Watcher.Fingerprint(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		if got, why := p.source.Watcher.Judge(before, after); got != driver.Invalid {
			t.Errorf("%s: %s (%s)", sql, got, why)
		}
	}
}

// TestTheDatabasesDefaultsAreNotOurs: each session reads what is committed when its statement begins, and times in UTC,
// whatever the database's default is (HAZARDS 32, 70).
func TestTheDatabasesDefaultsAreNotOurs(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, v text)")
	database := strings.TrimPrefix(mustParse(t, p.app.address).Path, "/")
	p.app.do("ALTER DATABASE " + database + " SET default_transaction_isolation = 'serializable'; ALTER DATABASE " + database + " SET timezone = 'Asia/Tokyo'; ALTER DATABASE " + database + " SET row_security = on")
	s := open(t, p.app.address, driver.Source)
	lines, err := s.Executor.Look(t.Context(), driver.Statement{Purpose: "look", SQL: "SELECT current_setting('transaction_isolation'), current_setting('row_security'), current_setting('timezone')"})
	if err != nil || lines[0][0] != "read committed" || lines[0][1] != "off" || lines[0][2] != "UTC" {
		t.Error(lines, err)
	}
}
