package shop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// refillScratch empties a table and fills it again.
func (s *session) refillScratch(ctx context.Context) error {
	empty := "DELETE FROM scratch"
	if s.shop.Product == "postgres" && s.rng.IntN(2) == 0 {
		empty = "TRUNCATE scratch"
	}
	sql, comma := "INSERT INTO scratch (id, v) VALUES ", ""
	for i := range 20 + s.rng.IntN(40) {
		sql, comma = sql+fmt.Sprintf("%s(%d, %d)", comma, i, s.rng.IntN(500)), ", "
	}
	return s.run(ctx, empty, sql)
}

func (s *session) changeDocument(ctx context.Context) error {
	id := s.rng.IntN(70) * s.rng.IntN(70)
	if s.rng.IntN(3) == 0 {
		_, err := s.exec(ctx, "DELETE FROM document WHERE id = ?", id)
		return err
	}
	body := blob(s.rng)
	n, err := s.exec(ctx, "UPDATE document SET body = ?, size = ? WHERE id = ?", maybe(s.rng, body), len(body), id)
	if err != nil || n > 0 {
		return err
	}
	_, err = s.exec(ctx, "INSERT INTO document (id, mime, body, size) VALUES (?, 'new', ?, ?)", id, body, len(body))
	return err
}

func (s *session) set(ctx context.Context) error {
	key := "k" + strconv.Itoa(s.rng.IntN(80))
	if s.rng.IntN(4) == 0 {
		_, err := s.exec(ctx, `DELETE FROM setting WHERE "key" = ?`, key)
		return err
	}
	n, err := s.exec(ctx, `UPDATE setting SET value = ?, "größer als" = "größer als" + 1 WHERE "key" = ?`, maybe(s.rng, word(s.rng)), key)
	if err != nil || n > 0 {
		return err
	}
	_, err = s.exec(ctx, `INSERT INTO setting ("key", value) VALUES (?, ?)`, key, word(s.rng))
	return err
}

// logLine writes the same row twice, and sometimes removes some.
func (s *session) logLine(ctx context.Context) error {
	at, line := "2024-05-05 05:05:0"+strconv.Itoa(s.rng.IntN(10)), maybe(s.rng, word(s.rng))
	for range 2 {
		if _, err := s.exec(ctx, "INSERT INTO log_line (at, line) VALUES (?, ?)", at, line); err != nil {
			return err
		}
	}
	if s.rng.IntN(3) > 0 {
		return nil
	}
	_, err := s.exec(ctx, "DELETE FROM log_line WHERE at = ?", at)
	return err
}

// changeCategory adds, renames, renumbers or removes a category; its items, and their notes, go with it by the database's own
// doing.
func (s *session) changeCategory(ctx context.Context) error {
	id := s.rng.IntN(80)
	n, err := s.exec(ctx, "UPDATE category SET name = ? WHERE id = ?", word(s.rng), id)
	if err != nil || n > 0 && s.rng.IntN(2) == 0 {
		return err
	}
	if n > 0 && s.rng.IntN(2) == 0 {
		_, err = s.exec(ctx, "UPDATE category SET id = ? WHERE id = ?", (id+40)%80, id)
		return err
	}
	if n > 0 {
		_, err = s.exec(ctx, "DELETE FROM category WHERE id = ?", id)
		return err
	}
	if _, err := s.exec(ctx, "INSERT INTO category (id, name) VALUES (?, ?)", id, word(s.rng)); err != nil {
		return err
	}
	_, err = s.exec(ctx, "INSERT INTO category_item (category_id, item_no, label) VALUES (?, 1, ?), (?, 2, NULL)", id, word(s.rng), id)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, "UPDATE item_note SET category_id = ?, item_no = 1 WHERE id = ?", id, s.rng.IntN(60))
	return err
}

func (s *session) changeTypes(ctx context.Context) error {
	id := s.rng.IntN(200)
	if _, err := s.exec(ctx, "DELETE FROM types WHERE id = ?", id); err != nil || s.rng.IntN(4) == 0 {
		return err
	}
	columns, row := s.shop.types(s.rng, id)
	marks := "?"
	for range row[1:] {
		marks += ", ?"
	}
	_, err := s.exec(ctx, "INSERT INTO types ("+columns+") VALUES ("+marks+")", row...)
	return err
}

