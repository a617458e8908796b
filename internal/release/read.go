package release

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/whimbrel/whimbrel/internal/strict"
	"github.com/whimbrel/whimbrel/internal/transform"
)

// form is release.yaml.
type form struct {
	Name       string            `yaml:"name"`
	Version    string            `yaml:"version"`
	From       from              `yaml:"from"`
	Databases  []string          `yaml:"databases"`
	Repository []string          `yaml:"repository"`
	Build      scripts           `yaml:"build"`
	Update     scripts           `yaml:"update"`
	After      scripts           `yaml:"after"`
	Switch     switching         `yaml:"switch"`
	Probes     []probe           `yaml:"probes"`
	Transform  map[string]table  `yaml:"transform"`
	Merge      map[string]string `yaml:"merge"`
}

type from struct {
	Query  string `yaml:"query"`
	Answer string `yaml:"answer"`
}

type scripts struct {
	Migrations string `yaml:"migrations"`
	Command    string `yaml:"command"`
}

type switching struct {
	Commands []string `yaml:"commands"`
	Health   health   `yaml:"health"`
}

type health struct {
	URL     string `yaml:"url"`
	Command string `yaml:"command"`
	Within  string `yaml:"within"`
	Every   string `yaml:"every"`
}

type probe struct {
	Name   string `yaml:"name"`
	Source string `yaml:"source"`
	Target string `yaml:"target"`
	Is     string `yaml:"is"`
}

type table struct {
	To       string            `yaml:"to"`
	Of       string            `yaml:"of"`
	Split    *split            `yaml:"split"`
	Where    string            `yaml:"where"`
	Drop     []string          `yaml:"drop"`
	Charset  string            `yaml:"charset"`
	Declared string            `yaml:"declared"`
	Lossy    string            `yaml:"lossy"`
	Columns  map[string]column `yaml:"columns"`
}

type split struct {
	Each     string `yaml:"each"`
	As       string `yaml:"as"`
	Position string `yaml:"position"`
	Most     int    `yaml:"most"`
}

type column struct {
	From     string `yaml:"from"`
	Value    string `yaml:"value"`
	Type     string `yaml:"type"`
	Null     *bool  `yaml:"nullable"`
	Charset  string `yaml:"charset"`
	Declared string `yaml:"declared"`
	Lossy    string `yaml:"lossy"`
}

// reading is one release on its way in.
type reading struct {
	*strict.File
	root *os.Root // a file that leads out of the folder is none of the release
	is   form
	r    *Release
}

// Load reads a release from its folder, its migrations included. A mistake is a *strict.Error with its place; what only the
// catalogs can tell is found when the source is opened.
func Load(folder string) (*Release, error) {
	path := filepath.Join(folder, File)
	root, err := os.OpenRoot(folder)
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
	d := reading{File: f, root: root}
	if err := f.Decode(&d.is); err != nil {
		return nil, err
	}
	if d.is.Name == "" || d.is.Version == "" {
		return nil, f.Wrong("a release has a name and a version")
	}
	d.r = &Release{Name: d.is.Name, Version: d.is.Version, Folder: folder}
	for _, part := range []func() error{d.from, d.databases, d.repository, d.scripts, d.switching, d.probes} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	d.rules()
	return d.r, d.merges()
}

func because(err error) string {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err.Error()
	}
	return err.Error()
}

func (d *reading) place(path ...string) string { return d.Wrong("", path...).Place() }

func (d *reading) from() error {
	if (d.is.From.Query == "") != (d.is.From.Answer == "") {
		return d.Wrong("a query and its answer belong together: query is asked at the source, answer is what it must say", "from")
	}
	if d.is.From.Query != "" {
		d.r.From = From{Query: d.is.From.Query, Answer: d.is.From.Answer, Place: d.place("from")}
	}
	return nil
}

func (d *reading) databases() error {
	for i, product := range d.is.Databases {
		if product == "" || slices.Contains(d.is.Databases[:i], product) {
			return d.Wrong("here belongs a product, each once: postgres, mariadb, mysql or sqlite", "databases", strconv.Itoa(i))
		}
	}
	d.r.Databases = d.is.Databases
	return nil
}

func (d *reading) repository() error {
	for i, text := range d.is.Repository {
		if text == "" {
			return d.Wrong("here belongs the name of a table or a pattern, such as cfg_*", "repository", strconv.Itoa(i))
		}
		d.r.Repository = append(d.r.Repository, Pattern{text, d.place("repository", strconv.Itoa(i))})
	}
	return nil
}

// scripts takes build, update and after, and looks at their migrations.
func (d *reading) scripts() error {
	for _, one := range []struct {
		key string
		is  scripts
		to  *Scripts
	}{{"build", d.is.Build, &d.r.Build}, {"update", d.is.Update, &d.r.Update}, {"after", d.is.After, &d.r.After}} {
		if _, said := d.Value(one.key); !said {
			continue
		}
		*one.to = Scripts{Migrations: one.is.Migrations, Command: one.is.Command, Place: d.place(one.key)}
		if one.to.Empty() {
			return d.Wrong("here belong migrations, a folder of SQL files, or a command, or both", one.key)
		}
		if one.is.Migrations == "" {
			continue
		}
		if why := d.folder(one.is.Migrations); why != "" {
			return d.Wrong(fmt.Sprintf("the folder %s %s", one.is.Migrations, why), one.key, "migrations")
		}
		if err := d.r.examine(*one.to); err != nil {
			return err
		}
	}
	return nil
}

