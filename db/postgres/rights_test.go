package postgres

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/schema"
)

// role makes a role that can log in, and returns its name and its URL of a database.
func role(t *testing.T, admin *user, what string) (name, address string) {
	t.Helper()
	u, err := url.Parse(admin.address)
	if err != nil {
		t.Fatal(err)
	}
	name = what + "_" + strings.TrimPrefix(u.Path, "/")
	admin.do("CREATE ROLE " + name + " LOGIN PASSWORD '" + testserver.Password + "'")
	u.User = url.UserPassword(name, testserver.Password)
	return name, u.String()
}

// TestEachMissingRightIsNamed: of each right that a side needs, its absence is seen, alone, and mended by the statement that is
// named with it.
func TestEachMissingRightIsNamed(t *testing.T) {
	for _, side := range []driver.Side{driver.Source, driver.Target} {
		t.Run(string(side), func(t *testing.T) {
			admin := login(t, testserver.Postgres(t))
			owner, _ := role(t, admin, "owner_"+string(side))
			counter, _ := role(t, admin, "counter_"+string(side))
			name, address := role(t, admin, "mover_"+string(side))
			builder, _ := role(t, admin, "builder_"+string(side))
			database := strings.TrimPrefix(mustParse(t, address).Path, "/")
			const home = `Back "x`
			admin.do("CREATE SCHEMA " + quote(home) + "; SET search_path = " + quote(home) + "; CREATE TABLE a (id bigserial PRIMARY KEY); ALTER TABLE a OWNER TO " + owner +
				"; CREATE SEQUENCE q; ALTER SEQUENCE q OWNER TO " + counter +
				"; REVOKE ALL ON DATABASE " + database + " FROM PUBLIC; GRANT CONNECT ON DATABASE " + database + " TO " + name)
			db := open(t, address, side)
			a := &schema.Table{Name: schema.Name{Schema: home, Name: "a"}, Number: 1}
			scope := driver.Scope{
				Schemas: []string{home}, Tables: []*schema.Table{a}, Live: []*schema.Table{a}, Sequences: []schema.Name{{Schema: home, Name: "q"}},
				Shadows: []driver.Shadow{{Place: "new release", Account: builder}},
			}
			needed := func() []driver.Right {
				all, err := db.Rights.Needed(t.Context(), scope)
				if err != nil {
					t.Fatal(err)
				}
				return all
			}
			var granted []string
			for _, r := range needed() {
				if r.Rule != "right-connect" && !r.Lacks {
					t.Errorf("the role has %s before it was granted", r.Rule)
				}
				admin.do(r.Grant)
				granted = append(granted, r.Grant)
			}
			members := []string{quote(builder)}
			if side == driver.Source {
				members = append(members, quote(owner), quote(counter), "pg_read_all_stats")
			}
			for _, m := range members {
				if grant := "GRANT " + m + " TO " + quote(name); !slices.Contains(granted, grant) {
					t.Errorf("%s is not among %q", grant, granted)
				}
			}
			if side == driver.Target { // what a session may set is seen when it begins
				_ = db.Close()
				db = open(t, address, side)
			}
			lacking := func(when, want string) {
				t.Helper()
				var lacks []string
				for _, r := range needed() {
					if r.Lacks {
						lacks = append(lacks, r.Grant)
					}
				}
				if got := strings.Join(lacks, "; "); got != want {
					t.Errorf("%s: lacking is %q, want %q", when, got, want)
				}
			}
			lacking("everything is granted", "")
			for _, r := range needed() {
				if r.Rule == "replication-role" || r.Rule == "right-connect" { // a member of the builder may connect
					continue
				}
				rights, rest, of := strings.Cut(strings.TrimPrefix(r.Grant, "GRANT "), " ON ")
				for one := range strings.SplitSeq(rights, ", ") {
					revoke := "REVOKE " + one + " ON " + rest
					if !of { // a role
						revoke = "REVOKE " + one
					}
					revoke = strings.Replace(revoke, " TO ", " FROM ", 1)
					admin.do(revoke)
					lacking("after "+revoke, r.Grant)
					admin.do(r.Grant)
				}
			}
			connect := "CONNECT ON DATABASE " + quote(database)
			admin.do("REVOKE " + connect + " FROM " + name + ", " + builder)
			lacking("when nobody may connect", "GRANT "+connect+" TO "+quote(name)+"; GRANT "+connect+" TO "+quote(builder))
			admin.do("GRANT " + connect + " TO " + name + ", " + builder)
			for _, place := range []string{"whimbrel_" + string(side), "new release"} { // to be made, each, unless they are there
				create := "CREATE ON DATABASE " + quote(database)
				admin.do("REVOKE " + create + " FROM " + name)
				lacking("before "+place, "GRANT "+create+" TO "+quote(name))
				admin.do("CREATE SCHEMA " + quote(place) + " AUTHORIZATION " + name)
			}
			lacking("with both schemas", "")
			for _, r := range needed() { // a member that has no right of who it is a member of
				if admin.ask("SELECT current_setting('server_version_num')::integer < 160000") == "t" {
					admin.do("ALTER ROLE " + name + " NOINHERIT")
				} else if !strings.Contains(r.Grant, " ON ") {
					admin.do(r.Grant + " WITH INHERIT FALSE")
				}
			}
			for _, r := range needed() {
				if member := !strings.Contains(r.Grant, " ON "); r.Lacks != member {
					t.Errorf("of a member that inherits nothing: %s lacks %t", r.Grant, r.Lacks)
				}
			}
		})
	}
}

