package faultproxy

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The faults that fall at any byte, in either direction.
const (
	Delay   Kind = "delay"            // what is under way is held back
	Split   Kind = "split"            // a packet arrives in two halves
	Trickle Kind = "trickle"          // it arrives a few bytes at a time
	Join    Kind = "join"             // packets arrive together
	CutUp   Kind = "cut to server"    // the connection breaks in the middle of what the client says
	CutDown Kind = "cut to client"    // or of what the server says
	Silent  Kind = "half-open"        // nothing is carried any more, and nobody is told; one side or both hear of it much later
	Refuse  Kind = "connection reset" // a new connection is reset at once
)

// The faults that meet a COMMIT.
const (
	CommitUnsent Kind = "cut before COMMIT"    // it never comes to the server
	CommitLost   Kind = "COMMIT's answer lost" // the server has committed and the client is not told
	CommitLate   Kind = "COMMIT came late"     // the client's connection is reset, and then the COMMIT comes to the server
)

// Kinds are all kinds, in the order in which a table shows them.
func Kinds() []Kind {
	return []Kind{Delay, Split, Trickle, Join, CutUp, CutDown, Silent, Refuse, CommitUnsent, CommitLost, CommitLate}
}

// Mild reports that a fault of this kind ends no connection.
func (k Kind) Mild() bool { return slices.Contains([]Kind{Delay, Split, Trickle, Join}, k) }

// Plan says what a proxy does. The zero Plan does nothing.
type Plan struct {
	Seed    uint64
	Every   int64         // bytes between two faults, on the average, over all connections; 0 for none
	Weights map[Kind]int  // how often each kind is drawn then, Refuse and those of a COMMIT left out
	Chances map[Kind]int  // of a hundred new connections how many meet Refuse, and of a hundred COMMITs how many meet each fault of theirs
	Most    int           // faults that end a connection until no more are done; 0 for no end
	Longest time.Duration // of a delay, a silence, a late COMMIT; 0 for a second
	Ghost   time.Duration // how long the server is left with a session whose client has been told long ago; 0 for twice the silence
}

// distance draws how many bytes go by until the next fault. The caller holds the lock.
func (p *Proxy) distance() int64 {
	if p.plan.Every <= 0 {
		return 1 << 62
	}
	return 1 + int64(p.rng.ExpFloat64()*float64(p.plan.Every))
}

// fault is one that has been drawn.
type fault struct {
	kind Kind
	at   int // the byte before which it falls
	long time.Duration
	then time.Duration // until the second side hears of a silence
	coin int           // 0 to 3, for the faults that have several forms
}

// draw counts bytes that are to be carried and returns the fault that falls into them, if one does. A cut is one of the
// direction in which the bytes go.
func (p *Proxy) draw(n int, cut Kind) (fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left -= int64(n); p.left > 0 {
		return fault{}, false
	}
	at := n + int(p.left)
	p.left = p.distance()
	kind, ok := pick(p.rng, p.plan.Weights)
	if kind == CutUp || kind == CutDown {
		kind = cut
	}
	if !ok || !p.spend(kind) {
		return fault{}, false
	}
	return p.form(kind, max(min(at, n), 0)), true
}

// refuses draws whether a new connection is reset.
func (p *Proxy) refuses() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rng.IntN(100) < p.plan.Chances[Refuse] && p.spend(Refuse)
}

// commit draws what happens to a COMMIT.
func (p *Proxy) commit() (fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.rng.IntN(100)
	for _, kind := range []Kind{CommitUnsent, CommitLost, CommitLate} {
		if n -= p.plan.Chances[kind]; n < 0 {
			return p.form(kind, 0), p.spend(kind)
		}
	}
	return fault{}, false
}

// spend counts a fault; false when the plan has done as many as it may. The caller holds the lock.
func (p *Proxy) spend(kind Kind) bool {
	if !kind.Mild() && p.plan.Most < 0 {
		return false
	}
	p.counts[kind]++
	if !kind.Mild() && p.plan.Most > 0 {
		if p.plan.Most--; p.plan.Most == 0 {
			p.plan.Most = -1
		}
	}
	return true
}

// uncount takes the count of a fault back that was drawn and could not be done.
func (p *Proxy) uncount(kind Kind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[kind]--
}

// form gives a fault its details. The caller holds the lock.
func (p *Proxy) form(kind Kind, at int) fault {
	longest := p.plan.Longest
	if longest <= 0 {
		longest = time.Second
	}
	long := time.Duration(1 + p.rng.Int64N(int64(longest)))
	then := 2 * long
	if p.plan.Ghost > 0 {
		then = p.plan.Ghost
	}
	return fault{kind, at, long, then, p.rng.IntN(4)}
}

// pick draws a kind by its weight.
func pick(rng *rand.Rand, weights map[Kind]int) (Kind, bool) {
	sum := 0
	for _, kind := range Kinds() {
		sum += weights[kind]
	}
	if sum == 0 {
		return "", false
	}
	n := rng.IntN(sum)
	for _, kind := range Kinds() {
		if n -= weights[kind]; n < 0 {
			return kind, true
		}
	}
	return "", false
}
