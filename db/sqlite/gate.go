package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// Gate and guard are triggers that refuse every write with a sentence. They stand in the file, so they outlive us, and
// RAISE(ABORT) is not softened by OR IGNORE or OR REPLACE. Our own sessions have triggers switched off, so both are the same
// for everybody else, without exceptions in their words.

const (
	gateSentence  = "Whimbrel moves this database: writes to this table are refused until the move has ended or was taken back"
	guardSentence = "Whimbrel is filling this database: it is not open yet."
)

var events = []string{"insert", "update", "delete"}

func barrier(what, event string, t *schema.Table, sentence string) string {
	return "CREATE TRIGGER IF NOT EXISTS " + triggerName(what+"_"+event, t) + " BEFORE " + strings.ToUpper(event) + " ON " +
		quote(t.Name.Name) + " BEGIN SELECT RAISE(ABORT, " + quoteText(sentence) + "); END"
}

func (s *session) raiseBarrier(what string, t *schema.Table, sentence string) error {
	for _, event := range events {
		sql := barrier(what, event, t, sentence)
		if err := s.replaceOther(triggerName(what+"_"+event, t), sql); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		if _, err := s.exec(sql); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	return nil
}

// replaceOther drops a trigger that was made by another statement.
func (s *session) replaceOther(name, sql string) error {
	kept := strings.Replace(sql, "IF NOT EXISTS ", "", 1)
	other := false
	err := s.one("SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?1", func(st *sqlite3.Stmt) { other = st.ColumnText(0) != kept }, text(name))
	if err == nil && other {
		_, err = s.exec("DROP TRIGGER " + name)
	}
	return err
}

func (s *session) lowerBarrier(what string, t *schema.Table) error {
	for _, event := range events {
		if _, err := s.exec("DROP TRIGGER IF EXISTS " + triggerName(what+"_"+event, t)); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	return nil
}

type gate struct{ d *database }

// Shut puts the triggers on all tables in one transaction. It has the write lock then: the last write in flight has ended.
func (g gate) Shut(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	err := g.d.change(ctx, orWait(max(w.Lock, w.Settled)), func(s *session) error {
		if err := g.d.claim(s); err != nil {
			return err
		}
		for _, t := range tables {
			if err := s.raiseBarrier("gate", t, gateSentence); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("shut the source: %w", g.d.withOpeners(err))
	}
	return nil
}

// Prove has the write lock for a moment, so no write is in flight, and sees that every trigger stands.
func (g gate) Prove(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	err := g.d.lockOnce(ctx, w.Settled, func(s *session) error {
		for _, t := range tables {
			for _, event := range events {
				there := false
				err := s.one("SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name = ?1 AND sql LIKE '%RAISE(ABORT%' AND tbl_name = ?2 COLLATE NOCASE",
					func(*sqlite3.Stmt) { there = true }, text(triggerName("gate_"+event, t)), text(t.Name.Name))
				if err != nil {
					return err
				}
				if !there {
					return fmt.Errorf("%s takes %s: its gate is not there", t.Name, strings.ToUpper(event))
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("prove that the source is shut: %w", err)
	}
	return nil
}

// Reopen takes the triggers away.
func (g gate) Reopen(ctx context.Context, tables []*schema.Table) error {
	err := g.d.change(ctx, lockWait, func(s *session) error {
		if others, err := g.d.others(s); err != nil || others {
			return err
		}
		for _, t := range tables {
			if err := s.lowerBarrier("gate", t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reopen the source: %w", err)
	}
	return nil
}

// Writers names the processes, but ours, that have the file open, where the system shows them (Linux, and those of the same
// user). SQLite itself keeps no list of its connections, but it tells whether one of them is writing.
func (g gate) Writers(ctx context.Context) ([]driver.Writer, error) {
	found := g.d.openers()
	select {
	case <-g.d.writing:
		g.d.done()
	default:
		return found, nil // the write lock is ours
	}
	err := g.d.lockOnce(ctx, time.Millisecond, func(*session) error { return nil })
	if errors.Is(err, sqlite3.BUSY) {
		return append(found, driver.Writer{Session: "not known", State: "holds the write lock", Since: -1}), nil
	}
	return found, err
}

func (d *database) openers() []driver.Writer {
	real, err := filepath.EvalSymlinks(d.path)
	if err != nil {
		return nil
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	var found []driver.Writer
	for _, p := range processes {
		pid := filepath.Base(p)
		if pid == strconv.Itoa(os.Getpid()) {
			continue
		}
		files, _ := filepath.Glob(p + "/fd/*")
		for _, f := range files {
			if at, err := os.Readlink(f); err != nil || at != real {
				continue
			}
			name, _ := os.ReadFile(p + "/comm")
			found = append(found, driver.Writer{Session: "process " + pid, Program: strings.TrimSpace(string(name)), State: "has the file open", Since: -1})
			break
		}
	}
	return found
}

// withOpeners adds to an error about a lock who else has the file open.
func (d *database) withOpeners(err error) error {
	if err == nil || !errors.Is(err, sqlite3.BUSY) {
		return err
	}
	var who []string
	for _, w := range d.openers() {
		who = append(who, w.Program+" ("+w.Session+")")
	}
	if len(who) == 0 {
		return err
	}
	return fmt.Errorf("%w; the file is open in %s: end the one that does not go on", err, strings.Join(who, ", "))
}

type guard struct{ d *database }

// Shut refuses others' writes to a table of the target.
func (g guard) Shut(ctx context.Context, t *schema.Table, epoch int64) error {
	err := g.d.write(ctx, lockWait, func(s *session) error { return s.guard(t, epoch) })
	if err != nil {
		return fmt.Errorf("guard the target: %w", err)
	}
	return nil
}

// guard makes the guard of one table in a transaction of the current epoch.
func (s *session) guard(t *schema.Table, epoch int64) error {
	if err := s.fence(epoch); err != nil {
		return err
	}
	return s.raiseBarrier("guard", t, guardSentence)
}

// Stands reads the guard's triggers with their places in the catalog, which are others after a trigger was made again, but for
// the last one of a file.
func (g guard) Stands(ctx context.Context, t *schema.Table) (stands string, err error) {
	err = g.d.read(ctx, g.d.control, func(s *session) error {
		there := 0
		for _, event := range events {
			err := s.one("SELECT rowid || ' ' || sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?1 AND tbl_name = ?2 COLLATE NOCASE",
				func(st *sqlite3.Stmt) { there, stands = there+1, stands+st.ColumnText(0)+"\n" },
				text(triggerName("guard_"+event, t)), text(t.Name.Name))
			if err != nil {
				return err
			}
		}
		if there < len(events) {
			stands = ""
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("look at the guard of %s: %w", t.Name, err)
	}
	return stands, nil
}

// admitter lets everybody in, since nobody has an account here. The guard's triggers stay, so that it is seen that one stands, and
// refuse nothing.
type admitter struct{ d *database }

// Admit lets everybody write to a guarded table.
func (a admitter) Admit(ctx context.Context, t *schema.Table, _ string) error {
	err := a.d.write(ctx, lockWait, func(s *session) error {
		for _, event := range events {
			name := triggerName("guard_"+event, t)
			on, sql := "", ""
			err := s.one("SELECT tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?1", func(st *sqlite3.Stmt) { on, sql = st.ColumnText(0), st.ColumnText(1) }, text(name))
			if err != nil || on == "" || !strings.Contains(sql, "RAISE(ABORT") {
				return err // no guard, or one that lets everybody in already
			}
			if _, err := s.exec("DROP TRIGGER " + name); err != nil {
				return err
			}
			if _, err := s.exec("CREATE TRIGGER " + name + " BEFORE " + strings.ToUpper(event) + " ON " + quote(on) + " BEGIN SELECT 'admitted'; END"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("admit scripts to %s: %w", t.Name, err)
	}
	return nil
}

// Open lets everybody write to it.
func (g guard) Open(ctx context.Context, t *schema.Table) error {
	err := g.d.write(ctx, lockWait, func(s *session) error { return s.lowerBarrier("guard", t) })
	if err != nil {
		return fmt.Errorf("open the target: %w", err)
	}
	return nil
}