// folder says in a clause what is wrong with a folder of the release; empty for nothing.
func (d *reading) folder(name string) string {
	if !fs.ValidPath(filepath.ToSlash(name)) || name == "." {
		return "is not one of the release's: write its name as seen from " + File + ", such as build"
	}
	info, err := d.root.Stat(name)
	switch {
	case err != nil:
		return "can not be read: " + because(err)
	case !info.IsDir():
		return "is no folder"
	}
	return ""
}

// The health of an application is asked for this often, and for this long, unless the file says otherwise.
const (
	usualEvery  = time.Second
	usualWithin = time.Minute
)

func (d *reading) switching() error {
	for i, line := range d.is.Switch.Commands {
		if line == "" {
			return d.Wrong("here belongs a command", "switch", "commands", strconv.Itoa(i))
		}
	}
	d.r.Switch.Commands = d.is.Switch.Commands
	if _, said := d.Value("switch", "health"); !said {
		return nil
	}
	is, to := d.is.Switch.Health, &d.r.Switch.Health
	*to = Health{URL: is.URL, Command: is.Command, Within: usualWithin, Every: usualEvery, Place: d.place("switch", "health")}
	if (is.URL == "") == (is.Command == "") {
		return d.Wrong("here belongs either url, a page that answers, or command, which ends without an error", "switch", "health")
	}
	if u, err := url.Parse(is.URL); is.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return d.Wrong("here belongs an address such as http://localhost:8080/health", "switch", "health", "url")
	}
	for _, one := range []struct {
		key, text string
		to        *time.Duration
	}{{"within", is.Within, &to.Within}, {"every", is.Every, &to.Every}} {
		if one.text == "" {
			continue
		}
		span, err := time.ParseDuration(one.text)
		if err != nil || span <= 0 {
			return d.Wrong("here belongs a duration, such as 1s or 2m", "switch", "health", one.key)
		}
		*one.to = span
	}
	return nil
}

func (d *reading) probes() error {
	for i, is := range d.is.Probes {
		at := []string{"probes", strconv.Itoa(i)}
		if is.Name == "" || is.Source == "" || is.Target == "" {
			return d.Wrong("a probe has a name, a query for the source and one for the target", at...)
		}
		if slices.ContainsFunc(d.r.Probes, func(p Probe) bool { return p.Name == is.Name }) {
			return d.Wrong("there is a probe of this name already", append(at, "name")...)
		}
		meant, err := related(is.Is)
		if err != nil {
			return d.Wrong(err.Error(), append(at, "is")...)
		}
		d.r.Probes = append(d.r.Probes, Probe{Name: is.Name, Source: is.Source, Target: is.Target, Place: d.place(at...), is: meant})
	}
	return nil
}

// rules takes the tables that change, in the order of the file.
func (d *reading) rules() {
	for name, t := range d.is.Transform {
		d.r.Rules = append(d.r.Rules, d.rule(name, t))
	}
	order := func(path ...string) int { return d.Wrong("", path...).Line }
	slices.SortFunc(d.r.Rules, func(a, b transform.Rule) int {
		return cmp.Or(cmp.Compare(order("transform", a.Table), order("transform", b.Table)), cmp.Compare(a.Table, b.Table))
	})
}

// merges takes the tables that are the users' and the release's: part of their rules, or rules of their own.
func (d *reading) merges() error {
	if len(d.is.Merge) > 0 && d.r.Build.Empty() {
		return d.Wrong("nothing makes the release's rows that are to be merged with the users': build makes them", "merge")
	}
	for _, name := range slices.Sorted(maps.Keys(d.is.Merge)) {
		for _, p := range d.r.Repository {
			if p.names(name) {
				return d.Wrong(fmt.Sprintf("%s is the release's alone by %s at %s, and here the users' too; take it out of one of them", name, p.Text, p.Place), "merge", name)
			}
		}
		merge := &transform.Merge{Place: d.place("merge", name), Wins: d.is.Merge[name]}
		at := slices.IndexFunc(d.r.Rules, func(r transform.Rule) bool { return r.Table == name })
		if at < 0 {
			at = len(d.r.Rules)
			d.r.Rules = append(d.r.Rules, transform.Rule{Place: merge.Place, Table: name})
		}
		d.r.Rules[at].Merge = merge
	}
	return nil
}

// rule takes one table's part, with the place of each of its parts.
func (d *reading) rule(name string, t table) transform.Rule {
	at := func(path ...string) *strict.Error {
		return d.Wrong("", append([]string{"transform", name}, path...)...)
	}
	r := transform.Rule{
		Place: at().Place(), Table: name, Of: t.Of, To: t.To, Where: t.Where, Drop: t.Drop,
		Reading: transform.Reading{Charset: t.Charset, Stored: t.Declared, Lossy: t.Lossy},
	}
	if s := t.Split; s != nil {
		r.Split = &transform.Split{Place: at("split").Place(), Each: s.Each, As: s.As, Position: s.Position, Most: s.Most}
	}
	for column, c := range t.Columns {
		r.Columns = append(r.Columns, transform.Column{
			Place: at("columns", column).Place(), Name: column, From: c.From, Value: c.Value, Type: c.Type, Null: c.Null,
			Reading: transform.Reading{Charset: c.Charset, Stored: c.Declared, Lossy: c.Lossy},
		})
	}
	slices.SortFunc(r.Columns, func(a, b transform.Column) int {
		x, y := at("columns", a.Name), at("columns", b.Name)
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
	return r
}
