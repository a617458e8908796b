package move

import (
	"context"
	"fmt"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/internal/translate"
	"github.com/whimbrel/whimbrel/schema"
)

// examination is what the check phase finds out, part by part. The steps keep each part as a document; Check makes one of
// its own and keeps nothing.
type examination struct {
	Schema  *schema.Schema
	Facts   []surveyed
	Choices []chosen

	classes map[schema.Name]chosen // of the choices, made by classOf
}

// surveyed are the facts of one table, as they are kept.
type surveyed struct {
	Table schema.Name
	Facts []driver.Fact
}

// chosen is one table's class, as it is kept.
type chosen struct {
	Table  schema.Name
	Class  plan.Class
	Reason string
}

func (e *examination) facts() check.Facts {
	facts := check.Facts{}
	for _, s := range e.Facts {
		facts[s.Table] = s.Facts
	}
	return facts
}

// choose sets the choices.
func (e *examination) choose(choices []chosen) { e.Choices, e.classes = choices, nil }

func (e *examination) classOf(name schema.Name) chosen {
	if e.classes == nil {
		e.classes = make(map[schema.Name]chosen, len(e.Choices))
		for _, c := range e.Choices {
			e.classes[c.Table] = c
		}
	}
	if c, ok := e.classes[name]; ok {
		return c
	}
	return chosen{Table: name, Class: plan.Skip}
}

// moves reports whether a table's rows are moved.
func (e *examination) moves(name schema.Name) bool {
	c := e.classOf(name).Class
	return c == plan.Uptime || c == plan.Downtime
}

// ofRepository reports whether a table belongs to the release.
func (e *examination) ofRepository(name schema.Name) bool {
	return e.classOf(name).Class == plan.Repository
}

// settings finds what a side's server forbids or endangers.
func (m *Move) settings(ctx context.Context, side driver.Side) ([]check.Finding, error) {
	db, err := m.side(ctx, side)
	if err != nil {
		return nil, err
	}
	notices, err := db.Inspector.Settings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the settings of the %s: %w", side, err)
	}
	return check.Notices(notices), nil
}

// inspect reads the source's catalog and looks at the values of the tables that may move.
func (m *Move) inspect(ctx context.Context, e *examination, looking looking) ([]check.Finding, error) {
	source, err := m.source(ctx)
	if err != nil {
		return nil, err
	}
	if e.Schema, err = source.Inspector.Inspect(ctx, m.config.Source.Schemas); err != nil {
		return nil, fmt.Errorf("inspect the source: %w", err)
	}
	plan.Number(e.Schema.Tables)
	if len(e.Schema.Tables) == 0 {
		return []check.Finding{{Rule: "no-tables", Level: driver.Forbidden, Object: "source", Message: "has no table to move", Do: "Look at source.url and source.schemas."}}, nil
	}
	return m.survey(ctx, source, e, looking)
}

// classify gives every table its class. Only tables that are named as uptime tables are asked for gaps.
func (m *Move) classify(ctx context.Context, e *examination, standard standardness) ([]check.Finding, error) {
	w, found := m.wishes(e.Schema.Tables, standard)
	choices, err := plan.Classify(e.Schema.Tables, w, nil)
	if err != nil {
		return nil, err
	}
	if live := plan.Of(choices, plan.Uptime); len(live) > 0 {
		gaps, err := m.gaps(ctx, e, live)
		if err != nil {
			return nil, err
		}
		found = append(found, gaps...)
		if choices, err = plan.Classify(e.Schema.Tables, w, check.NotLive(gaps)); err != nil {
			return nil, err
		}
	}
	kept := make([]chosen, len(choices))
	for i, c := range choices {
		kept[i] = chosen{c.Table.Name, c.Class, c.Reason}
	}
	e.choose(kept)
	return append(found, plan.Findings(choices, w)...), nil
}

// standardness says that the procedure has no uptime tables.
type standardness bool

// gaps asks for the blind spots of capture on the tables that are to be moved live.
func (m *Move) gaps(ctx context.Context, e *examination, live []*schema.Table) ([]check.Finding, error) {
	source, target, err := m.both(ctx)
	if err != nil {
		return nil, err
	}
	found := check.LiveRoles(source, target)
	if check.Forbids(found) {
		return found, nil
	}
	p, _ := translate.Translate(e.Schema, source.Info, target.Info, source.Dialect, target.Dialect, m.translating())
	for _, t := range live {
		pair := p.Pair(t.Name)
		if pair == nil {
			continue
		}
		notices, err := source.Capturer.Gaps(ctx, t, pair.Load.Source)
		if err != nil {
			return nil, fmt.Errorf("look for blind spots of capture on %s: %w", t.Name, err)
		}
		found = append(found, check.Notices(notices)...)
	}
	return found, nil
}

