package release

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/strict"
)

// FuzzLoad reads whatever a stranger's release may be: it is read, the same twice, or refused by one sentence with its place.
func FuzzLoad(f *testing.F) {
	const up = "-- +goose Up\nCREATE TABLE a (id int);\n-- +goose StatementBegin\nSELECT 1;\n-- +goose StatementEnd\n-- +goose Down\nDROP TABLE a;\n"
	f.Add("name: inn\nversion: 2\nbuild: {migrations: build}\n", up)
	f.Add("name: inn\nversion: \"2.0\"\nfrom: {query: SELECT 1, answer: 1}\nrepository: [cfg_*]\ndatabases: [postgres]\nbuild: {migrations: build}\nupdate: {migrations: build}\n", up)
	f.Add("name: inn\nversion: 2\ntransform:\n  shop.guest:\n    to: visitor\n    where: state != \"gone\"\n    drop: [state]\n    columns:\n      n: {value: 'first + last', type: text(100)}\n", "")
	f.Add("name: inn\nversion: 2\ntransform:\n  line:\n    of: bill\n    split: {each: 'parts(x, \",\")', as: one, position: no, most: 7}\n", "")
	f.Add("a: &a [*a]\nname: *a\n", "-- +goose Down\n")
	f.Add("name: inn\nversion: 2\nbuild: {migrations: ../../etc}\n", up)
	f.Fuzz(func(t *testing.T, text, migration string) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "build"), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{File: text, "build/00001_a.sql": migration} {
			if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r, err := Load(dir)
		var refused *strict.Error
		if err != nil {
			if !errors.As(err, &refused) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%T: %q", err, err)
			}
			return
		}
		again, err := Load(dir)
		if err != nil || again.Digest() != r.Digest() {
			t.Fatalf("read again it is another release: %v", err)
		}
	})
}
