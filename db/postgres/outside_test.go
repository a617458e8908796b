package postgres

import (
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// TestOutsideFindsEveryWay: each way in which a build could reach the move's tables, alone, is found and named, and is not found any
// more when it is shut.
func TestOutsideFindsEveryWay(t *testing.T) {
	s := newSite(t, driver.Source)
	reader, _ := role(t, s.admin, "reader")
	deep, _ := role(t, s.admin, "deep")
	words := strings.NewReplacer("%builder%", s.shadow.Account, "%reader%", reader, "%deep%", deep, "%owner%", s.owner)
	do := func(sql string) { s.admin.do(words.Replace(sql)) }
	do(`GRANT %deep% TO %reader%; SET ROLE %owner%; CREATE TABLE a (id serial PRIMARY KEY, secret text); CREATE TABLE b (id integer PRIMARY KEY) PARTITION BY RANGE (id);
		CREATE TABLE b1 PARTITION OF b DEFAULT; CREATE VIEW shown AS SELECT secret FROM a; CREATE VIEW again AS SELECT * FROM shown; RESET ROLE; CREATE SCHEMA other AUTHORIZATION %owner%;
		ALTER ROLE %builder% NOINHERIT`)
	tables := s.tables("a", "b")
	s.build("CREATE TABLE made (id serial PRIMARY KEY); CREATE TEMPORARY TABLE passing (id integer)")
	outside := func() string {
		t.Helper()
		found, err := s.db.Shadows.Outside(t.Context(), s.shadow, tables)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(found, "; ")
	}
	if got := outside(); got != "" {
		t.Fatalf("nothing was granted and it reaches %q", got)
	}
	for _, way := range []struct{ open, shut, want string }{
		{"GRANT SELECT ON a TO %builder%", "REVOKE SELECT ON a FROM %builder%", "rows of the table public.a"},
		{"GRANT DELETE ON a TO PUBLIC", "REVOKE DELETE ON a FROM PUBLIC", "rows of the table public.a"},
		{"GRANT UPDATE (secret) ON a TO %builder%", "REVOKE UPDATE (secret) ON a FROM %builder%", "rows of the table public.a"},
		{"GRANT INSERT ON b1 TO %builder%", "REVOKE INSERT ON b1 FROM %builder%", "rows of the table public.b1"},
		{"GRANT SELECT ON a TO %deep%; GRANT %reader% TO %builder%", "REVOKE SELECT ON a FROM %deep%; REVOKE %reader% FROM %builder%", "rows of the table public.a"},
		{"GRANT %owner% TO %builder%", "REVOKE %owner% FROM %builder%", "rows of the table public.b"},
		{"GRANT SELECT ON shown TO %builder%", "REVOKE SELECT ON shown FROM %builder%", "through the view public.shown"},
		{"GRANT SELECT (secret) ON again TO PUBLIC", "REVOKE SELECT (secret) ON again FROM PUBLIC", "through the view public.again"},
		{"GRANT USAGE ON SEQUENCE a_id_seq TO %builder%", "REVOKE USAGE ON SEQUENCE a_id_seq FROM %builder%", "the sequence public.a_id_seq"},
		{"SET ROLE %owner%; CREATE FUNCTION peek() RETURNS bigint SECURITY DEFINER LANGUAGE sql AS 'SELECT count(*) FROM a'; RESET ROLE", "DROP FUNCTION peek()", "the routine public.peek()"},
		{"ALTER ROLE %builder% SUPERUSER", "ALTER ROLE %builder% NOSUPERUSER", "everything: it is a superuser"},
		{"ALTER ROLE %deep% SUPERUSER; GRANT %reader% TO %builder%", "ALTER ROLE %deep% NOSUPERUSER; REVOKE %reader% FROM %builder%", "superuser as deep_"},
		{"ALTER ROLE %builder% CREATEROLE", "ALTER ROLE %builder% NOCREATEROLE", "may make roles"},
		{"ALTER ROLE %builder% REPLICATION", "ALTER ROLE %builder% NOREPLICATION", "replicate the whole server"},
		{"GRANT pg_read_all_data TO %builder%", "REVOKE pg_read_all_data FROM %builder%", "a member of pg_read_all_data"},
		{"GRANT pg_read_server_files TO %builder%", "REVOKE pg_read_server_files FROM %builder%", "a member of pg_read_server_files"},
		{"GRANT pg_write_all_data TO %builder%", "REVOKE pg_write_all_data FROM %builder%", "a member of pg_write_all_data"},
		{"GRANT pg_write_server_files TO %builder%", "REVOKE pg_write_server_files FROM %builder%", "a member of pg_write_server_files"},
		{"GRANT pg_execute_server_program TO %builder%", "REVOKE pg_execute_server_program FROM %builder%", "a member of pg_execute_server_program"},
		{"GRANT CREATE ON SCHEMA other TO PUBLIC", "REVOKE CREATE ON SCHEMA other FROM PUBLIC", "the schema other"},
		{"ALTER SCHEMA other OWNER TO %builder%", "ALTER SCHEMA other OWNER TO %owner%", "schema other, which it owns"},
		{
			"DO $$ BEGIN EXECUTE 'GRANT CREATE ON DATABASE ' || current_database() || ' TO %builder%'; END $$",
			"DO $$ BEGIN EXECUTE 'REVOKE CREATE ON DATABASE ' || current_database() || ' FROM %builder%'; END $$", "may make schemas",
		},
		{"CREATE TABLE theirs (id integer); ALTER TABLE theirs OWNER TO %builder%", "DROP TABLE theirs", "table public.theirs, which it owns"},
		{"SELECT lo_create(4711); ALTER LARGE OBJECT 4711 OWNER TO %builder%", "SELECT lo_unlink(4711)", "large object 4711, which it owns"},
	} {
		do(way.open)
		if got := outside(); !strings.Contains(got, way.want) {
			t.Errorf("%s: it reaches %q, want %q", way.open, got, way.want)
		}
		do(way.shut)
		if got := outside(); got != "" {
			t.Errorf("%s: it reaches %q still", way.shut, got)
		}
	}
}

// TestAPlaceIsForNobodyElse, whatever default privileges say.
func TestAPlaceIsForNobodyElse(t *testing.T) {
	s := newSite(t, driver.Source)
	reader := quote(`Reader "x` + s.mover)
	s.admin.do("CREATE ROLE " + reader)
	s.admin.do("ALTER DEFAULT PRIVILEGES FOR ROLE " + s.mover + " GRANT USAGE, CREATE ON SCHEMAS TO PUBLIC; ALTER DEFAULT PRIVILEGES FOR ROLE " + s.mover + " GRANT USAGE ON SCHEMAS TO " + reader)
	s.build("")
	s.want("who may enter", `SELECT string_agg(grantee::regrole::text, ' ' ORDER BY grantee::regrole::text) FROM (SELECT DISTINCT grantee FROM pg_namespace, aclexplode(nspacl)
		WHERE nspname = 'new release') AS g`, s.shadow.Account+" "+s.mover)
}

// TestAnAccountThatCanNotBuildIsSaid in one sentence with what to do.
func TestAnAccountThatCanNotBuildIsSaid(t *testing.T) {
	s := newSite(t, driver.Source)
	for account, want := range map[string]string{"": "no account is named", `no "such"`: `CREATE ROLE "no ""such""" LOGIN`, s.owner: ""} {
		err := s.db.Shadows.Make(t.Context(), driver.Shadow{Place: "p", Account: account})
		if want == "" {
			if err != nil {
				t.Error(err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", account, err)
		}
	}
	stranger, _ := role(t, s.admin, "stranger")
	err := s.db.Shadows.Make(t.Context(), driver.Shadow{Place: "q", Account: stranger})
	if class(err) != driver.Refused || !strings.Contains(err.Error(), "GRANT "+stranger+" TO "+s.mover) {
		t.Error(err)
	}
	if err := s.db.Shadows.Make(t.Context(), driver.Shadow{Place: strings.Repeat("é", 32), Account: s.shadow.Account}); err == nil || !strings.Contains(err.Error(), "64") {
		t.Error(err)
	}
}

// TestDropTakesNothingElseAlong: a view that somebody has made over what stands in the shadow is named, and the shadow stays.
func TestDropTakesNothingElseAlong(t *testing.T) {
	s := newSite(t, driver.Source)
	s.build("CREATE TABLE made (id integer PRIMARY KEY); CREATE TYPE m AS ENUM ('a'); CREATE TYPE r AS RANGE (subtype = integer); CREATE VIEW inside AS SELECT * FROM made")
	s.admin.do(`CREATE VIEW "it's" AS SELECT * FROM "new release".made; CREATE TABLE t (id integer, m "new release".m)`)
	err := s.db.Shadows.Drop(t.Context(), s.shadow)
	if err == nil || !strings.Contains(err.Error(), `view public."it's"`) || !strings.Contains(err.Error(), "column m of table public.t") {
		t.Errorf("%v", err)
	}
	s.want("the shadow", `SELECT count(*) FROM "new release".made`, "0")
	s.admin.do(`DROP VIEW "it's"; DROP TABLE t`)
	orphan := login(t, s.builder.String()) // a program of the release that nobody waits for any more
	orphan.do(`BEGIN; INSERT INTO "new release".made VALUES (1)`)
	s.check(s.db.Shadows.Drop(t.Context(), s.shadow))
	if err := orphan.try("COMMIT"); err == nil {
		t.Error("it goes on building")
	}
}

// TestRelicsOfEveryKind: what scripts have made goes, with what they have attached to tables that stay, and nothing that was there.
func TestRelicsOfEveryKind(t *testing.T) {
	s := newSite(t, driver.Target)
	s.admin.do("SET ROLE " + s.owner + `; CREATE TABLE stays (id serial PRIMARY KEY, n integer); INSERT INTO stays VALUES (1, 1); CREATE FUNCTION kept() RETURNS integer LANGUAGE sql AS 'SELECT 1';
		CREATE TYPE span AS RANGE (subtype = integer); CREATE VIEW looks AS SELECT id FROM stays; RESET ROLE; CREATE EXTENSION citext SCHEMA public`)
	table := s.tables("stays")[0]
	s.shut(table)
	list := func() string {
		t.Helper()
		all, err := s.db.Relics.List(t.Context(), "")
		s.check(err)
		return strings.Join(all, "\n")
	}
	before := list()
	made := strings.ReplaceAll(everyKindOfObject, `ALTER DEFAULT PRIVILEGES IN SCHEMA "new release" GRANT SELECT ON TABLES TO PUBLIC;`, "") + `CREATE FUNCTION of_parent(parent) RETURNS integer LANGUAGE sql AS 'SELECT $1.id';
		ALTER TABLE parent ADD circle integer DEFAULT twice(1); CREATE TYPE spread AS RANGE (subtype = float8);
		CREATE TRIGGER theirs AFTER INSERT ON stays FOR EACH ROW EXECUTE FUNCTION fired(); CREATE RULE quiet AS ON DELETE TO stays DO INSTEAD NOTHING;
		CREATE POLICY few ON stays USING (true); ALTER TABLE stays ADD more mood, ADD parent integer REFERENCES parent, ADD CONSTRAINT doubled CHECK (twice(n) > 0), ALTER n SET DEFAULT twice(2)`
	s.admin.do("SET ROLE " + s.owner + "; " + strings.NewReplacer("CREATE OR REPLACE FUNCTION fired", "CREATE FUNCTION fired").Replace(made) + "; RESET ROLE")
	keep := strings.Split(before, "\n")
	for range 2 {
		s.check(s.db.Relics.Remove(t.Context(), "", keep))
		if got := list(); got != before {
			t.Errorf("left is\n%s\nwant\n%s", got, before)
		}
	}
	s.want("what stays", "SELECT id, n, citext 'a' = 'A', span(1, 2) FROM stays", "1,1,t,[1,2)")
	s.want("the guard", "SELECT count(*) FROM pg_trigger WHERE tgname = 'whimbrel_guard_1'", "1")
	s.want("its columns", "SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = 'stays'::regclass AND attnum > 0 AND NOT attisdropped", "id n parent")
	s.admin.do("SET ROLE " + s.owner + "; CREATE TABLE seen (id integer); CREATE OR REPLACE VIEW looks AS SELECT id FROM seen; RESET ROLE")
	if err := s.db.Relics.Remove(t.Context(), "", keep); err == nil || !strings.Contains(err.Error(), "view public.looks") {
		t.Errorf("a view that stays would go: %v", err)
	}
	s.want("what is named", "SELECT count(*) FROM looks", "0")
	s.admin.do("CREATE OR REPLACE VIEW looks AS SELECT id FROM stays")
	s.check(s.db.Relics.Remove(t.Context(), "", keep))
	s.check(s.db.Guard.Open(t.Context(), table))
}

// TestAccountsOfAnySpellingAreAdmitted.
func TestAccountsOfAnySpellingAreAdmitted(t *testing.T) {
	s := newSite(t, driver.Target)
	s.admin.do("SET ROLE " + s.owner + "; CREATE TABLE a (id integer PRIMARY KEY); GRANT ALL ON a TO PUBLIC; RESET ROLE")
	a := s.tables("a")[0]
	s.shut(a)
	unique := s.admin.ask("SELECT current_database()")
	var accounts []string
	for _, name := range []string{`x",y`, `{}`, `\ x`, "new\nline", "NULL", "", "名前 '"} {
		account := name + unique
		s.admin.do("CREATE ROLE " + quote(account) + " LOGIN PASSWORD 'whimbrel'")
		accounts = append(accounts, account)
	}
	for i, account := range accounts {
		for range 2 {
			s.check(s.db.Admitter.Admit(t.Context(), a, account))
		}
		for j, other := range accounts {
			s.admin.do("SET SESSION AUTHORIZATION " + quote(other))
			if err := s.admin.try("DELETE FROM a"); (err == nil) != (j <= i) {
				t.Errorf("%q after %q was admitted: %v", other, account, err)
			}
			s.admin.do("RESET SESSION AUTHORIZATION")
		}
	}
	s.check(s.db.Admitter.Admit(t.Context(), a, "")) // our own
	pool, err := s.db.Scripts.Pool(t.Context(), mustParse(t, strings.Replace(s.builder.String(), s.shadow.Account, s.mover, 1)), "")
	s.check(err)
	s.run(pool, "DELETE FROM a")
	s.check(pool.Close())
	if err := s.admin.try("DELETE FROM a"); err == nil {
		t.Error("a superuser who was not admitted writes")
	}
	s.check(s.db.Admitter.Admit(t.Context(), &schema.Table{Name: schema.Name{Name: "none"}, Number: 9}, "x")) // nothing guards it
	s.check(s.db.Guard.Open(t.Context(), a))
}

// TestWhatABuildLeavesIsEnded: a session of a pool that another process of this run has left.
func TestWhatABuildLeavesIsEnded(t *testing.T) {
	s := newSite(t, driver.Target)
	s.build("CREATE TABLE made (id integer)")
	s.want("sessions of the builder", "SELECT count(*) FROM pg_stat_activity WHERE usename = '"+s.shadow.Account+"'", "1")
	now := open(t, strings.Replace(s.builder.String(), s.shadow.Account, s.mover, 1), driver.Target)
	s.check(now.Inherit(t.Context()))
	for range 100 {
		if s.admin.ask("SELECT count(*) FROM pg_stat_activity WHERE usename = '"+s.shadow.Account+"'") == "0" {
			return
		}
		s.admin.do("SELECT pg_sleep(0.05)")
	}
	t.Error("the session of the build is there still")
}
