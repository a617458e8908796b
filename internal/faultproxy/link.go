package faultproxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link is one client's connection and the one to the server that belongs to it.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	wire           wire
	ended          atomic.Bool
	once           sync.Once
	fate           func()                // what is done with both connections when nothing is carried any more; nil: they have ended by themselves
	lose           atomic.Pointer[fault] // the server's next word is lost
	answered       bool                  // the server's answer to the COMMIT of lose has come
	join           atomic.Bool
}

func newLink(p *Proxy, client, server net.Conn) *link {
	return &link{proxy: p, client: client, server: server, wire: newWire(p.protocol)}
}

// end stops the carrying in both directions; fate is called when it has stopped. Only the first call counts, and returns true.
func (l *link) end(fate func()) (first bool) {
	l.once.Do(func() {
		first, l.fate = true, fate
		l.ended.Store(true)
		past := time.Unix(1, 0)
		_, _ = l.client.SetDeadline(past), l.server.SetDeadline(past)
	})
	return first
}

// endBy ends the link by a fault, which counts only if nothing else has ended it.
func (l *link) endBy(kind Kind, fate func()) {
	if !l.end(fate) {
		l.proxy.uncount(kind)
	}
}

var errEnded = errors.New("the proxy has ended this connection")

// up carries what the client says, a message at a time where one may be a COMMIT.
func (l *link) up() {
	from := bufio.NewReaderSize(joining{l, l.client}, 64<<10)
	for {
		piece, commit, err := l.wire.next(from)
		if len(piece) > 0 && (commit && l.meets(piece) || l.write(l.server, piece, CutUp) != nil) {
			return
		}
		if err != nil {
			hangUp(l.server)
			return
		}
	}
}

// down carries what the server says.
func (l *link) down() {
	from, buffer := joining{l, l.server}, make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if f := l.lose.Load(); f != nil { // the server has answered: it has committed
				l.answered = true
				l.endBy(CommitLost, func() { l.lost(*f) })
				return
			}
			l.wire.answer(buffer[:n])
			if l.write(l.client, buffer[:n], CutDown) != nil {
				return
			}
		}
		if err != nil {
			hangUp(l.client)
			return
		}
	}
}

// hangUp tells one side that the other will say no more.
func hangUp(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	_ = c.Close()
}

// meets draws what happens to a COMMIT; true when the link has ended and it must not be carried.
func (l *link) meets(commit []byte) bool {
	f, ok := l.proxy.commit()
	switch {
	case !ok:
		return false
	case f.kind == CommitLost:
		l.lose.Store(&f)
		return false
	case f.kind == CommitLate:
		late := append([]byte(nil), commit...)
		l.endBy(f.kind, func() { l.late(late, f.long) })
	default:
		l.endBy(f.kind, l.breakBoth)
	}
	return true
}

// write carries bytes, with the fault that falls into them. An error says that the link has ended.
func (l *link) write(to net.Conn, b []byte, cut Kind) error {
	if l.ended.Load() {
		return errEnded
	}
	f, faulty := l.proxy.draw(len(b), cut)
	if !faulty {
		_, err := to.Write(b)
		return err
	}
	head, tail := b[:f.at], b[f.at:]
	switch f.kind {
	case CutUp, CutDown:
		_, _ = to.Write(head)
		l.endBy(f.kind, l.breakBoth)
		return errEnded
	case Silent:
		_, _ = to.Write(head)
		l.endBy(f.kind, func() { l.silence(f) })
		return errEnded
	case Trickle:
		return l.trickle(to, b)
	case Join:
		l.join.Store(true)
		head, tail = b, nil
	case Delay:
		head, tail, f.long = nil, b, f.long/4
	case Split:
		f.long = min(f.long, 20*time.Millisecond)
	}
	if _, err := to.Write(head); err != nil || len(tail) == 0 {
		return err
	}
	if !l.proxy.pause(f.long) || l.ended.Load() {
		return errEnded
	}
	_, err := to.Write(tail)
	return err
}

// trickle sends the first bytes in pieces of one to seven.
func (l *link) trickle(to net.Conn, b []byte) error {
	for i := 0; len(b) > 0; i++ {
		n := min(1+i%7, len(b))
		if i >= 200 {
			n = len(b)
		}
		if l.ended.Load() {
			return errEnded
		}
		if _, err := to.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// breakBoth resets both sides.
func (l *link) breakBoth() {
	reset(l.client)
	reset(l.server)
}

// silence leaves both sides in the belief that there is a connection, and then tells one of them before the other, perhaps
// much before, as keep-alives, firewalls and restarted machines do.
func (l *link) silence(f fault) {
	first, second := l.client, l.server
	switch f.coin {
	case 0: // the server goes on holding the session, and whatever it has locked, after the client has given it up
	case 1:
		first, second, f.then = second, first, 2*f.long
	case 2:
		reset(l.server)
	default:
		l.proxy.pause(f.long)
		l.breakBoth()
		return
	}
	l.proxy.pause(f.long)
	reset(first)
	l.proxy.pause(f.then)
	reset(second)
}

// lost ends a link whose client is not told that the server has committed: at once, or after a silence.
func (l *link) lost(f fault) {
	if f.long%2 == 0 {
		l.breakBoth()
		return
	}
	l.silence(f)
}

// late lets a COMMIT come to the server when the client has been told that its connection is gone.
func (l *link) late(commit []byte, after time.Duration) {
	reset(l.client)
	if !l.proxy.pause(after) {
		return
	}
	_ = l.server.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := l.server.Write(commit); err == nil {
		_, _ = l.server.Read(make([]byte, 1)) // it has committed, or could not any more
	}
}

// joining reads from a connection; after a Join it waits a moment, so that what comes in pieces is read together.
type joining struct {
	link *link
	net.Conn
}

// Read reads.
func (j joining) Read(b []byte) (int, error) {
	n, err := j.Conn.Read(b)
	if err != nil || n == len(b) || !j.link.join.CompareAndSwap(true, false) {
		return n, err
	}
	j.link.proxy.pause(5 * time.Millisecond)
	_ = j.SetReadDeadline(time.Now().Add(time.Millisecond))
	more, err := j.Conn.Read(b[n:])
	_ = j.SetReadDeadline(time.Time{})
	if j.link.ended.Load() { // whose deadline may just have been taken away
		return n + more, errEnded
	}
	if errors.Is(err, io.EOF) {
		return n + more, io.EOF
	}
	return n + more, nil
}
