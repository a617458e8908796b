package state

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/ncruces/go-sqlite3"
)

// FullError says that there is no room on the disk of the state's folder. Nothing that was kept is lost.
type FullError struct {
	Dir   string
	cause error
}

// Error says what to do.
func (e *FullError) Error() string {
	return fmt.Sprintf("there is no room on the disk of %s: make some, and the same command goes on (%v)", e.Dir, e.cause)
}

// Unwrap returns the cause.
func (e *FullError) Unwrap() error { return e.cause }

// little is less than a journal's entry may need on any file system.
const little = 256 << 10

// room makes a *FullError of an error that the want of room explains. SQLite calls it an input/output error when it meets it at
// some places, so the disk itself is asked.
func (s *State) room(err error) error {
	var held *HeldError
	switch {
	case err == nil, errors.As(err, &held):
		return err
	case errors.Is(err, sqlite3.FULL), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &FullError{s.dir, err}
	case errors.Is(err, sqlite3.IOERR), errors.Is(err, sqlite3.CANTOPEN):
		var fs syscall.Statfs_t
		if syscall.Statfs(s.dir, &fs) == nil && fs.Bavail*uint64(fs.Bsize) < little {
			return &FullError{s.dir, err}
		}
	}
	return err
}
