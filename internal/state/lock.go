package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// HeldError says that another process works with this state.
type HeldError struct {
	PID int // 0 when it could not be read
}

// Error names the process.
func (e *HeldError) Error() string {
	if e.PID == 0 {
		return "another whimbrel is working with this state"
	}
	return fmt.Sprintf("another whimbrel, process %d, is working with this state", e.PID)
}

// take locks the file and writes our process into it. The system gives the lock back when we end, however we end, so a
// file that is left behind means nothing.
func take(dir string) (*os.File, error) {
	path := filepath.Join(dir, LockFile)
	f, err := OpenFile(dir, LockFile, os.O_RDWR)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		held := &HeldError{}
		if b, err := io.ReadAll(f); err == nil {
			held.PID, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		}
		return nil, held
	}
	pid := strconv.Itoa(os.Getpid()) + "\n"
	if err := errors.Join(f.Truncate(0), writeAt(f, pid)); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close())
	}
	return f, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}
