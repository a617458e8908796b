package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Small databases: the whole move without questions, from the command's start to its end, verification and clearing away included.
// The samples are those of the tests: WHIMBREL_SAMPLES, by default ../shared/data beside the project.

func small(name, product string, files ...string) func(b testing.TB, g *grounds) work {
	return func(b testing.TB, g *grounds) work {
		p := pair{g: g, from: g.fresh(b, product, source, name), target: "postgres", check: sameCount}
		w := work{title: strings.Replace(p.title(), "load", "whole move of "+name+",", 1), figures: []figure{{wall, atMost, 2, ""}}}
		if product == "postgres" { // the sample's grants name this role
			for _, d := range []database{p.from, p.empty(b)} {
				d.do(b, "DO 'BEGIN CREATE ROLE postgres SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END'")
			}
		}
		w.contestants = []contestant{{name: ours, missing: p.from.sample(b, files), run: func(b testing.TB) (outcome, error) {
			to := p.empty(b)
			all, err := g.newMove(b, p.from, to, "procedure: standard").run(b, "", "run", "--yes")
			if err != nil {
				return outcome{}, err
			}
			return outcome{sample: all.between(b, "", ""), note: all.steps()}, sameCount(p.from, to)
		}}}
		if product == "postgres" {
			w.contestants = append(w.contestants, p.pgcopydb(), p.dump())
			w.figures = append(w.figures, figure{wall, timesAtLeast, 1, "pgcopydb"})
		}
		for i := range w.contestants {
			w.contestants[i].missing = cmpOr(w.contestants[i].missing, w.contestants[0].missing)
		}
		return w
	}
}

// own matches the lines with which a sample's file leaves the database it is loaded into.
var own = regexp.MustCompile(`(?im)^(DROP DATABASE|CREATE DATABASE|\\c |USE ).*$`)

// sample loads a sample's files into a database. Where they are not at hand it says so.
func (d database) sample(b testing.TB, files []string) (missing string) {
	b.Helper()
	dir := cmpOr(os.Getenv("WHIMBREL_SAMPLES"), "../../shared/data")
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			return "no samples here (WHIMBREL_SAMPLES)"
		}
		c := d.client("")
		if d.product == "postgres" {
			c.Args = append(c.Args[:len(c.Args)-1], "SELECT 1", "-f", "-")
		} else {
			c.Args = append(c.Args[:len(c.Args)-3], d.name)
		}
		c.Stdin = strings.NewReader(own.ReplaceAllString(string(text), ""))
		if out, err := c.CombinedOutput(); err != nil {
			b.Fatalf("load %s: %v\n%s", f, err, tail(string(out)))
		}
	}
	if d.product == "postgres" {
		d.do(b, "VACUUM ANALYZE")
	}
	return ""
}

// sameCount compares how many rows there are in all tables together.
func sameCount(from, to database) error {
	want, err := from.count()
	if err != nil {
		return err
	}
	got, err := to.count()
	if err == nil && (got != want || want == "0") {
		err = fmt.Errorf("%s rows of %s are at the target", got, want)
	}
	return err
}

func (d database) count() (string, error) {
	if d.product == "postgres" {
		return d.answer(`SELECT SUM((xpath('/row/n/text()', query_to_xml(format('SELECT COUNT(*) AS n FROM %I.%I', schemaname, tablename), false, true, '')))[1]::text::bigint)
			FROM pg_tables WHERE schemaname = 'public'`)
	}
	names, err := d.answer("SELECT table_name FROM information_schema.tables WHERE table_schema = '" + d.name + "' AND table_type = 'BASE TABLE'")
	if err != nil {
		return "", err
	}
	var counts []string
	for name := range strings.FieldsSeq(names) {
		counts = append(counts, "(SELECT COUNT(*) FROM `"+name+"`)")
	}
	return d.answer("SELECT " + strings.Join(counts, " + "))
}
