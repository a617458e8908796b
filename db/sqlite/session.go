package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/jackc/puddle/v2"
	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
)

// database is one open file: a pool of sessions for rows and a small one for bookkeeping, so that a ledger line is never
// kept waiting by cursors that wait for it.
type database struct {
	path    string
	side    driver.Side
	run     string
	work    *puddle.Pool[*session]
	control *puddle.Pool[*session]
	writing chan struct{} // holds one token; its holder may begin to write
	wal     walGauge
	closing chan struct{} // closed when the database is
	ending  sync.Once
	out     sync.Map // the sessions that are taken: *session, true
}

// lockWait is how long a session waits for the application's lock before the call is Transient.
const lockWait = 10 * time.Second

func newDatabase(path string, o driver.Options) (*database, error) {
	d := &database{path: path, side: o.Side, run: o.Run, writing: make(chan struct{}, 1), closing: make(chan struct{})}
	d.writing <- struct{}{}
	sessions := o.Sessions
	if sessions <= 0 {
		sessions = 4
	}
	var err error
	if d.work, err = d.pool(sessions); err != nil {
		return nil, err
	}
	if d.control, err = d.pool(3); err != nil {
		d.work.Close()
		return nil, err
	}
	return d, nil
}

func (d *database) pool(size int) (*puddle.Pool[*session], error) {
	return puddle.NewPool(&puddle.Config[*session]{
		Constructor: d.connect,
		Destructor:  func(s *session) { s.conn.Close() },
		MaxSize:     int32(size),
	})
}

// setUp is what every session of ours is: nothing of the application's fires or is checked, and a commit is durable.
// The library's own defaults are the opposite for foreign keys and recursive triggers.
const setUp = `PRAGMA foreign_keys = OFF; PRAGMA recursive_triggers = OFF; PRAGMA ignore_check_constraints = ON;
PRAGMA synchronous = FULL; PRAGMA trusted_schema = ON;`

func (d *database) connect(ctx context.Context) (*session, error) {
	name, flags := d.path, sqlite3.OPEN_READWRITE
	s := &session{}
	if _, err := os.Stat(d.path); errors.Is(err, fs.ErrNotExist) {
		if d.side == driver.Source {
			return nil, fmt.Errorf("open %s: %w", d.path, err)
		}
		if ctx.Value(creating{}) == nil {
			name, s.standIn = ":memory:", true
		}
		flags |= sqlite3.OPEN_CREATE
	}
	conn, err := open(name, flags)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", d.path, err)
	}
	s.conn = conn
	if err := s.prepareSession(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("open %s: %w", d.path, err)
	}
	return s, nil
}

// mostMemory is what one connection may take: a row of two values of 64 MiB is there up to four times while it is written.
const mostMemory = 768 << 20

// open opens a connection to a file that is named as the system names it.
func open(name string, flags sqlite3.OpenFlag) (*sqlite3.Conn, error) {
	uri := fileURI(name)
	switch {
	case name == ":memory:":
		uri = "file::memory:"
	case flags&sqlite3.OPEN_CREATE == 0:
		uri += "?mode=rw"
	}
	return sqlite3.OpenContext(sqlite3.WithMaxMemory(context.Background(), mostMemory), uri)
}

// fileURI is the URI of a file that is named as the system names it.
func fileURI(path string) string { return "file:" + (&url.URL{Path: path}).EscapedPath() }

func (s *session) prepareSession() error {
	if err := s.conn.BusyTimeout(lockWait); err != nil {
		return err
	}
	if err := s.conn.Exec(setUp); err != nil {
		return err
	}
	if err := s.define(); err != nil {
		return err
	}
	on, err := s.conn.Config(sqlite3.DBCONFIG_ENABLE_TRIGGER, false)
	if err == nil && on {
		err = errors.New("triggers can not be switched off for this session")
	}
	return err
}

// creating marks a context under which a missing target file is made.
type creating struct{}

// read runs fn in one read transaction: what it reads is one snapshot. It ends with fn.
func (d *database) read(ctx context.Context, pool *puddle.Pool[*session], fn func(*session) error) error {
	s, err := d.take(ctx, pool)
	if err != nil {
		return err
	}
	defer d.give(s)
	return d.snapshot(ctx, s, fn)
}

