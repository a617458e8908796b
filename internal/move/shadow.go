package move

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	"github.com/whimbrel/whimbrel/internal/state"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/schema"
)

// shadowing is the shadow of a move: the database on whose server it is, and who builds in it.
type shadowing struct {
	*driver.Database
	shadow driver.Shadow
	url    *url.URL
}

// shadow returns the shadow, whether it is there or not.
func (m *Move) shadow(ctx context.Context) (shadowing, error) {
	db, err := m.side(ctx, m.config.Shadow.At)
	if err != nil {
		return shadowing{}, err
	}
	u, err := m.config.builder()
	if err != nil {
		return shadowing{}, err
	}
	place, err := m.config.place()
	return shadowing{db, driver.Shadow{Place: place, Account: account(u)}, u}, err
}

// buildShadow builds the release's own tables in a shadow: from those of the source, which are locked before, and by the release's
// scripts and command. Again: begins from an empty shadow.
func (m *Move) buildShadow(ctx context.Context) error {
	if !m.config.New.Shadowed() {
		return nil
	}
	if err := m.stillOurs(ctx); err != nil {
		return err
	}
	source, err := m.source(ctx)
	if err != nil {
		return err
	}
	s, err := m.shadow(ctx)
	if err != nil {
		return err
	}
	if err := m.lockRepository(ctx, source); err != nil {
		return err
	}
	failpoint.Hit("shadow.lock.after")
	if err := m.contained(ctx, s, "nothing is built"); err != nil {
		return err
	}
	if err := m.fillShadow(ctx, source, s); err != nil {
		return err
	}
	failpoint.Hit("shadow.fill.after")
	if err := m.runScripts(ctx, scripting{"build-shadow", "build", m.config.New.Build, s.Database, s.url, s.shadow.Place}); err != nil {
		return err
	}
	if err := m.contained(ctx, s, "the build has left its shadow"); err != nil {
		return err
	}
	return m.fits(ctx, s)
}

// fillShadow makes the shadow anew, with the repository in it.
func (m *Move) fillShadow(ctx context.Context, source *driver.Database, s shadowing) error {
	if err := m.keepFooting(ctx); err != nil {
		return err
	}
	if err := s.Shadows.Drop(ctx, s.shadow); err != nil {
		return err
	}
	if m.config.Shadow.At == driver.Target {
		return m.lendRepository(ctx, source, s)
	}
	if err := s.Shadows.Make(ctx, s.shadow); err != nil {
		return err
	}
	return m.cloneRepository(ctx, source, s)
}

// contained fails when the account that builds can reach more than the shadow, or has made something elsewhere.
func (m *Move) contained(ctx context.Context, s shadowing, otherwise string) error {
	outside, err := m.outside(ctx, s)
	if err == nil && len(outside) > 0 {
		err = fmt.Errorf("%s: the account %s can reach more than the shadow %s: %s; take these rights from it and drop what it has made elsewhere, or name another account in shadow.url, "+
			"and run the same command again", otherwise, cmp.Or(s.shadow.Account, "that builds"), s.shadow.Place, strings.Join(outside[:min(len(outside), 10)], "; "))
	}
	return err
}

func (m *Move) outside(ctx context.Context, s shadowing) ([]string, error) {
	e, err := m.examination(ctx)
	if err != nil {
		return nil, err
	}
	return m.reaches(ctx, s, e)
}

// reaches names what the account that builds can reach beside the shadow, of what is there of the move's tables.
func (m *Move) reaches(ctx context.Context, s shadowing, e *examination) ([]string, error) {
	tables := e.Schema.Tables
	if m.config.Shadow.At == driver.Target {
		there, err := s.Inspector.Inspect(ctx, m.homes())
		if err != nil {
			return nil, err
		}
		tables = there.Tables
	}
	outside, err := s.Shadows.Outside(ctx, s.shadow, tables)
	if err != nil {
		return nil, fmt.Errorf("see what the account %s can reach: %w", s.shadow.Account, err)
	}
	return outside, nil
}

