package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/mysql"
	"github.com/whimbrel/whimbrel/db/postgres"
	"github.com/whimbrel/whimbrel/db/sqlite"
	"github.com/whimbrel/whimbrel/internal/move"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// commandLine is a command line without a terminal in a folder of its own.
type commandLine struct {
	t   *testing.T
	dir string
}

func newCommandLine(t *testing.T) commandLine {
	t.Helper()
	return commandLine{t: t, dir: t.TempDir()}
}

// run runs one command.
func (c commandLine) run(args ...string) (code int, out, said string) {
	c.t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		c.t.Fatal(err)
	}
	defer null.Close()
	var stdout, stderr bytes.Buffer
	p := &program{in: null, out: &stdout, err: &stderr, drivers: []driver.Driver{postgres.Driver, mysql.Driver, sqlite.Driver}}
	code = p.execute(c.t.Context(), append([]string{"--config", filepath.Join(c.dir, "whimbrel.yaml")}, args...))
	return code, stdout.String(), stderr.String()
}

// must fails the test unless the command ends with this code, and returns all it said.
func (c commandLine) must(want int, args ...string) string {
	c.t.Helper()
	code, out, said := c.run(args...)
	if code != want {
		c.t.Fatalf("%v ended with %d, not %d:\n%s\n%s", args, code, want, out, said)
	}
	return out + said
}

// move makes a source of two tables and the configuration to move it.
func (c commandLine) move(more string) {
	c.t.Helper()
	db, err := (&shop{dir: c.dir}).connect("a.db")
	if err != nil {
		c.t.Fatal(err)
	}
	err = db.Exec(`PRAGMA journal_mode=WAL;
		CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT); INSERT INTO orders VALUES (1, 'a'), (2, 'b');
		CREATE TABLE items (id INTEGER PRIMARY KEY, orders INTEGER REFERENCES orders (id)); INSERT INTO items VALUES (1, 2)`)
	if err := errors.Join(err, db.Close()); err != nil {
		c.t.Fatal(err)
	}
	text := "source: {url: \"sqlite:a.db\"}\ntarget: {url: \"sqlite:b.db\"}\n" + more
	if err := os.WriteFile(filepath.Join(c.dir, "whimbrel.yaml"), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c commandLine) status() (s move.Status) {
	c.t.Helper()
	_, out, said := c.run("status", "--json")
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		c.t.Fatal(err, out, said)
	}
	return s
}

func TestWrongUsageEndsWith2(t *testing.T) {
	c := newCommandLine(t)
	for _, args := range [][]string{
		{"frob"},
		{"run", "--frob"},
		{"run", "now"},
		{"repeat"},
		{"answer"},
		{"answer", "a", "b", "c"},
		{"run", "--yes", "--wait"},
		{"check"},
		{"run"},
		{"status"},
		{"report"},
		{"reset"},
		{"verify"},
		{"repeat", "drain"},
		{"answer", "confirm-open"},
	} {
		if code, out, said := c.run(args...); code != exitUsage || !strings.HasPrefix(said, "whimbrel: ") {
			t.Errorf("%v ended with %d: %s%s", args, code, out, said)
		}
	}
	if entries, _ := os.ReadDir(c.dir); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
	for _, args := range [][]string{{"--help"}, {"run", "--help"}, {"version"}} {
		c.must(exitDone, args...)
	}
}

// TestErrorsMoveNoCursor: what an error says of names that somebody gave is written so that it can be seen, and begins no line of ours.
func TestErrorsMoveNoCursor(t *testing.T) {
	c := newCommandLine(t)
	c.dir = filepath.Join(c.dir, "esc\x1b[2J\u202eesrever\nwhimbrel: done")
	for _, args := range [][]string{{"check"}, {"run"}, {"status"}, {"init"}} {
		code, out, said := c.run(args...)
		if text := out + said; code == exitDone || strings.ContainsAny(text, "\x1b\u202e") || strings.Contains(text, "\nwhimbrel: done") {
			t.Errorf("%v ended with %d: %q", args, code, text)
		}
	}
}

