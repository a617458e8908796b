// Package oracle says whether two databases hold the same rows. It looks only through the products' own clients (psql,
// mariadb, sqlite3) and has its own idea of what is the same value in two products; it shares no code with what it judges.
// It is slow and holds a table's rows in memory: a judge for tests.
package oracle

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
)

// Database is one database as its product's client sees it.
type Database struct {
	Product string // postgres, mariadb, sqlite
	url     *url.URL
	path    string // SQLite's file
}

// Open reads a database's URL, one of those that testserver gives. It connects to nothing.
func Open(at string) (*Database, error) {
	if path, ok := strings.CutPrefix(at, "sqlite:"); ok {
		return &Database{Product: "sqlite", path: path}, nil
	}
	u, err := url.Parse(at)
	if err != nil {
		return nil, fmt.Errorf("read the database's URL: %w", err)
	}
	return &Database{Product: u.Scheme, url: u}, nil
}

// command starts the product's client, which reads statements from its standard input and writes rows as lines of cells
// with tabs between them.
func (d *Database) command() *exec.Cmd {
	switch d.Product {
	case "postgres":
		c := exec.Command("psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", d.url.String())
		c.Env = append(os.Environ(), "PGCLIENTENCODING=UTF8", "PGOPTIONS=-c timezone=UTC -c datestyle=ISO,YMD -c intervalstyle=postgres "+
			"-c bytea_output=hex -c extra_float_digits=1 -c row_security=off -c client_min_messages=warning")
		return c
	case "mariadb":
		secret, _ := d.url.User.Password()
		c := exec.Command("mariadb", "--no-defaults", "--batch", "--skip-column-names", "--quick", "--default-character-set=utf8mb4",
			"-h", d.url.Hostname(), "-P", d.url.Port(), "-u", d.url.User.Username(), strings.TrimPrefix(d.url.Path, "/"))
		c.Env = append(os.Environ(), "MYSQL_PWD="+secret)
		return c
	default:
		return exec.Command("sqlite3", "-batch", "-bail", "-noheader", "-list", "-separator", "\t", "-cmd", ".timeout 20000", d.path)
	}
}

// lines runs statements and hands out each line of their output.
func (d *Database) lines(sql string, each func(line []byte) error) error {
	c := d.command()
	if d.Product == "mariadb" {
		sql = "SET time_zone='+00:00', sql_mode='', group_concat_max_len=1048576;\n" + sql
	}
	c.Stdin = strings.NewReader(sql)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("start %s: %w", c.Path, err)
	}
	failed := scan(out, each)
	_, _ = io.Copy(io.Discard, out)
	if err := c.Wait(); err != nil {
		return fmt.Errorf("ask %s %q: %w: %s", d.Product, short(sql), err, said.String())
	}
	return failed
}

func scan(out io.Reader, each func(line []byte) error) error {
	lines := bufio.NewReaderSize(out, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			if e := each(bytes.TrimSuffix(line, []byte("\n"))); e != nil {
				return e
			}
		}
		if err != nil {
			return nil
		}
	}
}

func short(sql string) string {
	if len(sql) > 300 {
		return sql[:300] + "…"
	}
	return sql
}

// Query runs one query and returns its rows as the client prints them. Its cells must be without tabs and newlines.
func (d *Database) Query(sql string) ([][]string, error) {
	var rows [][]string
	err := d.lines(sql+";\n", func(line []byte) error {
		rows = append(rows, strings.Split(string(line), "\t"))
		return nil
	})
	return rows, err
}

// Value runs a query for one cell.
func (d *Database) Value(sql string) (string, error) {
	rows, err := d.Query(sql)
	if err != nil {
		return "", err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return "", fmt.Errorf("ask %s %q: %d rows, not one value", d.Product, short(sql), len(rows))
	}
	return rows[0][0], nil
}

// Script runs a file's worth of statements through the client and forgets what it prints.
func (d *Database) Script(sql string) error {
	return d.lines(sql, func([]byte) error { return nil })
}

// quote writes an identifier.
func (d *Database) quote(name string) string {
	if d.Product == "mariadb" {
		return "`" + strings.ReplaceAll(name, "`", "``") + "`"
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}
