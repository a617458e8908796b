package move

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/internal/transform"
	"github.com/whimbrel/whimbrel/internal/translate"
)

// sides are the two databases, each opened when a step first needs it.
type sides struct {
	mu     sync.Mutex
	opened map[driver.Side]*driver.Database
	view   *transform.View // before the source, where a release gives tables another form
	epoch  int64           // ours at the target; 0 before this process took over
}

// source returns the open source.
func (m *Move) source(ctx context.Context) (*driver.Database, error) {
	return m.side(ctx, driver.Source)
}

// target returns the open target.
func (m *Move) target(ctx context.Context) (*driver.Database, error) {
	return m.side(ctx, driver.Target)
}

// both returns both sides, open.
func (m *Move) both(ctx context.Context) (source, target *driver.Database, err error) {
	if source, err = m.source(ctx); err != nil {
		return nil, nil, err
	}
	target, err = m.target(ctx)
	return source, target, err
}

func (m *Move) side(ctx context.Context, s driver.Side) (*driver.Database, error) {
	m.sides.mu.Lock()
	defer m.sides.mu.Unlock()
	if db := m.sides.opened[s]; db != nil {
		return db, nil
	}
	db, err := m.openSide(ctx, s)
	if err != nil {
		return nil, &openError{side: s, cause: err}
	}
	if m.sides.opened == nil {
		m.sides.opened = map[driver.Side]*driver.Database{}
	}
	m.sides.opened[s] = db
	return db, nil
}

