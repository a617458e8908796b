package shop

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// deed is one thing that the application does, in one transaction.
type deed struct {
	name   string
	weight int
	do     func(context.Context) error
}

// deeds lists everything the application does. Each leaves the shop's rules as they were.
func (s *session) deeds() []deed {
	list := []deed{
		{"transfer", 12, s.transfer},
		{"place order", 14, s.placeOrder},
		{"change line", 12, s.changeLine},
		{"cancel order", 5, s.cancelOrder},
		{"renumber order", 3, s.renumberOrder},
		{"swap lines", 4, s.swapLines},
		{"open account", 4, s.openAccount},
		{"close account", 2, s.closeAccount},
		{"swap e-mails", 4, s.swapEmails},
		{"rotate e-mails", 2, s.rotateEmails},
		{"add tag", 5, s.addTag},
		{"rename tag", 5, s.renameTag},
		{"respell tag", 4, s.respellTag},
		{"swap tags", 3, s.swapTags},
		{"remove tag", 2, s.removeTag},
		{"swap seats", 4, s.swapSeats},
		{"shift seats", 2, s.shiftSeats},
		{"chain seats", 3, s.chainSeats},
		{"take seat", 3, s.takeSeat},
		{"replace seat", 2, s.replaceSeat},
		{"log events", 8, s.logEvents},
		{"change many", 3, s.changeMany},
		{"several tables", 3, s.severalTables},
		{"refill scratch", 2, s.refillScratch},
		{"change document", 3, s.changeDocument},
		{"set", 4, s.set},
		{"log line", 3, s.logLine},
		{"change category", 3, s.changeCategory},
		{"savepoint", 3, s.savepoint},
		{"long", 2, s.long},
	}
	if s.shop.Product == s.shop.Origin {
		list = append(list, deed{"change types", 3, s.changeTypes})
	}
	return list
}

func (s *session) transfer(ctx context.Context) error {
	from, err := s.pick(ctx, "account", "id")
	if err != nil {
		return err
	}
	to, err := s.pick(ctx, "account", "id")
	if err != nil || from == to {
		return err
	}
	amount := s.rng.Int64N(500_00)
	for _, step := range []string{
		"UPDATE account SET balance = ROUND(balance - " + cents(amount) + ", 2), version = version + 1 WHERE id = " + strconv.FormatInt(from, 10),
		"UPDATE account SET balance = ROUND(balance + " + cents(amount) + ", 2), version = version + 1 WHERE id = " + strconv.FormatInt(to, 10),
	} {
		if n, err := s.exec(ctx, step); err != nil || n != 1 {
			return lost(err)
		}
	}
	return s.event(ctx, "transfer", from)
}

// lost is err, or that the row is gone.
func lost(err error) error {
	if err != nil {
		return err
	}
	return errLost
}

func (s *session) event(ctx context.Context, kind string, account int64) error {
	_, err := s.exec(ctx, "INSERT INTO event (at, kind, account_id, payload) VALUES (?, ?, ?, ?)", when(s.rng), kind, account, `{"by": `+strconv.Itoa(s.number)+`}`)
	return err
}

func (s *session) placeOrder(ctx context.Context) error {
	account, err := s.pick(ctx, "account", "id")
	if err != nil {
		return err
	}
	if _, err := s.exec(ctx, `INSERT INTO "order" (account_id, status, total, placed) VALUES (?, 'placed', 0, ?)`, account, when(s.rng)); err != nil {
		return err
	}
	id, err := s.own(ctx)
	if err != nil {
		return err
	}
	var total int64
	sql, comma := "INSERT INTO order_line (order_id, line_no, sku, quantity, price) VALUES ", ""
	for n := range 1 + s.rng.IntN(5) {
		quantity, price := 1+s.rng.Int64N(9), 1+s.rng.Int64N(100_00)
		total += quantity * price
		sql += fmt.Sprintf("%s(%d, %d, 'sku%d', %d, %s)", comma, id, n+1, s.rng.IntN(1000), quantity, cents(price))
		comma = ", "
	}
	if err := s.run(ctx, sql, fmt.Sprintf(`UPDATE "order" SET total = %s WHERE id = %d`, cents(total), id)); err != nil {
		return err
	}
	return s.event(ctx, "placed", account)
}

