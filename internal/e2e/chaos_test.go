package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/e2e/shop"
	"github.com/whimbrel/whimbrel/internal/faultproxy"
)

// TestChaos moves the shop again and again with everything done to the move that is done to moves: the network, the servers,
// the disks, the clocks, the application's locks and the program itself fail at random, from a seed. After each fault the same
// command is given again, until the move is done; then the judge compares. CHAOS_ROUNDS says how many rounds (20), CHAOS_SEED
// which (WHIMBREL_SEED), CHAOS_PAIRS which pairs of products (mariadb/pg,pg/sqlite), CHAOS_BREAKS how many times as many connections break (1),
// CHAOS_FOR after how long no further round begins (2m). A table at the end says what was done how often.
func TestChaos(t *testing.T) {
	newChaos(t).run(number(t, "CHAOS_ROUNDS", 20), func(killPair) bool { return true })
}

// TestChaosPower does the same with servers, and a folder of the move, whose machines lose their power: what nobody has had written to
// the disk by then is gone, where kill -9 leaves it in the system's cache. With an odd seed the sources acknowledge what is not on the disk
// yet, so that the application loses some of its last seconds. CHAOS_POWER says how many rounds (1).
func TestChaosPower(t *testing.T) {
	c := newChaos(t)
	c.dark = true
	c.run(number(t, "CHAOS_POWER", 1), func(p killPair) bool { return p.source != "sqlite" || p.target != "sqlite" })
}

func newChaos(t *testing.T) *chaos {
	return &chaos{t: t, sides: map[string]*side{}, counts: map[string]int{}, fell: map[string]int{}, words: map[string]int{}, began: time.Now()}
}

