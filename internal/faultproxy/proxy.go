// Package faultproxy stands between a program and its database server and does to the bytes what networks do: it holds them
// back, sends them in other pieces, cuts them off at any byte, goes silent with the connection open, and, as it knows a COMMIT
// when it sees one in PostgreSQL's and in MariaDB's and MySQL's protocol, loses the answer to it, cuts it off before it has come
// to the server, or lets it come through when the client has long been told that its connection is gone. What it does is drawn
// from a seed and counted by kind. It never changes a byte. It is for tests.
package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"
)

// Protocol is what the client and the server speak.
type Protocol string

// Raw is anything: no COMMIT is seen in it. Inside TLS nothing is seen either.
const (
	Raw      Protocol = "raw"
	Postgres Protocol = "postgres"
	MySQL    Protocol = "mysql"
)

// Proxy listens for clients of one server. Its methods may be called from several goroutines.
type Proxy struct {
	server   string
	protocol Protocol
	listener net.Listener
	ctx      context.Context
	close    context.CancelFunc
	wg       sync.WaitGroup

	mu     sync.Mutex
	plan   Plan
	rng    *rand.Rand
	left   int64 // bytes until the next fault
	counts map[Kind]int
	links  map[*link]struct{}
}

// Listen opens a proxy to a server. Both addresses are host:port, or a path for a unix socket; ":0" on a host takes a free port.
// It carries everything faithfully until Set says otherwise.
func Listen(at, server string, protocol Protocol) (*Proxy, error) {
	l, err := net.Listen(network(at), at)
	if err != nil {
		return nil, fmt.Errorf("listen for clients of %s: %w", server, err)
	}
	p := &Proxy{server: server, protocol: protocol, listener: l, counts: map[Kind]int{}, links: map[*link]struct{}{}}
	p.ctx, p.close = context.WithCancel(context.Background())
	p.Set(Plan{})
	p.wg.Go(p.accept)
	return p, nil
}

func network(address string) string {
	if strings.HasPrefix(address, "/") {
		return "unix"
	}
	return "tcp"
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set makes the proxy do what a plan says from now on, to connections that are open too. What is being done to a connection goes on.
func (p *Proxy) Set(plan Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan, p.rng = plan, rand.New(rand.NewPCG(plan.Seed, 0))
	p.left = p.distance()
}

// Counts returns how many faults of each kind were done so far.
func (p *Proxy) Counts() map[Kind]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[Kind]int, len(p.counts))
	for k, n := range p.counts {
		all[k] = n
	}
	return all
}

// Open is how many connections the proxy holds, silent ones included.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Close ends every connection and returns when nothing of the proxy runs any more. Again: does nothing.
func (p *Proxy) Close() error {
	p.close()
	err := p.listener.Close()
	p.mu.Lock()
	for l := range p.links {
		l.end(func() {})
	}
	p.mu.Unlock()
	p.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

// serve carries one connection to its end.
func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	if p.refuses() {
		reset(client)
		return
	}
	server, err := net.DialTimeout(network(p.server), p.server, 5*time.Second)
	if err != nil {
		reset(client)
		return
	}
	defer server.Close()
	l := newLink(p, client, server)
	p.mu.Lock()
	p.links[l] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, l)
	}()
	if p.ctx.Err() != nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(l.up)
	wg.Go(l.down)
	wg.Wait()
	if l.lose.Load() != nil && !l.answered {
		p.uncount(CommitLost) // the link ended in another way before the server had answered
	}
	if l.fate != nil {
		l.fate()
	}
}

// pause waits; false when the proxy is being closed.
func (p *Proxy) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-p.ctx.Done():
		return false
	}
}

// reset ends a connection as a crashed machine or a firewall does: without a good-bye.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}