// own returns the order number that this session was just given.
func (s *session) own(ctx context.Context) (int64, error) {
	return s.first(ctx, map[string]string{
		"postgres": `SELECT currval(pg_get_serial_sequence('"order"', 'id'))`, "mariadb": "SELECT LAST_INSERT_ID()", "sqlite": "SELECT last_insert_rowid()",
	}[s.shop.Product])
}

// hold locks a random order and returns it.
func (s *session) hold(ctx context.Context) (int64, error) {
	id, err := s.pick(ctx, `"order"`, "id")
	if err != nil {
		return 0, err
	}
	n, err := s.exec(ctx, `UPDATE "order" SET "select" = "select" + 1 WHERE id = ?`, id)
	if err != nil || n != 1 {
		return 0, lost(err)
	}
	return id, nil
}

// settle sets an order's total to the sum of its lines.
func (s *session) settle(ctx context.Context, id int64) error {
	_, err := s.exec(ctx, `UPDATE "order" SET total = ROUND(COALESCE((SELECT SUM(quantity * price) FROM order_line WHERE order_id = ?), 0), 2) WHERE id = ?`, id, id)
	return err
}

func (s *session) changeLine(ctx context.Context) error {
	id, err := s.hold(ctx)
	if err != nil {
		return err
	}
	switch s.rng.IntN(4) {
	case 0:
		_, err = s.exec(ctx, "DELETE FROM order_line WHERE order_id = ? AND line_no = ?", id, 1+s.rng.IntN(5))
	case 1:
		_, err = s.exec(ctx, "INSERT INTO order_line (order_id, line_no, sku, quantity, price) VALUES (?, ?, 'extra', 1, 9.99)", id, 4+s.rng.IntN(6))
	default:
		_, err = s.exec(ctx, "UPDATE order_line SET quantity = ?, price = ROUND(price + 0.01, 2) WHERE order_id = ? AND line_no <= ?", 1+s.rng.IntN(9), id, 1+s.rng.IntN(3))
	}
	if err != nil {
		return err
	}
	return s.settle(ctx, id)
}

func (s *session) cancelOrder(ctx context.Context) error {
	id, err := s.hold(ctx)
	if err != nil {
		return err
	}
	n := strconv.FormatInt(id, 10)
	return s.run(ctx, "DELETE FROM order_line WHERE order_id = "+n, `DELETE FROM "order" WHERE id = `+n)
}

// renumberOrder gives an order another number: a new row, its lines moved, the old row gone.
func (s *session) renumberOrder(ctx context.Context) error {
	id, err := s.hold(ctx)
	if err != nil {
		return err
	}
	to := id + 1_000_000 + s.rng.Int64N(1_000_000)
	if id > 1_000_000 {
		to = id % 1_000_000
	}
	return s.run(ctx,
		fmt.Sprintf(`INSERT INTO "order" (id, account_id, status, total, "select", placed) SELECT %d, account_id, 'moved', total, "select", placed FROM "order" WHERE id = %d`, to, id),
		fmt.Sprintf("UPDATE order_line SET order_id = %d WHERE order_id = %d", to, id),
		fmt.Sprintf(`DELETE FROM "order" WHERE id = %d`, id))
}

