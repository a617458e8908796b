package memory

import (
	"context"
	"slices"
	"strconv"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Tx is a transaction of an application.
type Tx struct {
	e      *session
	silent bool // no trigger fires for it
}

// Begin begins a transaction of an application.
func (s *Server) Begin() *Tx {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Tx{e: s.open(nil, "application")}
}

// BeginSilent begins a transaction of somebody who has switched triggers off for their own session: gate and guard let it
// through, and capture does not note what it does.
func (s *Server) BeginSilent() *Tx {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Tx{e: s.open(nil, "somebody"), silent: true}
}

// Create makes a table with its keys, as the application's owner would. Again: an error.
func (s *Server) Create(t *schema.Table) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.table(t.Name); err == nil {
		return failf(driver.Exists, "table %s", t.Name)
	}
	made := s.create(t)
	if t.Primary != nil {
		if err := made.build(made.def.Primary, true); err != nil {
			return err
		}
	}
	for _, k := range made.def.Uniques {
		if err := made.build(k, false); err != nil {
			return err
		}
	}
	return nil
}

// Rows returns the committed rows of a table, every column in the table's order, by key; it panics when the table is not
// there.
func (s *Server) Rows(n schema.Name) *row.Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.table(n)
	if err != nil {
		panic(err)
	}
	b := row.NewBatch(len(t.def.Columns))
	for _, run := range t.sorted(nil, t.keyColumns()) {
		if err := b.AppendRow([]byte(run)); err != nil {
			panic(err)
		}
	}
	return b
}

// Insert adds a row, its cells in the order of the table's columns. NULL in a column with a generator draws from it.
func (x *Tx) Insert(n schema.Name, cells ...[]byte) error {
	return x.write("Tx.Insert", n, func(t *table) error {
		cells := slices.Clone(cells)
		for i, c := range t.def.Columns {
			if i < len(cells) && cells[i] == nil && c.Identity.Kind != schema.None {
				cells[i] = strconv.AppendInt(nil, t.draw(c.Name), 10)
			}
		}
		run := string(row.MakeKey(cells...))
		if err := t.write(x.e, nil, run); err != nil {
			return err
		}
		return x.note(t, "", run)
	})
}

// Update replaces the row with this key. A row that is not there is Missing.
func (x *Tx) Update(n schema.Name, key row.Key, cells ...[]byte) error {
	return x.write("Tx.Update", n, func(t *table) error {
		it, was, err := t.look(x.e, key)
		if err != nil {
			return err
		}
		run := string(row.MakeKey(cells...))
		if err := t.write(x.e, it, run); err != nil {
			return err
		}
		return x.note(t, was, run)
	})
}

// Delete removes the row with this key. A row that is not there is Missing.
func (x *Tx) Delete(n schema.Name, key row.Key) error {
	return x.write("Tx.Delete", n, func(t *table) error {
		it, was, err := t.look(x.e, key)
		if err != nil {
			return err
		}
		if err := x.e.set(it, nil); err != nil {
			return err
		}
		return x.note(t, was, "")
	})
}

// Cascade removes the row with this key as a foreign key's action does when its parent goes. Capture sees it, for helper
// triggers are installed with it.
func (x *Tx) Cascade(n schema.Name, key row.Key) error {
	return x.write("Tx.Cascade", n, func(t *table) error {
		it, was, err := t.look(x.e, key)
		if err != nil {
			return err
		}
		if err := x.e.set(it, nil); err != nil || x.e.Flaw == SilentCascades {
			return err
		}
		return t.note(x.e, was, "")
	})
}

// Truncate empties a table without firing a row's trigger; capture notes that it was emptied. What a silent one does shows in the
// table's fingerprint alone, as in a product that has no trigger for it.
func (x *Tx) Truncate(n schema.Name) error {
	return x.write("Tx.Truncate", n, func(t *table) error {
		if err := t.empty(x.e); err != nil {
			return err
		}
		return x.noteEmptied(t)
	})
}

func (x *Tx) note(t *table, before, after string) error {
	if x.silent {
		return nil
	}
	return t.note(x.e, before, after)
}

func (x *Tx) noteEmptied(t *table) error {
	if x.silent {
		t.dated++
		return nil
	}
	return t.noteEmptied(x.e)
}

func (x *Tx) write(op string, n schema.Name, f func(t *table) error) error {
	return x.e.do(context.Background(), call{op: op, session: x.e}, func() error {
		t, err := x.e.table(n)
		switch {
		case err != nil:
			return err
		case x.e.prepared:
			return failf(driver.Unclassified, "%s is prepared", x.e.what)
		case !x.silent && (t.shut && x.e.Flaw != GateLeaks || t.guarded):
			return failf(driver.Refused, "table %s is shut for a move", n)
		}
		return f(t)
	})
}

// Prepare makes the transaction outlive its session and a crash, until Commit or Rollback.
func (x *Tx) Prepare() error {
	return x.e.do(context.Background(), call{op: "Tx.Prepare", session: x.e}, func() error {
		x.e.prepared = true
		x.e.flush() // what is prepared is durable, and what was committed before it
		return nil
	})
}

// Commit makes the transaction's changes last.
func (x *Tx) Commit() error {
	return x.e.do(context.Background(), call{op: "Tx.Commit", session: x.e, commits: true}, func() error {
		x.e.commit()
		return nil
	})
}

// Rollback takes the transaction's changes back. Again: does nothing.
func (x *Tx) Rollback() {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	x.e.end(failf(driver.Unclassified, "%s has ended", x.e.what))
}

// look finds the row with a key, as the table's key compares it.
func (t *table) look(e *session, key row.Key) (*item, string, error) {
	for _, it := range t.candidates(t.keyColumns(), string(key)) {
		run := it.seen(e)
		if run == nil || !t.sameKey(*run, key) {
			continue
		}
		if it.owner != nil && it.owner != e {
			return nil, "", e.locked(it.owner)
		}
		return it, *run, nil
	}
	return nil, "", failf(driver.Missing, "no such row in %s", t.def.Name)
}

// empty removes every row, or none where one is locked: a statement is done whole or not at all.
func (t *table) empty(e *session) error {
	for _, it := range t.rows.items {
		if it.owner != nil && it.owner != e {
			return e.locked(it.owner)
		}
	}
	for _, it := range slices.Clone(t.rows.items) {
		if it.seen(e) != nil {
			if err := e.set(it, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