func TestInitWritesAConfigurationOnce(t *testing.T) {
	c := newCommandLine(t)
	c.must(exitDone, "init")
	path := filepath.Join(c.dir, "whimbrel.yaml")
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c.must(exitUsage, "init")
	if again, _ := os.ReadFile(path); !bytes.Equal(again, written) {
		t.Error("init overwrote a configuration")
	}
	t.Setenv("SOURCE_PASSWORD", "a")
	t.Setenv("TARGET_PASSWORD", "b")
	p := &program{config: path, drivers: []driver.Driver{postgres.Driver, mysql.Driver, sqlite.Driver}}
	if _, err := p.load(); err != nil {
		t.Error(err)
	}
	live := strings.NewReplacer("# schemas:", "schemas:", "# schema:", "schema:", "# list:", "list:", "uptime: []", "", "# stop:", "stop:",
		"# start:", "start:", "# start-source:", "start-source:", "# verify:", "verify:", "# wait:", "wait:", "# release:", "release:").Replace(string(written))
	if err := errors.Join(os.WriteFile(path, []byte(live), 0o600), os.WriteFile(filepath.Join(c.dir, "uptime.txt"), nil, 0o600),
		os.Mkdir(filepath.Join(c.dir, "release-2.0"), 0o700), os.WriteFile(filepath.Join(c.dir, "release-2.0", "release.yaml"), []byte("name: shop\nversion: 2\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	full, err := p.load()
	if err != nil || full.Application.StartSource == "" || full.Wait.Settled == 0 || full.Verify.Levels == nil || full.New == nil {
		t.Errorf("with every key: %v, %+v", err, full)
	}
}

func TestAMoveFromQuestionToQuestion(t *testing.T) {
	c := newCommandLine(t)
	c.move("tables: {uptime: [orders]}\n")
	if said := c.must(exitFailed, "status"); !strings.Contains(said, "whimbrel run begins it") {
		t.Error(said)
	}
	c.must(exitDone, "check")
	if said := c.must(exitWaiting, "run"); !strings.Contains(said, "whimbrel answer accept-findings yes|standard") {
		t.Error(said)
	}
	if s := c.status(); s.State != procedure.Asking || s.Question == nil || s.Question.Step != "accept-findings" {
		t.Errorf("status %+v", s)
	}
	c.must(exitFailed, "answer", "confirm-downtime")
	c.must(exitFailed, "answer", "accept-findings", "perhaps")
	c.must(exitDone, "answer", "accept-findings")
	if said := c.must(exitWaiting, "run"); !strings.Contains(said, "Begin the downtime?") {
		t.Error(said)
	}
	if s := c.status(); s.Step != "confirm-downtime" || on(s, "replay") != procedure.Halted {
		t.Errorf("status %+v", s)
	}
	c.must(exitFailed, "repeat", "frob")
	c.must(exitUsage, "reset") // without a terminal
	if said := c.must(exitDone, "run", "--yes"); !strings.Contains(said, "main.orders  uptime") {
		t.Error(said)
	}
	var r move.Report
	if err := json.Unmarshal([]byte(c.must(exitDone, "report", "--json")), &r); err != nil || len(r.Tables) != 2 || r.Tables[0].Verdict != move.Equal {
		t.Errorf("report %+v, %v", r, err)
	}
	if _, err := os.Stat(filepath.Join(c.dir, ".whimbrel", "report.json")); err != nil {
		t.Error(err)
	}
	c.must(exitDone, "run")
	if said := c.must(exitFailed, "reset", "--yes"); !strings.Contains(said, "point of no return") {
		t.Error(said)
	}
}

func on(s move.Status, name string) procedure.State {
	for _, p := range s.Phases {
		for _, x := range p.Steps {
			if x.Name == name {
				return x.State
			}
		}
	}
	return ""
}

func TestAStepThatFailedIsRepeated(t *testing.T) {
	c := newCommandLine(t)
	c.move("application: {stop: \"test -e ready\"}\nprocedure: standard\n")
	if said := c.must(exitFailed, "run", "--yes"); !strings.Contains(said, "whimbrel repeat stop-application") {
		t.Error(said)
	}
	if s := c.status(); s.State != procedure.Broken || s.Step != "stop-application" || s.Error == "" {
		t.Errorf("status %+v", s)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "ready"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.must(exitDone, "repeat", "stop-application", "--yes")
}

func TestAMoveIsTakenBack(t *testing.T) {
	c := newCommandLine(t)
	c.move("application: {stop: \"false\", start-source: \"touch started\"}\ntables: {uptime: [orders]}\n")
	c.must(exitFailed, "run", "--yes")
	c.must(exitDone, "reset", "--yes")
	c.must(exitDone, "reset", "--yes")
	if _, err := os.Stat(filepath.Join(c.dir, "started")); err != nil {
		t.Error("start-source did not run:", err)
	}
	if s := c.status(); s.State != procedure.NotBegun {
		t.Errorf("status %+v", s)
	}
}

func TestAnotherProcessAnswersARunThatWaits(t *testing.T) {
	c := newCommandLine(t)
	c.move("tables: {uptime: [orders]}\n")
	var code int
	var wg sync.WaitGroup
	wg.Go(func() { code, _, _ = c.run("run", "--wait") })
	for _, step := range []string{"accept-findings", "confirm-downtime", "confirm-open"} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		for pause(ctx, 10*time.Millisecond) {
			if code, out, _ := c.run("status", "--json"); code == exitDone && strings.Contains(out, `"step": "`+step+`",`+"\n    \"text\"") {
				break
			}
		}
		if ctx.Err() != nil {
			t.Errorf("%s was not asked", step)
		}
		cancel()
		if said := c.must(exitDone, "answer", step); said != "" {
			t.Error(said)
		}
	}
	wg.Wait()
	if code != exitDone {
		t.Errorf("the run ended with %d", code)
	}
}

func TestTheDemoEndsWithItsBooksBalanced(t *testing.T) {
	c := newCommandLine(t)
	dir := filepath.Join(c.dir, "demo")
	if said := c.must(exitDone, "demo", "--dir", dir); !strings.Contains(said, "its books balance") {
		t.Error(said)
	}
	if _, err := os.Stat(filepath.Join(dir, "report.json")); err != nil {
		t.Error(err)
	}
	c.must(exitUsage, "demo", "--dir", dir)
}

func TestTheAuditSeesALostRow(t *testing.T) {
	for _, sql := range []string{
		`UPDATE accounts SET balance = balance - 1 WHERE id = 7`, `UPDATE lines SET amount = amount + 1 WHERE order_id = 9 AND position = 1`, `DELETE FROM orders WHERE id = 3`,
	} {
		s := &shop{dir: t.TempDir()}
		if err := s.build(); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(s.dir, "source.db"), filepath.Join(s.dir, "target.db")); err != nil {
			t.Fatal(err)
		}
		if wrong, err := s.audit(); wrong != "" || err != nil {
			t.Fatal(wrong, err)
		}
		db, err := s.connect("target.db")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Exec(sql), db.Close()); err != nil {
			t.Fatal(err)
		}
		if wrong, err := s.audit(); wrong == "" || err != nil {
			t.Errorf("after %s the books balance, %v", sql, err)
		}
	}
}

func TestAPicture(t *testing.T) {
	s := move.Status{
		Procedure: "standard", State: procedure.Underway, Source: "a", Target: "b",
		Phases: []move.PhaseReport{
			{Name: "check", Steps: []move.StepReport{{Name: "inspect", State: procedure.Complete}}},
			{Name: "load", Steps: []move.StepReport{{Name: "load-uptime", State: procedure.Underway, Seconds: 61}, {Name: "replay", State: procedure.Broken, Error: "no\nroom"}}},
			{Name: "finish", Steps: []move.StepReport{{Name: "report", State: procedure.NotBegun}}},
		},
		Tables: []move.TableStatus{
			{Name: "done", Class: move.Uptime, Stage: move.Proven, Rows: 5, EstimatedRows: 5, Verdict: move.Equal},
			{Name: "busy", Class: move.Uptime, Stage: move.Loading, Rows: 1500, EstimatedRows: 3000, RowsPerSecond: 10, BytesPerSecond: 2e6, Backlog: 3, LagSeconds: 1.23},
			{Name: "ill", Class: move.Downtime, Stage: move.Stopped, EstimatedRows: -1, Lossy: 4, Error: "x"},
		},
		Totals: move.Totals{Rows: 1505, EstimatedRows: 3005, Backlog: 3},
	}
	want := strings.Split(`standard  a → b  under way
✓ check 1/1   ▸ load 0/2     finish 0/1
  load-uptime: under way, 1 min 1 s
  replay: failed: no\nroom

table        class     stage                                  rows        rows/s  bytes/s  backlog   lag  verdict
ill          downtime  stopped, 4 values lost characters: x      0                               0
busy         uptime    loading                               1,500  50 %      10   2.0 MB        3  1.2s
all, 1 more                                                  1,505  50 %                         3`, "\n")
	if got := picture(s, frame{width: 200, height: 9}); !reflect.DeepEqual(got, want) {
		t.Errorf("drawn\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, line := range picture(s, frame{width: 20, height: 9}) {
		if len([]rune(line)) > 20 {
			t.Errorf("%q is too wide", line)
		}
	}
	if all := picture(s, frame{}); !slices.ContainsFunc(all, func(l string) bool { return strings.HasPrefix(l, "done ") }) {
		t.Errorf("without a bound a table is missing: %q", all)
	}
}
