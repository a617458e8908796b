package release

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/transform"
)

func folder(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, File), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestLoad keeps the order of the file, and the place of each part.
func TestLoad(t *testing.T) {
	r, err := Load(folder(t, `name: inn
version: "2.0"
transform:
  shop.guest:
    to: visitor
    where: state != "gone"
    drop: [state]
    columns:
      number: {from: id, type: int}
      full_name: {value: 'first + last', type: text(100), nullable: false}
      note:
        from: note
        charset: cp437
        declared: latin1
  bill:
    drop: [x]
  line:
    of: bill
    split: {each: 'parts(x, ",")', as: one, position: no, most: 7}
`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "inn" || r.Version != "2.0" || len(r.Rules) != 3 || r.Rules[0].Table != "shop.guest" || r.Rules[1].Table != "bill" {
		t.Fatalf("%+v", r)
	}
	line := r.Rules[2]
	if s := line.Split; line.Of != "bill" || s == nil || s.Each != `parts(x, ",")` || s.As != "one" || s.Position != "no" || s.Most != 7 || !strings.HasSuffix(s.Place, "release.yaml:19:12") {
		t.Errorf("%+v %+v", line, line.Split)
	}
	digest := r.Digest()
	moved := *line.Split
	moved.Place, r.Rules[2].Split = "elsewhere:1", &moved
	if r.Digest() != digest {
		t.Error("a rule's place makes it another rule")
	}
	if moved.Most = 8; r.Digest() == digest {
		t.Error("another bound is the same rule")
	}
	g := r.Rules[0]
	got := ""
	for _, c := range g.Columns {
		got += fmt.Sprintf("%s:%s ", strings.TrimPrefix(c.Place, filepath.Dir(c.Place)+"/"), c.Name)
	}
	if want := "release.yaml:9:15:number release.yaml:10:18:full_name release.yaml:12:9:note "; got != want {
		t.Errorf("%s\n%s", got, want)
	}
	c := g.Columns[1]
	if g.To != "visitor" || g.Where == "" || len(g.Drop) != 1 || c.Value != "first + last" || c.Type != "text(100)" || c.Null == nil || *c.Null || g.Columns[2].Stored != "latin1" {
		t.Errorf("%+v", g)
	}
}

// TestMerges are part of a table's rule, or one of their own; the digest knows them and not their places.
func TestMerges(t *testing.T) {
	text := func(wins, before string) string {
		return before + `name: inn
version: "2.0"
build: {command: make}
transform:
  menu: {to: card}
merge:
  setting: source-wins
  menu: ` + wins + "\n"
	}
	r, err := Load(folder(t, text(`'source.by == "system" ? release : source'`, "")))
	if err != nil || len(r.Rules) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	menu, setting := r.Rules[0], r.Rules[1]
	if menu.To != "card" || menu.Merge == nil || menu.Merge.Wins != `source.by == "system" ? release : source` || !strings.HasSuffix(menu.Merge.Place, "release.yaml:8:9") ||
		setting.Table != "setting" || setting.Merge == nil || setting.Merge.Wins != transform.SourceWins || !strings.HasSuffix(setting.Place, "release.yaml:7:12") {
		t.Errorf("%+v %+v, %+v %+v", menu, menu.Merge, setting, setting.Merge)
	}
	digest := func(wins, before string) string {
		r, err := Load(folder(t, text(wins, before)))
		if err != nil {
			t.Fatal(err)
		}
		return r.Digest()
	}
	if digest("source-wins", "") == digest("release-wins", "") || digest("source-wins", "") != digest("source-wins", "# a line\n") {
		t.Error("the digest is not of the policies alone")
	}
}

// TestBadReleases: each ends in one sentence with its place.
func TestBadReleases(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "release.yaml: it is empty; name and version must be there",
		"name: inn\n":                           "release.yaml:1:1: a release has a name and a version",
		"name: inn\nversion: 2\nbuilt: x\n":     `release.yaml:3:1: there is no key "built" here`,
		"name: inn\nversion: 2\nbuild: x\n":     "release.yaml:3:8: here belongs a group of keys",
		"name: inn\nversion: 2\nbuild: {}\n":    "release.yaml:3:8: here belong migrations",
		"name: inn\nversion: 2\ntransform: x\n": "release.yaml:3:12: here belongs a group of keys",
		"name: [\n":                             "release.yaml:",
		"name: inn\nversion: 2\ntransform: {t: {columns: {c: {null: false}}}}\n":                              "release.yaml:3:31: null is no key",
		"name: inn\nversion: 2\ntransform: {t: {columns: {c: {formula: 1}}}}\n":                               `there is no key "formula" here`,
		"name: inn\nversion: 2\n---\nname: other\n":                                                           "a second document begins here; one file is one release",
		"name: inn\nversion: 2\ntransform: {t: {drop: all}}\n":                                                "here belongs a list",
		"name: inn\nversion: 2\ntransform: {t: {columns: {c: {nullable: maybe}}}}":                            "release.yaml:3:",
		"name: inn\nversion: 2\nbuild: {migrations: none}\n":                                                  "release.yaml:3:21: the folder none can not be read: no such file or directory",
		"name: inn\nversion: 2\nupdate:\n  migrations: release.yaml\n":                                        "release.yaml:4:15: the folder release.yaml is no folder",
		"name: inn\nversion: 2\nfrom: {query: SELECT 1}\n":                                                    "release.yaml:3:7: a query and its answer belong together",
		"name: inn\nversion: 2\ndatabases: [sqlite, sqlite]\n":                                                "release.yaml:3:21: here belongs a product",
		"name: inn\nversion: 2\nrepository: [a, '']\n":                                                        "release.yaml:3:17: here belongs the name of a table",
		"name: inn\nversion: 2\nswitch: {commands: ['']}\n":                                                   "release.yaml:3:21: here belongs a command",
		"name: inn\nversion: 2\nswitch: {health: {within: 1s}}\n":                                             "release.yaml:3:18: here belongs either url",
		"name: inn\nversion: 2\nswitch: {health: {url: localhost}}\n":                                         "release.yaml:3:24: here belongs an address",
		"name: inn\nversion: 2\nswitch: {health: {command: x, every: 5}}\n":                                   "release.yaml:3:38: here belongs a duration",
		"name: inn\nversion: 2\nprobes: [{name: a, source: b}]\n":                                             "release.yaml:3:10: a probe has a name",
		"name: inn\nversion: 2\nprobes: [{name: a, source: b, target: c}, {name: a, source: b, target: c}]\n": "release.yaml:3:50: there is a probe of this name",
		"name: inn\nversion: 2\nprobes: [{name: a, source: b, target: c, is: same}]\n":                        "release.yaml:3:46: here belongs equal, at-least, at-most",
		"name: inn\nversion: 2\nprobes: [{name: a, source: b, target: c, is: source + }]\n":                   "release.yaml:3:46: here belongs equal",
		"name: inn\nversion: 2\nmerge: {t: source-wins}\n":                                                    "release.yaml:3:8: nothing makes the release's rows that are to be merged",
		"name: inn\nversion: 2\nmerge: [t]\n":                                                                 "release.yaml:3:8: here belongs a group of keys",
		"name: inn\nversion: 2\nbuild: {command: x}\nrepository: ['cfg_*']\nmerge: {a.cfg_x: source-wins}\n":  "release.yaml:5:18: a.cfg_x is the release's alone by cfg_* at",
	} {
		_, err := Load(folder(t, text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "this release can not be opened: no such file or directory") {
		t.Error(err)
	}
	dir := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, File)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "escapes") {
		t.Error(err)
	}
}
