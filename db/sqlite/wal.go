package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"
)

// A write-ahead log can start again from its beginning only when everything in it has been copied into the database and
// no reader still reads from it (https://sqlite.org/wal.html#avoiding_excessively_large_wal_files). Several cursors that
// overlap without a gap would let the application's log grow for as long as a load runs. So a read transaction here is
// short, and when the log has grown our readers step aside together for the moment that a checkpoint takes. The
// checkpoint is passive: it waits for nobody and nobody waits for it.

// walLimit is the size of the log at which readers step aside; the application's own checkpoints come at about 4 MiB.
const walLimit = 32 << 20

// walGauge lets our read transactions run side by side, and keeps new ones waiting while the log is relieved.
type walGauge struct {
	readers sync.RWMutex
	reads   atomic.Int64
}

func (g *walGauge) enter() { g.readers.RLock() }
func (g *walGauge) leave() { g.readers.RUnlock() }

// relieve lets a log that has grown past the limit start again. It looks at every 64th call only. The session must not be
// in a transaction.
func (d *database) relieve(s *session) error {
	if d.wal.reads.Add(1)%64 != 0 {
		return nil
	}
	if at, err := os.Stat(d.path + "-wal"); err != nil || at.Size() < walLimit {
		return nil // no log, or a small one
	}
	d.wal.readers.Lock()
	defer d.wal.readers.Unlock()
	if _, _, err := s.conn.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE); err != nil && !errors.Is(err, sqlite3.BUSY) {
		return err
	}
	return nil
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
