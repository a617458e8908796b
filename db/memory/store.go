package memory

import (
	"fmt"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
)

// item is one thing that transactions change: a row, an entry of a record, a line of the ledger, a key of a list.
type item struct {
	in    *space
	key   string
	now   *string  // the committed value, nil when there is none
	next  *string  // the owner's value, nil when the owner removed it
	owner *session // who has changed it and not ended
}

// seen is the value as a session sees it: its own change, else what is committed.
func (it *item) seen(by *session) *string {
	if by != nil && it.owner == by {
		return it.next
	}
	return it.now
}

// space is a set of items in the order they came.
type space struct {
	items []*item
	named map[string]*item
	dead  int // how many items died since it was last tidied
}

func newSpace() *space { return &space{named: map[string]*item{}} }

// value returns the committed value of a named item, empty when there is none.
func (sp *space) value(key string) string {
	if it := sp.named[key]; it != nil && it.now != nil {
		return *it.now
	}
	return ""
}

// tidy forgets dead items when they are many.
func (sp *space) tidy() {
	if sp.dead < 64 || sp.dead < len(sp.items)/2 {
		return
	}
	kept := make([]*item, 0, len(sp.items)/2)
	for _, it := range sp.items {
		if it.now != nil || it.owner != nil {
			kept = append(kept, it)
		} else if it.key != "" {
			delete(sp.named, it.key)
		}
	}
	sp.items, sp.dead = kept, 0
}

// change is what a commit replaced, kept until it is durable.
type change struct {
	it  *item
	was *string
}

// session is a session with its transaction: an application's, a load's, a cursor's, a receipt's.
type session struct {
	*Server
	role     *role // nil for an application's
	what     string
	number   int64
	epoch    int64 // of a session that writes under the fence
	began    time.Duration
	touched  []*item
	over     error // why it ended
	prepared bool
	late     bool // an operation of it has been sent that the server has not come to
}

// open begins a session. The server's lock is held.
func (s *Server) open(r *role, what string) *session {
	s.number++
	e := &session{Server: s, role: r, what: fmt.Sprintf("%s %d", what, s.number), number: s.number, began: s.clock}
	s.sessions = append(s.sessions, e)
	return e
}

// add makes a new item. A key that is not empty names it in its space.
func (e *session) add(sp *space, key, value string) (*item, error) {
	it := sp.named[key]
	if it == nil {
		it = &item{in: sp, key: key}
		sp.items = append(sp.items, it)
		if key != "" {
			sp.named[key] = it
		}
	}
	return it, e.set(it, &value)
}

// set gives an item a new value, nil to remove it. One that another session has changed is locked.
func (e *session) set(it *item, value *string) error {
	if it.owner != nil && it.owner != e {
		return e.locked(it.owner)
	}
	if it.owner == nil {
		it.owner, e.touched = e, append(e.touched, it)
	}
	it.next = value
	return nil
}

func (e *session) locked(by *session) error {
	return failf(driver.Transient, "%s waits for a lock of %s", e.what, by.what)
}

// commit makes the session's changes visible and ends it.
func (e *session) commit() {
	for _, it := range e.touched {
		e.tail = append(e.tail, change{it, it.now})
		if e.keeping {
			e.kept = append(e.kept, change{it, it.now})
		}
		it.now = it.next
	}
	lazy := e.Lazy
	if e.role != nil {
		lazy = e.Flaw == LazyCommits || e.Flaw == EntriesNotOnDisk && strings.HasPrefix(e.what, promising)
	}
	if !lazy {
		e.flush()
	}
	e.end(failf(driver.Unclassified, "%s has ended", e.what))
}

// flush makes everything that is committed durable.
func (s *Server) flush() {
	for _, c := range s.tail {
		if !s.keeping { // what is dead may come back
			c.it.in.tidy()
		}
	}
	s.tail = nil
}

// leave is what a client does when it needs a session no more: what it has sent may still be done.
func (e *session) leave(why error) {
	if !e.late {
		e.end(why)
	}
}

// end gives up the session's locks and what it did not commit. Again: does nothing.
func (e *session) end(why error) {
	if e.over != nil {
		return
	}
	e.over = why
	for _, it := range e.touched {
		it.owner, it.next = nil, nil
		if it.now == nil {
			it.in.dead++
		}
	}
	e.touched = nil
	for i, other := range e.sessions {
		if other == e {
			e.sessions = append(e.sessions[:i:i], e.sessions[i+1:]...)
			break
		}
	}
}

// briefly runs one transaction that lives as long as the call.
func (r *role) briefly(what string, f func(e *session) error) error {
	e := r.open(r, what)
	if err := f(e); err != nil {
		e.end(err)
		return err
	}
	e.commit()
	return nil
}
