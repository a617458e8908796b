package postgres

import (
	"context"
	"errors"
	"io"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// TestPasswordsStaySecret in every error of opening.
func TestPasswordsStaySecret(t *testing.T) {
	good, err := url.Parse(testserver.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{
		"postgres://whimbrel:hush-hush@" + good.Host + "/" + good.Path[1:] + "?sslmode=disable",
		"postgres://whimbrel@" + good.Host + "/nowhere?sslmode=disable&password=hush-hush",
		"postgres://whimbrel:hush-hush@" + good.Host + "/x?sslmode=nonsense",
		"postgres://whimbrel:hush-hush@127.0.0.1:1/x?sslmode=disable",
		"postgres://whimbrel:hush-hush@" + good.Host + "/x?sslmode=disable&nonsense=1",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Driver.Open(t.Context(), u, driver.Options{Side: driver.Source, Run: "r"})
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%v", err)
		}
	}
	bare := *good
	words := bare.Query()
	secret, _ := good.User.Password()
	words.Set("password", secret)
	bare.RawQuery, bare.User = words.Encode(), url.User(good.User.Username())
	db := open(t, bare.String(), driver.Source)
	if strings.Contains(db.Info.Name, secret) || strings.Contains(db.Info.Name, "whimbrel:") {
		t.Errorf("name %s", db.Info.Name)
	}
}

// TestAServersSentenceIsCutBeforeAValue of a row; what it happened to stays.
func TestAServersSentenceIsCutBeforeAValue(t *testing.T) {
	for code, sentence := range map[string]string{"22P02": `invalid input syntax for type integer: "c4nary"`, "22008": `date/time field value out of range: "c4nary"`} {
		err := &serverError{cause: &pgconn.PgError{Code: code, Message: sentence, TableName: "a", Detail: "c4nary", Where: `COPY a, line 5, column v: "c4nary"`}}
		if got := err.Error(); strings.Contains(got, "c4nary") || !strings.Contains(got, "table a") || !strings.Contains(got, "line 5, column v") {
			t.Errorf("%s", got)
		}
	}
}

// TestOpeningChangesNothing, and two databases of one server are told apart.
func TestOpeningChangesNothing(t *testing.T) {
	a, b := testserver.Postgres(t), testserver.Postgres(t)
	u := login(t, a)
	const objects = "SELECT count(*) FROM pg_class"
	before := u.ask(objects)
	one, two, again := open(t, a, driver.Source), open(t, b, driver.Source), open(t, a, driver.Target)
	if one.Info.Server == two.Info.Server || one.Info.Server != again.Info.Server || one.Info.Schema != "public" {
		t.Errorf("%+v %+v", one.Info, two.Info)
	}
	if after := u.ask(objects); after != before {
		t.Errorf("%s objects, then %s", before, after)
	}
	for _, side := range []*driver.Database{one, again} {
		notices, err := side.Inspector.Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range notices {
			if n.Level != driver.Note {
				t.Errorf("%+v", n)
			}
		}
	}
}

// TestSettingsAreSeen when they endanger a move.
func TestSettingsAreSeen(t *testing.T) {
	s := testserver.New(t, "postgres", "synchronous_commit=off", "fsync=off")
	address := s.Create(t, "shop")
	u := login(t, address)
	u.do("SELECT lo_create(0); CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()")
	u.do("BEGIN; CREATE TABLE a (id integer PRIMARY KEY); PREPARE TRANSACTION 'p'")
	u.do("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
	for side, want := range map[driver.Side]string{driver.Source: "fsync synchronous-commit prepared large-objects event-trigger", driver.Target: "fsync not-utf8"} {
		name := map[driver.Side]string{driver.Source: "shop", driver.Target: "latin"}[side]
		notices, err := open(t, s.URL(name), side).Inspector.Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range notices {
			got = append(got, n.Rule)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v", side, got)
		}
	}
}

// TestDurableIsOnDisk: a commit that did not wait is on disk when Durable has returned.
func TestDurableIsOnDisk(t *testing.T) {
	s := testserver.New(t, "postgres", "synchronous_commit=off", "wal_writer_delay=10s", "wal_writer_flush_after=0")
	address := s.Create(t, "shop")
	u := login(t, address)
	u.do("CREATE TABLE a (id integer PRIMARY KEY); CHECKPOINT")
	db := open(t, address, driver.Source)
	table := tableOf(t, db, "a")
	u.do("INSERT INTO a VALUES (1)")
	c, err := db.Reader.Read(t.Context(), driver.Query{Table: table, Shape: shapeOf(table)})
	if err != nil {
		t.Fatal(err)
	}
	b := row.NewBatch(1)
	_ = c.Fill(t.Context(), b)
	if err := c.Durable(t.Context()); err != nil || b.Len() != 1 {
		t.Fatalf("%d rows, %v", b.Len(), err)
	}
	_ = c.Close()
	s.Kill()
	s.Start(t)
	if got := login(t, address).ask("SELECT count(*) FROM a"); got != "1" {
		t.Errorf("%s rows after the crash", got)
	}
	for try := 0; ; try++ { // a session that was used a moment ago is not tried out first
		c, err := db.Reader.Read(t.Context(), driver.Query{Table: table, Shape: shapeOf(table)})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Fill(t.Context(), b)
		_ = c.Close()
		if errors.Is(err, io.EOF) && b.Len() == 1 {
			break
		}
		if class(err) != driver.Lost || try > 4 {
			t.Fatalf("%d rows, class %d: %v", b.Len(), class(err), err)
		}
	}
}

// TestACommitWhoseAnswerIsLost is Unknown, and the ledger tells.
func TestACommitWhoseAnswerIsLost(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY)")
	p.there.do(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
		CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait(); ALTER TABLE a ENABLE ALWAYS TRIGGER slow`)
	to := tableOf(t, p.target, "a")
	l, err := p.target.Loader.Load(t.Context(), driver.Intake{Table: to, Shape: shapeOf(to), Range: row.Range{Number: 1}, Epoch: p.epoch})
	if err != nil {
		t.Fatal(err)
	}
	b := row.NewBatch(1)
	b.AppendString("1")
	if err := l.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := l.Commit(ctx); class(err) != driver.Unknown {
		t.Errorf("class %d: %v", class(err), err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.target.Ledger.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	ranges, err := p.target.Ledger.Ranges(t.Context(), to)
	if err != nil || len(ranges) != 0 {
		t.Errorf("ranges %v, %v", ranges, err)
	}
}

// TestOptionsInAURL: what an operator says to the session in it arrives, blanks included, also where a place is what it says.
func TestOptionsInAURL(t *testing.T) {
	at := testserver.Postgres(t)
	login(t, at).do("CREATE SCHEMA " + `"a+b c"` + "; CREATE TABLE " + `"a+b c"` + ".here (id integer PRIMARY KEY)")
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	address, err := open(t, at, driver.Source).Scripts.Address(u, "a+b c")
	if err != nil {
		t.Fatal(err)
	}
	inside := open(t, address, driver.Source)
	seen, err := inside.Inspector.Inspect(t.Context(), nil)
	if err != nil || inside.Info.Schema != "a+b c" || len(seen.Tables) != 1 || seen.Tables[0].Name.Name != "here" {
		t.Errorf("%q, %+v, %v", inside.Info.Schema, seen, err)
	}
}

// TestPlainRolesSuffice: the owner of the tables, no superuser, moves them; settings say what such a role can not.
func TestPlainRolesSuffice(t *testing.T) {
	s := testserver.New(t, "postgres")
	from, to := s.Create(t, "here"), s.Create(t, "there")
	admin := login(t, from)
	admin.do("CREATE ROLE mover LOGIN PASSWORD 'm'; GRANT ALL ON DATABASE here, there TO mover; GRANT ALL ON SCHEMA public TO mover")
	login(t, to).do("GRANT ALL ON SCHEMA public TO mover")
	as := func(address string) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("mover", "m")
		return u.String()
	}
	p := &twins{app: login(t, as(from)), there: login(t, as(to))}
	const ddl = "CREATE TABLE a (id bigserial PRIMARY KEY, email text UNIQUE)"
	p.app.do(ddl)
	p.there.do(ddl)
	p.source, p.target = open(t, as(from), driver.Source), open(t, as(to), driver.Target)
	needed, err := p.target.Rights.Needed(t.Context(), driver.Scope{Schemas: []string{"public"}})
	needed = slices.DeleteFunc(needed, func(r driver.Right) bool { return !r.Lacks })
	if err != nil || len(needed) != 1 || needed[0].Rule != "replication-role" {
		t.Errorf("%+v %v", needed, err)
	}
	if err := p.target.Ledger.Prepare(t.Context(), "test-1"); err != nil {
		t.Fatal(err)
	}
	if p.epoch, err = p.target.Ledger.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := p.replayer(t, "a")
	tables := []*schema.Table{r.from}
	if err := p.target.Guard.Shut(t.Context(), r.to, p.epoch); err != nil {
		t.Fatal(err)
	}
	p.app.do("INSERT INTO a VALUES (1, 'x'), (2, 'y'); UPDATE a SET email = 'z' WHERE id = 1")
	r.drain(t, 10)
	for _, err := range []error{
		p.source.Capturer.Settle(t.Context(), tables, patience), p.source.Gate.Shut(t.Context(), tables, patience),
		p.source.Gate.Prove(t.Context(), tables, patience), p.source.Gate.Reopen(t.Context(), tables),
		p.source.Capturer.Remove(t.Context(), r.from, patience), p.source.Capturer.Finish(t.Context()),
		p.target.Guard.Open(t.Context(), r.to), p.target.Ledger.Drop(t.Context()),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	facts, err := p.source.Watcher.Fingerprint(t.Context(), r.from)
	if err != nil || facts == "" {
		t.Error(err)
	}
}

// TestValuesOf64MB pass through reading, loading and applying in bounded memory.
func TestValuesOf64MB(t *testing.T) {
	p := pair(t, "CREATE TABLE big (id integer PRIMARY KEY, b bytea, t text)")
	p.app.do(`INSERT INTO big SELECT g, decode(repeat('00ff5c0a', 16 * 1024 * 1024), 'hex'), NULL FROM generate_series(1, 2) g;
		INSERT INTO big VALUES (3, NULL, repeat(E'\\\t日', 13 * 1024 * 1024))`)
	r := p.replayer(t, "big")
	c, err := p.source.Reader.Read(t.Context(), driver.Query{Table: r.from, Shape: r.here, Order: driver.KeyOrder})
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.target.Loader.Load(t.Context(), driver.Intake{Table: r.to, Shape: r.there, Range: row.Range{Number: 1}, Epoch: p.epoch})
	if err != nil {
		t.Fatal(err)
	}
	b := row.NewBatch(3)
	for err = nil; err == nil; {
		err = c.Fill(t.Context(), b)
		if failed := l.Write(t.Context(), b); failed != nil {
			t.Fatal(failed)
		}
	}
	_ = c.Close()
	if n, err := l.Commit(t.Context()); n != 3 || err != nil {
		t.Fatalf("%d rows, %v", n, err)
	}
	const all = "SELECT string_agg(md5(b) || ' ' || length(b), ',' ORDER BY id), max(md5(t)) FROM big"
	if a, b := p.app.ask(all), p.there.ask(all); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	p.app.do("UPDATE big SET b = b || '\\x01' WHERE id = 1")
	if !r.step(t, 10) || p.app.ask(all) != p.there.ask(all) {
		t.Error("the replayed value differs")
	}
	if mb := heap(); mb > 450 {
		t.Errorf("the process used %d MiB", mb)
	}
}

// heap is the most that the process's heap has ever taken from the system, in MiB.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapSys >> 20)
}