// homes are the target's schemas that the move writes to.
func (m *Move) homes() []string {
	homes := []string{m.home()}
	if p := m.plan(); p != nil {
		for _, name := range p.targetSchemas() {
			homes = appendNew(homes, name)
		}
	}
	return homes
}

// home is the schema of the target in which the release's own tables stand in the end; empty for the connection's own.
func (m *Move) home() string {
	if r := m.repository(); len(r) > 0 {
		return r[0].target.Name.Schema
	}
	return m.config.Target.Schema
}

// repositoryIsOurs is the document that says who made the repository's tables at the target.
const repositoryIsOurs = "repository-is-ours"

// lendRepository loads the repository into the target and hands it to the shadow.
func (m *Move) lendRepository(ctx context.Context, source *driver.Database, s shadowing) error {
	tables := m.repository()
	if err := m.claimNames(ctx, s.Database, repositoryIsOurs, targets(tables)); err != nil {
		return err
	}
	if err := m.fresh(ctx, s.Database, m.laid.Load().lent, tables); err != nil {
		return err
	}
	if err := m.bring(ctx, s.Database, tables); err != nil {
		return err
	}
	for _, t := range tables {
		sum, err := m.compareLent(ctx, source, t)
		if err != nil {
			return err
		}
		if err := m.keepBuilt(ctx, t, sum.Target); err != nil {
			return err
		}
	}
	if err := m.carryGenerators(ctx, source, s.Database, m.laid.Load().lent); err != nil {
		return err
	}
	if err := s.Shadows.Make(ctx, s.shadow); err != nil {
		return err
	}
	if len(tables) == 0 {
		return nil
	}
	return s.Shadows.Lend(ctx, s.shadow, targets(tables))
}

// compareLent proves a table that was loaded for the shadow. One that is only watched may have moved meanwhile: then its record says so,
// and the drift is found in the downtime.
func (m *Move) compareLent(ctx context.Context, source *driver.Database, t *table) (verify.Tally, error) {
	p, err := m.pair(ctx, t)
	if err != nil {
		return verify.Tally{}, err
	}
	tally, err := verify.Compare(ctx, p, shown)
	if err != nil || tally.Equal() {
		return tally, err
	}
	if m.config.Shadow.Lock == Watch {
		backlog, err := source.Recorder.Backlog(ctx, t.source)
		if err != nil || backlog.Entries > 0 || backlog.Truncated {
			return tally, err
		}
	}
	return tally, fmt.Errorf("%s is not equal on both sides at %s; run the same command again", t.name, readable(t, tally.Differing[0]))
}

// cloneRepository copies the repository beside itself, and proves the copy.
func (m *Move) cloneRepository(ctx context.Context, source *driver.Database, s shadowing) error {
	tables := m.repository()
	if len(tables) == 0 {
		return nil
	}
	if err := s.Shadows.Clone(ctx, s.shadow, sources(tables)); err != nil {
		return err
	}
	inside, err := m.enter(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = inside.Close() }()
	for _, t := range tables {
		p, err := m.pair(ctx, t)
		if err != nil {
			return err
		}
		clone := *t.source
		clone.Name.Schema = inside.Info.Schema
		p.Target = verify.Side{Database: inside, Table: &clone, Shape: p.Source.Shape}
		tally, err := verify.Compare(ctx, p, shown)
		if err != nil {
			return fmt.Errorf("compare %s with its clone: %w", t.name, err)
		}
		if !tally.Equal() && m.config.Shadow.Lock != Watch {
			return fmt.Errorf("the clone of %s is not equal to it at %s; run the same command again", t.name, readable(t, tally.Differing[0]))
		}
		if err := m.keepBuilt(ctx, t, tally.Target); err != nil {
			return err
		}
	}
	return nil
}

