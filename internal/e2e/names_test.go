package e2e

import (
	"database/sql"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-sql-driver/mysql"
)

// hostile are names that a database may have, and that somebody may have chosen with care.
var hostile = []string{
	`a"b`, "a`b", "a'b", "semi; DROP TABLE x; --", "new\nwhimbrel: done", "tab\there", "per%cent %s %d", `back\slash`, `\`, "a$$b", "$1", "?", ":x", "@x", "{record}", "/*", "*/",
	"ترجمة", "\u202edesrever", "\u200bnothing", "esc\x1b[2J\x1b]0;owned\a", "csi\u009b31m", "日本語", "é", "e\u0301", "🦜", " leading", "trailing ", "a.b", `"quoted"`, "select", "NEW", "OLD",
	"record_1", "whimbrel", "Twin", "twin", "ı", "İ", "ß", "whimbrel_new", "whimbrel_source_notes", "owner", "lane", "-1", "1", "'", "#", "\\'; --", "x' OR '1'='1", "..", "../../etc/passwd", "\r\n",
	strings.Repeat("n", 62) + "1", strings.Repeat("n", 62) + "2", strings.Repeat("m", 64), strings.Repeat("l", 128), strings.Repeat("ö", 31), strings.Repeat("日", 21),
}

// client is a plain session of the application's, as the product's own library has it.
type client struct {
	t       *testing.T
	product string
	*sql.DB
}

func dial(t *testing.T, at string) *client {
	t.Helper()
	c := &client{t: t}
	var err error
	if path, ok := strings.CutPrefix(at, "sqlite:"); ok {
		c.product = "sqlite"
		c.DB, err = sql.Open("sqlite3", "file:"+path+"?_pragma=busy_timeout(30000)")
	} else if u, _ := url.Parse(at); u.Scheme == "postgres" {
		c.product = "postgres"
		c.DB, err = sql.Open("pgx", at)
	} else {
		c.product = "mariadb"
		password, _ := u.User.Password()
		config := mysql.NewConfig()
		config.User, config.Passwd, config.Net, config.Addr, config.DBName = u.User.Username(), password, "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
		c.DB, err = sql.Open("mysql", config.FormatDSN())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.DB.Close() })
	return c
}

// quote writes a name as the product takes it.
func (c *client) quote(name string) string {
	if c.product == "mariadb" {
		return "`" + strings.ReplaceAll(name, "`", "``") + "`"
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func (c *client) do(format string, args ...any) {
	c.t.Helper()
	statement := fmt.Sprintf(format, args...)
	if _, err := c.ExecContext(c.t.Context(), statement); err != nil {
		c.t.Fatalf("%s: %v", statement, err)
	}
}

// takes reports whether the product has such names.
func takes(product, name string) bool {
	switch product {
	case "postgres":
		return name != "" && len(name) <= 63
	case "mariadb":
		return name != "" && utf8.RuneCountInString(name) <= 64 && !strings.HasSuffix(name, " ") && !strings.HasSuffix(name, "\n") && name != "twin" && !strings.ContainsFunc(name, func(r rune) bool { return r > 0xffff })
	}
	return name != "" && name != "twin" // a target's names are not empty, and differ in more than case
}

// chosen are the hostile names that a product has, and what only it has.
func chosen(product string) []string {
	names := slices.DeleteFunc(slices.Clone(hostile), func(s string) bool { return !takes(product, s) })
	if product == "sqlite" {
		names = append(names, "")
	}
	return names
}

// TestHostileNames moves tables whose names, columns, keys and indexes are called so, while they change, back, and again.
func TestHostileNames(t *testing.T) {
	for _, pair := range [][2]string{{"postgres", "postgres"}, {"mariadb", "mariadb"}, {"sqlite", "sqlite"}, {"postgres", "mariadb"}, {"mariadb", "sqlite"}, {"sqlite", "postgres"}} {
		t.Run(short(pair[0])+"/"+short(pair[1]), func(t *testing.T) {
			source, target := fresh(t, pair[0]), fresh(t, pair[1])
			app := dial(t, source)
			names := chosen(pair[0])
			if pair[0] == "sqlite" {
				app.do("PRAGMA journal_mode = wal")
			}
			for i, name := range names {
				kind := "varchar(50)"
				q := app.quote(name)
				app.do("CREATE TABLE %s (%s integer NOT NULL, note %s, PRIMARY KEY (%s))", q, q, kind, q)
				app.do("CREATE UNIQUE INDEX %s ON %s (%s, note)", app.quote(fmt.Sprintf("%.20s i%d", strings.ToValidUTF8(fmt.Sprintf("%.12s", name), ""), i)), q, q)
				app.do("INSERT INTO %s VALUES (1, 'one'), (2, 'two'), (3, 'three')", q)
			}
			m := newMove(t, plan{source: source, target: target})
			name := func(names []string) {
				config := "source: {url: " + quoted(hidden(source)) + "}\ntarget: {url: " + quoted(hidden(target)) + "}\nsessions: {source: 2, target: 2}\ntables: {uptime: ["
				for _, name := range names {
					if name != "" { // no list can name it
						config += quoted(name) + ", "
					}
				}
				m.file("whimbrel.yaml", strings.TrimSuffix(config, ", ")+"]}\n")
			}
			name(names)
			said := m.do("check")
			harmlessly(t, said)
			for _, n := range names { // what the target can not have is said before anything starts
				if !takes(pair[1], n) && !strings.Contains(said.out, "[forbidden]") {
					t.Errorf("nothing forbids %q:\n%s", n, said.out)
				}
			}
			names = slices.DeleteFunc(names, func(n string) bool {
				refused := !takes(pair[1], n)
				if refused {
					app.do("DROP TABLE %s", app.quote(n))
				}
				return refused
			})
			name(names)
			harmlessly(t, m.must(0, "check"))
			harmlessly(t, reachDowntime(m))
			harmlessly(t, m.must(0, "reset", "--yes"))
			harmlessly(t, reachDowntime(m))
			for _, name := range names {
				q := app.quote(name)
				app.do("INSERT INTO %s VALUES (4, 'four')", q)
				app.do("UPDATE %s SET %s = 10, note = 'ten' WHERE %s = 1", q, q, q)
				app.do("DELETE FROM %s WHERE %s = 3", q, q)
			}
			harmlessly(t, m.must(0, "status"))
			harmlessly(t, m.must(0, "run", "--yes"))
			harmlessly(t, m.must(0, "report"))
			there, r := dial(t, target), m.report()
			if len(r.Tables) != len(names) {
				t.Errorf("%d tables were moved of %d", len(r.Tables), len(names))
			}
			for _, name := range names {
				got := there.rows(name)
				if got != "2 two,4 four,10 ten," {
					t.Errorf("%q holds %s", name, got)
				}
			}
			if len(names) < 40 {
				t.Errorf("only %d tables were looked at", len(names))
			}
		})
	}
}

// rows are those of one of the tables, and its columns are looked at.
func (c *client) rows(name string) (got string) {
	c.t.Helper()
	rows, err := c.QueryContext(c.t.Context(), "SELECT * FROM "+c.quote(name)+" ORDER BY 1")
	if err != nil {
		c.t.Errorf("%q: %v", name, err)
		return ""
	}
	defer rows.Close()
	if columns, err := rows.Columns(); err != nil || len(columns) != 2 || columns[0] != name {
		c.t.Errorf("%q has the columns %q", name, columns)
	}
	for rows.Next() {
		var key int
		var note string
		if err := rows.Scan(&key, &note); err != nil {
			c.t.Error(err)
		}
		got += fmt.Sprintf("%d %s,", key, note)
	}
	if err := rows.Err(); err != nil {
		c.t.Error(err)
	}
	return got
}

// reachDowntime goes on to the question before the downtime.
func reachDowntime(m *move) ending {
	m.t.Helper()
	m.until("confirm-downtime")
	return m.must(0, "status")
}

// harmlessly fails the test if what the program printed could play with a terminal, or has a line that only a name can have begun.
func harmlessly(t *testing.T, e ending) {
	t.Helper()
	for _, text := range []string{e.out, e.said} {
		for _, r := range text {
			if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e {
				t.Fatalf("%U is in\n%q", r, tail(text))
			}
		}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "whimbrel: done") {
				t.Fatalf("a name made the line %q", line)
			}
		}
	}
}