// snapshot runs fn in a read transaction of a session that the caller holds.
func (d *database) snapshot(ctx context.Context, s *session, fn func(*session) error) error {
	d.wal.enter()
	defer d.wal.leave()
	if err := s.conn.Exec("BEGIN"); err != nil {
		return because(ctx, err)
	}
	err := fn(s)
	if end := s.end(); err == nil {
		err = end
	}
	return because(ctx, err)
}

// end closes a transaction that wrote nothing, even when its context has ended.
func (s *session) end() error {
	if s.conn.GetAutocommit() {
		return nil
	}
	old := s.conn.SetInterrupt(context.Background())
	defer s.conn.SetInterrupt(old)
	return s.conn.Exec("ROLLBACK")
}

// write runs fn in one BEGIN IMMEDIATE on a session of the bookkeeping pool and commits it, durably.
func (d *database) write(ctx context.Context, wait time.Duration, fn func(*session) error) error {
	ctx = context.WithValue(ctx, creating{}, true)
	if err := d.turn(ctx); err != nil {
		return err
	}
	defer d.done()
	s, err := d.take(ctx, d.control)
	if err != nil {
		return err
	}
	defer d.give(s)
	if err := d.begin(ctx, s, wait); err != nil {
		return err
	}
	if err := fn(s); err != nil {
		_ = s.end()
		return because(ctx, err)
	}
	return s.commit(ctx)
}

// turn waits for this process's turn to write. It is taken before a session is, so that those who wait hold none.
func (d *database) turn(ctx context.Context) error {
	select {
	case <-d.writing:
		return nil
	case <-d.closing:
		return errLost
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// done ends the turn.
func (d *database) done() { d.writing <- struct{}{} }

// begin takes the file's write lock, for which it waits at most wait. The caller has the turn.
func (d *database) begin(ctx context.Context, s *session, wait time.Duration) error {
	err := s.conn.BusyTimeout(wait)
	if err == nil {
		err = s.conn.Exec("BEGIN IMMEDIATE")
	}
	_ = s.conn.BusyTimeout(lockWait)
	if err != nil {
		return because(ctx, fmt.Errorf("begin to write %s: %w", d.path, err))
	}
	return nil
}

// commit ends a writing transaction. A commit that is refused because of a lock was not made; one that fails otherwise
// may have been.
func (s *session) commit(ctx context.Context) error {
	err := s.conn.Exec("COMMIT")
	if err == nil {
		return nil
	}
	undone := s.end()
	s.spent = undone != nil
	if errors.Is(err, sqlite3.IOERR) {
		return fmt.Errorf("commit: %w: %w", errUnknown, err)
	}
	return because(ctx, fmt.Errorf("commit: %w", err))
}

// one runs a query and hands its first row to scan; a query without a row is not an error. Arguments are integers or text.
func (s *session) one(sql string, scan func(*sqlite3.Stmt), args ...arg) error {
	return s.each(sql, func(st *sqlite3.Stmt) error { scan(st); return errEnough }, args...)
}

// arg is a bound argument of a bookkeeping query.
type arg func(st *sqlite3.Stmt, i int) error

func text(v string) arg  { return func(st *sqlite3.Stmt, i int) error { return st.BindText(i, v) } }
func blob(v []byte) arg  { return func(st *sqlite3.Stmt, i int) error { return st.BindBlob(i, v) } }
func number(v int64) arg { return func(st *sqlite3.Stmt, i int) error { return st.BindInt64(i, v) } }

// each runs a query and hands every row to scan; errEnough from scan ends it early.
func (s *session) each(sql string, scan func(*sqlite3.Stmt) error, args ...arg) error {
	st, _, err := s.conn.Prepare(sql)
	if err != nil {
		return err
	}
	defer st.Close()
	for i, a := range args {
		if err := a(st, i+1); err != nil {
			return err
		}
	}
	for st.Step() {
		if err := scan(st); err != nil {
			if errors.Is(err, errEnough) {
				return nil
			}
			return err
		}
	}
	return st.Err()
}

// exec runs one statement and returns how many rows it changed.
func (s *session) exec(sql string, args ...arg) (int64, error) {
	if err := s.each(sql, func(*sqlite3.Stmt) error { return nil }, args...); err != nil {
		return 0, err
	}
	return s.conn.Changes(), nil
}
