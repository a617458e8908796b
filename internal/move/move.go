// Package move is one move from a source to a target: the story it follows (story.go), the configuration (config.go), and
// what each step of the story does. The steps call load, replay and verify for rows, translate, check and plan for the
// rest; procedure decides which step is next.
package move

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/state"
)

// Move is a move that is open. Its methods may be called from several goroutines; Run, Repeat, Reset and Verify by one at a
// time.
type Move struct {
	config  *Config
	state   *state.State
	drivers []driver.Driver
	log     *slog.Logger
	program string
	show    bool // values of rows that a release's rule can not make

	engine   *procedure.Engine
	sides    sides
	board    *board
	replays  *replays
	losses   *losses
	indexing chan struct{} // bounds the index builds at one time
	careful  chan struct{} // held while rows of many megabytes are in memory

	rereading chan struct{} // held while one table's keys are read again: it takes a second session of each side

	vacating vacating
	waits    waits

	marking sync.Mutex // held while what is kept of a table beside its rows is changed

	laid   atomic.Pointer[layout] // read by those who watch while it is made
	looked atomic.Bool            // this process has looked at the source: what it found is fresh
}

// layout is what translate lays out: the plan of the target and the tables of the move, in the order they are loaded. Of a release
// it has the source's tables that belong to it, with the plan by which they are lent to a shadow at the target, and what was copied
// from a shadow at the source.
type layout struct {
	plan   *blueprint // nil before translate
	tables []*table

	repository []*table
	lent       *blueprint
	copied     []*table
	adopted    []*table // what switch-release made real from a shadow at the target; known by their guards only
}

// plan is the plan of the target, nil before translate.
func (m *Move) plan() *blueprint { return m.laid.Load().plan }

// tables are the tables of the move in the order they are loaded, nil before translate.
func (m *Move) tables() []*table { return m.laid.Load().tables }

var (
	_ Conductor = (*Move)(nil)
	_ Desk      = (*Move)(nil)
	_ Prover    = (*Move)(nil)
)

// Open returns the move that a configuration and a state make. It opens no database: that is done when a step needs it.
func Open(ctx context.Context, s Setup) (*Move, error) {
	m := &Move{
		config: s.Config, state: s.State, drivers: s.Drivers, log: s.Log, program: s.Program, show: s.ShowValues, board: newBoard(), replays: &replays{},
		indexing: make(chan struct{}, max(s.Config.Sessions.Target, 1)), careful: make(chan struct{}, 1), rereading: make(chan struct{}, 1),
	}
	m.laid.Store(&layout{})
	m.losses = &losses{m: m}
	stories, actions := Procedures(), m.actions()
	if s.Config.New != nil {
		stories = ToRelease()
		maps.Copy(actions, m.releaseActions())
	}
	engine, err := procedure.New(ctx, stories, actions, s.State, m.tell)
	if err != nil {
		return nil, err
	}
	m.engine = engine
	return m, nil
}

// tell logs what the journal notes.
func (m *Move) tell(e procedure.Entry) {
	switch e.Event {
	case procedure.Failed:
		m.log.Error("failed", "step", e.Step, "error", e.Detail)
	case procedure.Asked:
		m.log.Info("asks", "step", e.Step)
	default:
		m.log.Info(string(e.Event), "step", e.Step)
	}
}

