package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

// rowCanary is in rows, in columns that are part of no key: it is seen nowhere. Keys may be seen.
const rowCanary = "r0wcanary51"

// secrets looks for what must not be seen in what the program said and left behind: its output, the files of the move's folder, and
// the command lines and environments of processes that it started.
func (m *move) secrets(e ending, canaries ...string) {
	m.t.Helper()
	places := map[string][]byte{"standard output": []byte(e.out), "standard error": []byte(e.said)}
	_ = filepath.Walk(m.dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() && filepath.Ext(path) != ".db" && filepath.Base(path) != "whimbrel.yaml" || strings.Contains(path, ".whimbrel") && err == nil && info.Mode().IsRegular() {
			if places[path], err = os.ReadFile(path); err != nil {
				m.t.Error(err)
			}
		}
		return nil
	})
	for place, text := range places {
		for _, c := range canaries {
			if bytes.Contains(text, []byte(c)) {
				m.t.Errorf("%s is in %s: …%s…", c, place, around(text, c))
			}
		}
	}
}

func around(text []byte, word string) []byte {
	at := bytes.Index(text, []byte(word))
	return text[max(0, at-200):min(len(text), at+60)]
}

// TestSecretsAreNowhere goes through commands and the ways in which they fail, with passwords that are given in each way.
func TestSecretsAreNowhere(t *testing.T) {
	const wrong, half = "wr0ngcanary62", "6041604160416" // the half of a password that looks like a port
	good := map[string]string{"postgres": testserver.Postgres(t), "mariadb": testserver.MariaDB(t)}
	for product, at := range good {
		at = strings.Replace(at, "?sslmode=disable", "", 1)
		bare := strings.Replace(at, ":"+testserver.Password+"@", "@", 1)
		given := strings.Replace(at, testserver.Password, wrong, 1)
		for what, address := range map[string]string{
			"a wrong password":               given,
			"a wrong password as parameter":  bare + "?password=" + wrong,
			"an unknown parameter":           given + "?token=" + wrong,
			"an unreachable server":          strings.Replace(given, "@127.0.0.1:", "@127.0.0.1:1", 1),
			"a port that is none":            strings.Replace(given, "@127.0.0.1:", "@127.0.0.1:"+wrong, 1),
			"no database":                    given[:strings.LastIndexByte(given, '/')],
			"a password that ends the host":  strings.Replace(given, wrong, "a/"+wrong, 1),
			"a password that is no escape":   strings.Replace(given, wrong, "%zz"+wrong, 1),
			"a password with an at":          strings.Replace(given, wrong, "x@"+wrong, 1),
			"an authority that is not there": given + "?" + map[string]string{"postgres": "sslmode=verify-full&sslrootcert=/", "mariadb": "tls=verify&ca=/"}[product] + "nowhere",
			"a password as the scheme":       strings.Replace(bare, product, wrong, 1),
			"a scheme that nobody knows":     strings.Replace(given, product, "redis", 1),
			"a key's password":               given + "?sslmode=verify-full&sslpassword=" + wrong + "&sslkey=/nowhere&sslcert=/nowhere",
			"a fragment":                     given + "#" + wrong,
			"a password with a hash":         strings.Replace(given, wrong, half+"#"+wrong, 1),
			"a control character":            strings.Replace(given, wrong, wrong+"\x01", 1),
		} {
			for _, side := range []string{"source", "target"} {
				urls := map[string]string{"source": "sqlite:a.db", "target": "sqlite:b.db", side: address}
				m := newMove(t, plan{source: urls["source"], target: urls["target"]})
				for _, args := range [][]string{{"check"}, {"check", "--grants"}, {"run", "--yes"}, {"status"}, {"report"}, {"verify"}, {"reset", "--yes"}, {"answer", "x"}, {"repeat", "x"}} {
					if what != "a wrong password" && args[0] != "check" && args[0] != "run" {
						continue // they come no further than the others do
					}
					e := m.do(args...)
					if e.code == 0 && args[0] != "status" && args[0] != "report" && args[0] != "reset" {
						t.Errorf("%s at the %s: %v ended well", what, side, args)
					}
					m.secrets(e, wrong, half, testserver.Password)
				}
			}
		}
	}
}

