package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/e2e/oracle"
)

// unpacked takes the packed items out of the orders and makes a table of lines of them, and a third table of one row each.
const unpacked = `name: shop
version: "2.0"
transform:
  orders:
    drop: [items]
  order_line:
    of: orders
    where: state != "gone"
    split: {each: 'fromJSON(items)', as: item, position: line_no, most: 8}
    columns:
      order_id: {from: id}
      sku:      {value: 'item.sku', type: text(40), nullable: false}
      pieces:   {value: 'item.pieces', type: int(32)}
      price:    {value: 'item.price', type: "decimal(12,3)"}
  order_state:
    of: orders
    to: order_status
    columns:
      number: {from: id}
      state:  {from: state}
`

// orders is the table of the old release, with some rows.
func orders(rng *rand.Rand, rows int) string {
	text := "CREATE TABLE orders (id int NOT NULL PRIMARY KEY, state varchar(10) NOT NULL, items varchar(2000));\n"
	for i := range rows {
		text += order(rng, i)
	}
	return text
}

func order(rng *rand.Rand, id int) string {
	return fmt.Sprintf("INSERT INTO orders VALUES (%d, '%s', %s);\n", id, []string{"here", "gone", "paid"}[rng.IntN(3)], items(rng))
}

// items are packed lines, at random: none, or up to eight.
func items(rng *rand.Rand) string {
	if rng.IntN(10) == 0 {
		return "NULL"
	}
	var lines []string
	for range rng.IntN(9) {
		lines = append(lines, fmt.Sprintf(`{"sku":"söck%d","pieces":%d,"price":%d.%03d}`, rng.IntN(1000), rng.IntN(100)-10, rng.IntN(100), rng.IntN(1000)))
	}
	return "'[" + strings.Join(lines, ",") + "]'"
}

// ordering are a few changes at random: orders come and go, get more lines and fewer, and other numbers.
func ordering(rng *rand.Rand) string {
	text := ""
	for range 10 {
		id := rng.IntN(400)
		switch rng.IntN(5) {
		case 0:
			text += fmt.Sprintf("DELETE FROM orders WHERE id = %d;\n", id) + order(rng, id)
		case 1:
			text += fmt.Sprintf("DELETE FROM orders WHERE id = %d;\n", id)
		case 2:
			text += fmt.Sprintf("DELETE FROM orders WHERE id = %d;\nUPDATE orders SET id = %d WHERE id = %d;\n", 1000+id, 1000+id, id)
		case 3:
			text += fmt.Sprintf("UPDATE orders SET state = '%s' WHERE id = %d;\n", []string{"here", "gone"}[id%2], id)
		default:
			text += fmt.Sprintf("UPDATE orders SET items = %s WHERE id = %d;\n", items(rng), id)
		}
	}
	return text
}

// lines are what the orders' items make, by this test's own arithmetic, and states their second table.
func lines(t *testing.T, d *oracle.Database) (lines, states []string) {
	t.Helper()
	rows, err := d.Query("SELECT id, state, coalesce(items, '[]') FROM orders")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		states = append(states, r[0]+"|"+r[1])
		var packed []struct {
			Sku    string
			Pieces int
			Price  json.Number
		}
		if err := json.Unmarshal([]byte(r[2]), &packed); err != nil {
			t.Fatal(err)
		}
		for n, item := range packed {
			if r[1] != "gone" {
				lines = append(lines, fmt.Sprintf("%s|%d|%s|%d|%s", r[0], n+1, item.Sku, item.Pieces, fixed(t, string(item.Price), 3)))
			}
		}
	}
	slices.Sort(lines)
	slices.Sort(states)
	return lines, states
}

// found are the rows of a query, one number of them with so many digits as the other side's.
func found(t *testing.T, d *oracle.Database, query string, number int) []string {
	t.Helper()
	rows, err := d.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range rows {
		if number >= 0 {
			r[number] = fixed(t, r[number], 3)
		}
		all = append(all, strings.Join(r, "|"))
	}
	slices.Sort(all)
	return all
}

