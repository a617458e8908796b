package move

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
)

const aRelease = "name: Web Shop\nversion: 2\nbuild: {command: ./build}\n"

// withRelease writes a configuration beside the folder of a release.
func withRelease(t *testing.T, text string) string {
	t.Helper()
	path := writeConfig(t, text, map[string]string{"secret": "p w\n"})
	if err := os.Mkdir("new", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("new", "release.yaml"), []byte(aRelease), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWhereAShadowIs: what is left out is filled in, and the builder's password is as secret as a side's.
func TestWhereAShadowIs(t *testing.T) {
	for _, is := range []struct{ text, place, builder, updater string }{
		{twoSides + "release: new\n", "web_shop_shadow", "mover", "mover"},
		{
			twoSides + "release: new\nshadow: {at: source, url: \"mariadb://builder:${SOURCE_PASSWORD}@db1/shop\", place: made, lock: watch}\nupdate: {url: \"postgres://updater@db2/shop\", password-file: secret}\n",
			"made", "builder", "updater",
		},
		{"source: {url: \"sqlite:old.db\"}\ntarget: {url: \"sqlite:new.db\"}\nrelease: new\n", "new_shadow.db", "", ""},
		{"source: {url: \"sqlite:old.db\"}\ntarget: {url: \"sqlite:new.db\"}\nrelease: new\nshadow: {place: other.db, at: source}\n", "other.db", "", ""},
	} {
		c, err := Load(withRelease(t, is.text), testSchemes, testEnvironment)
		if err != nil {
			t.Fatal(err)
		}
		place, err := c.place()
		if err != nil || filepath.Base(place) != is.place || strings.HasSuffix(is.place, ".db") && !filepath.IsAbs(place) {
			t.Errorf("place %q, %v; want %s", place, err, is.place)
		}
		builder, err := c.builder()
		if err != nil || account(builder) != is.builder {
			t.Errorf("builder %v, %v", builder, err)
		}
		updater, err := c.updater()
		if err != nil || account(updater) != is.updater {
			t.Errorf("updater %v, %v", updater, err)
		}
		if shown := fmt.Sprintf("%v %+v", c, c.Shadow); strings.Contains(shown, "k4nary") {
			t.Error("the builder's password is shown")
		}
	}
	c, err := Load(withRelease(t, twoSides+"release: new\n"), testSchemes, testEnvironment)
	if err != nil || c.Shadow.At != driver.Target || c.Shadow.Lock != Refuse {
		t.Errorf("%+v, %v", c.Shadow, err)
	}
}

// TestBadShadows: each is one sentence with its place.
func TestBadShadows(t *testing.T) {
	for text, want := range map[string]string{
		twoSides + "shadow: {at: target}\n":                                              "whimbrel.yaml:3:9: shadow is for a move to a new release; name its folder with release: or take this out",
		twoSides + "update: {url: \"postgres://a@db2/shop\"}\n":                          "whimbrel.yaml:3:9: update is for a move to a new release",
		twoSides + "release: new\nshadow: {at: elsewhere}\n":                             "whimbrel.yaml:4:14: the shadow is at the source or at the target",
		twoSides + "release: new\nshadow: {lock: open}\n":                                "whimbrel.yaml:4:16: the lock is refuse or watch",
		twoSides + "release: new\nshadow: {url: \"oracle://a@db2/shop\"}\n":              "whimbrel.yaml:4:15: no database is known by the word that this URL begins with",
		twoSides + "release: new\nshadow: {url: \"postgres://a:${NONE}@db2/shop\"}\n":    "whimbrel.yaml:4:15: the environment variable NONE is not set",
		twoSides + "release: new\nshadow: {password-file: secret}\n":                     "whimbrel.yaml:4:25: there is no url that this password could belong to",
		twoSides + "release: new\nupdate: {url: \"postgres://a@db2/shop\", schema: x}\n": "there is no key \"schema\" here",
		twoSides + "release: none\n":                                                     "this release can not be opened: no such file or directory",
	} {
		_, err := Load(withRelease(t, text), testSchemes, testEnvironment)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s\n%v; want %q", text, err, want)
		}
	}
	path := withRelease(t, twoSides+"release: new\nshadow: {url: \"postgres://a:secret@db2/shop\"}\n")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, testSchemes, testEnvironment); err == nil || !strings.Contains(err.Error(), "whimbrel.yaml:4:15: the URL holds a password and others than its owner can read this file") {
		t.Error(err)
	}
}

// TestTheUpdateOfTheMovesOwnAccount is told from one by another account, and from one where there are no accounts.
func TestTheUpdateOfTheMovesOwnAccount(t *testing.T) {
	for _, x := range []struct {
		target, update string
		itself         bool
	}{
		{"postgres://mover@h/d", "", true},
		{"postgres://mover@h/d", "postgres://mover@h/d?sslmode=disable", true},
		{"postgres://mover@h/d", "postgres://updater@h/d", false},
		{"sqlite:a.db", "", false},
	} {
		c := &Config{Dir: t.TempDir(), Target: Side{URL: NewSecret(x.target)}, Update: Update{URL: NewSecret(x.update)}}
		if got := c.updatesAsItself(); got != x.itself {
			t.Errorf("%s and %q: %t", x.target, x.update, got)
		}
	}
}