func (s *session) swapLines(ctx context.Context) error {
	id, err := s.hold(ctx)
	if err != nil {
		return err
	}
	a, b := 1+s.rng.IntN(2), 3+s.rng.IntN(2)
	for _, step := range [][2]int{{a, -1}, {b, a}, {-1, b}} {
		if _, err := s.exec(ctx, "UPDATE order_line SET line_no = ? WHERE order_id = ? AND line_no = ?", step[1], id, step[0]); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) openAccount(ctx context.Context) error {
	_, err := s.exec(ctx, `INSERT INTO account (email, "Name", balance, created) VALUES (?, ?, 0, ?)`,
		fmt.Sprintf("new%d@example.com", s.rng.IntN(1_000_000)), word(s.rng), when(s.rng))
	return err
}

// closeAccount gives what an account has to another one and removes it, unless it has orders.
func (s *session) closeAccount(ctx context.Context) error {
	id, err := s.pick(ctx, "account", "id")
	if err != nil {
		return err
	}
	heir, err := s.first(ctx, "SELECT id FROM account WHERE id <> ? ORDER BY id LIMIT 1", id)
	if err != nil {
		return err
	}
	if _, err := s.words(ctx, fmt.Sprintf("SELECT email FROM account WHERE id IN (%d, %d) ORDER BY id%s", id, heir, s.lock())); err != nil {
		return err
	}
	give := fmt.Sprintf("UPDATE account SET balance = ROUND(balance + (SELECT balance FROM account WHERE id = %d), 2) WHERE id = %d", id, heir)
	if s.shop.Product == "mariadb" {
		give = fmt.Sprintf("UPDATE account h JOIN account g ON g.id = %d SET h.balance = h.balance + g.balance WHERE h.id = %d", id, heir)
	}
	if n, err := s.exec(ctx, give); err != nil || n != 1 {
		return lost(err)
	}
	n, err := s.exec(ctx, "DELETE FROM account WHERE id = ?", id)
	if err != nil || n != 1 {
		return lost(err)
	}
	return nil
}

func (s *session) logEvents(ctx context.Context) error {
	r := "INSERT INTO event (at, kind, account_id, payload) VALUES "
	var args []any
	for i := range 1 + s.rng.IntN(20) {
		if i > 0 {
			r += ", "
		}
		r += "(?, ?, ?, ?)"
		args = append(args, when(s.rng), "burst", maybe(s.rng, s.rng.IntN(1000)), maybe(s.rng, word(s.rng)))
	}
	_, err := s.exec(ctx, r, args...)
	return err
}

func (s *session) changeMany(ctx context.Context) error {
	id, err := s.pick(ctx, `"order"`, "id")
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, `UPDATE "order" SET status = ?, "select" = "select" + 1 WHERE id BETWEEN ? AND ?`, "s"+strconv.Itoa(s.rng.IntN(5)), id, id+int64(s.rng.IntN(60)))
	return err
}

// severalTables changes two tables with one statement, as far as the product can.
func (s *session) severalTables(ctx context.Context) error {
	id := s.rng.IntN(60)
	return s.run(ctx, map[string]string{
		"postgres": fmt.Sprintf("WITH gone AS (DELETE FROM scratch WHERE id = %d RETURNING v) UPDATE tag SET weight = weight + 1 FROM gone WHERE tag.weight BETWEEN gone.v AND gone.v + 5", id),
		"mariadb":  fmt.Sprintf("UPDATE tag t JOIN scratch s ON t.weight BETWEEN s.v AND s.v + 5 SET t.weight = t.weight + 1, s.v = s.v + 1 WHERE s.id = %d", id),
		"sqlite":   fmt.Sprintf("UPDATE tag SET weight = weight + 1 FROM scratch s WHERE s.id = %d AND tag.weight BETWEEN s.v AND s.v + 5", id),
	}[s.shop.Product])
}

// savepoint takes back a part of what a transaction did.
func (s *session) savepoint(ctx context.Context) error {
	if err := s.openAccount(ctx); err != nil {
		return err
	}
	if err := s.run(ctx, "SAVEPOINT a"); err != nil {
		return err
	}
	if err := s.placeOrder(ctx); err != nil {
		return err
	}
	if err := s.run(ctx, "ROLLBACK TO SAVEPOINT a"); err != nil {
		return err
	}
	return s.logEvents(ctx)
}

// long does several deeds in one transaction and takes its time.
func (s *session) long(ctx context.Context) error {
	rest := 400 * time.Millisecond
	if s.shop.Product == "sqlite" { // nobody else can write meanwhile
		rest = 40 * time.Millisecond
	}
	for _, do := range []func(context.Context) error{s.placeOrder, s.changeLine, s.transfer, s.logEvents} {
		if err := do(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(s.rng.Int64N(int64(rest)))):
		}
	}
	return nil
}
