// Package bench measures whole loads and replays beside the raw pipe of the same servers in the same run: make bench. Its
// lines are rows of the table in docs/performance.md. BENCH_LINES and BENCH_WIDES say how many rows the tables have.
package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// job is one pair with the tables that its raw pipe can carry.
type job struct {
	source, target string
	tables         []string
	raw            func(s, t database, table string) []*exec.Cmd
}

var jobs = []job{
	{"postgres", "postgres", []string{"line", "wide"}, func(s, t database, table string) []*exec.Cmd {
		return []*exec.Cmd{s.client("COPY " + table + " TO STDOUT"), t.client("COPY " + table + " FROM STDIN")}
	}},
	{"mariadb", "postgres", []string{"line", "wide"}, func(s, t database, table string) []*exec.Cmd {
		return []*exec.Cmd{s.client(selects[table]), t.client("COPY " + table + " FROM STDIN (NULL 'NULL')")}
	}},
	{"mariadb", "mariadb", []string{"line"}, func(s, t database, table string) []*exec.Cmd {
		return []*exec.Cmd{s.client(selects[table]), t.client("LOAD DATA LOCAL INFILE '/dev/stdin' INTO TABLE " + table)}
	}},
	{"sqlite", "postgres", []string{"line"}, func(s, t database, table string) []*exec.Cmd {
		return []*exec.Cmd{s.client("SELECT * FROM " + table), t.client("COPY " + table + " FROM STDIN")}
	}},
}

var selects = map[string]string{
	"line": "SELECT * FROM line",
	"wide": `SELECT id, small, num, amount, ratio, flag, day, ts, uid, name, note, doc, CONCAT('\\x', HEX(payload)) FROM wide`,
}

// database is one of a job's two, on a server of its own.
type database struct {
	product string
	server  *testserver.Server // nil for SQLite
	url     string
}

func newDatabase(b *testing.B, product, name string) database {
	b.Helper()
	if product == "sqlite" {
		return database{product: product, url: testserver.SQLite(b)}
	}
	s := testserver.New(b, product)
	return database{product: product, server: s, url: s.Create(b, name)}
}

// client is the product's own client with one statement, its data on standard input and output.
func (d database) client(sql string) *exec.Cmd {
	switch d.product {
	case "postgres":
		return exec.Command("psql", "-Xq", "-v", "ON_ERROR_STOP=1", d.url, "-c", sql)
	case "mariadb":
		c := exec.Command("mariadb", "--no-defaults", "--batch", "--skip-column-names", "--quick", "--local-infile=1", "--default-character-set=utf8mb4",
			"-h", "127.0.0.1", "-P", strconv.Itoa(d.server.Port), "-u", "whimbrel", "bench", "-e", sql)
		c.Env = append(os.Environ(), "MYSQL_PWD="+testserver.Password)
		return c
	}
	return exec.Command("sqlite3", "-batch", "-bail", "-tabs", strings.TrimPrefix(d.url, "sqlite:"), sql)
}

func (d database) do(b *testing.B, sql string) {
	b.Helper()
	for statement := range strings.SplitSeq(sql, ";\n") {
		if out, err := d.client(strings.TrimSuffix(statement, ";")).CombinedOutput(); err != nil {
			b.Fatalf("%s: %v\n%s", d.product, err, out)
		}
	}
}

// size is a number of rows from the environment.
func size(name string, usual int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return usual
}

func tables(product string) string {
	return map[string]string{"postgres": postgresTables, "mariadb": mariadbTables, "sqlite": sqliteTables}[product]
}

// fill makes and fills the job's tables at the source, and returns their rows and the bytes of their text.
func (d database) fill(b *testing.B, names []string) (rows int, bytes int64) {
	b.Helper()
	d.do(b, tables(d.product))
	for _, name := range names {
		path := filepath.Join(b.TempDir(), name)
		f, err := os.Create(path)
		if err != nil {
			b.Fatal(err)
		}
		n, style := size("BENCH_LINES", 500_000), loadData
		if name == "wide" {
			n = size("BENCH_WIDES", 75_000)
		}
		if d.product == "postgres" {
			style = copyText
		}
		if name == "line" {
			err = lines(f, n)
		} else {
			err = wides(f, n, style)
		}
		if err != nil {
			b.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			b.Fatal(err)
		}
		rows, bytes = rows+n, bytes+info.Size()
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		d.in(b, name, path)
	}
	return rows, bytes
}

// in loads a file into a table with the product's own client.
func (d database) in(b *testing.B, name, path string) {
	b.Helper()
	c := d.client("COPY " + name + " FROM STDIN")
	switch {
	case d.product == "sqlite":
		c = d.client(".import " + path + " " + name)
	case d.product == "mariadb" && name == "wide":
		c = d.client("LOAD DATA LOCAL INFILE '" + path + "' INTO TABLE wide (id,small,num,amount,ratio,flag,day,ts,uid,name,note,doc,@p) SET payload=UNHEX(@p)")
	case d.product == "mariadb":
		c = d.client("LOAD DATA LOCAL INFILE '" + path + "' INTO TABLE line")
	default:
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		c.Stdin = f
	}
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("fill %s: %v\n%s", name, err, out)
	}
}

