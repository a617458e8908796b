package bench

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

// side says which of two servers of one product is meant: nothing is copied within one server.
type side string

const (
	source side = "source"
	target side = "target"
)

// settings are those of the servers: memory that holds the data, everything durable as the products come, except that
// MariaDB's binary log is not synchronised with each commit (their default, sync_binlog=0).
var settings = map[string]testserver.Settings{
	"postgres": {
		"wal_level=logical", "shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=15min", "maintenance_work_mem=512MB",
		"work_mem=64MB", "log_min_messages=warning",
	},
	"mariadb": {
		"innodb-buffer-pool-size=2G", "innodb-log-file-size=2G", "innodb-io-capacity=2000", "sync-binlog=0", "max-binlog-size=512M",
		"collation-server=utf8mb4_bin", "performance-schema=0", "secure-file-priv=",
	},
}

// grounds are the servers and programs of one run of the benchmark. A server is started when it is first wanted.
type grounds struct {
	b         testing.TB // the whole run: what is made for it lives as long
	dir       string
	scale     float64
	program   string // whimbrel
	yardstick string
	servers   map[string]*testserver.Server
	sources   map[string]database // with both tables, filled
	banks     banks               // for what capture costs
}

func newGrounds(b testing.TB, scale float64) *grounds {
	b.Helper()
	g := &grounds{b: b, dir: b.TempDir(), scale: scale, servers: map[string]*testserver.Server{}, sources: map[string]database{}}
	for name, path := range map[string]*string{"whimbrel": &g.program, "yardstick": &g.yardstick} {
		full, err := filepath.Abs("../bin/" + name)
		if other := os.Getenv("BENCH_PROGRAM"); other != "" && name == "whimbrel" {
			full, err = filepath.Abs(other)
		}
		if err == nil {
			_, err = os.Stat(full)
		}
		if err != nil {
			b.Fatalf("%v; make bench builds it", err)
		}
		*path = full
	}
	return g
}

// rows is how many rows a table has at the run's scale.
func (g *grounds) rows(table string) int {
	n := map[string]int{"line": lineRows, "wide": wideRows}[table]
	return max(int(float64(n)*g.scale), 8)
}

// server returns one of the run's servers; nil for SQLite.
func (g *grounds) server(product string, s side) *testserver.Server {
	if product == "sqlite" {
		return nil
	}
	key := product + " " + string(s)
	if g.servers[key] == nil {
		extra := settings[product]
		if product == "mariadb" {
			extra = append(extra[:len(extra):len(extra)], map[side]string{source: "server-id=1", target: "server-id=2"}[s])
		}
		g.servers[key] = testserver.New(g.b, product, extra...)
	}
	return g.servers[key]
}

// database is one on a server, or a file.
type database struct {
	product string
	server  *testserver.Server // nil for SQLite
	name    string             // for SQLite the path
	url     string
}

