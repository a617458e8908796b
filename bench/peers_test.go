package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

// Peers that capture changes with triggers and replay them: Slony, Bucardo, PgQ with Londiste. Each is set up between a source and a
// target of its own that hold the same rows; their daemons run only while a replay is measured.

// follower is such a peer between two databases.
type follower struct {
	from, to database
	dir      string   // where it keeps what it needs
	tables   []string // with primary keys, in both databases
}

// conninfo is how libpq's programs are told of a database.
func (d database) conninfo() string {
	return fmt.Sprintf("dbname=%s host=127.0.0.1 port=%d user=whimbrel password=%s", d.name, d.server.Port, testserver.Password)
}

// shell runs a line for bash in the follower's folder.
func (f follower) shell(line string) error {
	out, err := shell(f.dir, line, "PGPASSWORD="+testserver.Password).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%.300s: %w\n%s", line, err, tail(string(out)))
	}
	return nil
}

// write puts a file into the follower's folder.
func (f follower) write(name, text string) error {
	return os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600)
}

// slonik runs a script of Slony's.
func (f follower) slonik(script string) error {
	text := fmt.Sprintf("cluster name = bench;\nnode 1 admin conninfo = '%s';\nnode 2 admin conninfo = '%s';\n%s", f.from.conninfo(), f.to.conninfo(), script)
	if err := f.write("script.slonik", text); err != nil {
		return err
	}
	return f.shell("slonik script.slonik")
}

// slony makes a cluster of both databases. The source's triggers are on when it returns.
func (f follower) slony() error {
	script := "init cluster (id = 1, comment = 'source');\ncreate set (id = 1, origin = 1, comment = 'all');\n"
	for i, t := range f.tables {
		script += fmt.Sprintf("set add table (set id = 1, origin = 1, id = %d, fully qualified name = 'public.%s', comment = '%s');\n", i+1, t, t)
	}
	script += "store node (id = 2, comment = 'target', event node = 1);\n" +
		fmt.Sprintf("store path (server = 1, client = 2, conninfo = '%s');\n", f.from.conninfo()) +
		fmt.Sprintf("store path (server = 2, client = 1, conninfo = '%s');\n", f.to.conninfo())
	return f.slonik(script)
}

// bucardoCommand is a line for bash that runs Bucardo's program.
func (f follower) bucardoCommand(arguments string) string {
	return "bucardo --bucardorc " + filepath.Join(f.dir, "bucardorc") + " " + arguments
}

// bucardo installs what Bucardo keeps into a database beside the target and has it follow the tables. The source's triggers are
// on when it returns.
func (f follower) bucardo(b testing.TB, g *grounds) error {
	control := g.fresh(b, "postgres", target, "bucardo")
	for _, d := range []database{f.from, f.to} {
		if _, err := d.answer("DO 'BEGIN CREATE ROLE bucardo SUPERUSER LOGIN PASSWORD ''" + testserver.Password + "''; EXCEPTION WHEN duplicate_object THEN NULL; END'"); err != nil {
			return err
		}
	}
	if _, err := control.answer("ALTER DATABASE bucardo OWNER TO bucardo"); err != nil {
		return err
	}
	at := fmt.Sprintf("dbhost=127.0.0.1\ndbport=%d\ndbuser=bucardo\ndbpass=%s\ndbname=bucardo\n", f.to.server.Port, testserver.Password)
	if err := f.write("bucardorc", at+"piddir="+f.dir+"\nlogdest="+f.dir+"\nreason_file="+filepath.Join(f.dir, "reason")+"\n"); err != nil {
		return err
	}
	one := func(name string, d database) string {
		return fmt.Sprintf("add db %s dbname=%s dbhost=127.0.0.1 dbport=%d dbuser=bucardo dbpass=%s", name, d.name, d.server.Port, testserver.Password)
	}
	for _, arguments := range []string{
		fmt.Sprintf("install --batch --dbhost 127.0.0.1 --dbport %d --dbuser bucardo --dbpass %s --dbname bucardo --piddir %s", f.to.server.Port, testserver.Password, f.dir),
		one("source", f.from), one("target", f.to),
		"add table " + strings.Join(f.tables, " ") + " db=source relgroup=all",
		"add sync bench relgroup=all dbs=source:source,target:target onetimecopy=0",
	} {
		if err := f.shell(f.bucardoCommand(arguments)); err != nil {
			return err
		}
	}
	return nil
}

// pgq has the source's triggers write events into a queue, which nobody reads.
func (f follower) pgq() error {
	statements := []string{"CREATE EXTENSION pgq", "SELECT pgq.create_queue('bench')"}
	for _, t := range f.tables {
		statements = append(statements, "CREATE TRIGGER pgq AFTER INSERT OR UPDATE OR DELETE ON "+t+" FOR EACH ROW EXECUTE FUNCTION pgq.logutriga('bench')")
	}
	for _, s := range statements {
		if _, err := f.from.answer(s); err != nil {
			return err
		}
	}
	return nil
}

// twin makes an empty copy of a database's tables at the target.
func (g *grounds) twin(b testing.TB, from database, name string) database {
	b.Helper()
	to := g.fresh(b, "postgres", target, name)
	do(b, g.dir, "pg_dump --no-owner -s -n public '"+from.url+"' | psql -XqAt '"+to.url+"' >/dev/null")
	return to
}

// cloned makes a copy of a PostgreSQL database on its own server; nobody may be connected to the original.
func (g *grounds) cloned(b testing.TB, of database, s side, name string) database {
	b.Helper()
	d := g.fresh(b, "postgres", s, name)
	admin := database{product: "postgres", server: d.server, name: "postgres", url: d.server.URL("postgres")}
	admin.each(b, "DROP DATABASE "+name, "CREATE DATABASE "+name+" TEMPLATE "+of.name+" STRATEGY file_copy")
	return d
}
