package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"

	gosql "github.com/go-sql-driver/mysql"

	"github.com/whimbrel/whimbrel/db/driver"
)

// scripts let a release's programs in, under an account of their own.
type scripts struct{ *database }

// Dialect is the same for both products.
func (scripts) Dialect() string { return "mysql" }

// at is the URL of an account with a place in it instead of its own database.
func (d scripts) at(u *url.URL, place string) (*url.URL, *gosql.Config, error) {
	at := *u
	at.Path, at.RawPath = "/whatever", ""
	cfg, err := configure(&at, d.options)
	if err != nil {
		return nil, nil, err
	}
	cfg.DBName = orElse(place, d.schema)
	at.Path, at.RawPath = "/"+cfg.DBName, "/"+url.PathEscape(cfg.DBName)
	return &at, cfg, nil
}

// Address is the URL with another database in it. Scheme and options stay as the operator wrote them: programs that know mysql://
// only are given a URL that says so.
func (d scripts) Address(u *url.URL, place string) (string, error) {
	at, _, err := d.at(u, place)
	if err != nil {
		return "", fmt.Errorf("write the address of %s on %s: %w", orElse(place, d.schema), u.Host, err)
	}
	return at.String(), nil
}

// Pool opens a place with the client library's defaults: the sessions are as the server's settings make them, but for UTF-8, times as
// times, and several statements in one text, which migration libraries take for granted. A guard lets them in by their account, so
// nothing of ours is set in them.
func (d scripts) Pool(ctx context.Context, u *url.URL, place string) (*sql.DB, error) {
	_, cfg, err := d.at(u, place)
	if err != nil {
		return nil, fmt.Errorf("open %s on %s for scripts: %w", orElse(place, d.schema), u.Host, err)
	}
	cfg.ClientFoundRows, cfg.InterpolateParams = false, true
	cfg.MultiStatements, cfg.ParseTime = true, true
	cfg.ConnectionAttributes = "program_name:whimbrel,whimbrel_scripts:" + d.options.Run
	cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		return driver.Dial(ctx, network, address)
	}
	connector, err := gosql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("open %s on %s for scripts: %w", cfg.DBName, u.Host, err)
	}
	pool := sql.OpenDB(connector)
	if err := pool.PingContext(ctx); err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("open %s on %s for scripts: %w", cfg.DBName, u.Host, err)
	}
	return pool, nil
}
