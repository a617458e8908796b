package move

import (
	"sync"
	"time"

	"github.com/whimbrel/whimbrel/internal/load"
)

// board is what this process knows of each table's way: enough for people to watch, and for the steps of the load phase to
// wait for each other. It is never the truth: after a restart it is filled again from the ledgers as the steps pass.
type board struct {
	mu     sync.Mutex
	tables map[string]*progress
	moved  chan struct{} // closed and made anew at each change
}

// progress is one table's.
type progress struct {
	stage    Stage
	rows     int64
	bytes    int64
	busy     time.Duration // spent in ranges, all sessions added up
	began    time.Time     // of the first range in this process
	last     time.Time     // of the last range that came in
	replayed int64
	backlog  int64
	lag      time.Duration
	record   int64   // bytes at the source
	seconds  float64 // the load's, from its first range to its last
	err      error

	shortened bool // it was compared while it lived, and few changed keys are left
}

func newBoard() *board { return &board{tables: map[string]*progress{}, moved: make(chan struct{})} }

// change applies f to a table's progress and wakes those who wait.
func (b *board) change(table string, f func(*progress)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.tables[table]
	if p == nil {
		p = &progress{stage: Waiting}
		b.tables[table] = p
	}
	f(p)
	close(b.moved)
	b.moved = make(chan struct{})
}

// advance brings a table to a stage, unless it is there or further: a step that is done again finds tables that are followed already,
// and whoever waits for them would wait for ever if they were taken back.
func (b *board) advance(table string, to Stage) {
	b.change(table, func(p *progress) {
		if !p.reached(to) {
			p.stage = to
		}
	})
}

// of returns a copy of a table's progress, and the channel that closes at the next change of any table.
func (b *board) of(table string) (progress, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.tables[table]; p != nil {
		return *p, b.moved
	}
	return progress{stage: Waiting}, b.moved
}

// rangeIn counts one range.
func (b *board) rangeIn(table string, r load.Result) {
	now := time.Now()
	b.change(table, func(p *progress) {
		p.rows += r.Rows
		p.bytes += r.Bytes
		p.busy += r.Elapsed
		if p.began.IsZero() {
			p.began = now.Add(-r.Elapsed)
		}
		p.last = now
		p.seconds = now.Sub(p.began).Seconds()
	})
}

// stop notes why a table is not going on.
func (b *board) stop(table string, err error) {
	b.change(table, func(p *progress) { p.stage, p.err = Stopped, err })
}

// reached says whether a table has come at least to a stage, or is stopped.
func (p progress) reached(s Stage) bool { return order[p.stage] >= order[s] }

var order = map[Stage]int{
	Waiting: 0, Loading: 1, Indexing: 2, Replaying: 3, Following: 4, Drained: 5, Verifying: 6, Proven: 7, Stopped: 8,
}
