package postgres

import (
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
)

// Twins of the rules of shadows: each takes one away and demands the damage.

// A clone that is made by LIKE alone draws from the table's own generator.
func TestWithoutItsOwnGeneratorACloneChangesTheTables(t *testing.T) {
	s := newSite(t, driver.Source)
	s.admin.do("SET ROLE " + s.owner + "; CREATE TABLE a (id serial PRIMARY KEY, v text); RESET ROLE")
	s.build("")
	s.admin.do(`CREATE TABLE "new release".plain (LIKE a INCLUDING ALL); INSERT INTO "new release".plain (v) VALUES ('x'); INSERT INTO a (v) VALUES ('y')`)
	s.want("the table's next value after the clone has drawn one", "SELECT id FROM a", "2")
	s.admin.do("DELETE FROM a")
	s.check(s.db.Shadows.Clone(t.Context(), s.shadow, s.tables("a")))
	s.admin.do(`INSERT INTO "new release".a (v) VALUES ('x'); INSERT INTO a (v) VALUES ('y')`)
	s.want("and after ours has", "SELECT id FROM a", "3")
}

// A snapshot that begins before the tables are locked finds a table empty that somebody has emptied and filled meanwhile.
func TestWithoutTheLockBeforeTheSnapshotATableIsEmpty(t *testing.T) {
	s := newSite(t, driver.Source)
	s.admin.do("CREATE TABLE a (id integer PRIMARY KEY); INSERT INTO a VALUES (1)")
	reader := login(t, s.admin.address)
	reader.do("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
	s.admin.do("BEGIN; TRUNCATE a; INSERT INTO a VALUES (2); COMMIT")
	reader.do("LOCK TABLE a IN ACCESS SHARE MODE")
	if got := reader.ask("SELECT count(*) FROM a"); got != "0" {
		t.Errorf("%s rows: the order would not matter", got)
	}
	reader.do("ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE a IN ACCESS SHARE MODE")
	if got := reader.ask("SELECT id FROM a"); got != "2" {
		t.Errorf("row %s", got)
	}
}

// The guard, where it is left on a lent table, keeps the build out.
func TestWithTheGuardOnItALentTableCanNotBeBuilt(t *testing.T) {
	s := newSite(t, driver.Target)
	s.admin.do("SET ROLE " + s.owner + "; CREATE TABLE a (id integer PRIMARY KEY); RESET ROLE")
	tables := s.tables("a")
	s.shut(tables[0])
	pool := s.build("")
	s.admin.do(`ALTER TABLE a SET SCHEMA "new release"; GRANT ALL ON "new release".a TO ` + s.shadow.Account)
	if _, err := pool.ExecContext(t.Context(), "INSERT INTO a VALUES (1)"); err == nil || !strings.Contains(err.Error(), "takes no other writes") {
		t.Errorf("%v", err)
	}
	s.admin.do(`ALTER TABLE "new release".a SET SCHEMA public`)
	s.check(s.db.Shadows.Lend(t.Context(), s.shadow, tables))
	s.run(pool, "INSERT INTO a VALUES (1)")
}

// A place whose maker is not asked for would be dropped with what somebody else has in it.
func TestWithoutTheMarkAnothersSchemaWouldGo(t *testing.T) {
	s := newSite(t, driver.Source)
	s.admin.do(`CREATE SCHEMA "new release" AUTHORIZATION ` + s.mover + `; CREATE TABLE "new release".theirs (id integer)`)
	s.check(s.db.Shadows.Drop(t.Context(), s.shadow))
	s.want("theirs", `SELECT count(*) FROM "new release".theirs`, "0")
	s.admin.do(`COMMENT ON SCHEMA "new release" IS 'shadow of the whimbrel run test-1'`)
	s.check(s.db.Shadows.Drop(t.Context(), s.shadow))
	s.want("theirs", `SELECT to_regclass('"new release".theirs') IS NULL`, "t")
}
