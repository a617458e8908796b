// Package translate makes the target's schema out of the source's, table by table, and says in sentences what the target
// can not keep. It asks the target's Dialect what a column's type becomes, and Limits what names, indexes and keys may be;
// it never asks which product a database is. Between two databases of one product everything keeps the source's own words.
//
// For every table it also makes the shapes: which columns travel, as which cells. Source and target print a cell alike
// because both are told here at which scale and with how many digits of a second.
package translate

import (
	"cmp"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/schema"
)

// Options are what an operator or a survey can add. The zero value is good.
type Options struct {
	// Schema is the schema of the target that takes the source's tables. Empty: one schema of the source goes to the target's
	// default schema, several keep their names.
	Schema string
	// Renamed are the names that tables get at the target, by their names at the source; one that is not there keeps its name.
	Renamed map[schema.Name]string
	// Moved says which tables move; nil: all.
	Moved func(schema.Name) bool
	// Facts are what surveys found. A loss that depends on values is left out when its table was surveyed and has none.
	Facts check.Facts
}

// Plan is the translated schema.
type Plan struct {
	Schemas   []string           // of the target, beside its default one: CreateSchemas makes them
	Types     []*schema.TypeDef  // the application's own types, to be made at the target before the tables
	Sequences []*schema.Sequence // free generators, to be made at the target before the tables
	Pairs     []*Pair            // by the source's schema and name
	Losses    []check.Loss       // what the columns' types lose, judged by facts or not

	quote func(string) string

	// Generators that are objects of their own at the source, by name: those that are ones at the target too, with their
	// name there, and those that became a column's.
	moved  map[schema.Name]schema.Name
	became map[schema.Name]driver.Generator
}

// Pair is one table on both sides.
type Pair struct {
	Source, Target *schema.Table
	Read           Shapes        // every column that both have: for verify
	Load           Shapes        // those that are written: none that the target computes itself
	Key            *schema.Key   // the source's key that rows are known by; nil: no uptime table
	Secondary      []*schema.Key // the target's other unique keys: what HAZARDS C9 and C18 are about
}

// Shapes are the two sides of what travels: cell i comes from column i of one and goes to column i of the other.
type Shapes struct {
	Source, Target schema.Shape
}

// Pair returns the pair of a table of the source, nil when it does not move.
func (p *Plan) Pair(source schema.Name) *Pair {
	at, found := slices.BinarySearchFunc(p.Pairs, source, func(q *Pair, n schema.Name) int {
		return compareNames(q.Source.Name, n)
	})
	if !found {
		return nil
	}
	return p.Pairs[at]
}

// Source is the part of the source's schema that moves: its tables and free sequences.
func (p *Plan) Source(whole *schema.Schema) *schema.Schema {
	part := &schema.Schema{}
	for _, q := range p.Pairs {
		part.Tables = append(part.Tables, q.Source)
	}
	for _, s := range whole.Sequences {
		_, moved := p.moved[s.Name]
		if _, became := p.became[s.Name]; moved || became || p.Pair(s.Owner) != nil {
			part.Sequences = append(part.Sequences, s)
		}
	}
	return part
}

// Target is what the target will hold.
func (p *Plan) Target() *schema.Schema {
	s := &schema.Schema{Types: p.Types, Sequences: p.Sequences}
	for _, q := range p.Pairs {
		s.Tables = append(s.Tables, q.Target)
	}
	return s
}

// Generator turns the state of a generator of the source into what the target's must be set to; false when the target has
// no such generator.
func (p *Plan) Generator(g driver.Generator) (driver.Generator, bool) {
	if q := p.Pair(g.Table); q != nil {
		c := q.Target.Column(g.Column)
		if c == nil || c.Identity.Kind == schema.None {
			return g, false
		}
		g.Table, g.Sequence = q.Target.Name, c.Identity.Sequence
		return g, true
	}
	if of, became := p.became[g.Sequence]; became {
		of.Next = g.Next
		return of, true
	}
	name, moved := p.moved[g.Sequence]
	g.Sequence = name
	return g, moved
}

// CreateSchemas plans the schemas that the target must have beside its default one. Again: they do nothing.
func (p *Plan) CreateSchemas() []driver.Statement {
	var all []driver.Statement
	for _, name := range p.Schemas {
		all = append(all, driver.Statement{
			Purpose: "create schema " + name, SQL: "CREATE SCHEMA IF NOT EXISTS " + p.quote(name),
		})
	}
	return all
}

