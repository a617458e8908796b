// Package memory is a database in memory that plays every role of db/driver, made for tests of the code that moves rows.
//
// It is a small but honest transactional database: every row, record entry, ledger line and list key is an item with a
// committed value and, while a session writes it, that session's own; statements see what is committed when they begin
// (read committed); who writes an item locks it until the end of the transaction; unique keys hold; triggers append their
// entries in the writing transaction, so that they become visible at its commit, in the order they were written in and
// not in the order of the commits.
//
// Nothing here waits, sleeps, starts a goroutine or draws a random number. Where a real server would wait for a lock the
// call fails at once with an error that Classify calls Transient, so that a test decides what happens next and the same
// test always sees the same thing. Time is a count of operations (Server.Advance moves it).
//
// Server.Fault is called before and after every operation and decides its fate: an error, a session that is cut, an
// answer that is lost, a crash of the server. It is called without the server's lock, so that it can run an application's
// transaction at exactly this moment.
package memory

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// Server is one database in memory. Set its exported fields before it is used. It is safe for concurrent use.
type Server struct {
	// Fault, when set, is called with "before " and "after " followed by the operation's name (Load.Write, Load.Commit,
	// Applier.Apply, Receipt.Forget, Tx.Commit, ...). An error before means that the operation is not done, an error after
	// that it is done and its answer lost. ErrCut and ErrCrash, wrapped or not, also end the session or all sessions.
	Fault func(op string) error
	// Turn, when set, is called like Fault, with more to know of the operation, and may wait: what happens at the server until
	// it returns comes before the operation. ErrLate is known beside the other faults.
	Turn func(ctx context.Context, c Call) error
	// Lazy makes an application's commit visible before it is durable: a crash takes it back unless Durable, or a commit of
	// the driver's own, came after it (HAZARDS C7).
	Lazy bool
	// Most is the number of rows that a cursor hands out in one Fill; 0 for 5,000.
	Most int
	// Flaw breaks one rule on purpose, for tests of tests.
	Flaw Flaw

	mu       sync.Mutex
	name     string
	clock    time.Duration
	tables   []*table
	sessions []*session
	number   int64    // of the last session
	tail     []change // commits that a crash would take back, in their order
	kept     []change // commits since Keep
	keeping  bool
	book     *book
	state    *space // the source's batch numbers
	owner    string // the run that moves the source, empty for none
	places   map[schema.Name]int64
	stamp    int64
	objects  int64
	late     []late              // operations that were sent and not answered
	mark     map[*record]int     // Watermark's memory
	past     map[*table][]string // StaleRows' rows
}

// The faults that end sessions. With ErrCut the session of the operation is lost and what it had begun is undone; with
// ErrCrash the server restarts: every session is lost, prepared transactions and what was durable stay.
var (
	ErrCut   = errors.New("session cut")
	ErrCrash = errors.New("server crashed")
)

// New returns an empty database.
func New(name string) *Server {
	return &Server{
		name: name, state: newSpace(), places: map[schema.Name]int64{}, mark: map[*record]int{}, past: map[*table][]string{},
	}
}

// Open opens the database for one side of the only move there is: it asks nowhere whose anything is. Again: a second
// Database on the same server.
func (s *Server) Open(side driver.Side) *driver.Database { return s.OpenFor(side, "") }

// OpenFor opens the database for one side of the move that has this run. Again: a second Database on the same server.
func (s *Server) OpenFor(side driver.Side, run string) *driver.Database {
	role := &role{Server: s, side: side, run: run}
	return &driver.Database{
		Info: driver.Info{
			Product: "memory", Version: "1", Name: "memory " + s.name, Schema: "main", Server: "memory:" + s.name,
			Limits: driver.Limits{
				Name: 63, Seconds: 9, Schemas: true, Value: 1 << 30, Ahead: true,
				Features: driver.IdentityAlways | driver.IdentityAnywhere | driver.FreeSequences,
			},
		},
		Dialect:   Dialect{},
		Inspector: inspector{role},
		Surveyor:  surveyor{role},
		Executor:  executor{role},
		Splitter:  splitter{role},
		Reader:    reader{role},
		Loader:    loader{role},
		Pipe:      pipe{role},
		Ledger:    ledger{role},
		Lists:     lists{role},
		Applier:   applier{role},
		Stager:    applier{role},
		Capturer:  capturer{role},
		Recorder:  recorder{role},
		Watcher:   watcher{role},
		Gate:      gate{role},
		Guard:     guard{role},
		Sequencer: sequencer{role},
		Sequences: Dialect{},
		Close:     role.close,
	}
}

// role is what the roles of one open Database share.
type role struct {
	*Server
	side driver.Side
	run  string // empty for the only one
}

// others reports that what belongs to a run is not ours.
func (r *role) others(run string) bool { return r.run != "" && run != "" && run != r.run }

// claim makes the source ours.
func (r *role) claim() error {
	if r.others(r.owner) {
		return failf(driver.Unclassified, "the source is being moved by run %s; finish or reset that move first", r.owner)
	}
	if r.run != "" {
		r.owner = r.run
	}
	return nil
}

func (r *role) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range slices.Clone(r.sessions) {
		if e.role == r {
			e.leave(lost("its database was closed"))
		}
	}
	return nil
}

// Advance moves the server's time on. Every operation moves it by a millisecond.
func (s *Server) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock += d
}

// Sessions is how many cursors, loads, receipts and application transactions are open: a leak shows here.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Crash ends every session but prepared transactions and takes back what was not durable. The database is there again
// when it returns.
func (s *Server) Crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crash()
}

func (s *Server) crash() {
	s.late = nil
	for _, e := range slices.Clone(s.sessions) {
		if !e.prepared {
			e.end(lost("the server crashed"))
		}
	}
	for _, c := range slices.Backward(s.tail) {
		c.it.now = c.was
	}
	s.tail = nil
	for _, t := range s.tables {
		t.reindex()
	}
}

// Keep remembers this moment, for SetBack. Again: this moment.
func (s *Server) Keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept, s.keeping = nil, true
}

// SetBack ends every session, prepared transactions too, and takes back every commit since Keep, durable or not, as if a copy of
// that moment had been restored, or a standby that lagged had taken over. The catalog stays.
func (s *Server) SetBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range slices.Clone(s.sessions) {
		e.end(lost("the server was set back"))
	}
	for _, c := range slices.Backward(s.kept) {
		c.it.now = c.was
	}
	s.tail, s.kept = nil, nil
	for _, t := range s.tables {
		t.reindex()
	}
}
