package shop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// cents writes an amount of money as a literal that is exact where the product has exact numbers.
func cents(n int64) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	return fmt.Sprintf("%s%d.%02d", sign, n/100, n%100)
}

var syllables = []string{"ka", "lo", "mir", "ün", "ß", "日", "é", "tor", "Zan", "x y", "o'", `\`, `"`, "😀", "ñ", "a\u0301", "%", "_", "\t"}

// word makes a short text of any characters that a careless program may write.
func word(rng *rand.Rand) string {
	var b strings.Builder
	for range 2 + rng.IntN(3) {
		b.WriteString(syllables[rng.IntN(len(syllables))])
	}
	return b.String()
}

// when makes a moment of this century, with microseconds.
func when(rng *rand.Rand) string {
	return time.UnixMicro(1_000_000_000_000_000 + rng.Int64N(700_000_000_000_000)).UTC().Format("2006-01-02 15:04:05.000000")
}

// blob makes bytes that hold every value, zeros at their end too.
func blob(rng *rand.Rand) []byte {
	b := make([]byte, rng.IntN(3000))
	for i := range b {
		b[i] = byte(rng.Uint32() >> (rng.Uint32() % 8))
	}
	return append(b, 0, 0)
}

// maybe is NULL one time in five.
func maybe(rng *rand.Rand, v any) any {
	if rng.IntN(5) == 0 {
		return nil
	}
	return v
}

// rows is a multi-row INSERT that is sent a few hundred rows at a time.
type rows struct {
	shop  *Shop
	into  string // table and columns
	width int
	args  []any
}

func (r *rows) add(ctx context.Context, args ...any) error {
	r.args = append(r.args, args...)
	if len(r.args) < 300*r.width {
		return nil
	}
	return r.flush(ctx)
}

func (r *rows) flush(ctx context.Context) error {
	if len(r.args) == 0 {
		return nil
	}
	one := "(" + strings.TrimSuffix(strings.Repeat("?,", r.width), ",") + ")"
	sql := "INSERT INTO " + r.into + " VALUES " + strings.TrimSuffix(strings.Repeat(one+",", len(r.args)/r.width), ",")
	if _, err := r.shop.db.ExecContext(ctx, r.shop.bind(sql), r.args...); err != nil {
		return fmt.Errorf("fill %s: %w", r.into, err)
	}
	r.args = r.args[:0]
	return nil
}

// fill puts the first rows into every table.
func (s *Shop) fill(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(s.Seed, 1<<32))
	for _, f := range []func(context.Context, *rand.Rand) error{s.fillAccounts, s.fillOrders, s.fillEvents, s.fillNames, s.fillSmall, s.fillTypes} {
		if err := f(ctx, rng); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shop) fillAccounts(ctx context.Context, rng *rand.Rand) error {
	r := &rows{shop: s, into: `account (email, "Name", balance, created, note)`, width: 5}
	for i := range s.Accounts {
		if err := r.add(ctx, "user"+strconv.Itoa(i)+"@example.com", word(rng), "1000.00", when(rng), maybe(rng, strings.Repeat(word(rng), rng.IntN(20)))); err != nil {
			return err
		}
	}
	return r.flush(ctx)
}

func (s *Shop) fillOrders(ctx context.Context, rng *rand.Rand) error {
	orders := &rows{shop: s, into: `"order" (account_id, status, total, placed)`, width: 4}
	lines := &rows{shop: s, into: `order_line (order_id, line_no, sku, quantity, price)`, width: 5}
	for i := range 4 * s.Accounts {
		var total int64
		for n := range 3 {
			quantity, price := 1+rng.Int64N(9), 1+rng.Int64N(100_00)
			total += quantity * price
			lines.args = append(lines.args, i+1, n+1, "sku"+strconv.Itoa(rng.IntN(1000)), quantity, cents(price))
		}
		if err := orders.add(ctx, 1+rng.IntN(s.Accounts), "new", cents(total), when(rng)); err != nil {
			return err
		}
	}
	if err := orders.flush(ctx); err != nil {
		return err
	}
	all := lines.args
	for len(all) > 0 {
		n := min(len(all), 300*lines.width)
		lines.args, all = all[:n:n], all[n:]
		if err := lines.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shop) fillEvents(ctx context.Context, rng *rand.Rand) error {
	r := &rows{shop: s, into: "event (at, kind, account_id, payload)", width: 4}
	for i := range 10 * s.Accounts {
		if err := r.add(ctx, when(rng), "made", maybe(rng, i%s.Accounts+1), maybe(rng, `{"n": `+strconv.Itoa(i)+`, "w": "`+strings.Repeat("ab ", rng.IntN(30))+`"}`)); err != nil {
			return err
		}
	}
	return r.flush(ctx)
}

func (s *Shop) fillNames(ctx context.Context, rng *rand.Rand) error {
	tags := &rows{shop: s, into: `tag (name, weight, "größe", colour)`, width: 4}
	for i := range s.Accounts/2 + 20 {
		if err := tags.add(ctx, word(rng)+" "+strconv.Itoa(i), i, maybe(rng, cents(rng.Int64N(100_000))), maybe(rng, "#"+strconv.Itoa(100000+i))); err != nil {
			return err
		}
	}
	seats := &rows{shop: s, into: `"Seat Map" ("Seat", "Holder", row_no)`, width: 3}
	for i := range 40 {
		if err := seats.add(ctx, i+1, maybe(rng, "holder"+strconv.Itoa(i)), i/10); err != nil {
			return err
		}
	}
	if err := seats.flush(ctx); err != nil {
		return err
	}
	return tags.flush(ctx)
}

func (s *Shop) fillSmall(ctx context.Context, rng *rand.Rand) error {
	scratch := &rows{shop: s, into: "scratch (id, v)", width: 2}
	documents := &rows{shop: s, into: "document (id, mime, body, size)", width: 4}
	settings := &rows{shop: s, into: `setting ("key", value)`, width: 2}
	lines := &rows{shop: s, into: "log_line (at, line)", width: 2}
	categories := &rows{shop: s, into: "category (id, name)", width: 2}
	items := &rows{shop: s, into: "category_item (category_id, item_no, label)", width: 3}
	notes := &rows{shop: s, into: "item_note (id, category_id, item_no)", width: 3}
	for i := range 60 {
		body := blob(rng)
		scratch.args = append(scratch.args, i, i%7)
		documents.args = append(documents.args, i*i, "image/"+strconv.Itoa(i), maybe(rng, body), len(body))
		settings.args = append(settings.args, "k"+strconv.Itoa(i), maybe(rng, word(rng)))
		lines.args = append(lines.args, "2024-01-01 00:00:0"+strconv.Itoa(i%10), maybe(rng, "line "+strconv.Itoa(i%5)))
		categories.args = append(categories.args, i, word(rng))
		items.args = append(items.args, i, 1, word(rng), i, 2, nil)
		notes.args = append(notes.args, i, i, 1, 100+i, i, 2)
	}
	for _, r := range []*rows{scratch, documents, settings, lines, categories, items, notes} {
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}
