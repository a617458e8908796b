package main

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

//go:embed schema/release-1.sql
var release1Schema string

//go:embed schema/repository.sql
var repository string

// release1 is release 1: MariaDB, names in one column, the items of an order packed in a blob.
type release1 struct{ db *sql.DB }

// openRelease1 opens a database of release 1 by a URL such as mariadb://shop:secret@host:3306/shop.
func openRelease1(at *url.URL) (Release, error) {
	c := mysql.NewConfig()
	c.Net, c.Addr, c.DBName, c.User = "tcp", at.Host, strings.TrimPrefix(at.Path, "/"), at.User.Username()
	c.Passwd, _ = at.User.Password()
	c.ParseTime, c.MultiStatements, c.InterpolateParams, c.ClientFoundRows = true, true, true, true
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return &release1{db: sql.OpenDB(connector)}, nil
}

func (r *release1) Close() error { return r.db.Close() }

// collided1 reports whether a transaction may be tried again: it was a deadlock's victim.
func collided1(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && (e.Number == 1213 || e.Number == 1205)
}

// pack writes lines into one value.
func pack(lines []Line) []byte {
	var b bytes.Buffer
	for i, l := range lines {
		if i > 0 {
			b.WriteByte(';')
		}
		fmt.Fprintf(&b, "%d:%d:%s", l.Article, l.Quantity, strings.TrimSuffix(l.Price.String(), "00"))
	}
	return b.Bytes()
}

// unpack reads what pack has written.
func unpack(items []byte) ([]Line, error) {
	var lines []Line
	for _, item := range strings.Split(string(items), ";") {
		parts := strings.Split(item, ":")
		if len(parts) != 3 {
			return nil, fmt.Errorf("the item %q has %d parts", item, len(parts))
		}
		article, err1 := strconv.ParseInt(parts[0], 10, 64)
		quantity, err2 := strconv.ParseInt(parts[1], 10, 64)
		price, err3 := parseAmount(parts[2])
		if err := cmp.Or(err1, err2, err3); err != nil {
			return nil, err
		}
		lines = append(lines, Line{article, quantity, price})
	}
	return lines, nil
}

// Place takes an order.
func (r *release1) Place(ctx context.Context, o Order) (Order, error) {
	o.State, o.placed = placed, time.Now().UTC()
	err := transaction(ctx, r.db, collided1, func(tx *sql.Tx) error {
		for _, i := range byArticle(o.Lines) {
			l := &o.Lines[i]
			taken, err := tx.ExecContext(ctx, "UPDATE article SET stock = stock - ? WHERE id = ? AND stock >= ?", l.Quantity, l.Article, l.Quantity)
			if err := one(taken, err, errSoldOut); err != nil {
				return err
			}
			if err := tx.QueryRowContext(ctx, "SELECT price FROM article WHERE id = ?", l.Article).Scan(&l.Price); err != nil {
				return err
			}
		}
		o.Total = total(o.Lines)
		made, err := tx.ExecContext(ctx, "INSERT INTO orders (ref, customer_id, state, items, total, placed) VALUES (?, ?, ?, ?, ?, ?)",
			o.Ref, o.Customer, o.State, pack(o.Lines), o.Total, o.placed)
		if err != nil {
			return err
		}
		o.ID, err = made.LastInsertId()
		return err
	})
	return o, err
}

// byArticle is the order in which lines take from the stock, the same for everybody, so that nobody waits in a circle.
func byArticle(lines []Line) []int {
	order := make([]int, len(lines))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(lines[a].Article, lines[b].Article) })
	return order
}

// Order returns an order.
func (r *release1) Order(ctx context.Context, id int64) (Order, error) {
	o := Order{ID: id}
	var items []byte
	err := r.db.QueryRowContext(ctx, "SELECT ref, customer_id, state, items, total FROM orders WHERE id = ?", id).
		Scan(&o.Ref, &o.Customer, &o.State, &items, &o.Total)
	if err != nil {
		return o, found(err)
	}
	o.Lines, err = unpack(items)
	return o, err
}

// Cancel gives an order's goods back.
func (r *release1) Cancel(ctx context.Context, id int64) error {
	return transaction(ctx, r.db, collided1, func(tx *sql.Tx) error {
		var state string
		var items []byte
		err := tx.QueryRowContext(ctx, "SELECT state, items FROM orders WHERE id = ? FOR UPDATE", id).Scan(&state, &items)
		if err != nil {
			return found(err)
		}
		if state == cancelled {
			return errState
		}
		if _, err := tx.ExecContext(ctx, "UPDATE orders SET state = ? WHERE id = ?", cancelled, id); err != nil {
			return err
		}
		lines, err := unpack(items)
		if err != nil {
			return err
		}
		for _, i := range byArticle(lines) {
			if _, err := tx.ExecContext(ctx, "UPDATE article SET stock = stock + ? WHERE id = ?", lines[i].Quantity, lines[i].Article); err != nil {
				return err
			}
		}
		return nil
	})
}

