package simulation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/move"
	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// world is one schedule: two servers, an application, an operator and our processes.
type world struct {
	script *script
	flaws  flaws
	dir    string
	began  time.Time

	source, target *memory.Server
	tables         []*table
	config         *move.Config
	habits         habits
	app            application

	mu        sync.Mutex // beside the scheduler, our processes' goroutines write what follows
	parked    []*parked
	processes []*process

	steps     int // decisions taken
	idle      int // in a row that found nothing to do but to wait
	ghosts    []*process
	copies    map[*memory.Server]*memory.Copy
	due       *memory.Server // it is to be set back as soon as none of our sessions is open there
	travelled bool           // a server was set back, and the two do not remember the same batches
	restored  bool           // a server was set back
	opened    bool
	overtaken bool // by a zombie
	finished  bool
	refused   string // why the move ended without opening the target
	failed    *failure
	counts    counts
	trace     bytes.Buffer
}

// failure is what the oracle found.
type failure struct{ kind, text string }

// The kinds: rows were lost; the move neither ends nor says why; it refuses what nothing speaks against; something is left behind.
const (
	loss    = "loss"
	stuck   = "stuck"
	refusal = "refusal"
	remains = "remains"
)

func (f *failure) String() string { return f.kind + ": " + f.text }

// counts are what happened in schedules, by kind.
type counts struct {
	schedules, decisions, lives, transactions int
	equal, refused                            int
	faults                                    map[string]int
}

func (c *counts) add(o counts) {
	c.schedules, c.decisions, c.lives, c.transactions = c.schedules+o.schedules, c.decisions+o.decisions, c.lives+o.lives, c.transactions+o.transactions
	c.equal, c.refused = c.equal+o.equal, c.refused+o.refused
	if c.faults == nil {
		c.faults = map[string]int{}
	}
	for k, n := range o.faults {
		c.faults[k] += n
	}
}

// flaws are the rules that the two servers break, and the trouble in which that shows: a hunt's schedules are full of it.
type flaws struct {
	source, target memory.Flaw
	trouble        trouble
}

// trouble is one kind of it; empty where a schedule draws its own.
type trouble string

const (
	crashing trouble = "crashing"
	lateness trouble = "lateness"
	zombies  trouble = "zombies"
	setBack  trouble = "set back"
	muting   trouble = "muting"
	moving   trouble = "moving values"
	emptying trouble = "emptying"
)

// prefer fills a schedule with one kind of trouble.
func (h *habits) prefer(t trouble) {
	switch t {
	case crashing:
		h.crashes, h.late = 6, 0
	case lateness:
		h.late, h.kills = 6, 0
	case zombies:
		h.zombies, h.late = 3, 3
	case setBack:
		if h.travel, h.zombies, h.kills, h.crashes, h.mutes = 3, 0, 0, 0, 0; h.quiet {
			h.harm = 0 // after an error both sides are asked
		}
	case muting:
		h.mutes, h.travel = 3, 0
	case emptying:
		h.busy, h.empties = 6, true
	case moving:
		h.busy = 10
	}
}

// table is one table with what the oracle remembers of it.
type table struct {
	def     *schema.Table
	class   move.Class
	armed   bool // it is being replayed: from now on each difference must be noted somewhere
	excused bool // its triggers were muted, or a server was set back: only the end counts
}

// habits are what a schedule is made of; a schedule has few kinds of trouble, so that each kind is seen alone too.
type habits struct {
	harm    int // one call in so many goes wrong; 0 for none
	harms   int // and so many at most: a move must come to its end
	kills   int // processes that may be killed
	zombies int
	crashes int
	travel  int
	mutes   int
	late    int  // calls that the server may come to later
	busy    int  // how much the application does, of 10
	patient int  // decisions before an open question is answered
	empties bool // the application empties tables every now and then
	quiet   bool // a server is set back while none of our sessions is open there, so that nothing but the numbers can tell
}

func name(table string) schema.Name { return schema.Name{Schema: "main", Name: table} }

func newWorld(s *script, f flaws, dir string) *world {
	w := &world{
		script: s, flaws: f, dir: dir, began: time.Now(), source: memory.New("source"), target: memory.New("target"),
		copies: map[*memory.Server]*memory.Copy{}, counts: counts{schedules: 1, faults: map[string]int{}},
	}
	w.source.Flaw, w.target.Flaw = f.source, f.target
	d := s.next()
	w.source.Most, w.target.Most = 1+d.of(4), 1+d.of(4)
	w.source.Lazy = d.once(2)
	w.habits = habits{busy: 2 + d.of(7), patient: d.of(45), harms: 10}
	w.habits.harm = []int{0, 60, 25, 12}[d.of(4)]
	for _, trouble := range []struct {
		most *int
		once int
	}{{&w.habits.kills, 2}, {&w.habits.zombies, 3}, {&w.habits.crashes, 3}, {&w.habits.late, 2}, {&w.habits.travel, 6}, {&w.habits.mutes, 8}} {
		if d.once(trouble.once) {
			*trouble.most = 1 + d.of(3)
		}
	}
	w.habits.quiet = d.once(2)
	w.habits.prefer(f.trouble)
	w.source.Lazy = w.source.Lazy || f.trouble == crashing
	w.make(s.next())
	w.source.Turn, w.target.Turn = w.turn(w.source), w.turn(w.target)
	return w
}