// actions bind what the steps do to their names. Read beside story.go, which says what is true afterwards.
func (m *Move) actions() procedure.Actions {
	return procedure.Actions{
		"check-source":    {Do: m.patiently(m.checkSource)},
		"check-target":    {Do: m.patiently(m.checkTarget)},
		"inspect":         {Do: m.patiently(m.inspectSource)},
		"classify":        {Do: m.patiently(m.classifyTables), Undo: m.forgetClasses},
		"translate":       {Do: m.patiently(m.translateTables)},
		"accept-findings": {Do: m.patiently(m.acceptFindings), Tell: m.tellFindings},

		"shut-target":     {Do: m.patiently(m.shutTarget), Undo: m.release},
		"create-tables":   {Do: m.patiently(m.createTables), Undo: m.dropTables},
		"install-capture": {Do: m.patiently(m.installCapture), Undo: m.removeCapture},

		"load-uptime":   {Do: m.loadUptime, Undo: m.unloadUptime},
		"build-indexes": {Do: m.buildIndexes},
		"replay":        {Do: m.replayUptime, Ready: m.replayReady},
		"verify-uptime": {Do: m.patiently(m.verifyUptime), Undo: m.forgetProofs, Ready: m.verifyReady},

		"confirm-downtime":  {Tell: m.tellDowntime, Heed: m.lastLook},
		"stop-application":  {Do: m.patiently(m.stopApplication), Undo: m.startSource},
		"shut-source":       {Do: m.patiently(m.shutSource), Undo: m.reopenSource},
		"drain":             {Do: m.patiently(m.drain)},
		"load-rest":         {Do: m.loadRest},
		"set-sequences":     {Do: m.patiently(m.setSequences)},
		"add-constraints":   {Do: m.patiently(m.addConstraints)},
		"verify-downtime":   {Do: m.patiently(m.verifyDowntime)},
		"confirm-open":      {Tell: m.tellOpen, Judge: m.judgeOpen},
		"open-target":       {Do: m.patiently(m.openTarget)},
		"start-application": {Do: m.patiently(m.startApplication)},

		"prove-constraints": {Do: m.patiently(m.proveConstraints)},
		"remove-capture":    {Do: m.patiently(m.clearAway)},
		"report":            {Do: m.writeReport},
	}
}

// releaseActions are those of the steps that only a move to a new release has.
func (m *Move) releaseActions() procedure.Actions {
	return procedure.Actions{
		"build-shadow":       {Do: m.patiently(m.buildShadow), Undo: m.unbuild},
		"copy-repository":    {Do: m.patiently(m.copyRepository), Undo: m.dropCopies},
		"check-repository":   {Do: m.patiently(m.checkRepository), Tell: m.tellDrift, Judge: m.judgeDrift, Heed: m.rebuildShadow},
		"switch-release":     {Do: m.patiently(m.switchRelease), Undo: m.unswitch},
		"update-application": {Do: m.patiently(m.updateApplication), Undo: m.undoUpdate},
		"run-after":          {Do: m.patiently(m.runAfter)},
	}
}

// Run goes on from where the journal says the move stands. See Conductor.
func (m *Move) Run(ctx context.Context, q procedure.Questions) (procedure.Outcome, error) {
	if m.engine.Position().Procedure == "" { // what a move that was reset remembered is not this one's
		if err := m.state.Forget(ctx, calmFolder); err != nil {
			return procedure.Failure, err
		}
		if err := m.state.DeleteDocument(ctx, footingKey); err != nil {
			return procedure.Failure, err
		}
		m.losses.forget()
	}
	if _, err := m.key(ctx); err != nil {
		return procedure.Failure, err
	}
	return m.conduct(ctx, func() (procedure.Outcome, error) { return m.engine.Run(ctx, m.config.Procedure, q) })
}

// Repeat does a step again and then goes on. See Conductor.
func (m *Move) Repeat(ctx context.Context, step string, q procedure.Questions) (procedure.Outcome, error) {
	if err := m.repeatable(ctx, step); err != nil {
		return procedure.Failure, err
	}
	return m.conduct(ctx, func() (procedure.Outcome, error) { return m.engine.Repeat(ctx, step, q) })
}

// conduct resumes, goes on, and writes the report, whatever came of it.
func (m *Move) conduct(ctx context.Context, do func() (procedure.Outcome, error)) (procedure.Outcome, error) {
	if err := m.sameFooting(ctx); err != nil {
		return procedure.Failure, err
	}
	if err := m.patiently(m.resume)(ctx); err != nil {
		return procedure.Failure, err
	}
	if err := m.sameRelease(ctx); err != nil {
		return procedure.Failure, err
	}
	outcome, err := do()
	return outcome, errors.Join(err, m.writeReport(context.WithoutCancel(ctx)))
}

