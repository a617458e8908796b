package main

import (
	"bytes"
	"context"
	"database/sql"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// small is a shop that is quickly made.
var small = Size{Articles: 20, Customers: 60, Orders: 300}

// opened is a shop of a release on a server of its own.
func opened(t *testing.T, release string) (Release, *sql.DB) {
	t.Helper()
	at, err := url.Parse(map[string]func(testing.TB) string{"1": testserver.MariaDB, "2": testserver.Postgres}[release](t))
	if err != nil {
		t.Fatal(err)
	}
	r, err := releases[release].open(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if err := r.Install(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	switch r := r.(type) {
	case *release1:
		return r, r.db
	case *release2:
		return r, r.db
	}
	t.Fatalf("%T is no release", r)
	return nil, nil
}

// verdict holds the shop's books against a journal.
func verdict(t *testing.T, r Release, release string, journal []entry) (string, int) {
	t.Helper()
	a, err := r.Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	e := evidence{Audit: a, release: release, size: small, journal: journal}
	n := e.check(&text)
	return text.String(), n
}

// TestReleases lets users work at each release alone: nobody meets an error, and every rule holds. Then each rule is broken, and is
// said to be.
func TestReleases(t *testing.T) {
	for _, release := range []string{"1", "2"} {
		t.Run(release, func(t *testing.T) {
			r, db := opened(t, release)
			s := httptest.NewServer(api(r, releases[release].version))
			t.Cleanup(s.Close)
			path := filepath.Join(t.TempDir(), "journal")
			j, err := openJournal(path)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			tally, err := Load{URL: s.URL, Sessions: 6, Pause: time.Millisecond, Seed: 7, Size: small}.run(ctx, j)
			if err != nil || tally.Errors > 0 || len(tally.Wrong) > 0 {
				t.Fatalf("%v: %+v", err, tally)
			}
			for _, did := range []string{didPlace, didCancel, didRename, didRead, didGreet, didSet} {
				if tally.Done[did] == 0 {
					t.Errorf("nobody did %s: %+v", did, tally)
				}
			}
			journal, err := readJournal(path)
			if err != nil {
				t.Fatal(err)
			}
			if text, n := verdict(t, r, release, journal); n > 0 {
				t.Fatalf("after %+v:\n%s", tally, text)
			}
			for _, d := range damages {
				if d.release == "" || d.release == release {
					d.seen(t, r, db, release, journal)
				}
			}
		})
	}
}

// damage breaks one rule, in the books or in what the users were told.
type damage struct {
	rule, release, sql string
	told               func([]entry) []entry
}

var damages = []damage{
	{rule: "what is in stock", sql: "UPDATE article SET stock = stock - 1 WHERE id = 3"},
	{rule: "the total of an order", release: "1", sql: "UPDATE orders SET total = total + 1 WHERE id = 5"},
	{rule: "the total of an order", release: "2", sql: "UPDATE order_line SET price = price + 0.0001 WHERE order_id = 5 AND line_no = 1"},
	{rule: "every order has lines", release: "2", sql: "UPDATE order_line SET line_no = line_no + 7 WHERE order_id = 5"},
	{rule: "every order has its customer", release: "1", sql: "SET foreign_key_checks = 0; UPDATE orders SET customer_id = 999999 WHERE id = 5"},
	{rule: "the first orders", release: "1", sql: "UPDATE orders SET placed = placed + INTERVAL 1 HOUR WHERE id = 5"},
	{rule: "the first orders", release: "2", sql: "UPDATE sales_order SET ref = 'other' WHERE id = 5"},
	{rule: "every acknowledged order", told: func(j []entry) []entry {
		o := *first(j, didPlace).Order
		o.Ref, o.ID = "lost", 1_000_000
		return append(j, entry{Did: didPlace, Status: 201, Order: &o, Began: time.Now(), Ended: time.Now()})
	}},
	{rule: "no order is there that nobody wanted", told: func(j []entry) []entry {
		return slices.DeleteFunc(j, func(e entry) bool { return e.Did == didPlace && e.Order.Ref == first(j, didPlace).Order.Ref })
	}},
	{rule: "no order number was given twice", told: func(j []entry) []entry {
		e := first(j, didPlace)
		e.Began, e.Ended = time.Now(), time.Now()
		return append(j, e)
	}},
	{rule: "every customer has the name", release: "1", sql: "UPDATE customer SET name = 'Nobody' WHERE id = 7"},
	{rule: "every customer has the name", release: "2", sql: "UPDATE customer SET last_name = 'Nobody' WHERE id = 7"},
	{rule: "what the owner has set", sql: "UPDATE setting SET value = '30' WHERE name = 'page size'"},
	{rule: "what the owner has set", sql: "UPDATE setting SET value = 'Free shipping' WHERE name = 'banner'"},
	{rule: "texts and version", sql: "UPDATE message SET words = 'Hello, %s' WHERE name = 'welcome'"},
	{rule: "texts and version", sql: "UPDATE about SET version = '1.9'"},
	{rule: "the sales of a day", release: "2", sql: "UPDATE daily_sales SET orders = orders + 1 WHERE day = '2025-01-02'"},
	{rule: "the sales of a day", release: "2", sql: "DELETE FROM daily_sales WHERE day = '2025-01-03'"},
}

func first(j []entry, did string) entry {
	return j[slices.IndexFunc(j, func(e entry) bool { return e.Did == did && e.acknowledged() })]
}

// seen fails the test unless the damage makes its rule broken, or broken in another way than the damages before it did: all of a
// shop's damages are done one after another.
func (d damage) seen(t *testing.T, r Release, db *sql.DB, release string, journal []entry) {
	t.Helper()
	before, _ := verdict(t, r, release, journal)
	if d.sql != "" {
		if _, err := db.ExecContext(t.Context(), d.sql); err != nil {
			t.Fatal(err)
		}
	}
	if d.told != nil {
		journal = d.told(slices.Clone(journal))
	}
	after, _ := verdict(t, r, release, journal)
	if part := d.part(after); part == "" || part == d.part(before) {
		t.Errorf("nobody saw that %q was broken by %s:\n%s", d.rule, d.sql, after)
	}
}

// part is what is said of the rule in a verdict where it is broken.
func (d damage) part(text string) string {
	_, part, _ := strings.Cut(text, "BROKEN  "+d.rule)
	part, _, _ = strings.Cut(part, "\nholds")
	part, _, _ = strings.Cut(part, "\nBROKEN")
	return part
}

// TestPasswords of any kind come out of the environment as they are.
func TestPasswords(t *testing.T) {
	for _, password := range []string{"s3cret", "a b", "p@ss/w:rd?#%+&ü"} {
		t.Setenv("SHOP_PASSWORD", password)
		u, err := address("mariadb://shop:${SHOP_PASSWORD}@127.0.0.1:3306/shop")
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := u.User.Password(); got != password || u.Host != "127.0.0.1:3306" || u.Path != "/shop" {
			t.Errorf("%q came out as %q at %s", password, got, u.Host)
		}
	}
}

// TestFront: users are told that the shop moves while it points nowhere, and reach the server that it points at.
func TestFront(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	r, _ := opened(t, "1")
	shop := httptest.NewServer(api(r, "1.4"))
	t.Cleanup(shop.Close)
	f := httptest.NewServer(front(state))
	t.Cleanup(f.Close)
	answered := func() int {
		a, err := f.Client().Get(f.URL + "/orders/1")
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		return a.StatusCode
	}
	for _, step := range []struct {
		to   string
		want int
	}{{"", 503}, {shop.URL, 200}, {"", 503}, {shop.URL, 200}} {
		if err := point(t.Context(), state, step.to); err != nil {
			t.Fatal(err)
		}
		if got := answered(); got != step.want {
			t.Errorf("pointed at %q the front answers %d", step.to, got)
		}
	}
}
