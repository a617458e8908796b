// Package release reads what a new release of the application brings: a folder with release.yaml, which says how tables of the
// source look in it. docs/release.md explains the file to an application's maintainer.
package release

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/whimbrel/whimbrel/internal/strict"
	"github.com/whimbrel/whimbrel/internal/transform"
)

// File is the name of the file that makes a folder a release.
const File = "release.yaml"

// Release is a new release of the application.
type Release struct {
	Name    string
	Version string
	Rules   []transform.Rule // the tables that change, as they stand in the file
}

// form is release.yaml.
type form struct {
	Name      string           `yaml:"name"`
	Version   string           `yaml:"version"`
	Transform map[string]table `yaml:"transform"`
}

type table struct {
	To      string            `yaml:"to"`
	Where   string            `yaml:"where"`
	Drop    []string          `yaml:"drop"`
	Columns map[string]column `yaml:"columns"`
}

type column struct {
	From     string `yaml:"from"`
	Value    string `yaml:"value"`
	Type     string `yaml:"type"`
	Null     *bool  `yaml:"nullable"`
	Charset  string `yaml:"charset"`
	Declared string `yaml:"declared"`
}

// Load reads a release from its folder. A mistake is a *strict.Error with its place; what only the catalogs can tell is found
// when the source is opened.
func Load(folder string) (*Release, error) {
	path := filepath.Join(folder, File)
	root, err := os.OpenRoot(folder) // a file that leads out of the folder is none of the release
	if err != nil {
		return nil, &strict.Error{File: folder, Message: "this release can not be opened: " + because(err)}
	}
	defer root.Close()
	text, err := root.ReadFile(File)
	if err != nil {
		return nil, &strict.Error{File: path, Message: "it can not be read: " + because(err)}
	}
	f, err := strict.Parse(path, text, strict.Words{
		Empty: "name and version must be there", Second: "one file is one release", What: "a release",
	})
	if err != nil {
		return nil, err
	}
	var is form
	if err := f.Decode(&is); err != nil {
		return nil, err
	}
	if is.Name == "" || is.Version == "" {
		return nil, f.Wrong("a release has a name and a version")
	}
	r := &Release{Name: is.Name, Version: is.Version}
	for name, t := range is.Transform {
		r.Rules = append(r.Rules, rule(f, name, t))
	}
	order := func(path ...string) int { return f.Wrong("", path...).Line }
	slices.SortFunc(r.Rules, func(a, b transform.Rule) int {
		return cmp.Or(cmp.Compare(order("transform", a.Table), order("transform", b.Table)), cmp.Compare(a.Table, b.Table))
	})
	return r, nil
}

// Digest tells the rules of a release from others; their places in the file do not count. It is empty for no release and for
// one without rules.
func (r *Release) Digest() string {
	if r == nil || len(r.Rules) == 0 {
		return ""
	}
	rules := slices.Clone(r.Rules)
	for i := range rules {
		rules[i].Place, rules[i].Columns = "", slices.Clone(rules[i].Columns)
		for c := range rules[i].Columns {
			rules[i].Columns[c].Place = ""
		}
	}
	text, err := json.Marshal(rules)
	if err != nil {
		panic(err) // texts and truths have a JSON form
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func because(err error) string {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err.Error()
	}
	return err.Error()
}

// rule takes one table's part, with the place of each of its parts.
func rule(f *strict.File, name string, t table) transform.Rule {
	at := func(path ...string) *strict.Error {
		return f.Wrong("", append([]string{"transform", name}, path...)...)
	}
	r := transform.Rule{Place: at().Place(), Table: name, To: t.To, Where: t.Where, Drop: t.Drop}
	for column, c := range t.Columns {
		e := at("columns", column)
		r.Columns = append(r.Columns, transform.Column{
			Place: e.Place(), Name: column, From: c.From, Value: c.Value, Type: c.Type, Null: c.Null,
			Charset: c.Charset, Stored: c.Declared,
		})
	}
	slices.SortFunc(r.Columns, func(a, b transform.Column) int {
		x, y := at("columns", a.Name), at("columns", b.Name)
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
	return r
}