// run makes rounds of these pairs, and says what was done.
func (c *chaos) run(rounds int, of func(killPair) bool) {
	t := c.t
	first := seed(t)
	if s := os.Getenv("CHAOS_SEED"); s != "" {
		first = uint64(number(t, "CHAOS_SEED", 0))
	}
	c.lazy = c.dark && first%2 == 1
	pairs := slices.DeleteFunc(chaosPairs(t, rand.New(rand.NewPCG(first, 5))), func(p killPair) bool { return !of(p) })
	if len(pairs) == 0 {
		t.Fatal("none of the pairs that CHAOS_PAIRS names has a server")
	}
	limit := length(t, "CHAOS_FOR", 10*time.Hour)
	for n := range rounds {
		if time.Since(c.began) > limit {
			break
		}
		pair := pairs[n%len(pairs)]
		t.Run(fmt.Sprintf("%d/%s", first+uint64(n), pair), func(t *testing.T) { c.round(t, pair, first+uint64(n)) })
	}
	c.table()
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func length(t *testing.T, name string, otherwise time.Duration) time.Duration {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

// chaosPairs are the pairs that CHAOS_PAIRS names, or all, in the seed's order.
func chaosPairs(t *testing.T, rng *rand.Rand) []killPair {
	var all, some []killPair
	for _, source := range products() {
		for _, target := range products() {
			all = append(all, killPair{source, target})
		}
	}
	for name := range strings.SplitSeq(os.Getenv("CHAOS_PAIRS"), ",") {
		for _, p := range all {
			if p.String() == name {
				some = append(some, p)
			}
		}
	}
	if os.Getenv("CHAOS_PAIRS") != "" && len(some) == 0 {
		t.Fatal("CHAOS_PAIRS names no pair; they are mariadb/pg, pg/sqlite, …")
	}
	if len(some) == 0 {
		some = all
		rng.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	}
	return some
}

// chaos is a whole run.
type chaos struct {
	t     *testing.T
	began time.Time
	nature
	sides map[string]*side

	mu       sync.Mutex
	counts   map[string]int // of what was done
	fell     map[string]int // kills of the program by the last step that had begun
	words    map[string]int // what processes said that failed
	rounds   int
	equal    int // rounds whose two sides were found equal
	commands int
	failed   int // commands that ended with 1
	rows     int64
	changes  int64 // transactions of the application
}

// side starts a server when it is first needed.
func (c *chaos) side(name, product string) *side {
	s := c.sides[name+product]
	if s == nil {
		s = newSide(c.t, name, product, nature{dark: c.dark, lazy: c.lazy && name == "source"})
		c.sides[name+product] = s
	}
	return s
}

// did counts something that was done.
func (c *chaos) did(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what] += n
}

// The faults that are not the proxy's.
const (
	killedAtPoint  = "kill -9 of the program, at a failpoint"
	killedAtRandom = "kill -9 of the program, at random"
	killedSource   = "kill -9 of the source's server"
	killedTarget   = "kill -9 of the target's server"
	darkSource     = "power loss of the source's machine"
	darkTarget     = "power loss of the target's machine"
	darkState      = "power loss of the program's machine"
	paused         = "SIGSTOP, SIGCONT"
	zombied        = "SIGSTOP, another takes over, SIGCONT"
	slept          = "of these, SIGCONT after the move's end"
	fullSource     = "full disk of the source"
	fullTarget     = "full disk of the target"
	fullState      = "full disk of the state"
	noSessions     = "no session to be had at a server"
	deadlocked     = "deadlocks of the application"
	longOpen       = "a transaction open for seconds"
	turned         = "the clock of a server turned"
	executed       = "statements and sessions ended by an administrator"
	turnedOurs     = "moves by a program whose clock is turned"
)

func faults() []string {
	list := []string{
		killedAtPoint, killedAtRandom, killedSource, killedTarget, darkSource, darkTarget, darkState, paused, zombied, slept, fullSource, fullTarget, fullState, noSessions,
		deadlocked, longOpen, turned, turnedOurs, executed,
	}
	for _, k := range faultproxy.Kinds() {
		list = append(list, "network: "+string(k))
	}
	return list
}

// round is one move.
type round struct {
	*chaos
	t              *testing.T
	rng            *rand.Rand // of the goroutine that gives the commands
	seed           uint64
	source, target *side
	proxies        []*faultproxy.Proxy
	state          *disk
	refused        string // a file that is there when the application has been refused
	live           *live
	move           *move
	deaths         int // that are left to die
	zombies        int // that are left to be made
	asleep         []sleeper
	writing        sync.RWMutex // held while a session beside the shop's writes to the source
	over           bool         // nobody may any more: the gate has refused everybody, and goes soon
}

// round moves the shop once, through all that is drawn for it, and has the end judged.
func (c *chaos) round(t *testing.T, pair killPair, seed uint64) {
	began := time.Now()
	r := &round{chaos: c, t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 11)), source: c.side("source", pair.source), target: c.side("target", pair.target)}
	name := fmt.Sprintf("r%d", seed)
	from, dropSource := r.source.database(t, name)
	defer dropSource()
	to, dropTarget := r.target.database(t, name)
	defer dropTarget()
	r.state = c.disk(t, 64)
	r.refused = filepath.Join(t.TempDir(), "refused")
	r.live = liveAt(t, from, to, shop.Options{Seed: seed, Accounts: 30, Sessions: 3, Pause: 15 * time.Millisecond, Bears: bears})
	r.move = r.configure(from, to)
	r.deaths, r.zombies = 20+r.rng.IntN(50), r.rng.IntN(4)
	if power := r.state.power; power != nil {
		r.zombies = 0 // a process does not outlive its machine
		power.Sync(t)
	}
	done := r.disturb()
	r.live.open()
	var wg sync.WaitGroup
	wg.Go(r.lastWord)
	commands, failed := r.untilDone()
	wg.Wait()
	done()
	r.wake()
	r.judge(commands, failed)
	t.Logf("%s: %d commands, %d of them failed, %s; so far %s", pair, commands, failed, time.Since(began).Round(time.Millisecond), c.sum())
}

// lastWord waits until the gate has refused every session of the application, and lets the move go on to its end then: the gate
// goes with the record, and whoever has not been refused by then would write to a source that is none any more.
func (r *round) lastWord() {
	<-r.live.ended
	r.writing.Lock()
	defer r.writing.Unlock()
	r.over = true
	if err := os.WriteFile(r.refused, nil, 0o600); err != nil {
		r.t.Error(err)
	}
}

// configure writes the move's configuration, with a proxy before each server.
func (r *round) configure(from, to string) *move {
	socket := r.rng.IntN(4) == 0
	from, one := r.source.through(r.t, from, socket)
	to, two := r.target.through(r.t, to, socket)
	for i, p := range []*faultproxy.Proxy{one, two} {
		if p == nil {
			continue
		}
		p.Set(r.network(uint64(i)))
		r.proxies = append(r.proxies, p)
	}
	m := newMove(r.t, plan{
		source: from, target: to, uptime: r.live.shop.Uptime(), extra: levels, dir: r.state.path,
		start: "until [ -e " + r.refused + " ]; do sleep 0.05; done; ",
	})
	if r.rng.IntN(3) == 0 {
		program, err := turning()
		if err != nil {
			r.t.Fatal(err)
		}
		m.program = program
		r.did(turnedOurs, 1)
	}
	return m
}

