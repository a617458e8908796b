package e2e

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

// innRelease is a new release with everything: its own tables, which the build upgrades, an update that renames a moved table, and the
// rest.
const innRelease = `name: inn
version: "2.0"
from: {query: "SELECT version FROM about", answer: "1.4"}
databases: [postgres, mariadb, sqlite]
repository: ["cfg_*", about]
build: {migrations: build, command: "sh ./built.sh"}
update: {migrations: update, command: "echo $WHIMBREL_STEP >>../marks"}
after: {migrations: after}
switch:
  commands: ["echo switch $WHIMBREL_RELEASE >>../marks"]
  health: {command: "test ! -e ../down", within: 1s, every: 100ms}
probes:
- {name: guests, source: "SELECT count(*) FROM guest", target: "SELECT count(*) FROM visitor"}
- {name: rooms, source: "SELECT count(*) FROM cfg_room", target: "SELECT count(*) FROM cfg_room", is: at-least}
`

// innScripts are its files.
var innScripts = map[string]string{
	"release.yaml": innRelease,
	"built.sh":     "test -n \"$WHIMBREL_URL\" || exit 1\necho $WHIMBREL_STEP $WHIMBREL_RELEASE >>../marks\n",
	"build/00001_rooms.sql": `-- +goose Up
ALTER TABLE cfg_room ADD COLUMN beds int;
UPDATE cfg_room SET beds = id % 3 + 1;
UPDATE about SET version = '2.0';
`,
	"build/00002_messages.sql": `-- +goose Up
CREATE TABLE message (id int NOT NULL PRIMARY KEY, words varchar(100) NOT NULL);
INSERT INTO message VALUES (1, 'Grüß Gott');
INSERT INTO message VALUES (2, 'Good evening');
`,
	"update/00001_visitors.sql": `-- +goose Up
ALTER TABLE guest RENAME TO visitor;
DROP TABLE scrap;
CREATE TABLE tally (what varchar(20) NOT NULL PRIMARY KEY, n int NOT NULL);
INSERT INTO tally SELECT 'visitors', count(*) FROM visitor;
INSERT INTO tally SELECT 'beds', sum(beds) FROM cfg_room;
UPDATE visitor SET name = 'the first' WHERE id = 0;
`,
	"after/00001_index.sql": "-- +goose Up\nCREATE INDEX visitor_name ON visitor (name);\n",
}

// innSource is what the old release has.
func innSource(rooms int) string {
	text := "CREATE TABLE guest (id int NOT NULL PRIMARY KEY, name varchar(40) NOT NULL);\n" +
		"CREATE TABLE scrap (id int NOT NULL PRIMARY KEY);\nINSERT INTO scrap VALUES (1);\n" +
		"CREATE TABLE about (version varchar(10) NOT NULL);\nINSERT INTO about VALUES ('1.4');\n" +
		"CREATE TABLE cfg_room (id int NOT NULL PRIMARY KEY, label varchar(40) NOT NULL UNIQUE);\n" +
		"CREATE TABLE cfg_bed (id int NOT NULL PRIMARY KEY, room int NOT NULL, CONSTRAINT bed_room FOREIGN KEY (room) REFERENCES cfg_room (id));\n"
	for i := range rooms {
		text += fmt.Sprintf("INSERT INTO guest VALUES (%d, 'guest %d');\nINSERT INTO cfg_room VALUES (%d, 'room %d');\nINSERT INTO cfg_bed VALUES (%d, %d);\n", i, i, i, i, i, i)
	}
	return text
}

// inn is a move to a new release.
type inn struct {
	*move
	source, target string
	at             string // where the shadow is
	before         []string
	builds         string // the account that does
}

// newInn makes the source, the release's folder and the move. Changed are files of the release that are others than usual.
func newInn(t *testing.T, source, target, at, lock string, changed map[string]string) *inn {
	t.Helper()
	n := &inn{source: fresh(t, source), target: fresh(t, target), at: at}
	d := open(t, n.source)
	if source == "sqlite" {
		script(t, d, "PRAGMA journal_mode=wal;\n")
	}
	script(t, d, innSource(30)+"CREATE TABLE cfg_drawn (id "+map[string]string{
		"postgres": "serial PRIMARY KEY", "mariadb": "int AUTO_INCREMENT PRIMARY KEY", "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
	}[source]+", label varchar(40) NOT NULL);\nINSERT INTO cfg_drawn (label) VALUES ('a'), ('b'), ('gone');\nDELETE FROM cfg_drawn WHERE label = 'gone';\n")
	extra := "release: release\nshadow: {at: " + at + ", lock: " + lock
	side := map[string]string{"source": n.source, "target": n.target}[at]
	if n.builds = builder(t, side); n.builds != "" {
		extra += ", url: " + quoted(hidden(as(t, side, n.builds)))
	}
	extra += "}\n"
	if updater := updater(t, n.target); updater != "" {
		extra += "update: {url: " + quoted(hidden(as(t, n.target, updater))) + "}\n"
	}
	n.move = newMove(t, plan{source: n.source, target: n.target, uptime: []string{"guest"}, extra: extra})
	n.files(innScripts)
	n.files(changed)
	n.before = n.catalog()
	return n
}

