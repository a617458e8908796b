package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestShadowFooting: what a move has made is found by what the configuration and the release said then. Where they say something else a
// reset takes nothing back, and nothing of others'; put back, it takes all.
func TestShadowFooting(t *testing.T) {
	rules := innRelease + "transform: {guest: {to: person}}\n"
	n := newInn(t, "mariadb", "postgres", "target", "refuse", map[string]string{"release.yaml": rules})
	script(t, open(t, n.target), "CREATE TABLE precious (id int);\nINSERT INTO precious VALUES (1);\n")
	n.before = n.catalog()
	n.until("confirm-downtime")
	refused := func(words string) {
		t.Helper()
		for _, command := range [][]string{{"reset", "--yes"}, {"run", "--yes"}} {
			if e := n.do(command...); e.code == 0 || !strings.Contains(e.said, words) {
				t.Errorf("%v ended with %d and does not say %q: %s", command, e.code, words, tail(e.said))
			}
		}
	}
	for text, words := range map[string]string{
		strings.Replace(rules, "to: person", "to: precious", 1):                                   "put them back as they were",
		strings.Replace(rules, "name: inn", "name: hotel", 1):                                     "the shadow of this move is inn_shadow at the target",
		strings.NewReplacer("repository: [\"cfg_*\", about]\n", "", "build:", "#").Replace(rules): "put them back as they were",
	} {
		n.files(map[string]string{"release.yaml": text})
		refused(words)
	}
	n.files(map[string]string{"release.yaml": rules})

	file := filepath.Join(n.dir, "whimbrel.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	without, _, _ := strings.Cut(string(text), "release: release\n")
	for words, changed := range map[string]string{
		"the configuration names none any more":               without,
		"the shadow of this move is inn_shadow at the target": strings.Replace(string(text), "at: target,", "at: target, place: elsewhere,", 1),
	} {
		if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(words)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, n.target, "SELECT count(*) FROM precious"); got != "1" {
		t.Errorf("somebody else's table has %s rows", got)
	}
	n.must(0, "reset", "--yes")
	same(t, "after a reset", n.before, n.catalog())
}

// TestShadowGuard: rows that somebody writes past the guard between the comparison and the answer are noticed in a move to a new release
// too, and before its update changes them.
func TestShadowGuard(t *testing.T) {
	past := func(n *inn) {
		trigger := ask(t, n.target, "SELECT tgname FROM pg_trigger WHERE tgrelid = 'guest'::regclass AND tgname LIKE 'whimbrel_guard%'")
		script(t, open(t, n.target), "ALTER TABLE guest DISABLE TRIGGER USER;\nDELETE FROM guest WHERE id = 3;\nALTER TABLE guest ENABLE ALWAYS TRIGGER "+trigger+";\n")
	}
	for _, at := range []string{"target", "source"} {
		for step, text := range map[string]string{
			"confirm-open":       strings.Replace(innRelease, "update:", "#", 1),
			"update-application": innRelease,
		} {
			t.Run(at+"/"+step, func(t *testing.T) {
				text = strings.Replace(text, "SELECT count(*) FROM visitor", "SELECT count(*) FROM "+map[bool]string{true: "visitor", false: "guest"}[text == innRelease], 1)
				n := newInn(t, "mariadb", "postgres", at, "refuse", map[string]string{"release.yaml": text, "after/00001_index.sql": "-- +goose Up\nSELECT 1;\n"})
				n.until("confirm-downtime")
				n.must(0, "answer", "confirm-downtime", "yes")
				if step == "confirm-open" {
					n.until(step)
				} else if e := n.finish(n.start("done:verify-downtime", "run")); !e.killed {
					t.Fatalf("the program ended with %d:\n%s", e.code, tail(e.said))
				}
				past(n)
				n.fails(step, "guest had its guard taken off since it was compared")
				if e := n.do("verify", "--repair"); e.code != 0 {
					t.Errorf("the repair ended with %d: %s", e.code, tail(e.said))
				}
				n.must(0, "run", "--yes")
				table := map[bool]string{true: "visitor", false: "guest"}[step != "confirm-open"]
				if got := ask(t, n.target, "SELECT count(*) FROM "+table); got != "30" {
					t.Errorf("the target was opened with %s guests", got)
				}
			})
		}
	}
}

// TestShadowAfterTheUpdate: what an update has changed is neither compared nor loaded again, notes of another move do not make its
// migrations be passed over, and a probe changes nothing.
func TestShadowAfterTheUpdate(t *testing.T) {
	n := newInn(t, "mariadb", "postgres", "target", "refuse", map[string]string{"release.yaml": strings.Replace(innRelease, "SELECT count(*) FROM visitor", "DELETE FROM message RETURNING 30", 1)})
	script(t, open(t, n.target), "CREATE TABLE whimbrel_goose_update (id serial PRIMARY KEY, version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp DEFAULT now());\n"+
		"INSERT INTO whimbrel_goose_update (version_id, is_applied) VALUES (0, true), (1, true);\n")
	n.fails("release.yaml:13:3: ask the target for probe guests", "read-only")
	n.files(map[string]string{"release.yaml": innRelease})
	n.until("confirm-open")
	for _, step := range []string{"verify-downtime", "load-rest", "switch-release"} {
		if e := n.do("repeat", step); e.code == 0 || !strings.Contains(e.said, step+" can not be done again: the new release's update has changed the target") {
			t.Errorf("repeat %s ended with %d: %s", step, e.code, tail(e.said))
		}
	}
	n.must(0, "run", "--yes")
	n.arrived()
}
