package e2e

import (
	"errors"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/failpoint"
	procedures "github.com/whimbrel/whimbrel/internal/move"
)

// fails runs the move, which must fail with these words in one sentence.
func (n *inn) fails(words ...string) {
	n.t.Helper()
	e := n.do("run", "--yes")
	if e.code == 0 || e.code == 3 {
		n.t.Fatalf("the move went on with %d:\n%s", e.code, tail(e.said))
	}
	last := e.said[strings.LastIndex(e.said, "whimbrel: ")+1:]
	for _, w := range words {
		if !strings.Contains(last, w) {
			n.t.Errorf("%q is not said:\n%s", w, tail(last))
		}
	}
}

// home is where a side's tables are, as a statement of a migration names it.
func home(t *testing.T, at string) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	switch u.Scheme {
	case "postgres":
		return "public"
	case "sqlite":
		return "nowhere" // a file can not name another one
	}
	return strings.TrimPrefix(u.Path, "/")
}

// TestShadowBadBuilds: each ends in one sentence with its place and changes nothing of production; when the fault is mended the
// same command goes on.
func TestShadowBadBuilds(t *testing.T) {
	pair := shadowPairs(t)[0]
	n := newInn(t, pair.source, pair.target, "source", "refuse", nil)
	rows := ask(t, n.source, "SELECT count(*), sum(id) FROM guest")
	up := "-- +goose Up\n"
	broken := func(file, text string) {
		n.files(map[string]string{file: text})
	}
	mend := func(file string) {
		if text := innScripts[file]; text != "" {
			n.files(map[string]string{file: text})
		} else if err := os.Remove(filepath.Join(n.dir, "release", file)); err != nil {
			t.Fatal(err)
		}
	}

	broken("build/00001_rooms.sql", "CREATE TABLE x (id int);\n")
	n.fails("build/00001_rooms.sql:1: it is not a migration")
	mend("build/00001_rooms.sql")
	broken("release.yaml", strings.Replace(innRelease, "cfg_*", "cgf_*", 1))
	n.fails("cgf_*", "matches no table of the source", "release.yaml:5:14")
	broken("release.yaml", strings.Replace(innRelease, `"1.4"`, `"1.3"`, 1))
	n.fails("starts from 1.3 and the source has 1.4", "release.yaml:3:7")
	broken("release.yaml", strings.Replace(innRelease, "databases: [postgres, mariadb, sqlite]", "databases: [oracle]", 1))
	n.fails("runs on oracle and not on " + open(t, n.target).Product)
	mend("release.yaml")

	for file, text := range map[string]string{
		"build/00003_production.sql": up + "\nCREATE TABLE stolen (id int NOT NULL PRIMARY KEY, name varchar(40));\nINSERT INTO stolen SELECT id, name FROM " + home(t, n.source) + ".guest;\n",
		"build/00003_written.sql":    up + "\n\nDELETE FROM " + home(t, n.source) + ".guest;\n",
		"build/00003_unknown.sql":    up + "INSERT INTO message VALUES (3, 'x');\n\nINSERT INTO massage VALUES (4, 'y');\n",
	} {
		broken(file, text)
		n.fails("build-shadow", "/"+file+":4: the database refuses this statement", "mend it and run the same command again")
		mend(file)
	}
	broken("built.sh", "echo the shop can not be built at ${WHIMBREL_URL#*://} >&2\nexit 7\n")
	if e := n.command("run", "--yes"); e.Run() == nil { // what a command says is shown as it is; what is kept of it holds no password
		t.Fatal("a build that fails went on")
	}
	if kept := n.must(0, "report", "--json").out; !strings.Contains(kept, "the shop can not be built at") || !strings.Contains(kept, "exit status 7") || !strings.Contains(kept, "release.yaml:6:") {
		t.Errorf("why the build failed is not said:\n%s", tail(kept))
	}
	n.report()
	broken("built.sh", "exit 0\n")
	broken("build/00003_guest.sql", up+"CREATE TABLE guest (id int NOT NULL PRIMARY KEY);\n")
	n.fails("the build has made a table guest, and a table of this name moves to the target")
	mend("build/00003_guest.sql")

	if pair.source != "sqlite" { // whose accounts are the system's
		account := "build_" + strings.TrimPrefix(func() string { u, _ := url.Parse(n.source); return u.Path }(), "/")
		to, of := account, "guest"
		if pair.source == "mariadb" {
			to, of = account+"@'127.0.0.1'", home(t, n.source)+".guest"
		}
		script(t, open(t, n.source), "GRANT SELECT ON "+of+" TO "+to+";\n")
		n.fails("nothing is built: the account "+account+" can reach more than the shadow", "guest")
		script(t, open(t, n.source), "REVOKE SELECT ON "+of+" FROM "+to+";\n")
		broken("built.sh", "touch ../building\nuntil test -e ../granted; do sleep 0.1; done\n") // a right that it gets while it builds
		source := open(t, n.source)
		var granting sync.WaitGroup
		granting.Go(func() {
			for range 600 {
				if _, err := os.Stat(filepath.Join(n.dir, "building")); err == nil {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
			if err := errors.Join(source.Script("GRANT SELECT ON "+of+" TO "+to+";\n"), os.WriteFile(filepath.Join(n.dir, "granted"), nil, 0o600)); err != nil {
				t.Error(err)
			}
		})
		n.fails("the build has left its shadow: the account "+account+" can reach more than the shadow", "guest")
		granting.Wait()
		script(t, source, "REVOKE SELECT ON "+of+" FROM "+to+";\n")
		broken("built.sh", "exit 0\n")
	}
	n.until("confirm-downtime")
	if got := ask(t, n.source, "SELECT count(*), sum(id) FROM guest"); got != rows {
		t.Errorf("production was changed: %s", got)
	}
	n.must(0, "reset", "--yes")
	same(t, "after a reset", n.before, n.catalog())
}

// TestShadowBadUpdates: so does an update that fails, a probe that does not hold, and an application that does not answer.
func TestShadowBadUpdates(t *testing.T) {
	pair := shadowPairs(t)[1]
	n := newInn(t, pair.source, pair.target, "target", "refuse", map[string]string{
		"update/00002_more.sql": "-- +goose Up\nCREATE TABLE more (id int NOT NULL PRIMARY KEY);\nINSERT INTO mere VALUES (1);\n",
	})
	n.fails("update-application", "/update/00002_more.sql:3: the database refuses this statement", "run the same command again")
	n.files(map[string]string{
		"update/00002_more.sql": "-- +goose Up\nINSERT INTO tally VALUES ('more', 1);\n",
		"release.yaml":          strings.Replace(innRelease, "echo $WHIMBREL_STEP >>../marks", "exit 4", 1),
	})
	if open(t, n.target).Product == "mariadb" { // what it has done of a migration stays done
		script(t, open(t, n.target), "DROP TABLE more;\n")
	}
	n.fails("release.yaml:7:", "exit 4", "exit status 4", "run the same command again")
	n.files(map[string]string{"release.yaml": strings.Replace(innRelease, "SELECT count(*) FROM visitor", "SELECT count(*) FROM visitor WHERE id < 29", 1)})
	n.fails("release.yaml:13:3: probe guests: the source says 30 and the target says 29, which is not \"equal\"", "reset")
	n.files(map[string]string{"release.yaml": innRelease})
	n.file("down", "")
	n.fails("start-application", "release.yaml:11:", "the application has not answered within 1s", "run the same command again")
	if err := os.Remove(filepath.Join(n.dir, "down")); err != nil {
		t.Fatal(err)
	}
	n.must(0, "run", "--yes")
	script(t, open(t, n.target), "DELETE FROM tally WHERE what = 'more';\n")
	n.arrived()
}

// TestShadowDrift: rows of the repository that have changed since the build are told before the downtime, and stop the move in it; put
// back they are forgotten, and else the shadow is built again.
func TestShadowDrift(t *testing.T) {
	for i, at := range []string{"target", "source"} {
		pair := shadowPairs(t)[i]
		t.Run(at+"/"+pair.String(), func(t *testing.T) {
			n := newInn(t, pair.source, pair.target, at, "watch", map[string]string{
				"release.yaml": strings.Replace(innRelease, `["cfg_*", about]`, `["cfg_*"]`, 1), "build/00001_rooms.sql": strings.Replace(innScripts["build/00001_rooms.sql"], "UPDATE about SET version = '2.0';\n", "", 1),
			})
			n.until("confirm-downtime")
			d := open(t, n.source)
			script(t, d, "UPDATE cfg_room SET label = 'other' WHERE id = 3;\n")
			script(t, d, "UPDATE cfg_room SET label = 'room 3' WHERE id = 3;\n")
			script(t, d, "DELETE FROM cfg_bed WHERE id = 5;\nUPDATE cfg_bed SET room = 1 WHERE id = 6;\n")
			n.must(0, "answer", "confirm-downtime", "yes")
			e := n.must(3, "run")
			if !strings.Contains(e.out+e.said, `id "5"; id "6"`) || strings.Contains(e.out+e.said, "cfg_room has changed") {
				t.Errorf("the drift is not told:\n%s\n%s", tail(e.out), tail(e.said))
			}
			if e := n.do("answer", "check-repository", "yes"); e.code == 0 || !strings.Contains(e.said, "the answer is rebuild") {
				t.Errorf("yes ended with %d: %s", e.code, e.said)
			}
			n.must(0, "answer", "check-repository", "rebuild")
			n.must(0, "run", "--yes")
			if got := ask(t, n.target, "SELECT count(*) FROM cfg_bed WHERE id <> 6 OR room = 1"); got != "29" {
				t.Errorf("%s beds are as at the source", got)
			}
			if left := append(ours(t, n.source), ours(t, n.target)...); len(left) > 0 {
				t.Errorf("ours is left: %v", left)
			}
		})
	}
}

// TestShadowReset takes a move back from behind each step of a release, and from the middle of some.
func TestShadowReset(t *testing.T) {
	for i, at := range []string{"target", "source"} {
		pair := shadowPairs(t)[i]
		t.Run(at+"/"+pair.String(), func(t *testing.T) {
			lock := []string{"refuse", "watch"}[i]
			n := newInn(t, pair.source, pair.target, at, lock, map[string]string{"release.yaml": strings.Replace(innRelease, ", about]", "]", 1), "build/00001_rooms.sql": strings.Replace(innScripts["build/00001_rooms.sql"], "UPDATE about SET version = '2.0';\n", "", 1)})
			for _, point := range []string{"shadow.fill.after", "done:build-shadow", "done:copy-repository", "done:check-repository", "shadow.adopt.after", "done:update-application"} {
				if at == "source" && point == "shadow.adopt.after" {
					point = "done:switch-release"
				}
				if e := n.finish(n.start(point, "run", "--yes")); !e.killed {
					t.Fatalf("%s: ended with %d:\n%s", point, e.code, tail(e.said))
				}
				n.must(0, "reset", "--yes")
				same(t, "after a reset at "+point, n.before, n.catalog())
			}
		})
	}
}

// TestShadowResetSparesOthers: what somebody else makes at the target while the last question is open is not the release's.
func TestShadowResetSparesOthers(t *testing.T) {
	for i, at := range []string{"target", "source"} {
		pair := shadowPairs(t)[i]
		t.Run(at+"/"+pair.String(), func(t *testing.T) {
			n := newInn(t, pair.source, pair.target, at, "refuse", nil)
			n.until("confirm-open")
			script(t, open(t, n.target), "CREATE TABLE theirs (id int NOT NULL PRIMARY KEY);\nINSERT INTO theirs VALUES (1);\n")
			n.must(0, "reset", "--yes")
			if got := ask(t, n.target, "SELECT count(*) FROM theirs"); got != "1" {
				t.Errorf("somebody else's table has %s rows", got)
			}
			script(t, open(t, n.target), "DROP TABLE theirs;\n")
			same(t, "after a reset", n.before, n.catalog())
		})
	}
}

// TestShadowKills kills the program at both edges of each step of a release and between them; the same command goes on.
func TestShadowKills(t *testing.T) {
	var points []string
	plain := procedures.DowntimeOptimized()
	for _, s := range procedures.ToRelease()[0].Steps() {
		if _, ordinary := plain.Step(s.Name); !ordinary {
			points = append(points, string(failpoint.Begin)+":"+s.Name, string(failpoint.Done)+":"+s.Name)
		}
	}
	points = append(points, failpoint.OfReleases()...)
	for i, at := range []string{"target", "source"} {
		pair := shadowPairs(t)[1-i]
		t.Run(at+"/"+pair.String(), func(t *testing.T) {
			n := newInn(t, pair.source, pair.target, at, "refuse", nil)
			elsewhere := []string{"repository.copy.before", "shadow.adopt.before", "shadow.adopt.after"}
			if at == "source" {
				elsewhere = elsewhere[1:]
			} else {
				elsewhere = elsewhere[:1]
			}
			left := map[string]bool{}
			for _, p := range points {
				if !slices.Contains(elsewhere, p) {
					left[p] = true
				}
			}
			for deaths := 0; ; deaths++ {
				e := n.finish(n.start(strings.Join(slices.Sorted(maps.Keys(left)), ","), "run", "--yes"))
				if e.killed && left[e.point] {
					delete(left, e.point)
					continue
				}
				if e.code != 0 {
					t.Fatalf("a process ended with %d after %d deaths:\n%s\n%s", e.code, deaths, tail(e.out), tail(e.said))
				}
				break
			}
			if len(left) > 0 {
				t.Errorf("no process came to %v", slices.Sorted(maps.Keys(left)))
			}
			n.arrived()
			t.Logf("killed %d times", len(points)-len(elsewhere))
		})
	}
}

// TestShadowLockTakenOff: rows that were changed past the lock are a drift too, though nobody noted their keys.
func TestShadowLockTakenOff(t *testing.T) {
	n := newInn(t, "mariadb", "postgres", "target", "refuse", nil)
	n.until("confirm-downtime")
	triggers := ask(t, n.source, "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() AND event_object_table = 'cfg_room' ORDER BY 1")
	if triggers == "" {
		t.Fatal("the lock has no trigger: the test takes nothing off")
	}
	off := ""
	for name := range strings.Lines(triggers) {
		off += "DROP TRIGGER " + strings.TrimSpace(name) + ";\n"
	}
	script(t, open(t, n.source), off+"UPDATE cfg_room SET label = 'sly' WHERE id = 4;\n")
	n.must(0, "answer", "confirm-downtime", "yes")
	if e := n.must(3, "run"); !strings.Contains(e.out+e.said, "cfg_room has changed, past its lock") {
		t.Errorf("the drift is not told:\n%s\n%s", tail(e.out), tail(e.said))
	}
	n.must(0, "answer", "check-repository", "rebuild")
	n.must(0, "run", "--yes")
	if got := ask(t, n.target, "SELECT label FROM cfg_room WHERE id = 4"); got != "sly" {
		t.Errorf("the room is called %q", got)
	}
}
