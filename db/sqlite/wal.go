package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// A write-ahead log can start again from its beginning only when everything in it has been copied into the database, no
// reader still reads from it, and a writer comes then (https://sqlite.org/wal.html#avoiding_excessively_large_wal_files).
// Cursors that overlap without a gap would let the application's log grow for as long as a load runs. So a read transaction
// here is short, and when the log has grown our readers step aside together: first it is copied while everybody goes on,
// then the little that came meanwhile is copied under the write lock and the log is emptied.

// walLimit is the size of the log at which readers step aside; the application's own checkpoints come at about 4 MiB.
const walLimit = 32 << 20

// reliefWait is how long emptying waits for a writer or a reader of the application's before it lets things be.
const reliefWait = 100 * time.Millisecond

// walGauge lets our read transactions run side by side, and keeps new ones waiting while the log is relieved.
type walGauge struct {
	readers sync.RWMutex
	reads   atomic.Int64
	patient atomic.Int64 // the size at which it is tried again, after the application was in the way
}

func (g *walGauge) enter() { g.readers.RLock() }
func (g *walGauge) leave() { g.readers.RUnlock() }

// relieve empties a log that has grown past the limit. It looks at every 16th call only. The session must not be in a
// transaction.
func (d *database) relieve(s *session) error {
	if d.wal.reads.Add(1)%16 != 0 {
		return nil
	}
	at, err := os.Stat(d.path + "-wal")
	if err != nil || at.Size() < max(walLimit, d.wal.patient.Load()) {
		return nil // no log, or a small one
	}
	if err := s.checkpoint(sqlite3.CHECKPOINT_PASSIVE); err != nil {
		return err
	}
	d.wal.readers.Lock()
	defer d.wal.readers.Unlock()
	if at, err = os.Stat(d.path + "-wal"); err != nil || at.Size() < walLimit {
		return nil // another reader of ours was quicker
	}
	if err := s.conn.BusyTimeout(reliefWait); err != nil {
		return err
	}
	err = s.checkpoint(sqlite3.CHECKPOINT_TRUNCATE)
	if back := s.conn.BusyTimeout(lockWait); err == nil {
		err = back
	}
	d.wal.patient.Store(0)
	if after, gone := os.Stat(d.path + "-wal"); gone == nil && after.Size() >= walLimit {
		d.wal.patient.Store(after.Size() + walLimit/4)
	}
	return err
}

// checkpoint copies the log into the database; a lock that is not had is no error.
func (s *session) checkpoint(mode sqlite3.CheckpointMode) error {
	_, _, err := s.conn.WALCheckpoint("main", mode)
	if errors.Is(err, sqlite3.BUSY) || errors.Is(err, sqlite3.LOCKED) {
		return nil
	}
	return err
}

// settle makes everything that was committed so far survive a crash, whatever synchronous setting the application commits
// with (HAZARDS C7): it syncs the log, the database and their folder. It takes no lock and makes nobody wait.
func (d *database) settle() error {
	for _, path := range []string{d.path + "-wal", d.path, filepath.Dir(d.path)} {
		if err := syncFile(path); err != nil {
			return err
		}
	}
	return nil
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no log: the file is not in WAL mode, or nobody has written yet
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