// network draws what a proxy does.
func (r *round) network(i uint64) faultproxy.Plan {
	return faultproxy.Plan{
		Seed: r.seed + i<<32, Every: 1 << (11 + r.rng.Int64N(5)), Longest: time.Duration(200+r.rng.IntN(2500)) * time.Millisecond,
		Most: number(r.t, "CHAOS_BREAKS", 1) * (10 + r.rng.IntN(70)), Ghost: time.Duration(r.rng.IntN(2)*r.rng.IntN(120)) * time.Second,
		Weights: map[faultproxy.Kind]int{
			faultproxy.Delay: 3, faultproxy.Split: 6, faultproxy.Trickle: 6, faultproxy.Join: 6, faultproxy.CutUp: 4, faultproxy.CutDown: 4, faultproxy.Silent: 1,
		},
		Chances: map[faultproxy.Kind]int{
			faultproxy.Refuse: r.rng.IntN(10), faultproxy.CommitUnsent: r.rng.IntN(12), faultproxy.CommitLost: r.rng.IntN(20), faultproxy.CommitLate: r.rng.IntN(12),
		},
	}
}

// judge holds the end of the move against everything that must be true of it.
func (r *round) judge(commands, failed int) {
	r.t.Helper()
	network := map[string]int{}
	for _, p := range r.proxies {
		for k, n := range p.Counts() {
			network["network: "+string(k)] += n
		}
		p.Set(faultproxy.Plan{})
	}
	if r.live.wrong != nil || r.live.tally.Refused.IsZero() {
		r.t.Errorf("the application was disturbed, or never refused: %+v, %v", r.live.tally, r.live.wrong)
	}
	before := r.t.Failed()
	rows := r.live.equal()
	same := r.t.Failed() == before
	r.live.leftovers()
	for _, x := range r.move.report().Tables {
		if x.Verdict != "equal" {
			r.t.Errorf("%s is %q", x.Name, x.Verdict)
		}
	}
	if r.move.largest > mebibytes<<20 {
		r.t.Errorf("a process had %d MiB resident", r.move.largest>>20)
	}
	if r.rng.IntN(5) == 0 {
		r.live.goOn()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, n := range network {
		r.counts[k] += n
	}
	r.rounds++
	r.commands += commands
	r.failed += failed
	r.changes += r.live.tally.Committed
	for _, n := range rows {
		r.rows += n
	}
	if same {
		r.equal++
	}
}

// numbers stand for others in what failed processes said.
var numbers = regexp.MustCompile(`[0-9a-f]*[0-9]+[0-9a-z]*`)

// table writes what was done.
func (c *chaos) table() {
	for _, what := range faults() {
		c.t.Logf("%-45s %6d", what, c.counts[what])
	}
	var places []string
	for step, n := range c.fell {
		places = append(places, fmt.Sprintf("%s %d", step, n))
	}
	slices.Sort(places)
	c.t.Logf("the program was killed or stopped in: %s", strings.Join(places, ", "))
	if os.Getenv("CHAOS_WORDS") != "" {
		var said []string
		for w, n := range c.words {
			said = append(said, fmt.Sprintf("%4d  %s", n, w))
		}
		slices.Sort(said)
		c.t.Logf("what failed processes said:\n%s", strings.Join(said, "\n"))
	}
	c.t.Log("chaos: " + c.sum())
}

// sum is the run so far in one line.
func (c *chaos) sum() string {
	kills := c.counts[killedAtPoint] + c.counts[killedAtRandom] + c.counts[killedSource] + c.counts[killedTarget]
	broke, mild := 0, 0
	for _, k := range faultproxy.Kinds() {
		if n := c.counts["network: "+string(k)]; k.Mild() {
			mild += n
		} else {
			broke += n
		}
	}
	dark := c.counts[darkSource] + c.counts[darkTarget] + c.counts[darkState]
	return fmt.Sprintf("%d rounds, %d equal at the end, %d kills, %d losses of power, %d connections broken, %d packets disturbed, %d commands, %d of which failed; "+
		"%d rows compared, %d transactions beside; %s",
		c.rounds, c.equal, kills, dark, broke, mild, c.commands, c.failed, c.rows, c.changes, time.Since(c.began).Round(time.Second))
}