// BenchmarkMove loads, and then replays, beside the raw pipe.
func BenchmarkMove(b *testing.B) {
	program, err := filepath.Abs("../bin/whimbrel")
	if err != nil {
		b.Fatal(err)
	}
	fmt.Printf("\n| job | by | wall s | rows/s | MB/s | CPU s (client) | client RSS MiB | |\n|---|---|---|---|---|---|---|---|\n")
	for _, j := range jobs {
		b.Run(j.source+"/"+j.target, func(b *testing.B) {
			for b.Loop() {
				j.run(b, program)
			}
		})
	}
}

func (j job) run(b *testing.B, program string) {
	source := newDatabase(b, j.source, "bench")
	rows, bytes := source.fill(b, j.tables)
	name := j.source + " → " + j.target

	raw := newDatabase(b, j.target, "bench")
	raw.do(b, tables(j.target))
	var k cost
	for _, table := range j.tables {
		one := measure(b, servers(source, raw), j.raw(source, raw, table)...)
		k = cost{k.wall + one.wall, k.client + one.client, k.server + one.server, max(k.resident, one.resident)}
	}
	row("load "+name, "raw pipe, one stream, keys", rows, bytes, k, "")
	if raw.server != nil {
		raw.server.Kill()
	}

	target := newDatabase(b, j.target, "bench")
	m := newMove(b, program, source, target, j.tables)
	k = m.until(b, "confirm-downtime")
	row("load "+name, "whimbrel, all steps of the uptime", rows, bytes, k, m.seconds(b, "load-uptime", "build-indexes", "verify-uptime"))

	changed := rows / 5
	source.do(b, "UPDATE line SET l_quantity = ROUND(l_quantity + 1, 2) WHERE l_orderkey % 5 = 0")
	m.do(b, 0, "answer", "confirm-downtime", "yes")
	k = m.do(b, 3, "run")
	row("replay "+name, "whimbrel, all steps of the downtime", changed, bytes/5, k, m.seconds(b, "drain", "verify-downtime"))
}

func servers(all ...database) []*testserver.Server {
	var list []*testserver.Server
	for _, d := range all {
		if d.server != nil {
			list = append(list, d.server)
		}
	}
	return list
}

// move is one move by the program.
type move struct {
	program, dir string
	servers      []*testserver.Server
}

func newMove(b *testing.B, program string, source, target database, uptime []string) move {
	b.Helper()
	m := move{program: program, dir: b.TempDir(), servers: servers(source, target)}
	skip := "[]"
	if len(uptime) == 1 {
		skip = "[wide]"
	}
	config := fmt.Sprintf("procedure: downtime-optimized\nsource: {url: %q}\ntarget: {url: %q}\ntables: {uptime: [%s], skip: %s}\n",
		source.url, target.url, strings.Join(uptime, ", "), skip)
	if err := os.WriteFile(filepath.Join(m.dir, "whimbrel.yaml"), []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	return m
}

// do runs one command of the program, which must end with this code.
func (m move) do(b *testing.B, code int, args ...string) cost {
	b.Helper()
	// A shell passes the code on as success, so that measure need not know which codes are good.
	c := exec.Command("sh", append([]string{"-c", `"$@"; code=$?; [ $code -eq ` + strconv.Itoa(code) + ` ]`, "sh", m.program}, args...)...)
	c.Dir = m.dir
	return measure(b, m.servers, c)
}

// until goes on to a question, answering those before it.
func (m move) until(b *testing.B, question string) cost {
	b.Helper()
	var sum cost
	for range 5 {
		one := m.do(b, 3, "run")
		sum = cost{sum.wall + one.wall, sum.client + one.client, sum.server + one.server, max(sum.resident, one.resident)}
		var s struct{ Step string }
		m.ask(b, &s, "status", "--json")
		if s.Step == question {
			return sum
		}
		m.do(b, 0, "answer", s.Step, "yes")
	}
	b.Fatalf("the move never asked %s", question)
	return sum
}

func (m move) ask(b *testing.B, into any, args ...string) {
	b.Helper()
	c := exec.Command(m.program, args...)
	c.Dir = m.dir
	out, err := c.Output()
	if err == nil {
		err = json.Unmarshal(out, into)
	}
	if err != nil {
		b.Fatalf("%q: %v", args, err)
	}
}

// seconds says how long some of the steps took.
func (m move) seconds(b *testing.B, names ...string) string {
	b.Helper()
	var r struct {
		Phases []struct {
			Steps []struct {
				Name    string
				Seconds float64
			}
		}
	}
	m.ask(b, &r, "report", "--json")
	var said []string
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			for _, n := range names {
				if s.Name == n {
					said = append(said, fmt.Sprintf("%s %.1f s", n, s.Seconds))
				}
			}
		}
	}
	return strings.Join(said, ", ")
}