// files writes files of the release.
func (n *inn) files(files map[string]string) {
	n.t.Helper()
	for name, text := range files {
		path := filepath.Join(n.dir, "release", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			n.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
}

// builder makes an account that may do nothing but log in; empty where the product has none.
func builder(t *testing.T, at string) string {
	t.Helper()
	d := open(t, at)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	name := "build_" + strings.TrimPrefix(u.Path, "/")
	password := "'" + testserver.Password + "'"
	switch d.Product {
	case "sqlite":
		return ""
	case "postgres":
		script(t, d, "CREATE ROLE "+name+" LOGIN PASSWORD "+password+";\n")
		t.Cleanup(func() {
			if err := d.Script("DROP OWNED BY " + name + " CASCADE;\nDROP ROLE " + name + ";\n"); err != nil {
				t.Error(err)
			}
		})
	default:
		script(t, d, "CREATE USER "+name+"@'127.0.0.1' IDENTIFIED BY "+password+";\n")
		t.Cleanup(func() {
			if err := d.Script("DROP USER " + name + "@'127.0.0.1';\n"); err != nil {
				t.Error(err)
			}
		})
	}
	return name
}

// updater makes an account that may change what the move makes at the target, as an update must; empty where the product has none.
func updater(t *testing.T, at string) string {
	t.Helper()
	d := open(t, at)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	home := strings.TrimPrefix(u.Path, "/")
	name, password := "update_"+home, "'"+testserver.Password+"'"
	make, drop := "", ""
	switch d.Product {
	case "sqlite":
		return ""
	case "postgres":
		make = "CREATE ROLE " + name + " LOGIN PASSWORD " + password + ";\nGRANT " + u.User.Username() + " TO " + name + ";\nGRANT ALL ON SCHEMA public TO " + name + ";\n"
		drop = "DROP OWNED BY " + name + " CASCADE;\nDROP ROLE " + name + ";\n"
	default:
		make = "CREATE USER " + name + "@'127.0.0.1' IDENTIFIED BY " + password + ";\nGRANT ALL ON `" + home + "`.* TO " + name + "@'127.0.0.1';\n"
		drop = "DROP USER " + name + "@'127.0.0.1';\n"
	}
	script(t, d, make)
	t.Cleanup(func() {
		if err := d.Script(drop); err != nil {
			t.Error(err)
		}
	})
	return name
}

// catalog lists everything in both databases, and the places beside them where a shadow could be.
func (n *inn) catalog() []string {
	n.t.Helper()
	all := catalogs(n.t, &live{source: n.source, target: n.target})
	for side, at := range map[string]string{"source ": n.source, "target ": n.target} {
		d := open(n.t, at)
		switch d.Product {
		case "postgres":
			if schemas := ask(n.t, at, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'inn%'"); schemas != "" {
				all = append(all, side+"place "+schemas)
			}
		case "mariadb":
			for _, query := range []string{"SELECT schema_name FROM information_schema.schemata", "SELECT CONCAT(user, '@', host, ' ', db) FROM mysql.db"} {
				rows, err := d.Query(query)
				if err != nil {
					n.t.Fatal(err)
				}
				for _, r := range rows {
					if strings.Contains(r[0], "inn_shadow") || strings.HasPrefix(r[0], "build_") {
						all = append(all, side+"place "+r[0])
					}
				}
			}
		case "sqlite":
			u, err := url.Parse(at)
			if err != nil {
				n.t.Fatal(err)
			}
			path := u.Path
			if path == "" {
				path = u.Opaque
			}
			files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*shadow*"))
			if err != nil {
				n.t.Fatal(err)
			}
			for _, f := range files {
				all = append(all, side+"file "+filepath.Base(f))
			}
		}
	}
	slices.Sort(all)
	return all
}

// ask returns the rows of a query, a line each.
func ask(t *testing.T, at, query string) string {
	t.Helper()
	rows, err := open(t, at).Query(query)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range rows {
		all = append(all, strings.Join(r, "|"))
	}
	return strings.Join(all, "\n")
}

// arrived holds the target against what the release makes of the source.
func (n *inn) arrived() {
	n.t.Helper()
	for query, want := range map[string]string{
		"SELECT what, n FROM tally ORDER BY what":                "beds|60\nvisitors|30",
		"SELECT id, words FROM message ORDER BY id":              "1|Grüß Gott\n2|Good evening",
		"SELECT version FROM about":                              "2.0",
		"SELECT id, label, beds FROM cfg_room WHERE id IN (4)":   "4|room 4|2",
		"SELECT count(*), count(DISTINCT room) FROM cfg_bed":     "30|30",
		"SELECT name FROM visitor WHERE id IN (0, 7) ORDER BY 1": "guest 7\nthe first",
	} {
		if got := ask(n.t, n.target, query); got != want {
			n.t.Errorf("%s: %q and not %q", query, got, want)
		}
	}
	for _, side := range []string{n.source, n.target} {
		if left := ours(n.t, side); len(left) > 0 {
			n.t.Errorf("ours is left: %v", left)
		}
	}
	script(n.t, open(n.t, n.target), "INSERT INTO visitor VALUES (1000, 'late');\nINSERT INTO message VALUES (3, 'late');\nUPDATE cfg_room SET beds = 7 WHERE id = 1;\nINSERT INTO cfg_drawn (label) VALUES ('late');\n")
	if got := ask(n.t, n.target, "SELECT count(*) FROM cfg_drawn WHERE id > 3"); got != "1" {
		n.t.Errorf("the generator of a table of the release's has not gone on: %s", ask(n.t, n.target, "SELECT id FROM cfg_drawn"))
	}
	script(n.t, open(n.t, n.source), "UPDATE cfg_room SET label = 'free' WHERE id = 1;\n")
	var source []string
	for _, line := range n.before {
		if strings.HasPrefix(line, "source ") {
			source = append(source, line)
		}
	}
	var now []string
	after := false // what the release has for after the open was run
	for _, line := range n.catalog() {
		if strings.HasPrefix(line, "source ") {
			now = append(now, line)
		}
		if strings.Contains(line, "inn_shadow") {
			n.t.Errorf("the shadow is left: %s", line)
		}
		after = after || strings.HasPrefix(line, "target ") && strings.Contains(line, "visitor_name")
	}
	same(n.t, "at the source after the move", source, now)
	if !after {
		n.t.Error("the release's index, which it makes after the open, is not at the target")
	}
}

// stillShut runs the move to its last question, and holds that nobody but the release's account can write to what was switched until it opens.
func (n *inn) stillShut() {
	n.t.Helper()
	n.until("confirm-open")
	if u, _ := url.Parse(n.target); u.Scheme == "sqlite" {
		return // has no accounts: what lets the update in lets everybody in
	}
	for _, change := range []string{"UPDATE cfg_room SET beds = 9 WHERE id = 2", "INSERT INTO message VALUES (9, 'early')", "DELETE FROM about"} {
		if err := open(n.t, n.target).Script(change + ";\n"); err == nil {
			n.t.Errorf("somebody wrote to the shut target: %s", change)
		}
	}
}

// TestShadow moves to a new release with everything in it, with the shadow at either side.
func TestShadow(t *testing.T) {
	for _, at := range []string{"target", "source"} {
		for _, pair := range shadowPairs(t) {
			t.Run(at+"/"+pair.String(), func(t *testing.T) {
				n := newInn(t, pair.source, pair.target, at, "refuse", nil)
				if rights := n.must(0, "check", "--grants").out; !strings.Contains(rights, n.builds) {
					t.Errorf("check --grants does not speak of %s:\n%s", n.builds, tail(rights))
				}
				n.until("confirm-downtime")
				if err := open(t, n.source).Script("UPDATE cfg_room SET label = 'x' WHERE id = 1;\n"); err == nil || !strings.Contains(err.Error(), "are refused") ||
					!strings.Contains(err.Error(), "until the move has ended or was taken back") {
					t.Errorf("a table of the repository was changed under its lock, or nobody says why not: %v", err)
				}
				script(t, open(t, n.source), "UPDATE guest SET name = 'guest 7' WHERE id = 7;\n")
				n.stillShut()
				n.must(0, "run", "--yes")
				n.arrived()
				if marks := n.marks(); marks != "build-shadow 2.0 stop update-application start switch 2.0" {
					t.Errorf("the commands ran as %q", marks)
				}
				r := n.report()
				if r.Release != "inn 2.0" {
					t.Errorf("the report is of release %q", r.Release)
				}
				for _, x := range r.Tables {
					if x.Verdict != "equal" && (x.Class != "repository" || at == "source" && strings.HasPrefix(x.Reason, "was built")) {
						t.Errorf("%s (%s) is %q", x.Name, x.Class, x.Verdict)
					}
				}
				if e := n.do("verify"); e.code == 0 || !strings.Contains(e.said, "the new release's update has changed the target") {
					t.Errorf("verify ended with %d: %s", e.code, tail(e.said))
				}
			})
		}
	}
}

// shadowPairs are the pairs of products that a test of releases goes through: MariaDB to PostgreSQL, and one other by the seed.
func shadowPairs(t *testing.T) []killPair { return killPairs(t, 1) }
