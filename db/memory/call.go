package memory

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// Call is one operation as Turn sees it.
type Call struct {
	Op      string // Load.Write, Receipt.Forget, …
	About   string // the table's name, or its number with the range's or lane's; empty for the whole database
	Commits bool   // a lost answer leaves its outcome unknown
	Done    bool   // it has been done, and its answer is on its way
}

// ErrLate is a fault of Turn before an operation that commits: its caller hears that the session is gone, and the operation is
// done, or is not, when the server comes to it (Arrive, Drop). Its session lives until then, whatever the caller does.
var ErrLate = errors.New("the session is gone, the server has not come to the operation yet")

// late is an operation that was sent and whose caller is gone.
type late struct {
	call
	f func() error
}

// call is one operation on its way.
type call struct {
	op      string
	about   string
	session *session // the session it runs in, nil for one that lives only as long as the call
	commits bool     // a lost answer leaves its outcome unknown
	keep    func()   // copies what the caller may use again, where the operation comes late
}

// do runs one operation between its two faults, under the server's lock.
func (s *Server) do(ctx context.Context, c call, f func() error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	err := s.fault(ctx, "before ", c)
	if errors.Is(err, ErrLate) {
		s.put(late{c, f})
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.clock += time.Millisecond
	if c.session != nil {
		err = c.session.over
	}
	if err == nil {
		err = f()
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.fault(ctx, "after ", c)
}

func (s *Server) fault(ctx context.Context, when string, c call) error {
	var err error
	if s.Fault != nil {
		err = s.Fault(when + c.op)
	}
	if s.Turn != nil && err == nil {
		err = s.Turn(ctx, Call{Op: c.op, About: c.about, Commits: c.commits, Done: when == "after "})
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrCrash):
		s.Crash()
	case errors.Is(err, ErrCut):
		s.mu.Lock()
		if c.session != nil {
			c.session.end(lost("its session was cut"))
		}
		s.mu.Unlock()
	case errors.Is(err, ErrLate):
	default:
		return err
	}
	if c.commits {
		return &Error{Class: driver.Unknown, Text: when + c.op, Cause: err}
	}
	return &Error{Class: driver.Lost, Text: when + c.op, Cause: err}
}

// put keeps an operation until Arrive or Drop.
func (s *Server) put(l late) {
	if l.keep != nil {
		l.keep()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.session != nil {
		l.session.late = true
	}
	s.late = append(s.late, l)
}

// Late are the operations that were sent, whose callers are gone, and which the server has not come to.
func (s *Server) Late() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := make([]Call, len(s.late))
	for i, l := range s.late {
		calls[i] = Call{Op: l.op, About: l.about, Commits: l.commits}
	}
	return calls
}

// Arrive lets the server come to a late operation, which may fail as any other; nobody hears of it.
func (s *Server) Arrive(i int) { s.settle(i, true) }

// Drop ends a late operation's session before the server came to it.
func (s *Server) Drop(i int) { s.settle(i, false) }

func (s *Server) settle(i int, comes coming) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.late[i]
	s.late = slices.Delete(s.late, i, i+1)
	if comes && (l.session == nil || l.session.over == nil) {
		_ = l.f()
	}
	if l.session != nil {
		l.session.end(lost("its caller is gone"))
	}
}

type coming bool

// awaited is an error while an operation of that kind has not come through: its locks are waited for.
func (s *Server) awaited(op, about string) error {
	for _, l := range s.late {
		if l.op == op && l.about == about {
			return failf(driver.Transient, "%s of %s has not ended", op, about)
		}
	}
	return nil
}

// kept copies what a delta's owner uses again.
func kept(d driver.Delta) driver.Delta {
	d.Keys, d.Images, d.Mended = copied(d.Keys), copied(d.Images), copied(d.Mended)
	return d
}

func copied(b *row.Batch) *row.Batch {
	if b == nil {
		return nil
	}
	c := row.NewBatch(b.Width())
	for i := range b.Len() {
		if err := c.AppendRow(b.Row(i)); err != nil {
			panic(err)
		}
	}
	return c
}
