package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/whimbrel/whimbrel/db/driver"
)

// scripts let a release's programs in. A place begins the search path. No schema with tables of others stands behind a shadow: what is
// named without a schema is the shadow's, or an extension's, or is not there.
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

// behind are the schemas that stand behind a place in the search path.
type behind struct {
	home   []string // the default one: what the account that the database was opened with finds too
	shadow []string // a shadow: schemas that hold extensions and no table
}

// lookBehind finds them.
func (db *database) lookBehind(ctx context.Context, s *session) error {
	if err := json.Unmarshal(s.path, &db.behind.home); err != nil {
		return err
	}
	const extensions = `SELECT DISTINCT n.nspname FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace
		WHERE n.nspname <> ALL ($1::text[]) AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')) ORDER BY 1`
	r, err := s.query(ctx, extensions, nameArray([]string{"pg_catalog", "public", db.home}))
	if err != nil {
		return err
	}
	for _, line := range r.Rows {
		db.behind.shadow = append(db.behind.shadow, string(line[0]))
	}
	return nil
}

// path is the search path of a place.
func (c scripts) path(place string) (string, error) {
	place = cmp.Or(place, c.db.home)
	if strings.Contains(place, "\x00") {
		return "", fmt.Errorf("no schema can be named %q", place)
	}
	rest := c.db.behind.shadow
	if place == c.db.home {
		rest = c.db.behind.home
	}
	all := []string{place}
	for _, name := range rest {
		if name != place {
			all = append(all, name)
		}
	}
	return quoteAll(all), nil
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