// resume brings back what an earlier process knew: the tables, from what was examined, and how far they are, from the
// journal. Again: the same.
func (m *Move) resume(ctx context.Context) error {
	p := m.engine.Position()
	if at, ok := p.At("translate"); !ok || at.State != procedure.Complete || p.State == procedure.Complete {
		return nil
	}
	e, err := m.examination(ctx)
	if err != nil {
		return err
	}
	if err := m.lay(ctx, e); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	for _, t := range m.tables() { // whom an earlier run of this process followed nobody follows now, and what stopped a table may be gone
		m.board.change(t.name, func(p *progress) {
			if p.stage == Following || p.stage == Stopped {
				p.stage, p.err = Waiting, nil
			}
		})
	}
	for step, stage := range map[string]Stage{"load-uptime": Indexing, "build-indexes": Replaying} {
		if at, _ := p.At(step); at.State != procedure.Complete {
			continue
		}
		for _, t := range of(m.tables(), Uptime) {
			m.board.advance(t.name, stage)
		}
	}
	return m.restoreCounts(ctx)
}

// Reset takes everything back. See Conductor.
func (m *Move) Reset(ctx context.Context) error {
	if err := m.sameFooting(ctx); err != nil {
		return err
	}
	if err := m.resume(ctx); err != nil {
		return err
	}
	if at, ok := m.engine.Position().At("shut-target"); ok && at.State == procedure.Complete && !m.engine.Position().Final() {
		if err := m.quieten(ctx); err != nil {
			return err
		}
	}
	if err := m.engine.Reset(ctx); err != nil {
		return err
	}
	m.laid.Store(&layout{})
	m.board, m.replays = newBoard(), &replays{}
	defer m.losses.forget()
	return errors.Join(m.state.Forget(ctx, calmFolder), m.Close()) // the next run is another one, and opens its own sessions
}

// quieten makes sure that no process of this move, however late, writes to the target any more. A ledger that is not there
// has nobody to quieten.
func (m *Move) quieten(ctx context.Context) error {
	run, err := m.state.Run(ctx)
	if err != nil {
		return err
	}
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	if err := target.Ledger.Prepare(ctx, run); err != nil {
		return fmt.Errorf("find the ledger: %w", err)
	}
	_, err = m.takeOver(ctx)
	return err
}

// Answer answers the open question of a step. See Desk.
func (m *Move) Answer(ctx context.Context, step, answer string) error {
	if m.tables() == nil { // nobody runs the move: what an answer is judged by is not there yet
		if err := m.resume(ctx); err != nil {
			return err
		}
	}
	return m.engine.Answer(ctx, step, answer)
}

// Check finds what would go wrong. See Prover.
func (m *Move) Check(ctx context.Context) ([]Finding, error) {
	var all []check.Finding
	for _, side := range []driver.Side{driver.Source, driver.Target} {
		found, err := m.settings(ctx, side)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	e := &examination{}
	found, err := m.inspect(ctx, e, afresh)
	if err != nil {
		return nil, err
	}
	all = append(all, found...)
	if found, err = m.classify(ctx, e, standardness(m.procedure() == Standard().Name)); err != nil {
		return nil, err
	}
	all = append(all, found...)
	if _, found, err = m.translate(ctx, e); err != nil {
		return nil, err
	}
	all = append(all, found...)
	if found, err = m.findOrphans(ctx, e); err != nil {
		return nil, err
	}
	return check.Sort(append(all, found...)), m.losses.write(ctx)
}

// Verify compares every table in full as both sides are now. See Prover.
func (m *Move) Verify(ctx context.Context) ([]TableReport, error) {
	if err := errors.Join(m.sameRelease(ctx), m.known(ctx), m.changed(ctx)); err != nil {
		return nil, err
	}
	if err := m.proveAll(ctx, m.proveFully); err != nil {
		return nil, err
	}
	r, err := m.Report(ctx)
	return r.Tables, err
}

// known brings the tables back, where this process does not know them yet.
func (m *Move) known(ctx context.Context) error {
	if m.tables() != nil {
		return nil
	}
	e, err := m.examination(ctx)
	if err != nil {
		return err
	}
	if e.Schema == nil || e.Choices == nil {
		return errors.New("there is nothing to compare yet: the move has not come past its check")
	}
	return m.lay(ctx, e)
}
