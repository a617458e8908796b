package memory

import (
	"maps"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// Copy is a server's durable content at one moment: a backup.
type Copy struct {
	tables []*table
	book   *book
	state  *space
	owner  string
	places map[schema.Name]int64
	stamp  int64
}

// Save returns a copy of what is committed.
func (s *Server) Save() *Copy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Copy{
		tables: copies(s.tables), book: s.book.copy(), state: s.state.copy(), owner: s.owner,
		places: maps.Clone(s.places), stamp: s.stamp,
	}
}

// Restore sets the server back to a copy: every session ends, prepared transactions too, and whatever came after the copy never
// was. Again: sets it back again.
func (s *Server) Restore(c *Copy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crash()
	for _, e := range slices.Clone(s.sessions) {
		e.end(lost("the server was set back to an earlier time"))
	}
	s.tables, s.book, s.state, s.owner = copies(c.tables), c.book.copy(), c.state.copy(), c.owner
	s.places, s.stamp, s.mark = maps.Clone(c.places), c.stamp, map[*record]int{}
}

// Flush makes everything that is committed durable, as a server does from time to time by itself.
func (s *Server) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
}

func copies(tables []*table) []*table {
	all := make([]*table, len(tables))
	for i, t := range tables {
		c := &table{
			id: t.id, def: clone(t.def), rows: t.rows.copy(), shut: t.shut, guarded: t.guarded, next: maps.Clone(t.next), dated: t.dated,
			made: t.made,
		}
		for _, r := range t.records {
			c.records = append(c.records, &record{number: r.number, made: r.made, columns: r.columns, entries: r.entries.copy(), muted: r.muted})
		}
		for _, x := range t.keys {
			y := &index{key: x.key, columns: x.columns, kinds: x.kinds}
			y.fill(c.rows)
			c.keys = append(c.keys, y)
		}
		all[i] = c
	}
	return all
}

func (b *book) copy() *book {
	if b == nil {
		return nil
	}
	c := &book{run: b.run, epoch: b.epoch, lines: b.lines.copy(), lanes: b.lanes.copy(), lists: map[string]*space{}}
	for name, l := range b.lists {
		c.lists[name] = l.copy()
	}
	return c
}

func (sp *space) copy() *space {
	c := newSpace()
	for _, it := range sp.items {
		if it.now == nil {
			continue
		}
		made := &item{in: c, key: it.key, now: it.now}
		if c.items = append(c.items, made); it.key != "" {
			c.named[it.key] = made
		}
	}
	return c
}

// Recorded returns the keys of the committed entries of a table's records, and whether one of them says that the table was
// emptied. Without a record there are none.
func (s *Server) Recorded(n schema.Name) (keys map[string]bool, emptied bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys = map[string]bool{}
	t, err := s.table(n)
	if err != nil {
		return keys, false
	}
	for _, c := range t.records {
		for i, it := range c.entries.items {
			if it.now == nil || i < s.mark[c] {
				continue
			}
			e := parseEntry(*it.now)
			if keys[e.key] = true; e.emptied {
				emptied = true
			}
		}
	}
	return keys, emptied
}

// Listed returns the keys of a list.
func (s *Server) Listed(l driver.List, t *schema.Table) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := map[string]bool{}
	if s.book == nil {
		return keys
	}
	for _, it := range s.book.list(l, t).items {
		if it.now != nil {
			keys[it.key] = true
		}
	}
	return keys
}

// Numbers returns the numbers of the last batches by table and lane ("1/0"): those applied, at a target, or forgotten, at a
// source.
func (s *Server) Numbers() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.state
	if s.book != nil {
		from = s.book.lanes
	}
	numbers := map[string]int64{}
	for _, it := range from.items {
		if it.now != nil {
			numbers[it.key] = number(*it.now)
		}
	}
	return numbers
}

// Guarded reports whether a table is there and kept from everybody but us.
func (s *Server) Guarded(n schema.Name) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.table(n)
	return err == nil && t.guarded
}

// Committed returns the committed rows of a table by these columns of theirs, both as runs of framed cells; nil when it is not
// there.
func (s *Server) Committed(n schema.Name, columns ...int) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.table(n)
	if err != nil {
		return nil
	}
	rows := make(map[string]string, len(t.rows.items))
	for _, it := range t.rows.items {
		if it.now != nil {
			rows[string(keyOf(*it.now, columns))] = *it.now
		}
	}
	return rows
}