func mustParse(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestSurplusRightsAreNoted: a superuser, and a role that may do what no move does; not one that has what it needs.
func TestSurplusRightsAreNoted(t *testing.T) {
	admin := login(t, testserver.Postgres(t))
	name, address := role(t, admin, "mover")
	db := open(t, address, driver.Source)
	surplus := func(db *driver.Database) string {
		notes, err := db.Rights.Surplus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, n := range notes {
			if n.Level != driver.Note || n.Rule != "surplus-right" {
				t.Errorf("%+v", n)
			}
			text += n.Message + " " + n.Do + "\n"
		}
		return text
	}
	if got := surplus(db); got != "" {
		t.Errorf("of a plain role: %s", got)
	}
	if got := surplus(open(t, admin.address, driver.Source)); !strings.Contains(got, "is a superuser") {
		t.Errorf("of a superuser: %q", got)
	}
	admin.do("ALTER ROLE " + name + " CREATEROLE; GRANT pg_execute_server_program TO " + name)
	if got := surplus(db); !strings.Contains(got, "may make roles") || !strings.Contains(got, "REVOKE pg_execute_server_program") {
		t.Errorf("%q", got)
	}
}

// TestAHostileSearchPathChangesNothing: the database's owner and the application put functions, operators and tables of the names
// that ours use in front of the server's own.
func TestAHostileSearchPathChangesNothing(t *testing.T) {
	admin := login(t, testserver.Postgres(t))
	name, address := role(t, admin, "shop")
	database := strings.TrimPrefix(mustParse(t, address).Path, "/")
	admin.do(`CREATE TABLE stolen (who text); GRANT ALL ON stolen TO PUBLIC; CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC;
		CREATE FUNCTION evil.steal() RETURNS void LANGUAGE sql AS 'INSERT INTO public.stolen VALUES (current_user)';
		CREATE FUNCTION evil.current_schema() RETURNS name LANGUAGE sql AS 'SELECT evil.steal(); SELECT ''evil''::name';
		CREATE FUNCTION evil.current_schemas(boolean) RETURNS name[] LANGUAGE sql AS 'SELECT evil.steal(); SELECT ''{evil}''::name[]';
		CREATE FUNCTION evil.array_to_json(name[]) RETURNS json LANGUAGE sql AS 'SELECT evil.steal(); SELECT ''["evil"]''::json';
		CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT evil.steal(); SELECT ''2000-01-01''::timestamptz';
		CREATE FUNCTION evil.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT evil.steal(); SELECT ''test-1''';
		CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS 'SELECT evil.steal(); SELECT ''read committed''';
		CREATE FUNCTION evil.never(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT false';
		CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.never);
		ALTER DATABASE ` + database + ` SET search_path = public, evil, pg_catalog;
		CREATE TABLE public.a (id bigserial PRIMARY KEY, v text); CREATE TABLE public.b (id bigint PRIMARY KEY) PARTITION BY RANGE (id);
		CREATE TABLE public.b1 PARTITION OF public.b DEFAULT; GRANT ALL ON public.a, public.a_id_seq, public.b TO ` + name)
	source := open(t, admin.address, driver.Source)
	table, shape := captured(t, source, "a")
	shop := login(t, address)
	shop.do(`SET search_path = evil, pg_temp, pg_catalog, public; CREATE TEMP TABLE record_1 (noted timestamptz, k1 bigint); CREATE TEMP TABLE whimbrel_new (id bigint);
		CREATE TEMP TABLE lane (table_no integer); INSERT INTO public.a (v) VALUES ('x'); UPDATE public.a SET id = 7; DELETE FROM public.a`)
	if got, _ := taken(t, source, table, shape); got != "1;7" {
		t.Errorf("noted %q", got)
	}
	parted := tableOf(t, source, "b") // which is noted row by row
	parted.Number = 2
	if err := source.Capturer.Install(t.Context(), parted, shapeOf(parted), patience); err != nil {
		t.Fatal(err)
	}
	shop.do("INSERT INTO public.b VALUES (1); UPDATE public.b SET id = 7; DELETE FROM public.b; TRUNCATE public.a, public.b")
	if got, _ := taken(t, source, parted, shapeOf(parted)); got != "1;7" {
		t.Errorf("noted of a table with partitions: %q", got)
	}
	if err := source.Gate.Shut(t.Context(), []*schema.Table{table}, patience); err != nil {
		t.Fatal(err)
	}
	if err := shop.try("INSERT INTO public.a (v) VALUES ('y')"); err == nil {
		t.Error("the gate let a write through")
	}
	if err := shop.try("SELECT whimbrel_source.note_1_new_rows()"); err == nil {
		t.Error("the application may call our function")
	}
	const callable = "SELECT coalesce(string_agg(oid::regproc::text, ' '), '') FROM pg_proc WHERE prosecdef AND pronamespace = 'whimbrel_source'::regnamespace AND has_function_privilege"
	if got := admin.ask(callable + "('" + name + "', oid, 'EXECUTE')"); got != "" {
		t.Errorf("the application may execute %s, and so put it behind a trigger of its own", got)
	}
	if err := source.Gate.Reopen(t.Context(), []*schema.Table{table}); err != nil {
		t.Fatal(err)
	}
	if got := admin.ask("SELECT who FROM public.stolen"); got != "" {
		t.Errorf("functions of the search path ran as %s", got)
	}
}

// TestAColumnsNameIsNoStatement: what a name says is said by nobody, least of all with the rights of the move.
func TestAColumnsNameIsNoStatement(t *testing.T) {
	for i, name := range []string{
		"k\nBEGIN DELETE FROM precious; RETURN NULL; END --", "k FROM whimbrel_new AS n; DELETE FROM precious; --", `k" FROM whimbrel_new AS n; DELETE FROM precious; --`,
		"k'; DELETE FROM precious; --", "k$$; DELETE FROM precious; --", `k\'; DELETE FROM precious; --`, "*/ DELETE FROM precious; /*", "{entries}; DELETE FROM precious",
	} {
		p := pair(t, "CREATE TABLE precious (v integer); INSERT INTO precious VALUES (1); CREATE TABLE a ("+quote(name)+" integer PRIMARY KEY, v text)")
		table, shape := captured(t, p.source, "a")
		p.app.do("INSERT INTO a VALUES (7, 'x'); UPDATE a SET v = 'y'; DELETE FROM a")
		if got, _ := taken(t, p.source, table, shape); got != "7" {
			t.Errorf("%d: noted %q", i, got)
		}
		if err := p.source.Gate.Shut(t.Context(), []*schema.Table{table}, patience); err != nil {
			t.Error(err)
		}
		if err := p.source.Gate.Reopen(t.Context(), []*schema.Table{table}); err != nil {
			t.Error(err)
		}
		if got := p.app.ask("SELECT count(*) FROM precious"); got != "1" {
			t.Errorf("%q was a statement", name)
		}
	}
}

// TestASchemaOfSomebodyElsesIsRefused: its owner could put triggers on our tables, which would run with our rights, or a view in the
// place of one, whose functions would be called with them when it is read.
func TestASchemaOfSomebodyElsesIsRefused(t *testing.T) {
	for _, side := range []driver.Side{driver.Source, driver.Target} {
		admin := login(t, testserver.Postgres(t))
		name, address := role(t, admin, "thief_"+string(side))
		admin.do("GRANT CREATE ON DATABASE " + strings.TrimPrefix(mustParse(t, address).Path, "/") + " TO " + name + "; CREATE TABLE a (id integer PRIMARY KEY)")
		place := "whimbrel_" + string(side)
		thief := login(t, address)
		thief.do("CREATE SCHEMA " + place + "; CREATE SEQUENCE " + place + ".called") // which no rollback takes back
		db := open(t, admin.address, side)
		a := tableOf(t, db, "a")
		refused := func(tries map[string]func() error) {
			t.Helper()
			for what, do := range tries {
				if err := do(); class(err) != driver.Refused || !strings.Contains(err.Error(), "belongs to the role "+name) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if called := thief.ask("SELECT is_called FROM " + place + ".called"); called != "f" {
				t.Errorf("what its owner put into the %s's schema was called", side)
			}
		}
		view := map[driver.Side]string{driver.Source: "owner", driver.Target: "epoch"}[side]
		thief.do("CREATE VIEW " + place + "." + view + " AS SELECT 7 AS epoch, 'test-' || nextval('" + place + ".called') AS run")
		if side == driver.Source {
			refused(map[string]func() error{
				"capture": func() error { return db.Capturer.Install(t.Context(), a, shapeOf(a), patience) },
				"gate":    func() error { return db.Gate.Shut(t.Context(), []*schema.Table{a}, patience) },
				"removal": func() error { return db.Capturer.Remove(t.Context(), a, patience) },
				"end":     func() error { return db.Capturer.Finish(t.Context()) },
				"opening": func() error { return db.Gate.Reopen(t.Context(), []*schema.Table{a}) },
			})
			continue
		}
		refused(map[string]func() error{
			"ledger": func() error { return db.Ledger.Prepare(t.Context(), "test-1") },
			"end":    func() error { return db.Ledger.Drop(t.Context()) },
		})
		thief.do("DROP VIEW whimbrel_target.epoch; CREATE TABLE whimbrel_target.epoch AS SELECT 7 AS epoch")
		refused(map[string]func() error{
			"guard":  func() error { return db.Guard.Shut(t.Context(), a, 7) },
			"guards": func() error { return db.Many.ShutAll(t.Context(), []*schema.Table{a}, 7) },
		})
	}
}
