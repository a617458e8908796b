package release

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "inn" || r.Version != "2.0" || len(r.Rules) != 2 || r.Rules[0].Table != "shop.guest" || r.Rules[1].Table != "bill" {
		t.Fatalf("%+v", r)
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

// TestBadReleases: each ends in one sentence with its place.
func TestBadReleases(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "release.yaml: it is empty; name and version must be there",
		"name: inn\n":                           "release.yaml:1:1: a release has a name and a version",
		"name: inn\nversion: 2\nbuild: x\n":     `release.yaml:3:1: there is no key "build" here`,
		"name: inn\nversion: 2\ntransform: x\n": "release.yaml:3:12: here belongs a group of keys",
		"name: [\n":                             "release.yaml:",
		"name: inn\nversion: 2\ntransform: {t: {columns: {c: {null: false}}}}\n":   "release.yaml:3:31: null is no key",
		"name: inn\nversion: 2\ntransform: {t: {columns: {c: {formula: 1}}}}\n":    `there is no key "formula" here`,
		"name: inn\nversion: 2\n---\nname: other\n":                                "a second document begins here; one file is one release",
		"name: inn\nversion: 2\ntransform: {t: {drop: all}}\n":                     "here belongs a list",
		"name: inn\nversion: 2\ntransform: {t: {columns: {c: {nullable: maybe}}}}": "release.yaml:3:",
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