// enter opens the shadow as a database of its own, as whoever builds in it does.
func (m *Move) enter(ctx context.Context, s shadowing) (*driver.Database, error) {
	address, err := s.Scripts.Address(s.url, s.shadow.Place)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the shadow has no URL") // the error would hold the password
	}
	d, err := m.driverOf(u)
	if err != nil {
		return nil, err
	}
	run, err := m.state.Run(ctx)
	if err != nil {
		return nil, err
	}
	db, err := d.Open(ctx, u, driver.Options{Side: driver.Source, Run: run, Sessions: 4*m.config.Sessions.Source + 2})
	if err != nil {
		return nil, fmt.Errorf("enter the shadow %s: %w", s.shadow.Place, err)
	}
	return db, nil
}

// fits takes the rows of merged tables out of what was built, and fails when something of the rest has a name that something else has at
// the target: it could not be switched.
func (m *Move) fits(ctx context.Context, s shadowing) error {
	inside, err := m.enter(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = inside.Close() }()
	has, err := inside.Inspector.Inspect(ctx, nil)
	if err != nil {
		return fmt.Errorf("look at what was built: %w", err)
	}
	if has, err = m.takeMerged(ctx, inside, has); err != nil {
		return err
	}
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	atHome := func(n schema.Name) bool {
		return cmp.Or(n.Schema, target.Info.Schema) == cmp.Or(m.home(), target.Info.Schema)
	}
	taken := map[string]bool{}
	for _, t := range m.tables() {
		if atHome(t.target.Name) {
			taken[t.target.Name.Name] = true
		}
	}
	for _, t := range has.Tables {
		if taken[t.Name.Name] {
			return fmt.Errorf("the build has made a table %s, and a table of this name moves to the target; name it in release.yaml's repository if it is the release's own, "+
				"or give one of the two another name, and run the same command again", t.Name.Name)
		}
	}
	return m.typesFit(has, atHome)
}

// typesFit is fits for types. Those of a shadow at the source do not come with its tables.
func (m *Move) typesFit(has *schema.Schema, atHome func(schema.Name) bool) error {
	if m.config.Shadow.At != driver.Target {
		return nil
	}
	for _, moved := range m.plan().Types {
		for _, d := range has.Types {
			if moved.Name.Name == d.Name.Name && atHome(moved.Name) {
				return fmt.Errorf("the build has made a type %s, and a type of this name comes with the tables that move; give one of the two another name, and run the same command again", d.Name.Name)
			}
		}
	}
	return nil
}

// unbuild takes the shadow away with what was made for it on both sides, and the lock. Again: does nothing.
func (m *Move) unbuild(ctx context.Context) error {
	if !m.config.New.Shadowed() || m.plan() == nil {
		return nil
	}
	s, err := m.shadow(ctx)
	if err != nil {
		return err
	}
	if err := s.Shadows.Drop(ctx, s.shadow); err != nil {
		return err
	}
	if err := m.unbring(ctx, repositoryIsOurs, m.laid.Load().lent, m.repository()); err != nil {
		return err
	}
	if err := m.dropTypes(ctx); err != nil {
		return err
	}
	if err := m.forgetMerged(ctx); err != nil {
		return err
	}
	return m.unlockRepository(ctx)
}

// typesAreOurs is the document that says that the types of the moved tables are still to be taken away.
const typesAreOurs = "types-are-ours"

func (m *Move) dropTypes(ctx context.Context) error {
	var ours bool
	if _, err := m.state.Document(ctx, typesAreOurs, &ours); err != nil || !ours {
		return err
	}
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	if err := run(ctx, target, m.plan().after(target)); err != nil {
		return err
	}
	return m.state.DeleteDocument(ctx, typesAreOurs)
}

// claimNames notes that tables to be made at the target are ours, once it is seen that none of them is there.
func (m *Move) claimNames(ctx context.Context, target *driver.Database, document string, tables []*schema.Table) error {
	var ours bool
	if _, err := m.state.Document(ctx, document, &ours); err != nil || ours {
		return err
	}
	if err := m.vacant(ctx, target, tables); err != nil {
		return err
	}
	return m.state.SetDocument(ctx, document, true)
}

