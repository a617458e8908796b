package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Customer is somebody who buys.
type Customer struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`            // the whole one, as the customer wrote it
	First string `json:"first,omitempty"` // release 2 knows it in two parts
	Last  string `json:"last,omitempty"`
}

// Article is something that the shop sells.
type Article struct {
	ID        int64  `json:"id"`
	Title     string `json:"title"`
	Price     Amount `json:"price"`
	Delivered int64  `json:"delivered"` // how many the shop has ever had
	Stock     int64  `json:"stock"`     // and how many are left
}

// Order is an order with its lines. Ref is a word of the customer's own by which an order is known before it has a number.
type Order struct {
	ID       int64  `json:"id"`
	Ref      string `json:"ref"`
	Customer int64  `json:"customer"`
	State    string `json:"state"`
	Total    Amount `json:"total"`
	Lines    []Line `json:"lines"`

	placed time.Time
}

// Line is one line of an order, at the price of the day.
type Line struct {
	Article  int64  `json:"article"`
	Quantity int64  `json:"quantity"`
	Price    Amount `json:"price"`
}

// The states of an order.
const (
	placed    = "placed"
	cancelled = "cancelled"
)

// total is what the lines come to.
func total(lines []Line) Amount {
	var sum Amount
	for _, l := range lines {
		sum += l.Price * Amount(l.Quantity)
	}
	return sum
}

// What the shop refuses.
var (
	errUnknown = errors.New("there is no such thing")
	errSoldOut = errors.New("sold out")
	errState   = errors.New("it is cancelled already")
)

// Release is a release of the shop, over the structure in which it keeps its books.
type Release interface {
	Desk
	People
	Words
	Books
	Close() error
}

// Desk takes orders.
type Desk interface {
	// Place takes goods off the stock, at their prices, and returns the order with its number. An order of the same Ref is an error.
	Place(ctx context.Context, o Order) (Order, error)
	// Order returns an order with its lines.
	Order(ctx context.Context, id int64) (Order, error)
	// Cancel gives the goods of an order back. Again: errState.
	Cancel(ctx context.Context, id int64) error
}

// People knows the customers.
type People interface {
	Customer(ctx context.Context, id int64) (Customer, error)
	// Rename changes a customer's name. Again: does nothing.
	Rename(ctx context.Context, id int64, name string) error
}

// Words are what the shop says, and how it is set up.
type Words interface {
	Version(ctx context.Context) (string, error)
	Text(ctx context.Context, language, name string) (string, error)
	Setting(ctx context.Context, name string) (string, error)
	// Set changes a setting, as the shop's owner may. Again: does nothing.
	Set(ctx context.Context, name, value string) error
}

// Books can be opened for the first time, and be looked through.
type Books interface {
	// Install makes the tables and fills them: for an empty database.
	Install(ctx context.Context, s Size) error
	// Audit reads everything.
	Audit(ctx context.Context) (*Audit, error)
}

// Audit is all that stands in the shop's books.
type Audit struct {
	Version   string
	Articles  []Article
	Customers []Customer
	Orders    []Order
	Lines     []string       // what is wrong with the numbers of lines, in words
	Days      map[string]Day // nil in release 1, which keeps none
	Settings  map[string]string
	Welcome   string
}

// Day is what was sold on one day.
type Day struct {
	Orders int64
	Total  Amount
}

// Size is how much a new shop has in its books.
type Size struct{ Articles, Customers, Orders int }

// The first content is made from numbers alone, so that who checks it knows it without being told.

func firstCustomer(i int) Customer {
	given := []string{"Anna", "Björn", "Zoë", "Mary Ann", "İpek", "Łukasz", "José", "O."}
	family := []string{"Müller", "d'Arc", "Nguyễn", "van der Berg-Ortiz", "Øster", "陳", "Smith", "Çelik"}
	name := given[i%len(given)] + " " + family[i/3%len(family)]
	if i%29 == 0 {
		name = family[i%len(family)] // some have one name only
	}
	return Customer{ID: int64(i), Name: name}
}

func firstArticle(i int) Article {
	return Article{ID: int64(i), Title: fmt.Sprintf("Article %d, größe %d", i, i%5), Price: Amount(i*137%9_000+99) * cent, Delivered: 1_000_000}
}

func firstOrder(i int, s Size) Order {
	rng := rand.New(rand.NewPCG(uint64(i), 1))
	o := Order{ID: int64(i), Ref: fmt.Sprintf("first-%d", i), Customer: int64(rng.IntN(s.Customers) + 1), State: placed}
	o.placed = time.Date(2025, 1, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(i) * 17 * time.Minute)
	if i%19 == 0 {
		o.State = cancelled
	}
	for _, a := range rng.Perm(s.Articles)[:min(s.Articles, 1+rng.IntN(4))] {
		o.Lines = append(o.Lines, Line{Article: int64(a + 1), Quantity: int64(1 + rng.IntN(3)), Price: firstArticle(a + 1).Price})
	}
	o.Total = total(o.Lines)
	return o
}

// left is what is in stock once the first orders are served.
func left(s Size) []Article {
	all := make([]Article, s.Articles)
	for i := range all {
		all[i] = firstArticle(i + 1)
		all[i].Stock = all[i].Delivered
	}
	for i := 1; i <= s.Orders; i++ {
		o := firstOrder(i, s)
		for _, l := range o.Lines {
			if o.State == placed {
				all[l.Article-1].Stock -= l.Quantity
			}
		}
	}
	return all
}

// transaction runs do in a transaction, and again, a few times, where the database says that it collided with another one.
func transaction(ctx context.Context, db *sql.DB, collided func(error) bool, do func(*sql.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := once(ctx, db, do)
		if err == nil || attempt == 10 || !collided(err) {
			return err
		}
	}
}

func once(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// each calls scan for every row of a query.
func each(ctx context.Context, db *sql.DB, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// found makes an empty answer errUnknown.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errUnknown
	}
	return err
}

// one makes a statement that met no row the error none.
func one(r sql.Result, err, none error) error {
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		return none
	}
	return err
}
