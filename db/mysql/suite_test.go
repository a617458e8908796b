package mysql

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/driver/drivertest"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/schema"
)

// TestSuite runs the suite that every driver passes.
func TestSuite(t *testing.T) {
	drivertest.Run(t, drivertest.Config{
		Place: place, Absent: []string{"Many", "Pipe", "Free", "Stager", "Vacate"}, Truncate: drivertest.Seen,
		Folded: schema.Type{Kind: 6, Length: 40, Charset: "utf8mb4", Collation: "utf8mb4_general_ci", Raw: "varchar(40)"},
	})
}

var accounts atomic.Int64

// place is a new database with an application that writes in plain statements.
func place(t testing.TB) drivertest.Place {
	address := testserver.MariaDB(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	look := &database{options: driver.Options{Side: "app", Run: "app"}}
	if look.cfg, err = configure(u, look.options); err != nil {
		t.Fatal(err)
	}
	look.version = parseVersion("10.11.0-MariaDB", "")
	app := drivertest.SQL{
		Connect: func(t testing.TB) drivertest.Session { return newSession(t, look) },
		Quote:   quote,
		Literal: func(ty schema.Type, cell []byte) string { return string(appendLiteral(nil, ty, cell)) },
	}
	return drivertest.Place{
		Open: func(t testing.TB, side driver.Side, run string) *driver.Database {
			d, err := Driver.Open(context.Background(), u, driver.Options{Side: side, Run: run, Sessions: 4})
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
		App: app,
		Kill: func(t testing.TB) {
			s := newSession(t, look)
			defer s.Close()
			lines, err := s.rows(context.Background(), "SELECT id FROM information_schema.processlist WHERE db = DATABASE()")
			if err != nil {
				t.Fatal(err)
			}
			theirs := look.sessions()
			for _, line := range lines {
				if id, _ := strconv.ParseInt(line[0], 10, 64); !theirs[id] {
					_ = s.Exec("KILL CONNECTION " + line[0])
				}
			}
		},
		Shadow: func(t testing.TB, name string) (driver.Shadow, *url.URL) {
			s := newSession(t, look)
			defer s.Close()
			account := fmt.Sprintf("%.40s %s %d", strings.ReplaceAll(name, "@", ""), look.cfg.DBName, accounts.Add(1))
			if err := s.Exec("CREATE USER " + quoteText(account) + "@'127.0.0.1' IDENTIFIED BY '" + testserver.Password + "'"); err != nil {
				t.Fatal(err)
			}
			enters := *u
			enters.User = url.UserPassword(account, testserver.Password)
			return driver.Shadow{Place: name, Account: account}, &enters
		},
		Allow: func(t testing.TB, account string, table *schema.Table) {
			s := newSession(t, look)
			defer s.Close()
			if err := s.Exec("GRANT ALL ON " + quote(table.Name.Schema) + "." + quote(table.Name.Name) + " TO " + quoteText(account) + "@'127.0.0.1'"); err != nil {
				t.Fatal(err)
			}
		},
		Program: func(t testing.TB, address, statements string) (string, error) {
			at, err := url.Parse(address)
			if err != nil {
				return "", err
			}
			password, _ := at.User.Password()
			out, err := exec.CommandContext(t.Context(), "mariadb", "--no-defaults", "-BN", "--default-character-set=utf8mb4", "-h", at.Hostname(), "-P", at.Port(),
				"-u", at.User.Username(), "-p"+password, "-D", strings.TrimPrefix(at.Path, "/"), "-e", statements).CombinedOutput()
			return string(out), err
		},
		Left: func(t testing.TB) []string {
			s := newSession(t, look)
			defer s.Close()
			lines, err := s.rows(context.Background(), `SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'whimbrel\_%'
				UNION ALL SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() AND trigger_name LIKE 'whimbrel\_%'`)
			if err != nil {
				t.Fatal(err)
			}
			return flat(lines)
		},
	}
}

// plainSession is a session of the application's.
type plainSession struct{ *session }

func newSession(t testing.TB, d *database) plainSession {
	s, err := connect(context.Background(), d)
	if err == nil {
		err = s.run(context.Background(), "SET sql_mode='STRICT_TRANS_TABLES', @whimbrel_run=NULL, innodb_lock_wait_timeout=10")
	}
	if err != nil {
		t.Fatal(err)
	}
	return plainSession{s}
}

func (s plainSession) Exec(sql string) error { return s.run(context.Background(), sql) }

func (s plainSession) Close() error {
	s.end()
	return nil
}