// fresh returns an empty database of this name; what was in it is gone.
func (g *grounds) fresh(b testing.TB, product string, s side, name string) database {
	b.Helper()
	if product == "sqlite" {
		path := filepath.Join(g.dir, string(s)+"-"+name+".db")
		for _, end := range []string{"", "-wal", "-shm", "-journal"} {
			if err := os.RemoveAll(path + end); err != nil {
				b.Fatal(err)
			}
		}
		return database{product: product, name: path, url: "sqlite:" + path}
	}
	server := g.server(product, s)
	d := database{product: product, server: server, name: name, url: server.URL(name)}
	if product == "postgres" {
		admin := database{product: product, server: server, name: "postgres", url: server.URL("postgres")}
		admin.do(b, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
		admin.do(b, "CREATE DATABASE "+name)
		return d
	}
	admin := database{product: product, server: server, name: "mysql"}
	admin.do(b, "SET sql_log_bin=0; DROP DATABASE IF EXISTS "+name+"; CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	return d
}

// settle lets a server come to rest before a run: PostgreSQL has written its checkpoint, MariaDB's binary logs are gone.
func (d database) settle(b testing.TB) {
	b.Helper()
	switch d.product {
	case "postgres":
		d.do(b, "CHECKPOINT")
	case "mariadb":
		d.do(b, "RESET MASTER")
	}
}

// client is the product's own client with one statement, its data on standard input and output.
func (d database) client(sql string) *exec.Cmd {
	switch d.product {
	case "postgres":
		return exec.Command("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", d.url, "-c", sql)
	case "mariadb":
		c := exec.Command("mariadb", append(d.mariadbFlags(), "--batch", "--skip-column-names", "--quick", "--local-infile=1", "-e", sql, d.name)...)
		c.Env = append(os.Environ(), "MYSQL_PWD="+testserver.Password)
		return c
	}
	return exec.Command("sqlite3", "-batch", "-bail", "-noheader", d.name, sql)
}

// mariadbFlags reach the server; the password is in MYSQL_PWD.
func (d database) mariadbFlags() []string {
	return []string{"--no-defaults", "--default-character-set=utf8mb4", "-h127.0.0.1", "-P" + strconv.Itoa(d.server.Port), "-uwhimbrel"}
}

// do runs statements, one of a text for PostgreSQL in one transaction.
func (d database) do(b testing.TB, sql string) { b.Helper(); d.ask(b, sql) }

// ask runs statements and returns what they answer, columns and rows apart by blanks.
func (d database) ask(b testing.TB, sql string) string {
	b.Helper()
	out, err := d.answer(sql)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// answer is ask with an error.
func (d database) answer(sql string) (string, error) {
	var said strings.Builder
	c := d.client(sql)
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %.200s: %w\n%s", d.product, sql, err, tail(said.String()))
	}
	return strings.Join(strings.FieldsFunc(string(out), func(r rune) bool { return r == '|' || r == '\t' || r == '\n' }), " "), nil
}

// each runs statements one by one, so that PostgreSQL does not take them as one transaction.
func (d database) each(b testing.TB, statements ...string) {
	b.Helper()
	for _, s := range statements {
		d.do(b, s)
	}
}

// tables makes both tables, empty: with their keys, but for PostgreSQL without.
func (d database) tables(b testing.TB) {
	b.Helper()
	d.do(b, map[string]string{"postgres": postgresTables, "mariadb": mariadbTables, "sqlite": sqliteTables}[d.product])
}

// filled returns the run's source of a product, with both tables in it. Again: the same one.
func (g *grounds) filled(b testing.TB, product string) database {
	b.Helper()
	if d, ok := g.sources[product]; ok {
		return d
	}
	d := g.fresh(b, product, source, "bench")
	if product == "sqlite" {
		d.do(b, "PRAGMA journal_mode=wal")
	}
	d.tables(b)
	g.fill(b, d, "line", "wide")
	switch product {
	case "postgres":
		d.each(b, lineKey, wideKey, "VACUUM ANALYZE", "CHECKPOINT")
	case "mariadb":
		d.do(b, "SET sql_log_bin=0; ANALYZE TABLE line, wide")
	case "sqlite":
		d.do(b, "PRAGMA wal_checkpoint(TRUNCATE)")
	}
	g.sources[product] = d
	return d
}

// fill puts the rows into tables that are there.
func (g *grounds) fill(b testing.TB, d database, tables ...string) {
	b.Helper()
	for _, table := range tables {
		f := map[string]format{"postgres": copyText, "mariadb": loadData, "sqlite": lineSQL}[d.product]
		if d.product == "sqlite" && table == "wide" {
			f = wideSQL
		}
		path := filepath.Join(g.dir, table+".rows")
		out, err := os.Create(path)
		if err != nil {
			b.Fatal(err)
		}
		if table == "line" {
			err = lines(out, g.rows(table), f)
		} else {
			err = wides(out, g.rows(table), f)
		}
		if err == nil {
			err = out.Close()
		}
		if err != nil {
			b.Fatal(err)
		}
		d.in(b, table, path)
		if err := os.Remove(path); err != nil {
			b.Fatal(err)
		}
	}
}

// in puts a file's rows into a table with the product's own client.
func (d database) in(b testing.TB, table, path string) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	c := d.client("COPY " + table + " FROM STDIN")
	c.Stdin = f
	switch {
	case d.product == "sqlite":
		c = exec.Command("sqlite3", "-batch", "-bail", d.name)
		c.Stdin = io.MultiReader(strings.NewReader("PRAGMA synchronous=off; BEGIN;\n"), f, strings.NewReader("COMMIT;\n"))
	case d.product == "mariadb" && table == "wide":
		c = d.client("SET sql_log_bin=0; LOAD DATA LOCAL INFILE '" + path +
			"' INTO TABLE wide (id,small,num,amount,ratio,flag,day,ts,uid,name,note,doc,@p) SET payload=UNHEX(@p)")
	case d.product == "mariadb":
		c = d.client("SET sql_log_bin=0; LOAD DATA LOCAL INFILE '" + path + "' INTO TABLE line")
	}
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("fill %s: %v\n%s", table, err, tail(string(out)))
	}
}

// same returns an error unless the named tables hold the same at both sides, as far as sums tell. Within is the schema that the
// copy is in at a PostgreSQL target, where it is not the usual one.
func same(from, to database, within string, tables ...string) error {
	for _, t := range tables {
		want, err := from.answer(sums(from.product, t))
		if err != nil {
			return err
		}
		question := sums(to.product, t)
		if within != "" {
			question = strings.Replace(question, " FROM ", " FROM "+within+".", 1)
		}
		got, err := to.answer(question)
		switch {
		case err != nil:
			return err
		case got != want:
			return fmt.Errorf("table %s differs:\n  source %s\n  target %s", t, want, got)
		}
	}
	return nil
}

// servers are those of some databases, each once.
func servers(all ...database) []*testserver.Server {
	var list []*testserver.Server
	seen := map[*testserver.Server]bool{nil: true}
	for _, d := range all {
		if !seen[d.server] {
			list, seen[d.server] = append(list, d.server), true
		}
	}
	return list
}
