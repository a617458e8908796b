package main

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
)

//go:embed schema/release-2.sql
var release2Schema string

// scripts are the release's own: a new shop begins with what a move makes.
//
//go:embed release-2.0/build/postgres/*.sql release-2.0/update/*.sql
var scripts embed.FS

// release2 is release 2: PostgreSQL, names in two columns, the lines of an order in rows, sales by day.
type release2 struct{ db *sql.DB }

// openRelease2 opens a database of release 2 by a URL such as postgres://shop:secret@host:5432/shop.
func openRelease2(at *url.URL) (Release, error) {
	db, err := sql.Open("pgx", at.String())
	if err != nil {
		return nil, err
	}
	return &release2{db: db}, nil
}

func (r *release2) Close() error { return r.db.Close() }

// collided2 reports whether a transaction may be tried again: it was a deadlock's victim or came second.
func collided2(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40P01" || e.Code == "40001")
}

// parted makes two names of one: what stands before the last blank, and what stands behind it.
func parted(name string) (first, last string) {
	if at := strings.LastIndexByte(name, ' '); at >= 0 {
		return name[:at], name[at+1:]
	}
	return "", name
}

// whole is the name again.
func whole(first, last string) string { return strings.TrimPrefix(first+" "+last, " ") }

// Place takes an order.
func (r *release2) Place(ctx context.Context, o Order) (Order, error) {
	o.State, o.placed = placed, time.Now().UTC()
	err := transaction(ctx, r.db, collided2, func(tx *sql.Tx) error {
		for _, i := range byArticle(o.Lines) {
			l := &o.Lines[i]
			err := tx.QueryRowContext(ctx, "UPDATE article SET stock = stock - $1 WHERE id = $2 AND stock >= $1 RETURNING price::text", l.Quantity, l.Article).Scan(&l.Price)
			if errors.Is(err, sql.ErrNoRows) {
				return errSoldOut
			}
			if err != nil {
				return err
			}
		}
		o.Total = total(o.Lines)
		err := tx.QueryRowContext(ctx, "INSERT INTO sales_order (ref, customer_id, state, total, placed) VALUES ($1, $2, $3, $4, $5) RETURNING id",
			o.Ref, o.Customer, o.State, o.Total, o.placed).Scan(&o.ID)
		if err != nil {
			return err
		}
		if err := keepLines(ctx, tx, o); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO daily_sales AS d (day, orders, total) VALUES ($1::timestamp::date, 1, $2)
			ON CONFLICT (day) DO UPDATE SET orders = d.orders + 1, total = d.total + excluded.total`, o.placed, o.Total)
		return err
	})
	return o, err
}

// keepLines writes the lines of an order.
func keepLines(ctx context.Context, tx *sql.Tx, o Order) error {
	for i, l := range o.Lines {
		_, err := tx.ExecContext(ctx, "INSERT INTO order_line (order_id, line_no, article_id, quantity, price) VALUES ($1, $2, $3, $4, $5)",
			o.ID, i+1, l.Article, l.Quantity, l.Price)
		if err != nil {
			return err
		}
	}
	return nil
}

// Order returns an order.
func (r *release2) Order(ctx context.Context, id int64) (Order, error) {
	o := Order{ID: id}
	err := r.db.QueryRowContext(ctx, "SELECT ref, customer_id, state, total::text FROM sales_order WHERE id = $1", id).
		Scan(&o.Ref, &o.Customer, &o.State, &o.Total)
	if err != nil {
		return o, found(err)
	}
	return o, each(ctx, r.db, func(rows *sql.Rows) error {
		var l Line
		err := rows.Scan(&l.Article, &l.Quantity, &l.Price)
		o.Lines = append(o.Lines, l)
		return err
	}, "SELECT article_id, quantity, price::text FROM order_line WHERE order_id = $1 ORDER BY line_no", id)
}

// Cancel gives an order's goods back and takes it out of its day's sales.
func (r *release2) Cancel(ctx context.Context, id int64) error {
	return transaction(ctx, r.db, collided2, func(tx *sql.Tx) error {
		var state string
		if err := tx.QueryRowContext(ctx, "SELECT state FROM sales_order WHERE id = $1 FOR UPDATE", id).Scan(&state); err != nil {
			return found(err)
		}
		if state == cancelled {
			return errState
		}
		for _, statement := range []string{
			"UPDATE sales_order SET state = 'cancelled' WHERE id = $1",
			"SELECT FROM article WHERE id IN (SELECT article_id FROM order_line WHERE order_id = $1) ORDER BY id FOR UPDATE",
			"UPDATE article SET stock = stock + l.quantity FROM (SELECT article_id, sum(quantity) AS quantity FROM order_line WHERE order_id = $1 GROUP BY article_id) AS l WHERE id = l.article_id",
			"UPDATE daily_sales AS d SET orders = d.orders - 1, total = d.total - o.total FROM sales_order AS o WHERE o.id = $1 AND d.day = o.placed::date",
		} {
			if _, err := tx.ExecContext(ctx, statement, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Customer returns a customer.
func (r *release2) Customer(ctx context.Context, id int64) (Customer, error) {
	c := Customer{ID: id}
	err := r.db.QueryRowContext(ctx, "SELECT first_name, last_name FROM customer WHERE id = $1", id).Scan(&c.First, &c.Last)
	c.Name = whole(c.First, c.Last)
	return c, found(err)
}

// Rename changes a customer's name.
func (r *release2) Rename(ctx context.Context, id int64, name string) error {
	first, last := parted(name)
	done, err := r.db.ExecContext(ctx, "UPDATE customer SET first_name = $1, last_name = $2 WHERE id = $3", first, last, id)
	return one(done, err, errUnknown)
}

// Version is that of the repository.
func (r *release2) Version(ctx context.Context) (v string, err error) {
	err = r.db.QueryRowContext(ctx, "SELECT version FROM about").Scan(&v)
	return v, found(err)
}

// Text is a text in a language, in the tone that the shop is set to.
func (r *release2) Text(ctx context.Context, language, name string) (text string, err error) {
	err = r.db.QueryRowContext(ctx, `SELECT words FROM message WHERE lang = $1 AND name = $2
		AND tone IN ('any', (SELECT value FROM setting WHERE name = 'tone'))`, language, name).Scan(&text)
	return text, found(err)
}

// Setting is the value of a setting.
func (r *release2) Setting(ctx context.Context, name string) (value string, err error) {
	err = r.db.QueryRowContext(ctx, "SELECT value FROM setting WHERE name = $1", name).Scan(&value)
	return value, found(err)
}

// Set changes a setting.
func (r *release2) Set(ctx context.Context, name, value string) error {
	done, err := r.db.ExecContext(ctx, "UPDATE setting SET value = $1 WHERE name = $2", value, name)
	return one(done, err, errUnknown)
}

// Install makes the tables and fills them.
func (r *release2) Install(ctx context.Context, s Size) error {
	build, err := script("release-2.0/build/postgres")
	if err != nil {
		return err
	}
	update, err := script("release-2.0/update")
	if err != nil {
		return err
	}
	if _, err := r.db.ExecContext(ctx, repository+build+release2Schema); err != nil {
		return err
	}
	err = transaction(ctx, r.db, collided2, func(tx *sql.Tx) error { return fill2(ctx, tx, s) })
	if err != nil {
		return err
	}
	for _, table := range []string{"article", "customer", "sales_order"} {
		if _, err := r.db.ExecContext(ctx, fmt.Sprintf("SELECT setval(pg_get_serial_sequence('%[1]s', 'id'), max(id)) FROM %[1]s", table)); err != nil {
			return err
		}
	}
	_, err = r.db.ExecContext(ctx, update)
	return err
}

func fill2(ctx context.Context, tx *sql.Tx, s Size) error {
	for _, a := range left(s) {
		if _, err := tx.ExecContext(ctx, "INSERT INTO article VALUES ($1, $2, $3, $4, $5)", a.ID, a.Title, a.Price, a.Delivered, a.Stock); err != nil {
			return err
		}
	}
	for i := 1; i <= s.Customers; i++ {
		first, last := parted(firstCustomer(i).Name)
		if _, err := tx.ExecContext(ctx, "INSERT INTO customer VALUES ($1, $2, $3)", i, first, last); err != nil {
			return err
		}
	}
	for i := 1; i <= s.Orders; i++ {
		o := firstOrder(i, s)
		if _, err := tx.ExecContext(ctx, "INSERT INTO sales_order VALUES ($1, $2, $3, $4, $5, $6)", o.ID, o.Ref, o.Customer, o.State, o.Total, o.placed); err != nil {
			return err
		}
		if err := keepLines(ctx, tx, o); err != nil {
			return err
		}
	}
	return nil
}

// script is what the migrations of a folder do, in their order.
func script(folder string) (string, error) {
	files, err := scripts.ReadDir(folder)
	if err != nil {
		return "", err
	}
	all := ""
	for _, f := range files {
		text, err := scripts.ReadFile(path.Join(folder, f.Name()))
		if err != nil {
			return "", err
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		all += up
	}
	return all, nil
}

// Audit reads everything.
func (r *release2) Audit(ctx context.Context) (*Audit, error) {
	a := &Audit{Settings: map[string]string{}, Days: map[string]Day{}}
	err := each(ctx, r.db, func(rows *sql.Rows) error {
		var x Article
		err := rows.Scan(&x.ID, &x.Title, &x.Price, &x.Delivered, &x.Stock)
		a.Articles = append(a.Articles, x)
		return err
	}, "SELECT id, title, price::text, delivered, stock FROM article ORDER BY id")
	if err != nil {
		return nil, err
	}
	err = each(ctx, r.db, func(rows *sql.Rows) error {
		var c Customer
		err := rows.Scan(&c.ID, &c.First, &c.Last)
		c.Name = whole(c.First, c.Last)
		a.Customers = append(a.Customers, c)
		return err
	}, "SELECT id, first_name, last_name FROM customer ORDER BY id")
	if err != nil {
		return nil, err
	}
	err = each(ctx, r.db, func(rows *sql.Rows) error {
		var day string
		var d Day
		err := rows.Scan(&day, &d.Orders, &d.Total)
		a.Days[day] = d
		return err
	}, "SELECT day::text, orders, total::text FROM daily_sales")
	if err != nil {
		return nil, err
	}
	if err := r.auditOrders(ctx, a); err != nil {
		return nil, err
	}
	return a, words(ctx, r.db, r, a)
}

func (r *release2) auditOrders(ctx context.Context, a *Audit) error {
	at := map[int64]int{}
	err := each(ctx, r.db, func(rows *sql.Rows) error {
		var o Order
		err := rows.Scan(&o.ID, &o.Ref, &o.Customer, &o.State, &o.Total, &o.placed)
		at[o.ID] = len(a.Orders)
		a.Orders = append(a.Orders, o)
		return err
	}, "SELECT id, ref, customer_id, state, total::text, placed FROM sales_order ORDER BY id")
	if err != nil {
		return err
	}
	return each(ctx, r.db, func(rows *sql.Rows) error {
		var order, number int64
		var l Line
		if err := rows.Scan(&order, &number, &l.Article, &l.Quantity, &l.Price); err != nil {
			return err
		}
		i, there := at[order]
		if !there {
			a.Lines = append(a.Lines, fmt.Sprintf("line %d belongs to the order %d, which is not there", number, order))
			return nil
		}
		if a.Orders[i].Lines = append(a.Orders[i].Lines, l); number != int64(len(a.Orders[i].Lines)) {
			a.Lines = append(a.Lines, fmt.Sprintf("line %d of order %d has the number %d", len(a.Orders[i].Lines), order, number))
		}
		return nil
	}, "SELECT order_id, line_no, article_id, quantity, price::text FROM order_line ORDER BY order_id, line_no")
}