// TestRowsAreNowhere moves rows that do not fit, differ, and are twice, and looks for their values.
func TestRowsAreNowhere(t *testing.T) {
	for _, pair := range [][2]string{{"postgres", "mariadb"}, {"mariadb", "postgres"}, {"sqlite", "postgres"}} {
		t.Run(short(pair[0])+"/"+short(pair[1]), func(t *testing.T) {
			source, target := fresh(t, pair[0]), fresh(t, pair[1])
			app := dial(t, source)
			if pair[0] == "sqlite" {
				app.do("PRAGMA journal_mode = wal")
			}
			app.do("CREATE TABLE person (id integer PRIMARY KEY, name varchar(200), born date)")
			app.do("CREATE TABLE live (id integer PRIMARY KEY, name varchar(200) NOT NULL)")
			for i := range 50 {
				app.do("INSERT INTO person VALUES (%d, '%s %d', '2001-02-03')", i, rowCanary, i)
				app.do("INSERT INTO live VALUES (%d, '%s %d')", i, rowCanary, i)
			}
			m := newMove(t, plan{source: source, target: target, uptime: []string{"live"}})
			m.until("confirm-downtime")
			app.do("UPDATE live SET name = '%s changed' WHERE id < 20", rowCanary)
			m.must(0, "answer", "confirm-downtime", "yes")
			e := m.do("run")
			m.secrets(e, rowCanary)
			there := dial(t, target)
			if pair[1] == "postgres" {
				there.do("ALTER TABLE live DISABLE TRIGGER ALL; UPDATE live SET name = '%s otherwise' WHERE id = 7; ALTER TABLE live ENABLE TRIGGER ALL", rowCanary)
			} else {
				there.do("SET check_constraint_checks = 0")
				there.do("UPDATE live SET name = '%s otherwise' WHERE id = 7", rowCanary)
			}
			e = m.do("verify")
			if e.code == 0 || !strings.Contains(e.out+e.said, "7") {
				t.Errorf("verify did not find the row that differs: %d\n%s\n%s", e.code, e.out, e.said)
			}
			for _, args := range [][]string{{"status"}, {"report"}, {"report", "--json"}} {
				m.secrets(m.do(args...), rowCanary)
			}
			m.secrets(e, rowCanary)
		})
	}
}

func read(t *testing.T, m *move, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestCommandLinesHoldNoSecret looks at the program's own command line and those of what it starts, while it waits.
func TestCommandLinesHoldNoSecret(t *testing.T) {
	source, target := fresh(t, "postgres"), fresh(t, "mariadb")
	dial(t, source).do("CREATE TABLE a (id integer PRIMARY KEY)")
	m := newMove(t, plan{source: source, target: target})
	m.file("whimbrel.yaml", strings.Replace(read(t, m, "whimbrel.yaml"), "echo stop >>marks", "for p in $PPID $$; do tr '\\\\0' ' ' </proc/$p/cmdline; echo; done >lines", 1))
	m.do("run", "--yes")
	unspoken(t, read(t, m, "lines"))
	n := newInn(t, "mariadb", "postgres", "source", "refuse", map[string]string{ // whose build is given a URL with its password
		"built.sh": "test -n \"$WHIMBREL_URL\" || exit 1\np=$$\nwhile test $p -gt 1; do tr '\\0' ' ' </proc/$p/cmdline; echo; p=$(sed -n 's/^PPid:.//p' /proc/$p/status); done >../lines\n",
	})
	n.until("confirm-downtime")
	unspoken(t, read(t, n.move, "lines"))
	n.must(0, "reset", "--yes")
}

// unspoken fails the test if a password is in command lines, or they are not those of a run.
func unspoken(t *testing.T, lines string) {
	t.Helper()
	if !strings.Contains(lines, " run") || !strings.Contains(lines, "sh ") {
		t.Errorf("the command lines are not seen: %q", lines)
	}
	if strings.Contains(lines, testserver.Password) {
		t.Errorf("the password is in %q", lines)
	}
}