// translate makes the plan of the target, and finds what would be lost and what is in the way there.
func (m *Move) translate(ctx context.Context, e *examination) (*translate.Plan, []check.Finding, error) {
	source, target, err := m.both(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, found := m.planned(source, target, e)
	schemas := append([]string{}, p.Schemas...)
	for _, q := range p.Pairs {
		schemas = appendNew(schemas, q.Target.Name.Schema)
	}
	there, err := target.Inspector.Inspect(ctx, schemas)
	if err != nil {
		return nil, nil, fmt.Errorf("inspect the target: %w", err)
	}
	var ours bool // a move under way is looked at again: the tables are its own
	if _, err := m.state.Document(ctx, tablesAreOurs, &ours); err != nil {
		return nil, nil, err
	}
	found = append(found, check.Roles(source, target)...)
	found = append(found, check.Versions(source.Info, target.Info)...)
	found = append(found, check.SameDatabase(source.Info, target.Info, p.Source(e.Schema).Tables, there)...)
	names := byName(there)
	for _, q := range p.Pairs {
		if !ours && names[q.Target.Name] != nil {
			found = append(found, check.Finding{
				Rule: "target-table", Level: driver.Forbidden, Table: q.Target.Name,
				Message: "is at the target already", Do: "Drop or rename it at the target, or move to another schema or database.",
			})
		}
		if m.configuredLevel(q.Source) == Sample {
			found = append(found, check.Finding{
				Rule: "sample", Level: driver.Lossy, Table: q.Source.Name,
				Message: "is compared by a sample of its rows only", Do: "Take it out of verify.levels to have every row compared.",
			})
		}
	}
	released, err := m.translateRepository(ctx, e, names)
	if err != nil {
		return nil, nil, err
	}
	found = append(found, released...)
	rights, err := m.rights(ctx, e, p)
	return p, append(found, rights...), err
}

// translateRepository finds what the release's own tables would lose on their way to a shadow at the target, and what forbids the release.
func (m *Move) translateRepository(ctx context.Context, e *examination, there map[schema.Name]*schema.Table) ([]check.Finding, error) {
	found, err := m.weigh(ctx, e)
	if err != nil || m.config.New == nil || m.config.Shadow.At != driver.Target {
		return found, err
	}
	source, target, err := m.both(ctx)
	if err != nil {
		return nil, err
	}
	var ours bool
	if _, err := m.state.Document(ctx, repositoryIsOurs, &ours); err != nil {
		return nil, err
	}
	p, lost := m.plannedOf(source, target, e, e.ofRepository)
	for _, f := range lost {
		if e.ofRepository(f.Table) {
			found = append(found, f)
		}
	}
	for _, q := range p.Pairs {
		if !ours && there[q.Target.Name] != nil {
			found = append(found, check.Finding{
				Rule: "target-table", Level: driver.Forbidden, Table: q.Target.Name,
				Message: "is at the target already", Do: "Drop or rename it at the target, or move to another schema or database.",
			})
		}
	}
	return found, nil
}

func (m *Move) planned(source, target *driver.Database, e *examination) (*translate.Plan, []check.Finding) {
	return m.plannedOf(source, target, e, e.moves)
}

func (m *Move) plannedOf(source, target *driver.Database, e *examination, moved func(schema.Name) bool) (*translate.Plan, []check.Finding) {
	o := m.translating()
	o.Moved, o.Facts = moved, e.facts()
	return translate.Translate(e.Schema, source.Info, target.Info, source.Dialect, target.Dialect, o)
}

func appendNew(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// proofBytes is how much of the uptime tables, the smallest first, is compared in full in the downtime by default: a few
// seconds' work. What is beyond is compared in full in the uptime, and in the downtime by the keys that changed since, so that
// the downtime does not grow with the uptime tables, be they large or many (HAZARDS, section 4).
const proofBytes = 128 << 20

// levels are the levels at which tables are proven, as configured or by their sizes.
func (m *Move) levels(e *examination, tables []*schema.Table) map[schema.Name]Level {
	levels := make(map[schema.Name]Level, len(tables))
	left := int64(proofBytes)
	for _, t := range slices.Backward(plan.Order(tables)) {
		levels[t.Name] = FullDowntime
		if level := m.configuredLevel(t); level != "" {
			levels[t.Name] = level
			continue
		}
		if e.classOf(t.Name).Class != plan.Uptime {
			continue
		}
		if left -= plan.Size(t); left < 0 {
			levels[t.Name] = FullUptimeChanged
		}
	}
	return levels
}

// configuredLevel is the level that the configuration gives a table, by the longest pattern that matches it; empty for none.
func (m *Move) configuredLevel(t *schema.Table) Level {
	level, longest := Level(""), -1
	for pattern, l := range m.config.Verify.Levels {
		if (plan.Match(pattern, t.Name.Name) || plan.Match(pattern, t.Name.String())) && len(pattern) > longest {
			level, longest = l, len(pattern)
		}
	}
	return level
}