func (m *Move) openSide(ctx context.Context, s driver.Side) (*driver.Database, error) {
	side, sessions := m.config.Source, m.config.Sessions.Source
	if s == driver.Target {
		side, sessions = m.config.Target, m.config.Sessions.Target
	}
	u, err := side.Resolve(m.config.Dir)
	if err != nil {
		return nil, err
	}
	d, err := m.driverOf(u)
	if err != nil {
		return nil, err
	}
	run, err := m.state.Run(ctx)
	if err != nil {
		return nil, err
	}
	// Loads, replay and a comparison go on side by side, and each may hold a session of one side while it waits for one of the
	// other: there must be one for each of them, and for reading keys again, or they would wait for ever.
	db, err := d.Open(ctx, u, driver.Options{Side: s, Run: run, Sessions: 4*sessions + 2})
	if err != nil || s == driver.Target || m.config.New == nil || len(m.config.New.Rules) == 0 {
		return db, err
	}
	view, err := transform.Open(ctx, db, side.Schemas, m.config.New.Rules)
	if err == nil {
		err = m.mergeKept(ctx, view)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	view.Tell(m.losses)
	if m.show {
		view.ShowValues()
	}
	m.sides.view = view
	return view.Database, nil
}

// releaseKey is the document with the digest of the release that the tables at the target were made for.
const releaseKey = "release"

// sameRelease refuses to go on with another release than the one that rows were loaded by: a table would hold some of each.
func (m *Move) sameRelease(ctx context.Context) error {
	var began string
	there, err := m.state.Document(ctx, releaseKey, &began)
	if err == nil && there && began != m.config.fixed() {
		err = errors.New("the release's rules, or where its shadow is, are not those that this move began with; put them back as they were, or reset the move and begin again")
	}
	return err
}

// keepRelease notes the release that the findings were accepted for.
func (m *Move) keepRelease(ctx context.Context) error {
	return m.state.SetDocument(ctx, releaseKey, m.config.fixed())
}

// translating are the options of every translation of this move. The source must be open.
func (m *Move) translating() translate.Options {
	o := translate.Options{Schema: m.config.Target.Schema}
	if m.sides.view != nil {
		o.Renamed = m.sides.view.Renamed()
	}
	return o
}

func (m *Move) driverOf(u *url.URL) (driver.Driver, error) {
	i := slices.IndexFunc(m.drivers, func(d driver.Driver) bool { return slices.Contains(d.Schemes(), u.Scheme) })
	if i < 0 {
		return nil, errors.New("no database is known by the word that the URL begins with") // which may be a password
	}
	return m.drivers[i], nil
}

// takeOver makes this process the only one that can write to the target and returns its epoch. The book must have been
// prepared. Again: the same epoch; each process takes over once.
func (m *Move) takeOver(ctx context.Context) (int64, error) {
	source, target, err := m.both(ctx)
	if err != nil {
		return 0, err
	}
	m.sides.mu.Lock()
	defer m.sides.mu.Unlock()
	if m.sides.epoch > 0 {
		return m.sides.epoch, nil
	}
	const what = "take over the target"
	defer m.waits.forget(what)
	epoch, err := load.Patiently(ctx, target.Dialect, target.Dialect, func() (int64, error) {
		epoch, err := m.nextEpoch(ctx, target)
		if err != nil && load.Passing(target.Dialect, err) { // a process of ours that sleeps may hold it for as long as it does
			m.waits.note(what, "not yet: "+err.Error())
			m.log.Warn("the target could not be taken over yet", "error", err)
		}
		return epoch, err
	})
	if err != nil {
		return 0, fmt.Errorf("take over the target: %w", err)
	}
	failpoint.Hit("ledger.takeover.after")
	for _, db := range []*driver.Database{source, target} { // only now: none of theirs can begin anew what it was at
		if db.Inherit == nil {
			continue
		}
		if _, err := load.Patiently(ctx, db.Dialect, db.Dialect, func() (struct{}, error) { return struct{}{}, db.Inherit(ctx) }); err != nil {
			return 0, fmt.Errorf("take over from an earlier process: %w", err)
		}
	}
	m.sides.epoch = epoch
	return epoch, nil
}

// stillOurs fails when another process has taken the move over: what a step does to the target outside the ledger's transactions is
// not to be done by one that has slept meanwhile. A process that has not taken over yet does it now.
func (m *Move) stillOurs(ctx context.Context) error {
	epoch, err := m.takeOver(ctx)
	if err != nil {
		return err
	}
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	return target.Ledger.Current(ctx, epoch)
}

// epochs are what our state knows of the target's epoch. Had is the last that was surely ours; a process that died while it took
// over may have had the ones up to Tried.
type epochs struct {
	Had   int64 `json:"had"`
	Tried int64 `json:"tried"`
}

const epochsKey = "epochs"

// ErrOtherState says that the target was written to by a process whose state is not ours: a copy of it that went on, or a later
// one of which ours is a backup. What that process did, ranges by a plan of its own perhaps, we can not go on from.
var ErrOtherState = errors.New("another process took the target over with another state of this move; go on with that state, or reset")

// errSetBack says that the target does not remember an epoch that we had.
var errSetBack = errors.New("the target was set back to an earlier time: it does not remember that this process had taken it over; reset and start again")

// nextEpoch takes the target over, if the epoch there is one that our state knows of.
func (m *Move) nextEpoch(ctx context.Context, target *driver.Database) (int64, error) {
	var known epochs
	if _, err := m.state.Document(ctx, epochsKey, &known); err != nil {
		return 0, err
	}
	now, err := target.Ledger.Epoch(ctx)
	switch {
	case err != nil:
		return 0, err
	case now > known.Tried:
		return 0, fmt.Errorf("%w (epoch %d at the target, %d here)", ErrOtherState, now, known.Tried)
	case now < known.Had:
		return 0, fmt.Errorf("%w (epoch %d at the target, %d here)", errSetBack, now, known.Had)
	}
	known.Tried++
	if err := m.state.SetDocument(ctx, epochsKey, known); err != nil {
		return 0, err
	}
	epoch, err := target.Ledger.TakeOver(ctx)
	if err != nil {
		return 0, err
	}
	if epoch != now+1 {
		return 0, fmt.Errorf("%w (epoch %d came between)", ErrOtherState, epoch-1)
	}
	return epoch, m.state.SetDocument(ctx, epochsKey, epochs{epoch, epoch})
}

// Close ends every session. Again: does nothing.
func (m *Move) Close() error {
	m.sides.mu.Lock()
	defer m.sides.mu.Unlock()
	m.vacating.end()
	var errs []error
	for _, db := range m.sides.opened {
		errs = append(errs, db.Close())
	}
	m.sides.opened, m.sides.view, m.sides.epoch = nil, nil, 0
	return errors.Join(errs...)
}

// wait is how long others are waited for at the source.
func (m *Move) wait() driver.Wait {
	return driver.Wait{Lock: m.config.Wait.Lock, Settled: m.config.Wait.Settled}
}