// vacant fails when one of the tables is at the target.
func (m *Move) vacant(ctx context.Context, target *driver.Database, tables []*schema.Table) error {
	var schemas, taken []string
	for _, t := range tables {
		schemas = appendNew(schemas, t.Name.Schema)
	}
	if len(schemas) == 0 {
		return nil
	}
	there, err := target.Inspector.Inspect(ctx, schemas)
	if err != nil {
		return fmt.Errorf("look for tables at the target: %w", err)
	}
	names := byName(there)
	for _, t := range tables {
		if names[t.Name] != nil {
			taken = append(taken, t.Name.String())
		}
	}
	if len(taken) > 0 {
		return fmt.Errorf("the target has tables of these names already: %s; drop or rename them, or name another schema", strings.Join(taken, ", "))
	}
	return nil
}

// fresh makes tables at the target, guarded and empty, whatever an earlier attempt has left of them.
func (m *Move) fresh(ctx context.Context, target *driver.Database, b *blueprint, tables []*table) error {
	epoch, err := m.takeOver(ctx)
	if err != nil {
		return err
	}
	for _, t := range slices.Backward(tables) {
		if err := m.dropOne(ctx, target, t); err != nil {
			return err
		}
	}
	if b != nil {
		if err := run(ctx, target, b.before(target)); err != nil {
			return err
		}
	}
	if err := crowds(ctx, tables, m.writers(), func(ctx context.Context, some []*table) error {
		return m.makeTables(ctx, target, some)
	}); err != nil {
		return err
	}
	counts, err := m.counts(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if err := target.Ledger.Clear(ctx, t.target, epoch); err != nil {
			return fmt.Errorf("empty %s at the target: %w", t.name, err)
		}
		if err := m.state.DropPlan(ctx, t.number); err != nil {
			return err
		}
		for name, n := range counts[t.number] {
			if err := m.state.Add(ctx, state.Count{Table: t.number, Name: name, By: -n}); err != nil {
				return err
			}
		}
	}
	return nil
}

// bring loads tables and gives them their keys and constraints.
func (m *Move) bring(ctx context.Context, target *driver.Database, tables []*table) error {
	if err := m.load(ctx, tables, func(ctx context.Context, t *table) error { return m.index(ctx, t) }); err != nil {
		return err
	}
	return each(ctx, tables, 1, func(ctx context.Context, t *table) error {
		add, prove := target.Dialect.CreateConstraints(t.target)
		return run(ctx, target, append(add, prove...))
	})
}

// unbring takes away what fresh has made. Again: does nothing.
func (m *Move) unbring(ctx context.Context, document string, b *blueprint, tables []*table) error {
	var ours bool
	if _, err := m.state.Document(ctx, document, &ours); err != nil || !ours {
		return err
	}
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	for _, t := range slices.Backward(tables) {
		if err := m.dropOne(ctx, target, t); err != nil {
			return err
		}
		if err := m.state.DropPlan(ctx, t.number); err != nil {
			return err
		}
	}
	if b != nil {
		if err := run(ctx, target, b.after(target)); err != nil {
			return err
		}
	}
	return m.state.DeleteDocument(ctx, document)
}

// carryGenerators makes generators at the target go on behind those that the tables have where they come from.
func (m *Move) carryGenerators(ctx context.Context, from, target *driver.Database, b *blueprint) error {
	if b == nil || from.Sequencer == nil || target.Sequencer == nil {
		return nil
	}
	generators, err := from.Sequencer.Next(ctx, b.source)
	if err != nil {
		return fmt.Errorf("read the generators: %w", err)
	}
	for _, g := range generators {
		if there, ok := b.Generator(g); ok {
			if err := target.Sequencer.Set(ctx, there); err != nil {
				return fmt.Errorf("set the generator of %s %s: %w", there.Table, there.Column, err)
			}
		}
	}
	return nil
}
