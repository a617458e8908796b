package sqlite

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"

	"github.com/jackc/puddle/v2"
	"github.com/ncruces/go-sqlite3"
)

// session is one connection. A call of ours has it from take or wake to give or rest; between, a cursor or a load keeps it,
// and only then Close may end it.
type session struct {
	inUse   sync.Mutex
	ended   bool // by Close, while somebody kept it
	conn    *sqlite3.Conn
	home    *puddle.Resource[*session]
	standIn bool // the file is not there yet: an empty database in memory answers for it
	spent   bool // not to be used again: it grew for a huge value, or broke
	buf     []byte
}

// take takes a session from a pool for one call; give returns it.
func (d *database) take(ctx context.Context, pool *puddle.Pool[*session]) (*session, error) {
	for {
		home, err := pool.Acquire(ctx)
		if errors.Is(err, puddle.ErrClosedPool) {
			return nil, errLost
		}
		if err != nil {
			return nil, err
		}
		s := home.Value()
		if s.standIn && (ctx.Value(creating{}) != nil || d.there()) {
			home.Destroy()
			continue
		}
		s.inUse.Lock()
		s.home = home
		s.conn.SetInterrupt(ctx)
		d.out.Store(s, true)
		select {
		case <-d.closing:
			d.give(s)
			return nil, errLost
		default:
			return s, nil
		}
	}
}

func (d *database) there() bool {
	_, err := os.Stat(d.path)
	return err == nil
}

// give ends what the session had begun and returns it to its pool. The caller has it in use.
func (d *database) give(s *session) {
	defer s.inUse.Unlock()
	if s.ended {
		return
	}
	d.out.Delete(s)
	home := s.home
	s.home = nil
	s.settleDown()
	if s.spent {
		home.Destroy()
		return
	}
	home.Release()
}

// rest keeps the session between two calls of a cursor, a load or a receipt; wake uses it again.
func (s *session) rest() { s.inUse.Unlock() }

// wake returns an error, and then the session is not in use, when the database was closed meanwhile.
func (s *session) wake(ctx context.Context) error {
	s.inUse.Lock()
	if s.ended {
		s.inUse.Unlock()
		return errLost
	}
	s.conn.SetInterrupt(ctx)
	return nil
}

// settleDown closes statements and undoes what was not committed.
func (s *session) settleDown() {
	s.conn.SetInterrupt(context.Background())
	for _, st := range slices.Collect(s.conn.Stmts()) {
		_ = st.Close()
	}
	if !s.conn.GetAutocommit() && s.conn.Exec("ROLLBACK") != nil {
		s.spent = true
	}
}

// close ends every session: those that a cursor or a load still keeps as well, once the call they are in has returned.
func (d *database) close() error {
	d.ending.Do(func() {
		close(d.closing)
		d.out.Range(func(key, _ any) bool {
			d.end(key.(*session))
			return true
		})
		d.work.Close()
		d.control.Close()
	})
	return nil
}

func (d *database) end(s *session) {
	s.inUse.Lock()
	defer s.inUse.Unlock()
	if s.ended || s.home == nil {
		return // given back meanwhile
	}
	s.ended = true
	s.settleDown()
	s.home.Hijack()
	_ = s.conn.Close()
}