func (s *Shop) fillTypes(ctx context.Context, rng *rand.Rand) error {
	columns, row := s.types(rng, 0)
	r := &rows{shop: s, into: "types (" + columns + ")", width: len(row)}
	for i := range 150 {
		_, row := s.types(rng, i)
		if err := r.add(ctx, row...); err != nil {
			return err
		}
	}
	return r.flush(ctx)
}

// either is one of the values, or NULL.
func either(rng *rand.Rand, values ...any) any {
	return maybe(rng, values[rng.IntN(len(values))])
}

// types makes a row of the table that has a column of many types, with values at their bounds.
func (s *Shop) types(rng *rand.Rand, id int) (columns string, row []any) {
	text := either(rng, "", " ", "NULL", `\N`, "a\tb\nc\\d", "日本 😀", "'\"", word(rng))
	bytes := either(rng, []byte{}, []byte{0}, []byte("\x00\xff\t\n\\"), blob(rng)[:2])
	doc := either(rng, `{"b": 1, "a": [1.50, "é\n"]}`, `"x"`, `[]`, `{"n": 12345678901234567890}`)
	day, stamp := either(rng, "1000-01-01", "9999-12-31", "2024-02-29"), either(rng, "1000-01-01 00:00:00", "9999-12-31 23:59:59.999999", "2024-02-29 10:00:00.5", when(rng))
	moment := either(rng, "1970-01-01 00:00:01", "2037-12-31 23:59:59.999999", "2024-03-31 02:30:00")
	exact := either(rng, "0", "-0.0001", "12345678.9999", "-99999999.99")
	long := either(rng, 0.1, -1e300, 5e-324, 1.0/3, 123456789.123)
	switch s.Product {
	case "postgres":
		return `id, tiny, whole, large, exact, short, long, yes, fixed, "varying", free, bytes, day, clock, stamp, moment, ident, doc, docb, mask`, []any{
			id, either(rng, -32768, 32767, 0), either(rng, -2147483648, 2147483647), either(rng, "-9223372036854775808", "9223372036854775807"),
			either(rng, "-12345678901234567890.0123456789", "0", exact), either(rng, "0.1", "-3.4e38", "1e-45"), long, either(rng, true, false),
			either(rng, "ab", "äöü", ""), text, text, bytes, day, either(rng, "00:00:00", "23:59:59.999999"), stamp, moment,
			either(rng, "0d5e1a2c-0000-4000-8000-00000000abcd"), doc, doc, either(rng, "000000000", "111111111", "010101010"),
		}
	case "mariadb":
		return `id, tiny, utiny, whole, large, exact, short, "long", fixed, "varying", free, bytes, five, day, clock, stamp, moment, era, doc, mask, mood, extras`, []any{
			id, either(rng, -128, 127), either(rng, 0, 255), either(rng, 0, 4294967295), either(rng, "18446744073709551615", "0"),
			either(rng, "99999999999999999999999999999999999.999999999999999999999999999999", "-0.000000000000000000000000000001", exact),
			either(rng, 0.1, -3.4e38), long, either(rng, "ab", "äöü", ""), either(rng, "", "ÄÖÜ ß", "abc "), text, bytes, either(rng, "ab", "\x00\x01"),
			day, either(rng, "-838:59:59", "838:59:59", "00:00:00.000001", "23:59:59"), stamp, moment, either(rng, 1901, 2155, 2024), doc,
			either(rng, 0, 511, 170), either(rng, "good", "so, so"), either(rng, "", "a,c", "b"),
		}
	}
	return `id, whole, large, exact, long, yes, fixed, "varying", free, bytes, day, stamp, doc`, []any{
		id, either(rng, int64(-9223372036854775808), int64(9223372036854775807)), either(rng, int64(1)<<53+1), exact, long, either(rng, 0, 1),
		either(rng, "ab", "äöü", ""), text, text, bytes, day, stamp, doc,
	}
}
