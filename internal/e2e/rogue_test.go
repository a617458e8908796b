package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rogues write to the seats of a target past its guard, each as its product lets somebody do who means to: one row more, one
// less, one changed. The numbers tell the times they come apart.
var rogues = map[string]func(n int) string{
	"postgres": func(n int) string {
		return "ALTER TABLE seat DISABLE TRIGGER USER;\n" + rogueWrites(n) + "ALTER TABLE seat ENABLE ALWAYS TRIGGER " +
			"whimbrel_guard_1;\n"
	},
	"mariadb": func(n int) string {
		return "SET check_constraint_checks = 0, @whimbrel_run = 'rogue';\n" + rogueWrites(n)
	},
	"sqlite": func(n int) string { // the guard of every event is taken off
		return "DROP TRIGGER whimbrel_guard_insert_1;\nDROP TRIGGER whimbrel_guard_update_1;\nDROP TRIGGER whimbrel_guard_delete_1;\n" + rogueWrites(n)
	},
}

func rogueWrites(n int) string {
	return fmt.Sprintf("INSERT INTO seat (id, note) VALUES (%d, 'from nowhere');\nDELETE FROM seat WHERE id = %d;\nUPDATE seat SET note = 'rogue' WHERE id = %d;\n",
		9000+n, 10+n, 20+n)
}

// named checks that a report names the three rows of a rogue writer.
func named(t *testing.T, x table, n int) {
	t.Helper()
	for _, want := range []string{fmt.Sprintf(`"%d": extra`, 9000+n), fmt.Sprintf(`"%d": missing`, 10+n), fmt.Sprintf(`"%d": unlike in note`, 20+n)} {
		if !slices.ContainsFunc(x.Keys, func(k string) bool { return strings.Contains(k, want) }) {
			t.Errorf("the report does not name %s: %q", want, x.Keys)
		}
	}
}

// TestProofFindsARogueWriter: somebody writes to the target past its guard while the application runs, and again in the
// downtime. The first is mended by the move itself and makes it compare in full; the second keeps the target shut until the
// operator has it mended. The certificates say all of it, and hold.
func TestProofFindsARogueWriter(t *testing.T) {
	for target, source := range map[string]string{"postgres": "mariadb", "mariadb": "postgres", "sqlite": "postgres"} {
		t.Run(short(source)+"/"+short(target), func(t *testing.T) {
			l := &live{t: t, source: fresh(t, source), target: fresh(t, target)}
			fill := "CREATE TABLE seat (id int PRIMARY KEY, note varchar(40));\n"
			for i := range 300 {
				fill += fmt.Sprintf("INSERT INTO seat VALUES (%d, 'seat %d');\n", i, i)
			}
			from, to := open(t, l.source), open(t, l.target)
			if err := from.Script(fill); err != nil {
				t.Fatal(err)
			}
			m := newMove(t, plan{source: l.source, target: l.target, uptime: []string{"seat"}, extra: "verify: {levels: {seat: full-uptime+changed}}\n"})
			m.until("accept-findings")
			m.must(0, "answer", "accept-findings", "yes")
			if e := m.finish(m.start("verify.live.before", "run")); !e.killed {
				t.Fatalf("the program ended with %d:\n%s", e.code, tail(e.said))
			}
			if err := to.Script("INSERT INTO seat (id, note) VALUES (8000, 'no guard');\n"); err == nil {
				t.Error("the target could be written to while it was shut")
			}
			write := func(n int) {
				if err := to.Script(rogues[target](n)); err != nil {
					t.Fatal(err)
				}
			}
			write(0)
			m.until("confirm-downtime")
			m.must(0, "answer", "confirm-downtime", "yes")
			m.until("confirm-open")
			x := m.report().Tables[0]
			if named(t, x, 0); x.Verdict != "equal" || x.Mended != 3 || x.VerifyLevel != "full-downtime" {
				t.Errorf("after the uptime: %+v", x)
			}
			if e := m.do("verify"); e.code != 0 {
				t.Errorf("the rows were not mended:\n%s", tail(e.out))
			}

			write(1)
			if e := m.do("verify"); e.code != 1 || !strings.Contains(e.out, "unlike in note") {
				t.Errorf("verify ended with %d:\n%s\n%s", e.code, e.out, e.said)
			}
			named(t, m.report().Tables[0], 1)
			if e := m.do("run", "--yes"); e.code == 0 || m.marks() != "stop" {
				t.Fatalf("the target opened with a rogue's rows:\n%s", tail(e.out))
			}
			m.must(0, "verify", "--repair")
			certified(t, m, "equal")
			m.must(0, "run", "--yes")
			l.equalRows()
		})
	}
}

// equalRows fails the test unless the judge finds the same rows on both sides.
func (l *live) equalRows() {
	l.t.Helper()
	rows := map[string][][]string{}
	for _, at := range []string{l.source, l.target} {
		got, err := open(l.t, at).Query("SELECT id, note FROM seat ORDER BY id")
		if err != nil {
			l.t.Fatal(err)
		}
		rows[at] = got
	}
	if source, target := fmt.Sprint(rows[l.source]), fmt.Sprint(rows[l.target]); source != target {
		l.t.Errorf("the source holds\n%s\nand the target\n%s", source, target)
	}
}

// certified writes a move's certificates and checks them with the program alone, in a folder without the move's state; one of
// which a byte is changed must be refused.
func certified(t *testing.T, m *move, verdict string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "proofs")
	m.must(0, "report", "--certificates", dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.certificate"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no certificate: %v", err)
	}
	for _, file := range files {
		if e := m.must(0, "verify", "--certificate", file, "--config", filepath.Join(dir, "nowhere.yaml")); !strings.Contains(e.out, " is "+verdict+" to ") {
			t.Errorf("the certificate says %s", e.out)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.Replace(text, []byte("source-rows 3"), []byte("source-rows 4"), 1)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if e := m.do("verify", "--certificate", file); e.code != 1 || !strings.Contains(e.said, "not what was signed") {
			t.Errorf("a changed certificate: code %d, %s", e.code, e.said)
		}
	}
}