// translator is one translation under way.
type translator struct {
	Options
	from, to driver.Info
	src, dst driver.Dialect
	same     bool // one product on both sides
	source   *schema.Schema
	schemas  map[string]string // the source's schemas and what they are called at the target
	plan     *Plan
	pairs    map[schema.Name]*Pair // by the source's name
	renamed  bool                  // a schema is called differently, or two became one
	findings []check.Finding
	names    *names
	keys     map[*schema.Key]*schema.Key // the source's keys and what became of them
	prefixed map[*schema.Column]bool     // target columns that an index can take the beginning of only

	referenced map[columnName]bool             // the source's columns that a foreign key points to
	drawn      map[columnName]*schema.Sequence // columns that alone draw from a free generator
	signed     map[columnName]bool             // unsigned columns that get a signed type, so that they can draw from a generator
}

// columnName names a column of the source.
type columnName struct {
	table  schema.Name
	column string
}

// Translate makes the plan of a move from one database to another and finds what it loses. The source is not changed and
// shares no part with the plan's target tables that anybody writes to. A plan whose findings forbid the move is complete
// nevertheless, for a look at it, but must not be built.
func Translate(
	source *schema.Schema, from, to driver.Info, src, dst driver.Dialect, o Options,
) (*Plan, []check.Finding) {
	t := &translator{Options: o}
	t.run(source, from, to, src, dst)
	return t.plan, check.Sort(t.findings)
}

// run makes the plan and the findings.
func (t *translator) run(source *schema.Schema, from, to driver.Info, src, dst driver.Dialect) {
	t.from, t.to, t.src, t.dst, t.same, t.source = from, to, src, dst, from.Product == to.Product, source
	t.plan = &Plan{quote: dst.Quote, moved: map[schema.Name]schema.Name{}, became: map[schema.Name]driver.Generator{}}
	t.pairs, t.names = map[schema.Name]*Pair{}, newNames(to.Limits)
	t.keys, t.prefixed = map[*schema.Key]*schema.Key{}, map[*schema.Column]bool{}
	t.referenced, t.drawn = map[columnName]bool{}, map[columnName]*schema.Sequence{}
	t.mapSchemas()
	t.types()
	t.sequences()
	for _, table := range source.Tables {
		if t.Moved == nil || t.Moved(table.Name) {
			t.plan.Pairs = append(t.plan.Pairs, t.begin(table))
		}
	}
	slices.SortFunc(t.plan.Pairs, func(a, b *Pair) int { return compareNames(a.Source.Name, b.Source.Name) })
	t.nameTables()
	t.findSigned()
	for _, part := range []func(*Pair){t.columns, t.uniques, t.indexes, t.identities, t.checks} {
		t.each(part)
	}
	t.each(t.foreign)
	t.alignForeign()
	t.each(t.shapes)
	t.each(t.options)
	t.others()
	t.findings = append(t.findings, check.Losses(t.plan.Losses, t.Facts, to.Limits.Value)...)
	t.findings = append(t.findings, check.Long(t.Facts, to.Limits.Value)...)
}

func (t *translator) each(part func(*Pair)) {
	for _, p := range t.plan.Pairs {
		part(p)
	}
}

// begin makes the pair with a target table that has no columns yet.
func (t *translator) begin(s *schema.Table) *Pair {
	p := &Pair{Source: s, Target: &schema.Table{
		Name: schema.Name{Schema: t.schemas[s.Name.Schema], Name: cmp.Or(t.Renamed[s.Name], s.Name.Name)}, Number: s.Number,
		Comment: s.Comment, Rows: s.Rows, Bytes: s.Bytes,
	}}
	t.pairs[s.Name] = p
	for _, k := range s.Foreign {
		for _, c := range k.ParentCols {
			t.referenced[columnName{k.Parent, c}] = true
		}
	}
	return p
}

// find adds a finding about a table.
func (t *translator) find(p *Pair, f check.Finding) {
	f.Table = p.Source.Name
	t.findings = append(t.findings, f)
}

func compareNames(a, b schema.Name) int {
	return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Name, b.Name))
}