// Customer returns a customer.
func (r *release1) Customer(ctx context.Context, id int64) (Customer, error) {
	c := Customer{ID: id}
	return c, found(r.db.QueryRowContext(ctx, "SELECT name FROM customer WHERE id = ?", id).Scan(&c.Name))
}

// Rename changes a customer's name.
func (r *release1) Rename(ctx context.Context, id int64, name string) error {
	done, err := r.db.ExecContext(ctx, "UPDATE customer SET name = ? WHERE id = ?", name, id)
	return one(done, err, errUnknown)
}

// Version is that of the repository.
func (r *release1) Version(ctx context.Context) (v string, err error) {
	err = r.db.QueryRowContext(ctx, "SELECT version FROM about").Scan(&v)
	return v, found(err)
}

// Text is a text in a language.
func (r *release1) Text(ctx context.Context, language, name string) (text string, err error) {
	err = r.db.QueryRowContext(ctx, "SELECT words FROM message WHERE lang = ? AND name = ?", language, name).Scan(&text)
	return text, found(err)
}

// Setting is the value of a setting.
func (r *release1) Setting(ctx context.Context, name string) (value string, err error) {
	err = r.db.QueryRowContext(ctx, "SELECT value FROM setting WHERE name = ?", name).Scan(&value)
	return value, found(err)
}

// Set changes a setting.
func (r *release1) Set(ctx context.Context, name, value string) error {
	done, err := r.db.ExecContext(ctx, "UPDATE setting SET value = ? WHERE name = ?", value, name)
	return one(done, err, errUnknown)
}

// Install makes the tables and fills them.
func (r *release1) Install(ctx context.Context, s Size) error {
	if _, err := r.db.ExecContext(ctx, repository+release1Schema); err != nil {
		return err
	}
	return transaction(ctx, r.db, collided1, func(tx *sql.Tx) error {
		for _, a := range left(s) {
			if _, err := tx.ExecContext(ctx, "INSERT INTO article VALUES (?, ?, ?, ?, ?)", a.ID, a.Title, a.Price, a.Delivered, a.Stock); err != nil {
				return err
			}
		}
		for i := 1; i <= s.Customers; i++ {
			if _, err := tx.ExecContext(ctx, "INSERT INTO customer VALUES (?, ?)", i, firstCustomer(i).Name); err != nil {
				return err
			}
		}
		for i := 1; i <= s.Orders; i++ {
			o := firstOrder(i, s)
			if _, err := tx.ExecContext(ctx, "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)", o.ID, o.Ref, o.Customer, o.State, pack(o.Lines), o.Total, o.placed); err != nil {
				return err
			}
		}
		return nil
	})
}

// Audit reads everything.
func (r *release1) Audit(ctx context.Context) (*Audit, error) {
	a := &Audit{Settings: map[string]string{}}
	err := each(ctx, r.db, func(rows *sql.Rows) error {
		var x Article
		err := rows.Scan(&x.ID, &x.Title, &x.Price, &x.Delivered, &x.Stock)
		a.Articles = append(a.Articles, x)
		return err
	}, "SELECT id, title, price, delivered, stock FROM article ORDER BY id")
	if err != nil {
		return nil, err
	}
	err = each(ctx, r.db, func(rows *sql.Rows) error {
		var c Customer
		err := rows.Scan(&c.ID, &c.Name)
		a.Customers = append(a.Customers, c)
		return err
	}, "SELECT id, name FROM customer ORDER BY id")
	if err != nil {
		return nil, err
	}
	err = each(ctx, r.db, func(rows *sql.Rows) (err error) {
		var o Order
		var items []byte
		if err := rows.Scan(&o.ID, &o.Ref, &o.Customer, &o.State, &items, &o.Total, &o.placed); err != nil {
			return err
		}
		o.Lines, err = unpack(items)
		a.Orders = append(a.Orders, o)
		return err
	}, "SELECT id, ref, customer_id, state, items, total, placed FROM orders ORDER BY id")
	if err != nil {
		return nil, err
	}
	return a, words(ctx, r.db, r, a)
}

// words adds what both releases keep alike.
func words(ctx context.Context, db *sql.DB, w Words, a *Audit) (err error) {
	if a.Version, err = w.Version(ctx); err != nil {
		return err
	}
	if a.Welcome, err = w.Text(ctx, "en", "welcome"); err != nil {
		return err
	}
	return each(ctx, db, func(rows *sql.Rows) error {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		a.Settings[name] = value
		return nil
	}, "SELECT name, value FROM setting")
}