// TestOneRowBecomesSeveral: orders are moved without their packed items, which arrive as rows of a table of their own, while the
// application writes to them; and all tables are proven.
func TestOneRowBecomesSeveral(t *testing.T) {
	for _, source := range products() {
		for _, target := range products() {
			t.Run(short(source)+"/"+short(target), func(t *testing.T) {
				from, to := fresh(t, source), fresh(t, target)
				d := open(t, from)
				if source == "sqlite" {
					script(t, d, "PRAGMA journal_mode=wal;\n")
				}
				rng := rand.New(rand.NewPCG(seed(t), 6))
				script(t, d, orders(rng, 300))
				m := newMove(t, plan{
					source: from, target: to, uptime: []string{"orders"},
					extra: "release: release\nverify: {levels: {order_line: full-uptime+changed}}\n",
				})
				if err := os.Mkdir(filepath.Join(m.dir, "release"), 0o700); err != nil {
					t.Fatal(err)
				}
				m.file("release/release.yaml", unpacked)
				wrote := m.whileWriting(d, func() string { return ordering(rng) })
				there := open(t, to)
				want, states := lines(t, d)
				for _, x := range []struct {
					query  string
					number int
					want   []string
				}{
					{"SELECT order_id, line_no, sku, pieces, price FROM order_line", 4, want},
					{"SELECT number, state FROM order_status", -1, states},
					{"SELECT id, state FROM orders", -1, states},
				} {
					if got := found(t, there, x.query, x.number); !slices.Equal(got, x.want) {
						t.Errorf("%s: %d rows and not %d:\n%s\nwant\n%s", x.query, len(got), len(x.want), strings.Join(got, "\n"), strings.Join(x.want, "\n"))
					}
				}
				for _, x := range m.report().Tables {
					if x.Verdict != "equal" || x.Replayed == 0 || x.Class != "uptime" || wrote < 2 {
						t.Errorf("written %d times: %+v", wrote, x)
					}
				}
				t.Logf("%d orders became %d lines, written %d times, downtime %.1f s", len(states), len(want), wrote, m.report().DowntimeSeconds)
			})
		}
	}
}

// TestAFedTableBelowACascade: rows that foreign keys change, and a table that is emptied, are replayed in both tables that their
// source feeds, and a reset takes away what stood twice at it.
func TestAFedTableBelowACascade(t *testing.T) {
	for i, source := range products() {
		target := products()[(i+1)%3]
		t.Run(short(source)+"/"+short(target), func(t *testing.T) {
			from, to := fresh(t, source), fresh(t, target)
			d := open(t, from)
			if source == "sqlite" {
				script(t, d, "PRAGMA journal_mode=wal;\n")
			}
			script(t, d, "CREATE TABLE customer (id int NOT NULL PRIMARY KEY);\nCREATE TABLE orders (id int NOT NULL PRIMARY KEY, customer int, state varchar(10) NOT NULL, items varchar(2000), "+
				"FOREIGN KEY (customer) REFERENCES customer (id) ON DELETE CASCADE ON UPDATE CASCADE);\n")
			rng := rand.New(rand.NewPCG(seed(t), 8))
			fill := func() (text string) {
				for id := range 60 {
					if id%3 == 0 {
						text += fmt.Sprintf("INSERT INTO customer VALUES (%d);\n", id)
					}
					text += fmt.Sprintf("INSERT INTO orders VALUES (%d, %d, 'here', %s);\n", id, id/3*3, items(rng))
				}
				return text
			}
			script(t, d, fill())
			m := newMove(t, plan{
				source: from, target: to, uptime: []string{"orders", "customer"}, extra: "release: release\n",
			})
			if err := os.Mkdir(filepath.Join(m.dir, "release"), 0o700); err != nil {
				t.Fatal(err)
			}
			m.file("release/release.yaml", unpacked)
			app := dial(t, from)
			if source == "sqlite" {
				app.do("PRAGMA foreign_keys = on")
			}
			m.until("confirm-downtime")
			if left := ours(t, from); len(left) == 0 {
				t.Error("nothing of ours is at the source: the test sees nothing")
			}
			m.must(0, "reset", "--yes")
			if left := ours(t, from); len(left) > 0 {
				t.Errorf("after a reset there are %q", left)
			}
			m.until("confirm-downtime")
			app.do("DELETE FROM customer WHERE id < 20")
			app.do("UPDATE customer SET id = id + 100 WHERE id BETWEEN 30 AND 40")
			m.must(0, "answer", "confirm-downtime", "yes")
			if e := m.do("run"); e.code != 3 {
				t.Fatalf("run to the last question ended with %d:\n%s\n%s", e.code, tail(e.out), tail(e.said))
			}
			m.must(0, "reset", "--yes")
			if left := ours(t, from); len(left) > 0 {
				t.Errorf("after a reset in the downtime there are %q", left)
			}
			m.until("confirm-downtime")
			app.do("DELETE FROM customer WHERE id BETWEEN 20 AND 30")
			if source == "sqlite" {
				app.do("DELETE FROM orders")
			} else {
				app.do("TRUNCATE TABLE orders")
			}
			app.do("INSERT INTO orders VALUES (7, 133, 'here', '[{\"sku\":\"late\",\"pieces\":3,\"price\":1.5}]')")
			app.do("INSERT INTO orders VALUES (8, NULL, 'paid', NULL)")
			m.must(0, "run", "--yes")
			there := open(t, to)
			if got := found(t, there, "SELECT order_id, line_no, sku, pieces, price FROM order_line", 4); !slices.Equal(got, []string{"7|1|late|3|1.500"}) {
				t.Errorf("lines: %q", got)
			}
			if got := found(t, there, "SELECT number, state FROM order_status", -1); !slices.Equal(got, []string{"7|here", "8|paid"}) {
				t.Errorf("states: %q", got)
			}
			for _, x := range m.report().Tables {
				if x.Verdict != "equal" {
					t.Errorf("%+v", x)
				}
			}
		})
	}
}
