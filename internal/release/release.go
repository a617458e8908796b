// Package release reads what a new release of the application brings: a folder with release.yaml, which says how tables of the
// source look in it, which tables are its own, and which scripts and commands make, update and start it. It runs the migrations
// (migrate.go) and weighs the probes (probe.go); when, and where, the steps of a move decide. docs/release.md explains the file to an
// application's maintainer.
package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/internal/transform"
)

// File is the name of the file that makes a folder a release.
const File = "release.yaml"

// Release is a new release of the application.
type Release struct {
	Name       string
	Version    string
	Folder     string           // where its files are, and its commands run
	From       From             // the release that it starts from
	Databases  []string         // the products that it runs on; none: any
	Repository []Pattern        // the source's tables that belong to the release
	Build      Scripts          // make its own tables in the shadow
	Update     Scripts          // change the application's tables at the quiet target
	After      Scripts          // run when the target is open
	Switch     Switch           // start it at the target
	Probes     []Probe          // what must be true of both sides after the update
	Rules      []transform.Rule // the tables that change, as they stand in the file
}

// From is the release that a new one starts from, by a question to the source.
type From struct {
	Query  string // empty: nobody is asked
	Answer string
	Place  string
}

// Pattern names tables as tables.skip does: * is any letters, ? is one; of a name, or of schema.name.
type Pattern struct{ Text, Place string }

// names reports whether a pattern is of a table, as a release writes its name: name, or schema.name.
func (p Pattern) names(table string) bool {
	whole, err := path.Match(p.Text, table)
	last, _ := path.Match(p.Text, table[strings.LastIndex(table, ".")+1:])
	return err == nil && (whole || last)
}

// Scripts are what runs against a database: SQL migrations in their order, then a command; either may be empty.
type Scripts struct {
	Migrations string // a folder of the release
	Command    string
	Place      string
}

// Empty reports that there is nothing to run.
func (s Scripts) Empty() bool { return s.Migrations == "" && s.Command == "" }

// Switch are the commands that point the application at the target and start it there, and how to see that it is up.
type Switch struct {
	Commands []string
	Health   Health
}

// Health is how to see that the application is up: a page that answers without an error, or a command that ends without one.
type Health struct {
	URL     string
	Command string
	Within  time.Duration
	Every   time.Duration
	Place   string
}

// Asked reports whether there is anything to look at.
func (h Health) Asked() bool { return h.URL != "" || h.Command != "" }

// Probe is a query on each side and how their answers, the first cell of each, must stand to each other.
type Probe struct {
	Name   string
	Source string
	Target string
	Place  string

	is relation
}

// String is its name and version, for people; empty for no release.
func (r *Release) String() string {
	if r == nil {
		return ""
	}
	return r.Name + " " + r.Version
}

// RunsOn reports whether the release knows a product.
func (r *Release) RunsOn(product string) bool {
	return len(r.Databases) == 0 || slices.Contains(r.Databases, product)
}

// Shadowed reports whether the release has tables of its own, which are built in a shadow.
func (r *Release) Shadowed() bool {
	return r != nil && (len(r.Repository) > 0 || !r.Build.Empty())
}

// Digest tells what may not change while rows are on their way: the rules, without their places in the file, and the tables
// that are the release's. Scripts and commands may be mended. It is empty for no release.
func (r *Release) Digest() string {
	if r == nil {
		return ""
	}
	fixed := struct {
		Rules      []transform.Rule
		Repository []string
	}{Rules: slices.Clone(r.Rules)}
	for i, rule := range fixed.Rules {
		fixed.Rules[i].Place, fixed.Rules[i].Columns = "", slices.Clone(rule.Columns)
		if rule.Split != nil {
			same := *rule.Split
			same.Place, fixed.Rules[i].Split = "", &same
		}
		for c := range fixed.Rules[i].Columns {
			fixed.Rules[i].Columns[c].Place = ""
		}
		if rule.Merge != nil {
			fixed.Rules[i].Merge = &transform.Merge{Wins: rule.Merge.Wins}
		}
	}
	for _, p := range r.Repository {
		fixed.Repository = append(fixed.Repository, p.Text)
	}
	text, err := json.Marshal(fixed)
	if err != nil {
		panic(err) // texts and truths have a JSON form
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
