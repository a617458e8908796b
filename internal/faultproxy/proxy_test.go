package faultproxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// echo is a server that says back what it hears, and keeps it.
type echo struct {
	net.Listener
	mu    sync.Mutex
	heard []byte
	wg    sync.WaitGroup
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{Listener: l}
	e.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			e.wg.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, io.TeeReader(c, e))
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); e.wg.Wait() })
	return e
}

// Write keeps what was heard.
func (e *echo) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, b...)
	return len(b), nil
}

// between opens a proxy in front of a server and a client of it.
func between(t *testing.T, at, server string) (*Proxy, net.Conn) {
	t.Helper()
	p, err := Listen(at, server, Raw)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial(network(p.Addr()), p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, c
}

// say sends all of a text in pieces while the answer is read, and returns what came back.
func say(c net.Conn, text []byte) ([]byte, error) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for rest := text; len(rest) > 0; {
			n := min(1000, len(rest))
			if _, err := c.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
	})
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	got := make([]byte, len(text))
	n, err := io.ReadFull(c, got)
	if err != nil {
		_ = c.Close()
	}
	wg.Wait()
	return got[:n], err
}

func noise(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func TestAProxyWithoutAPlanIsFaithful(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", filepath.Join(t.TempDir(), "s")} {
		_, c := between(t, at, newEcho(t).Addr().String())
		text := noise(1 << 20)
		if got, err := say(c, text); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %d bytes came back of %d, %v", at, len(got), len(text), err)
		}
	}
}

func TestMildFaultsChangeNoByte(t *testing.T) {
	for _, kind := range []Kind{Delay, Split, Trickle, Join} {
		t.Run(string(kind), func(t *testing.T) {
			p, c := between(t, "127.0.0.1:0", newEcho(t).Addr().String())
			p.Set(Plan{Seed: 1, Every: 4000, Weights: map[Kind]int{kind: 1}, Longest: 5 * time.Millisecond})
			text := noise(200_000)
			if got, err := say(c, text); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d bytes came back of %d, %v", len(got), len(text), err)
			}
			if n := p.Counts(); n[kind] < 5 || len(n) != 1 {
				t.Errorf("counted %v", n)
			}
		})
	}
}

func TestACutFallsInTheMiddle(t *testing.T) {
	for seed := range uint64(20) {
		e := newEcho(t)
		p, c := between(t, "127.0.0.1:0", e.Addr().String())
		p.Set(Plan{Seed: seed, Every: 20_000, Weights: map[Kind]int{CutUp: 1, CutDown: 1}})
		text := noise(2_000_000)
		got, err := say(c, text)
		if err == nil || errors.Is(err, errTimeout(err)) || !bytes.HasPrefix(text, got) || len(got) == len(text) {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
		if n := p.Counts(); n[CutUp]+n[CutDown] != 1 {
			t.Errorf("counted %v", n)
		}
	}
}

// errTimeout is the error itself when it is a time-out: the client was left waiting.
func errTimeout(err error) error {
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		return err
	}
	return errors.ErrUnsupported
}

func TestSilenceIsHeardOfMuchLater(t *testing.T) {
	forms := 0
	for seed := range uint64(12) {
		p, c := between(t, "127.0.0.1:0", newEcho(t).Addr().String())
		p.Set(Plan{Seed: seed, Every: 3000, Weights: map[Kind]int{Silent: 1}, Longest: 300 * time.Millisecond})
		got, err := say(c, noise(300_000))
		if err == nil || errors.Is(err, errTimeout(err)) || len(got) == 300_000 {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
		if p.Open() > 0 {
			forms++ // the client has been told, and the server has not
		}
		if n := p.Counts(); n[Silent] != 1 {
			t.Errorf("counted %v", n)
		}
	}
	if forms == 0 {
		t.Error("a server was never left behind with a session")
	}
}

func TestNewConnectionsAreReset(t *testing.T) {
	e := newEcho(t)
	p, _ := between(t, "127.0.0.1:0", e.Addr().String())
	p.Set(Plan{Chances: map[Kind]int{Refuse: 100}, Most: 3})
	for i := range 5 {
		c, err := net.Dial("tcp", p.Addr())
		if err == nil {
			_, err = say(c, []byte("x"))
			_ = c.Close()
		}
		if (err != nil) != (i < 3) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	if n := p.Counts(); n[Refuse] != 3 {
		t.Errorf("counted %v", n)
	}
}

func TestTheSameSeedDoesTheSame(t *testing.T) {
	var first []int
	for range 2 {
		var lengths []int
		for seed := range uint64(5) {
			p := &Proxy{counts: map[Kind]int{}}
			p.Set(Plan{Seed: seed, Every: 100, Weights: map[Kind]int{CutUp: 1, Delay: 2}})
			for range 200 {
				if f, ok := p.draw(50, CutUp); ok {
					lengths = append(lengths, f.at, int(f.long), len(f.kind))
				}
			}
		}
		if first == nil {
			first = lengths
		} else if len(first) != len(lengths) || !equal(first, lengths) {
			t.Error("two runs of one seed differ")
		}
	}
}

func equal(a, b []int) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) > 0
}
