package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// shop is the application of the demo: accounts whose sum never changes, and orders whose total is that of their lines.
type shop struct {
	dir    string
	trades [2]atomic.Int64 // committed at the source and at the target
}

const (
	shopAccounts = 1_000
	shopOrders   = 50_000
	shopBalance  = 1_000_000 // all accounts together
)

const shopSchema = `
PRAGMA journal_mode=WAL;
CREATE TABLE accounts (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, balance INTEGER NOT NULL);
CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, price NUMERIC(10,2) NOT NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL REFERENCES accounts (id), total INTEGER NOT NULL,
  note TEXT, placed TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE lines (order_id INTEGER NOT NULL, position INTEGER NOT NULL, product INTEGER NOT NULL, amount INTEGER NOT NULL,
  PRIMARY KEY (order_id, position));
CREATE INDEX orders_by_account ON orders (account);
`

const shopRows = `
BEGIN;
CREATE TEMP TABLE n AS WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < %[3]d) SELECT value FROM n;
INSERT INTO accounts SELECT value, 'owner ' || value, %[1]d / %[2]d FROM n WHERE value <= %[2]d;
INSERT INTO products SELECT value, 'product ' || value, value * 1.25 FROM n WHERE value <= 200;
INSERT INTO orders (account, total, note) SELECT 1 + value %% %[2]d, 3, 'order ' || value || ' äöü' FROM n;
INSERT INTO lines SELECT value, 1, 1 + value %% 200, 1 FROM n;
INSERT INTO lines SELECT value, 2, 1 + value %% 199, 2 FROM n;
COMMIT;
`

// build makes source.db with its rows.
func (s *shop) build() error {
	db, err := s.connect("source.db")
	if err != nil {
		return err
	}
	rows := fmt.Sprintf(shopRows, shopBalance, shopAccounts, shopOrders)
	return errors.Join(db.Exec(shopSchema), db.Exec(rows), db.Close())
}

func (s *shop) connect(name string) (*sqlite3.Conn, error) {
	db, err := sqlite3.OpenFlags(filepath.Join(s.dir, name), sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE)
	if err != nil {
		return nil, err
	}
	if err := db.Exec(`PRAGMA busy_timeout=30000; PRAGMA foreign_keys=1; PRAGMA recursive_triggers=1`); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// open lets three sessions trade at the source until the file stop is there, then says that they have stopped, and lets them
// trade at the target once the file start is there, until ctx ends.
func (s *shop) open(ctx context.Context) error {
	if err := s.trade(ctx, 0, "source.db", "stop"); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "stopped"), nil, 0o600); err != nil {
		return err
	}
	for !s.there("start") {
		if !pause(ctx, 20*time.Millisecond) {
			return nil
		}
	}
	return s.trade(ctx, 1, "target.db", "")
}

func (s *shop) there(name string) bool {
	_, err := os.Stat(filepath.Join(s.dir, name))
	return err == nil
}

// trade runs the sessions until a file is there or ctx ends.
func (s *shop) trade(ctx context.Context, side int, file, until string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() {
			if err := s.session(ctx, side, file, until, rand.New(rand.NewPCG(uint64(side), uint64(n)))); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

func (s *shop) session(ctx context.Context, side int, file, until string, r *rand.Rand) (err error) {
	db, err := s.connect(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for pause(ctx, time.Duration(r.IntN(8))*time.Millisecond) && (until == "" || !s.there(until)) {
		sql := "BEGIN IMMEDIATE;" + deals[r.IntN(len(deals))](r)
		ending := "COMMIT"
		if r.IntN(10) == 0 {
			ending = "ROLLBACK"
		}
		if err := db.Exec(sql + ending); err != nil {
			return err
		}
		if ending == "COMMIT" {
			s.trades[side].Add(1)
		}
	}
	return nil
}

// deals are what a session does in one transaction. Each leaves the books balanced.
var deals = []func(r *rand.Rand) string{
	func(r *rand.Rand) string { // money goes from one account to another
		from, to, money := 1+r.IntN(shopAccounts), 1+r.IntN(shopAccounts), r.IntN(100)
		return fmt.Sprintf(`UPDATE accounts SET balance = balance - %d WHERE id = %d; UPDATE accounts SET balance = balance + %[1]d WHERE id = %[3]d;`,
			money, from, to)
	},
	func(r *rand.Rand) string { // a new order with two lines
		return fmt.Sprintf(`INSERT INTO orders (account, total, note) VALUES (%d, 5, 'new');
			INSERT INTO lines SELECT max(id), 1, %d, 2 FROM orders; INSERT INTO lines SELECT max(id), 2, %d, 3 FROM orders;`,
			1+r.IntN(shopAccounts), 1+r.IntN(200), 1+r.IntN(200))
	},
	func(r *rand.Rand) string { // an order grows
		return fmt.Sprintf(`UPDATE lines SET amount = amount + 1 WHERE order_id = %d AND position = 1;
			UPDATE orders SET total = (SELECT coalesce(sum(amount), 0) FROM lines WHERE order_id = orders.id) WHERE id = %[1]d;`, 1+r.IntN(shopOrders))
	},
	func(r *rand.Rand) string { // an order is taken back
		return fmt.Sprintf(`DELETE FROM lines WHERE order_id = %d; DELETE FROM orders WHERE id = %[1]d;`, 1+r.IntN(shopOrders))
	},
	func(r *rand.Rand) string { // the lines of an order change their places: keys change
		return fmt.Sprintf(`UPDATE lines SET position = position + 10 WHERE order_id = %d; UPDATE orders SET note = 'moved' WHERE id = %[1]d;`,
			1+r.IntN(shopOrders))
	},
}

// audit returns what is wrong with the books at the target, empty when nothing is.
func (s *shop) audit() (wrong string, err error) {
	db, err := s.connect("target.db")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, c := range []struct {
		sql, says string
		want      int64
	}{
		{`SELECT sum(balance) FROM accounts`, "the accounts hold %d, not %d", shopBalance},
		{`SELECT count(*) FROM orders o WHERE total <> (SELECT coalesce(sum(amount), 0) FROM lines l WHERE l.order_id = o.id)`, "%d orders, not %d, differ from their lines", 0},
		{`SELECT count(*) FROM lines l WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.id = l.order_id)`, "%d lines, not %d, have no order", 0},
	} {
		got, err := number(db, c.sql)
		if err != nil {
			return "", err
		}
		if got != c.want {
			return fmt.Sprintf(c.says, got, c.want), nil
		}
	}
	return "", nil
}

func number(db *sqlite3.Conn, sql string) (n int64, err error) {
	stmt, _, err := db.Prepare(sql)
	if err != nil {
		return 0, err
	}
	if stmt.Step() {
		n = stmt.ColumnInt64(0)
	}
	return n, errors.Join(stmt.Err(), stmt.Close())
}

// pause waits, and returns false when ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
