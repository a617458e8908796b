package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/whimbrel/whimbrel/db/driver"
)

// scripts let a release's programs in. A place is the search path, and nothing else is: what is named without a schema is the
// place's or is not there.
type scripts struct{ db *database }

// Dialect is goose's word.
func (scripts) Dialect() string { return "postgres" }

// Address gives the search path as an option of the session, which the client library of most languages passes on.
func (c scripts) Address(u *url.URL, place string) (string, error) {
	path, err := c.path(place)
	if err != nil {
		return "", err
	}
	words, bare := secured(u), *u
	option := "-c search_path=" + escaped(path)
	if had := words.Get("options"); had != "" {
		option = had + " " + option
	}
	words.Set("options", option)
	// Not every library reads a plus sign as a blank.
	bare.RawQuery, bare.Fragment, bare.RawFragment = strings.ReplaceAll(words.Encode(), "+", "%20"), "", ""
	return bare.String(), nil
}

// path is the search path of a place.
func (c scripts) path(place string) (string, error) {
	place = cmp.Or(place, c.db.home)
	if strings.Contains(place, "\x00") {
		return "", fmt.Errorf("no schema can be named %q", place)
	}
	return quote(place), nil
}

// escaped writes a value as a word of an option, of which blanks are the ends.
func escaped(value string) string {
	var out strings.Builder
	for _, b := range []byte(value) {
		if b == '\\' || b == ' ' || b >= '\t' && b <= '\r' {
			out.WriteByte('\\')
		}
		out.WriteByte(b)
	}
	return out.String()
}

// Pool opens a place. Scripts are sent as they are, several statements at once, and their sessions bear our label, so that a later
// process of this run ends those that this one leaves.
func (c scripts) Pool(ctx context.Context, u *url.URL, place string) (*sql.DB, error) {
	path, err := c.path(place)
	if err != nil {
		return nil, err
	}
	address, password, words := spoken(u)
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("read the URL of %s: %s", u.Hostname(), reason(err, words))
	}
	equip(&config.Config, password)
	config.RuntimeParams["application_name"] = c.db.config.RuntimeParams["application_name"]
	config.RuntimeParams["standard_conforming_strings"] = "on" // else a library can not write a value into a statement
	config.RuntimeParams["search_path"] = path
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	config.AfterConnect = func(_ context.Context, conn *pgconn.PgConn) error {
		conn.Frontend().SetMaxBodyLen(mostMessage)
		return nil
	}
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(4)
	if err := pool.PingContext(ctx); err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("enter %s: %w", cmp.Or(place, c.db.home), &failure{class: connectClass(err), err: err})
	}
	return pool, nil
}

var _ driver.Scripts = scripts{}
