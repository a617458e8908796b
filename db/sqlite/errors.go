package sqlite

import (
	"context"
	"errors"
	"io/fs"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
)

// Errors of our own that Classify knows.
var (
	errEnough  = errors.New("enough") // ends a query early; never leaves the package
	errFenced  = errors.New("another epoch has taken over this target")
	errExists  = errors.New("the range was loaded already")
	errApplied = errors.New("a batch of this number was applied already")
	errUnknown = errors.New("whether the transaction was committed is not known")
	errData    = errors.New("the value does not fit")
	errLost    = errors.New("the session is gone: the database was closed")

	errUnpromised = errors.New("the batch before it was not promised or is not forgotten")
	errForgotten  = errors.New("a later batch has been forgotten already")
)

// because replaces the library's word for an ended context by the context's own cause.
func because(ctx context.Context, err error) error {
	if errors.Is(err, sqlite3.INTERRUPT) && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Classify says what an error means, by SQLite's result codes (https://sqlite.org/rescode.html) and our own errors.
// "no such table" and "table already exists" have no code of their own: the dialect's statements say IF EXISTS and
// IF NOT EXISTS instead.
func (dialect) Classify(err error) driver.Class {
	var cell *driver.CellError
	var said *saidError
	switch {
	case err == nil:
		return driver.Unclassified
	case errors.As(err, &said):
		return said.class
	case errors.Is(err, errFenced), errors.Is(err, driver.ErrEnded):
		return driver.Fenced
	case errors.Is(err, errExists), errors.Is(err, errApplied):
		return driver.Exists
	case errors.Is(err, errUnpromised):
		return driver.Conflict
	case errors.Is(err, errUnknown):
		return driver.Unknown
	case errors.Is(err, errLost):
		return driver.Lost
	case errors.Is(err, errData), errors.As(err, &cell):
		return driver.BadData
	case errors.Is(err, fs.ErrNotExist):
		return driver.Missing
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return driver.Unclassified
	}
	return classifyCode(err)
}

func classifyCode(err error) driver.Class {
	var extended sqlite3.ExtendedErrorCode
	if errors.As(err, &extended) {
		switch extended {
		case sqlite3.CONSTRAINT_UNIQUE, sqlite3.CONSTRAINT_PRIMARYKEY, sqlite3.CONSTRAINT_ROWID:
			return driver.Conflict
		case sqlite3.CONSTRAINT_TRIGGER:
			return driver.Refused
		}
	}
	var code sqlite3.ErrorCode
	if !errors.As(err, &code) {
		return driver.Unclassified
	}
	switch code {
	case sqlite3.BUSY, sqlite3.LOCKED, sqlite3.PROTOCOL, sqlite3.SCHEMA:
		return driver.Transient
	case sqlite3.CONSTRAINT, sqlite3.MISMATCH, sqlite3.TOOBIG:
		return driver.BadData
	case sqlite3.FULL:
		return driver.Full
	case sqlite3.READONLY, sqlite3.PERM, sqlite3.AUTH:
		return driver.Refused
	case sqlite3.CANTOPEN:
		return driver.Missing
	}
	return driver.Unclassified
}
