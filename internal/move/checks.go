package move

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/internal/translate"
	"github.com/whimbrel/whimbrel/schema"
)

// The steps of the check phase keep what they find as documents: the findings of each under its own name, the examination
// under this one.
const examinationKey = "examination"

// checkParts are the steps whose findings are weighed together.
var checkParts = []string{"check-source", "check-target", "inspect", "classify", "translate"}

func (m *Move) keep(ctx context.Context, step string, found []check.Finding) error {
	return m.state.SetDocument(ctx, "findings/"+step, found)
}

// findings returns everything found so far.
func (m *Move) findings(ctx context.Context) ([]check.Finding, error) {
	var all []check.Finding
	for _, step := range checkParts {
		var some []check.Finding
		if _, err := m.state.Document(ctx, "findings/"+step, &some); err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return check.Sort(all), nil
}

func (m *Move) checkSource(ctx context.Context) error { return m.checkSide(ctx, driver.Source) }
func (m *Move) checkTarget(ctx context.Context) error { return m.checkSide(ctx, driver.Target) }

// checkSide keeps what the side's settings say, and what people call it.
func (m *Move) checkSide(ctx context.Context, side driver.Side) error {
	found, err := m.settings(ctx, side)
	if err != nil {
		return err
	}
	db, err := m.side(ctx, side)
	if err != nil {
		return err
	}
	if err := m.state.Set(ctx, "name-"+string(side), db.Info.Name); err != nil {
		return err
	}
	return m.keep(ctx, "check-"+string(side), found)
}

// inspectSource keeps the source's schema and the facts about its values.
func (m *Move) inspectSource(ctx context.Context) error {
	m.looked.Store(true)
	e := &examination{}
	found, err := m.inspect(ctx, e, relying)
	if err != nil {
		return err
	}
	return errors.Join(m.keep(ctx, "inspect", found), m.state.SetDocument(ctx, examinationKey, e))
}

// classifyTables keeps each table's class.
func (m *Move) classifyTables(ctx context.Context) error {
	e, err := m.examination(ctx)
	if err != nil {
		return err
	}
	found, err := m.classify(ctx, e, m.procedure() == Standard().Name)
	if err != nil {
		return err
	}
	return errors.Join(m.keep(ctx, "classify", found), m.state.SetDocument(ctx, examinationKey, e))
}

// forgetClasses takes classes back.
func (m *Move) forgetClasses(ctx context.Context) error {
	e, err := m.examination(ctx)
	if err != nil || e.Schema == nil {
		return err
	}
	e.choose(nil)
	m.laid.Store(&layout{})
	return m.state.SetDocument(ctx, examinationKey, e)
}

// translateTables keeps what would be lost; the plan itself is made anew from the examination whenever it is needed.
func (m *Move) translateTables(ctx context.Context) error {
	e, err := m.examination(ctx)
	if err != nil {
		return err
	}
	_, found, err := m.translate(ctx, e)
	if err != nil {
		return err
	}
	broken, err := m.findOrphans(ctx, e)
	if err != nil {
		return err
	}
	found = append(found, broken...)
	if err := m.keep(ctx, "translate", found); err != nil {
		return err
	}
	return m.lay(ctx, e)
}

func (m *Move) examination(ctx context.Context) (*examination, error) {
	e := &examination{}
	_, err := m.state.Document(ctx, examinationKey, e)
	return e, err
}

// lay makes the tables of the move from what was examined. Both sides must be open or can be opened. Again: the same.
func (m *Move) lay(ctx context.Context, e *examination) error {
	source, target, err := m.both(ctx)
	if err != nil {
		return err
	}
	p, _ := m.planned(source, target, e)
	l := &layout{plan: &blueprint{Plan: p, source: p.Source(e.Schema)}}
	facts, levels := e.facts(), m.levels(e, l.plan.source.Tables)
	for _, s := range plan.Order(l.plan.source.Tables) {
		t, err := m.newTable(ctx, p.Pair(s.Name), e.classOf(s.Name), levels[s.Name])
		if err != nil {
			return err
		}
		if t.longest = longest(facts[s.Name]); t.longest >= heavy {
			t.pace = load.Careful
		}
		l.tables = append(l.tables, t)
	}
	if err := m.layRepository(ctx, l, e); err != nil {
		return err
	}
	m.laid.Store(l)
	return nil
}

// layRepository adds what belongs to a release.
func (m *Move) layRepository(ctx context.Context, l *layout, e *examination) (err error) {
	if m.config.New == nil {
		return nil
	}
	source, target, err := m.both(ctx)
	if err != nil {
		return err
	}
	p, _ := m.plannedOf(source, target, e, e.ofRepository)
	l.lent = &blueprint{Plan: p, source: p.Source(e.Schema)}
	for _, s := range plan.Order(l.lent.source.Tables) {
		t, err := m.newTable(ctx, p.Pair(s.Name), e.classOf(s.Name), FullDowntime)
		if err != nil {
			return err
		}
		l.repository = append(l.repository, t)
	}
	if l.copied, err = m.layCopies(ctx); err != nil {
		return err
	}
	l.adopted, err = m.layAdopted(ctx)
	return err
}

// heavy is the length in bytes from which a value makes its table one that is read with care.
const heavy = 4 << 20

// longest is the longest value that a survey found in a table.
func longest(facts []driver.Fact) int64 {
	most := int64(0)
	for _, f := range facts {
		if f.What == driver.Longest {
			most = max(most, f.Value)
		}
	}
	return most
}

func (m *Move) newTable(ctx context.Context, q *translate.Pair, c chosen, level Level) (*table, error) {
	t := &table{
		number: q.Source.Number, name: q.Source.Name.String(), class: Class(c.Class), reason: c.Reason,
		level: level, source: q.Source, target: q.Target, rows: plan.RangeRows(q.Source),
		compared: shapes{q.Read.Source, q.Read.Target}, loaded: shapes{q.Load.Source, q.Load.Target},
	}
	if t.class != Uptime && t.level == FullUptimeChanged {
		t.level = FullDowntime
	}
	noting, err := m.state.Setting(ctx, noteKey(t))
	t.noting.Store(noting != "")
	return t, err
}

// blueprint is the plan of the target with the part of the source that moves.
type blueprint struct {
	*translate.Plan
	source *schema.Schema
}

// before plans what tables need: schemas, types, free sequences.
func (b *blueprint) before(target *driver.Database) []driver.Statement {
	all := b.CreateSchemas()
	for _, d := range b.Types {
		all = append(all, target.Dialect.CreateType(d)...)
	}
	if target.Sequences != nil {
		for _, s := range b.Sequences {
			all = append(all, target.Sequences.CreateSequence(s)...)
		}
	}
	return all
}

// after plans the removal of what before made. Schemas stay: something else may be in them.
func (b *blueprint) after(target *driver.Database) []driver.Statement {
	var all []driver.Statement
	if target.Sequences != nil {
		for _, s := range slices.Backward(b.Sequences) {
			all = append(all, target.Sequences.DropSequence(s)...)
		}
	}
	for _, d := range slices.Backward(b.Types) {
		all = append(all, target.Dialect.DropType(d)...)
	}
	return all
}

// targetSchemas are the schemas that the move's tables are in at the target.
func (b *blueprint) targetSchemas() []string {
	var names []string
	for _, q := range b.Pairs {
		names = appendNew(names, q.Target.Name.Schema)
	}
	return names
}

// acceptFindings refuses a move that something forbids. What an earlier process found is looked at again, as it may have been
// mended since, and a release may be another one.
func (m *Move) acceptFindings(ctx context.Context) error {
	found, err := m.findings(ctx)
	if err == nil && (check.Forbids(found) || m.config.New != nil) && !m.looked.Load() {
		for _, look := range []func(context.Context) error{m.checkSource, m.checkTarget, m.inspectSource, m.classifyTables, m.translateTables} {
			if err := look(ctx); err != nil {
				return err
			}
		}
		found, err = m.findings(ctx)
	}
	if err != nil {
		return err
	}
	if check.Forbids(found) {
		return fmt.Errorf("the move is forbidden until this is mended:\n%s", check.Text(found))
	}
	return m.keepRelease(ctx)
}

// tellFindings shows what was found.
func (m *Move) tellFindings(ctx context.Context) (string, error) {
	found, err := m.findings(ctx)
	return check.Text(found), err
}

// procedure is the name of the procedure under way.
func (m *Move) procedure() string {
	if name := m.engine.Position().Procedure; name != "" {
		return name
	}
	return m.config.Procedure
}