// make makes the tables with their first rows, and the configuration.
func (w *world) make(d *decision) {
	names, sessions := []string{"people"}, 1+d.of(3)
	w.app.long = []int{0, 40 << 20, 12 << 20, 4<<20 - 1}[d.of(4)]
	if d.once(2) {
		// Goroutines that are woken at once may take turns in any order. With a turn for each there is nothing to take.
		names, sessions = append(names, "words"), 2+d.of(2)
		w.app.long = min(w.app.long, 4<<20-1)
	}
	if d.once(2) {
		names = append(names, "notes")
	}
	levels := []move.Level{move.FullDowntime, move.FullUptimeChanged}
	w.config = &move.Config{
		Procedure: move.DowntimeOptimized().Name, Dir: w.dir, Sessions: move.Sessions{Source: sessions, Target: sessions},
		Source: move.Side{URL: move.NewSecret("memory://source/main")}, Target: move.Side{URL: move.NewSecret("memory://target/main")},
		Verify: move.Verify{Levels: map[string]move.Level{"people": levels[d.of(2)], "words": levels[d.of(2)]}},
		Wait:   move.Wait{Lock: time.Second, Settled: time.Second},
	}
	w.app.plain = d.once(2)
	for _, n := range names {
		def := definition(n)
		must(w.source.Create(def))
		class := move.Uptime
		if n == "notes" {
			class = move.Downtime
		} else {
			w.config.Listed = append(w.config.Listed, move.Listed{Name: n, Place: "uptime.txt:1"})
		}
		w.tables = append(w.tables, &table{def: def, class: class})
	}
	x := w.source.Begin()
	for _, t := range w.tables {
		for i := range 3 + d.of(7) {
			must(x.Insert(t.def.Name, w.app.rowOf(t, d, i)...))
		}
	}
	must(x.Commit())
	w.source.Flush()
	seen, err := w.source.Open(driver.Source).Inspector.Inspect(context.Background(), nil)
	must(err)
	plan.Number(seen.Tables)
	for _, t := range w.tables {
		t.def.Number = seen.Tables[slices.IndexFunc(seen.Tables, func(s *schema.Table) bool { return s.Name == t.def.Name })].Number
	}
}

// definition is a table with a key, a unique value that moves from row to row, and a value that tells versions apart. The keys of
// words differ in case, which their collation holds for equal.
func definition(n string) *schema.Table {
	id := &schema.Column{Name: "id", Type: schema.Type{Kind: row.Int, Precision: 64}}
	if n == "words" {
		id.Type = schema.Type{Kind: row.Text, Length: 20, Collation: "folded"}
	}
	t := &schema.Table{
		Name: name(n), Rows: -1, Bytes: -1,
		Columns: []*schema.Column{
			id, {Name: "name", Type: schema.Type{Kind: row.Text}, Null: true}, {Name: "version", Type: schema.Type{Kind: row.Text}},
		},
		Primary: &schema.Key{Name: n + "_pk", Columns: []schema.Part{{Column: "id"}}, Constraint: true},
	}
	if n != "notes" {
		t.Uniques = []*schema.Key{{Name: n + "_name", Columns: []schema.Part{{Column: "name"}}}}
	}
	return t
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// say writes a line of the trace.
func (w *world) say(format string, args ...any) {
	fmt.Fprintf(&w.trace, "%d %d ", w.steps, time.Since(w.began).Milliseconds())
	fmt.Fprintf(&w.trace, format, args...)
	w.trace.WriteByte('\n')
}

func (w *world) fail(kind, format string, args ...any) {
	if w.failed == nil {
		w.failed = &failure{kind, fmt.Sprintf(format, args...)}
		w.say("FAILED %s", w.failed)
	}
}

func (w *world) hash() [sha256.Size]byte { return sha256.Sum256(w.trace.Bytes()) }

// folder returns a new folder for a process's state, with a copy of another's where there is one.
func (w *world) folder(from string) string {
	to := filepath.Join(w.dir, strconv.Itoa(len(w.processes)))
	must(os.MkdirAll(to, 0o700))
	if from == "" {
		return to
	}
	files, err := os.ReadDir(from)
	must(err)
	for _, f := range files {
		if f.Name() == "lock" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(from, f.Name()))
		must(err)
		must(os.WriteFile(filepath.Join(to, f.Name()), text, 0o600))
	}
	return to
}
