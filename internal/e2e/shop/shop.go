// Package shop is an application for tests: a shop that writes to its database with several sessions at a time, through
// ordinary clients, in every way that a change can be lost in. It goes on until its database refuses its writes, and keeps
// rules of its own that must hold wherever its data goes: money is never made or lost, an order's total is the sum of its
// lines.
package shop

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"       // the application's client for PostgreSQL
	_ "github.com/ncruces/go-sqlite3/driver" // and for SQLite
)

//go:embed sql
var schemas embed.FS

// Options say how large the shop is and how busy.
type Options struct {
	Seed     uint64
	Accounts int           // rows of the other tables follow from it: 4 orders an account, 3 lines an order, 10 events
	Sessions int           // 0 for 4
	Pause    time.Duration // of a session between two transactions
	// Bears reports whether the application waits an error out that is not an everyday one, as its server is being killed or its
	// disk filled; nil for no such error.
	Bears func(error) bool
}

// Shop is the application on one database.
type Shop struct {
	Options
	Product string // postgres, mariadb, sqlite
	Origin  string // the product whose schema this shop was made for; the same unless it has moved
	db      *sql.DB
}

// idle is how many connections the application keeps that no session uses.
const idle = 2

// Open connects the application to a database, by a URL as testserver gives it. Origin is the product it was made for.
func Open(at, origin string, o Options) (*Shop, error) {
	product, driver, dsn, err := address(at)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, fmt.Errorf("open the shop's database: %w", err)
	}
	db.SetMaxIdleConns(idle)
	if o.Sessions == 0 {
		o.Sessions = 4
	}
	if origin == "" {
		origin = product
	}
	return &Shop{Options: o, Product: product, Origin: origin, db: db}, nil
}

// Close ends the application's sessions.
func (s *Shop) Close() error { return s.db.Close() }

func address(at string) (product, driver, dsn string, err error) {
	if path, ok := strings.CutPrefix(at, "sqlite:"); ok {
		return "sqlite", "sqlite3", "file:" + path + "?_pragma=busy_timeout(30000)&_pragma=foreign_keys(1)&_pragma=synchronous(2)&_txlock=immediate", nil
	}
	u, err := url.Parse(at)
	if err != nil {
		return "", "", "", fmt.Errorf("read the shop's URL: %w", err)
	}
	if u.Scheme == "postgres" {
		q := u.Query()
		q.Set("application_name", "shop")
		u.RawQuery = q.Encode()
		return "postgres", "pgx", u.String(), nil
	}
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = u.User.Username(), "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
	c.Passwd, _ = u.User.Password()
	c.InterpolateParams = true
	c.Params = map[string]string{"sql_mode": "'ANSI_QUOTES,STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'", "time_zone": "'+00:00'"}
	return "mariadb", "mysql", c.FormatDSN(), nil
}

// Uptime lists the tables that can be moved while the application runs, as their names stand in a table list.
func (s *Shop) Uptime() []string {
	list := []string{"account", "order", "order_line", "tag", "Seat Map", "event", "scratch", "category_item", "item_note"}
	if s.Product != "sqlite" { // a blob can be written there past every trigger
		list = append(list, "document")
	}
	return list
}

// Create makes the tables and fills them.
func (s *Shop) Create(ctx context.Context) error {
	text, err := schemas.ReadFile("sql/" + s.Product + ".sql")
	if err != nil {
		return err
	}
	if s.Product == "sqlite" {
		if _, err := s.db.ExecContext(ctx, "PRAGMA journal_mode=wal"); err != nil {
			return fmt.Errorf("set the journal mode: %w", err)
		}
	}
	for statement := range strings.SplitSeq(string(text), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("create the shop: %.60s: %w", statement, err)
		}
	}
	return s.fill(ctx)
}

// Rule is something that holds in the shop's data at every moment between two transactions.
type Rule struct {
	Name string
	SQL  string // it counts what breaks the rule: 0
}

// Rules returns the shop's rules, as queries with the database's way of quoting.
func (s *Shop) Rules() []Rule {
	rules := []Rule{
		{"no money is made or lost", fmt.Sprintf(`SELECT COUNT(*) FROM (SELECT SUM(balance) b FROM account) x WHERE b IS NULL OR ROUND(b, 2) <> %d`, 1000*s.Accounts)},
		{"an order's total is the sum of its lines", `SELECT COUNT(*) FROM "order" o WHERE ABS(o.total - COALESCE((SELECT SUM(l.quantity * l.price) FROM order_line l WHERE l.order_id = o.id), 0)) > 0.001`},
		{"no line is without its order", `SELECT COUNT(*) FROM order_line l WHERE NOT EXISTS (SELECT 1 FROM "order" o WHERE o.id = l.order_id)`},
		{"no order is without its account", `SELECT COUNT(*) FROM "order" o WHERE NOT EXISTS (SELECT 1 FROM account a WHERE a.id = o.account_id)`},
		{"no item is without its category", `SELECT COUNT(*) FROM category_item i WHERE NOT EXISTS (SELECT 1 FROM category c WHERE c.id = i.category_id)`},
		{"no note is without its item", `SELECT COUNT(*) FROM item_note n WHERE n.category_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM category_item i WHERE i.category_id = n.category_id AND i.item_no = n.item_no)`},
		{"seats come from nowhere", `SELECT COUNT(*) FROM (SELECT COUNT(*) n FROM "Seat Map") x WHERE n NOT BETWEEN 1 AND 40`},
	}
	if s.Product == "mariadb" {
		for i := range rules {
			rules[i].SQL = strings.ReplaceAll(rules[i].SQL, `"`, "`")
		}
	}
	return rules
}

// Write writes one row, as the application would.
func (s *Shop) Write(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, "INSERT INTO log_line (at, line) VALUES ('2030-01-01 00:00:00', 'one')")
	return err
}

// Fresh opens an account, places an order and logs an event, and fails unless each got a number that was never used.
func (s *Shop) Fresh(ctx context.Context) error {
	for _, c := range []struct{ table, insert string }{
		{"account", `INSERT INTO account (email, "Name", balance, created) VALUES ('fresh', 'fresh', 0, '2030-01-01 00:00:00')`},
		{`"order"`, `INSERT INTO "order" (account_id, status, total, placed) SELECT MAX(id), 'fresh', 0, '2030-01-01 00:00:00' FROM account`},
		{"event", "INSERT INTO event (at, kind) VALUES ('2030-01-01 00:00:00', 'fresh')"},
	} {
		var before, after int64
		if err := s.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM "+c.table).Scan(&before); err != nil {
			return fmt.Errorf("largest number of %s: %w", c.table, err)
		}
		if _, err := s.db.ExecContext(ctx, c.insert); err != nil {
			return fmt.Errorf("a fresh row in %s: %w", c.table, err)
		}
		if err := s.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM "+c.table).Scan(&after); err != nil {
			return fmt.Errorf("largest number of %s: %w", c.table, err)
		}
		if after <= before {
			return fmt.Errorf("a fresh row in %s got a number up to %d", c.table, after)
		}
	}
	return nil
}
