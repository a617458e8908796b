package memory

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// record is what capture noted about one table.
type record struct {
	number  int   // of the table it is for
	made    int64 // tells it from an earlier one
	columns []int // the key's, in the table
	entries *space
	muted   bool // somebody turned the triggers off
}

// entry is one entry of a record as its item keeps it: when, what, which key.
type entry struct {
	at      time.Duration
	emptied bool
	key     string
}

func (n entry) String() string {
	v := binary.BigEndian.AppendUint64(nil, uint64(n.at))
	if n.emptied {
		return string(v) + "!"
	}
	return string(v) + "." + n.key
}

func parseEntry(v string) entry {
	return entry{at: time.Duration(binary.BigEndian.Uint64([]byte(v[:8]))), emptied: v[8] == '!', key: v[9:]}
}

// note is the row trigger: it records the keys of the row before and after a change.
func (t *table) note(e *session, was, is string) error {
	for _, c := range t.records {
		if err := c.note(e, was, is); err != nil {
			return err
		}
	}
	return nil
}

func (c *record) note(e *session, was, is string) error {
	if c.muted {
		return nil
	}
	var keys []string
	for _, run := range []string{was, is} {
		if run == "" {
			continue
		}
		if key := string(keyOf(run, c.columns)); len(keys) == 0 || keys[0] != key {
			keys = append(keys, key)
		}
	}
	if e.Flaw == NewKeyOnly {
		keys = keys[len(keys)-1:]
	}
	for _, key := range keys {
		if err := c.put(e, entry{at: e.clock, key: key}); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) noteEmptied(e *session) error {
	for _, c := range t.records {
		if c.muted || e.Flaw == NoTruncates {
			continue
		}
		if err := c.put(e, entry{at: e.clock, emptied: true}); err != nil {
			return err
		}
	}
	return nil
}

// recordFor returns the record of a table of this number, nil where there is none.
func (t *table) recordFor(number int) *record {
	at, there := t.recordAt(number)
	if !there {
		return nil
	}
	return t.records[at]
}

func (t *table) recordAt(number int) (int, bool) {
	return slices.BinarySearchFunc(t.records, number, func(c *record, n int) int { return c.number - n })
}

func (c *record) put(e *session, n entry) error {
	if e.Flaw == OneEntryPerKey && !n.emptied && c.has(n.key) {
		return nil
	}
	it, err := e.add(c.entries, "", n.String())
	if e.Flaw == RecordedAtOnce {
		it.now = it.next
	}
	return err
}

// has reports whether a committed entry of a key is there.
func (c *record) has(key string) bool {
	return slices.ContainsFunc(c.entries.items, func(it *item) bool { return it.now != nil && parseEntry(*it.now).key == key })
}

// Mute turns the triggers of a table off, behind the back of capture, as an application's owner can; Unmute turns them
// on again.
func (s *Server) Mute(n schema.Name) { s.hush(n, func(c *record) { c.muted = true }) }

// Unmute is Mute's way back.
func (s *Server) Unmute(n schema.Name) { s.hush(n, func(c *record) { c.muted = false }) }

func (s *Server) hush(n schema.Name, f func(c *record)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, err := s.table(n); err == nil && len(t.records) > 0 {
		for _, c := range t.records {
			f(c)
		}
		t.dated++
	}
}

type capturer struct{ *role }

func (r capturer) Gaps(ctx context.Context, t *schema.Table, s schema.Shape) ([]driver.Notice, error) {
	if len(s.Key) > 0 {
		return nil, context.Cause(ctx)
	}
	return []driver.Notice{{
		Rule: "no-key", Level: driver.NotLive, Table: t.Name, Message: "The table has no key that rows could be known by.",
		Do: "Move it in the downtime, or give it a primary key.",
	}}, context.Cause(ctx)
}

func (r capturer) Install(ctx context.Context, t *schema.Table, s schema.Shape, w driver.Wait) error {
	return r.do(ctx, call{op: "Capturer.Install", about: t.Name.Name, commits: true}, func() error {
		if err := r.claim(); err != nil {
			return err
		}
		own, err := r.table(t.Name)
		if err != nil || own.recordFor(t.Number) != nil {
			return err
		}
		columns, err := own.placesOf(s.Keys().Names())
		if err != nil {
			return err
		}
		if err := r.unlocked(own); err != nil && r.Flaw != InstalledAtOnce {
			return err
		}
		at, _ := own.recordAt(t.Number)
		own.made++
		own.records = slices.Insert(own.records, at, &record{number: t.Number, made: own.made, columns: columns, entries: newSpace()})
		return nil
	})
}

// unlocked is an error while somebody's transaction has changed the table, as if the wait for the lock had run out.
func (s *Server) unlocked(t *table) error {
	for _, it := range t.rows.items {
		if it.owner != nil {
			return failf(driver.Transient, "%s is locked by %s", t.def.Name, it.owner.what)
		}
	}
	return nil
}

func (r capturer) Settle(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	return r.do(ctx, call{op: "Capturer.Settle"}, func() error {
		if r.Flaw == SettledAtOnce || r.Flaw == InstalledAtOnce {
			return nil
		}
		return r.settled("is older")
	})
}

// settled is an error while a transaction of an application is open, prepared ones included.
func (s *Server) settled(why string) error {
	var open []string
	for _, e := range s.sessions {
		if e.role == nil {
			open = append(open, e.what)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return failf(driver.Transient, "%s %s and could still write", strings.Join(open, ", "), why)
}

func (r capturer) Remove(ctx context.Context, t *schema.Table, w driver.Wait) error {
	return r.do(ctx, call{op: "Capturer.Remove", about: t.Name.Name, commits: true}, func() error {
		own, err := r.table(t.Name)
		if err != nil || own.recordFor(t.Number) == nil || r.others(r.owner) || r.Flaw == LeavesTraces {
			return nil
		}
		if err := r.unlocked(own); err != nil {
			return err
		}
		at, _ := own.recordAt(t.Number)
		own.records = slices.Delete(own.records, at, at+1)
		return r.briefly("remove", func(e *session) error {
			for _, it := range r.state.items {
				if strings.HasPrefix(it.key, strconv.Itoa(t.Number)+"/") {
					if err := e.set(it, nil); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

func (r capturer) Finish(ctx context.Context) error {
	return r.do(ctx, call{op: "Capturer.Finish", commits: true}, func() error {
		if !r.others(r.owner) {
			r.state, r.owner = newSpace(), ""
		}
		return nil
	})
}

// Left names everything of Whimbrel's that is still in the database.
func (s *Server) Left() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []string
	for _, t := range s.tables {
		for range t.records {
			left = append(left, "record of "+t.def.Name.String())
		}
		if t.shut {
			left = append(left, "gate of "+t.def.Name.String())
		}
		if t.guarded {
			left = append(left, "guard of "+t.def.Name.String())
		}
	}
	if s.book != nil {
		left = append(left, "ledger")
	}
	if len(s.state.items) > 0 {
		left = append(left, "batch numbers")
	}
	if s.owner != "" {
		left = append(left, "the source is run "+s.owner+"'s")
	}
	return left
}

type watcher struct{ *role }

func (r watcher) Fingerprint(ctx context.Context, t *schema.Table) (print string, err error) {
	err = r.do(ctx, call{op: "Watcher.Fingerprint", about: t.Name.Name}, func() error {
		own, err := r.table(t.Name)
		if err != nil {
			return err
		}
		columns := make([]string, len(own.def.Columns))
		for i, c := range own.def.Columns {
			columns[i] = fmt.Sprintf("%s %s %d", c.Name, c.Type.Kind, c.Type.Length)
		}
		state := "absent"
		if c := own.recordFor(t.Number); c != nil && c.muted {
			state = "off"
		} else if c != nil {
			state = "on since " + strconv.FormatInt(c.made, 10)
		}
		print = fmt.Sprintf("%d|%s|%s|%d", own.id, strings.Join(columns, ","), state, own.dated)
		return nil
	})
	return print, err
}

func (r watcher) Judge(earlier, later string) (driver.Verdict, string) {
	a, b := strings.SplitN(earlier, "|", 3), strings.SplitN(later, "|", 3)
	switch {
	case len(b) == 3 && strings.HasPrefix(b[2], "off"):
		return driver.Suspect, "a trigger is off"
	case earlier == later:
		return driver.Harmless, ""
	case len(a) < 3 || len(b) < 3 || a[0] != b[0] || a[1] != b[1]:
		return driver.Invalid, "it is another table or has other columns now"
	}
	return driver.Suspect, "a trigger was turned off or on"
}

type recorder struct{ *role }

func (r recorder) Backlog(ctx context.Context, t *schema.Table) (driver.Backlog, error) {
	var b driver.Backlog
	err := r.do(ctx, call{op: "Recorder.Backlog", about: t.Name.Name}, func() error {
		c, _, err := r.recordOf(t)
		if err != nil {
			return err
		}
		for i, it := range c.entries.items {
			if it.now == nil || i < r.mark[c] {
				continue
			}
			n := parseEntry(*it.now)
			b.Entries, b.Bytes = b.Entries+1, b.Bytes+int64(len(*it.now))
			b.Truncated = b.Truncated || n.emptied
			b.Oldest = max(b.Oldest, r.clock-n.at)
		}
		return nil
	})
	return b, err
}

func (r *role) recordOf(t *schema.Table) (*record, *table, error) {
	own, err := r.table(t.Name)
	if err != nil {
		return nil, nil, err
	}
	c := own.recordFor(t.Number)
	if c == nil {
		return nil, nil, failf(driver.Missing, "no record of %s", t.Name)
	}
	return c, own, nil
}

func (r recorder) Numbers(ctx context.Context, t *schema.Table, lane int) (n driver.Numbers, err error) {
	err = r.do(ctx, call{op: "Recorder.Numbers", about: line(t, lane)}, func() error {
		n = driver.Numbers{Promised: number(r.state.value(promise(t, lane))), Forgotten: number(r.state.value(line(t, lane))), By: number(r.state.value(by(promise(t, lane))))}
		return nil
	})
	return n, err
}

// laneOf says which lane a key belongs to: 0 to lanes-1.
func laneOf(key string, lanes int) int {
	hi, _ := row.Seed(0).Hash([]byte(key))
	return int(hi % uint64(max(lanes, 1)))
}
