package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"
	sqldriver "github.com/ncruces/go-sqlite3/driver"
)

type scripts struct{ d *database }

// Dialect is goose's word for SQLite.
func (scripts) Dialect() string { return "sqlite3" }

// path is the file of a place.
func (c scripts) path(place string) (string, error) {
	if place == "" || place == "main" {
		return c.d.path, nil
	}
	return filepath.Abs(place)
}

// Address is sqlite:///absolute/path with special characters percent-encoded, as Whimbrel itself takes it. A program that wants a
// path, or a URL of another fashion, takes what follows the second slash. There is no account in it.
func (c scripts) Address(_ *url.URL, place string) (string, error) {
	path, err := c.path(place)
	if err != nil {
		return "", fmt.Errorf("write the address of %s: %w", place, err)
	}
	return (&url.URL{Scheme: "sqlite", Path: path}).String(), nil
}

// Pool opens the file as an application would: its triggers fire, and foreign keys hold. Its sessions can open no other file, so
// VACUUM is refused too, which does, and leave our own tables alone. Several may be open; who writes waits for the others.
func (c scripts) Pool(ctx context.Context, _ *url.URL, place string) (*sql.DB, error) {
	path, err := c.path(place)
	if err != nil {
		return nil, fmt.Errorf("open %s for scripts: %w", place, err)
	}
	uri := fileURI(path)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || path != c.d.path {
		uri += "?mode=rw" // of all files only our own target is made by its first write
	}
	pool, err := sqldriver.Open(uri, func(conn *sqlite3.Conn) error {
		return errors.Join(conn.BusyTimeout(lockWait), conn.SetAuthorizer(authorize))
	})
	if err != nil {
		return nil, fmt.Errorf("open %s for scripts: %w", path, err)
	}
	if err := ping(ctx, pool); err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("open %s for scripts: %w", path, because(ctx, err))
	}
	return pool, nil
}

// ping reads the file: that a connection is there says nothing of it yet.
func ping(ctx context.Context, pool *sql.DB) error {
	var n int
	return pool.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n)
}

// authorize refuses scripts a second file, and changes of tables that are ours.
func authorize(action sqlite3.AuthorizerActionCode, name3rd, name4th, _, _ string) sqlite3.AuthorizerReturnCode {
	switch action {
	case sqlite3.AUTH_ATTACH, sqlite3.AUTH_DETACH:
		return sqlite3.AUTH_DENY
	case sqlite3.AUTH_DROP_TABLE, sqlite3.AUTH_INSERT, sqlite3.AUTH_UPDATE, sqlite3.AUTH_DELETE:
		if ourTables.MatchString(name3rd) {
			return sqlite3.AUTH_DENY
		}
	case sqlite3.AUTH_ALTER_TABLE:
		if ourTables.MatchString(name4th) {
			return sqlite3.AUTH_DENY
		}
	}
	return sqlite3.AUTH_OK
}
