package shop

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// two returns two different values of a text column, in the order in which rows are to be locked, or errLost.
func (s *session) two(ctx context.Context, query string) (a, b string, err error) {
	list, err := s.words(ctx, query+s.lock())
	if err != nil {
		return "", "", err
	}
	if len(list) < 2 {
		return "", "", errLost
	}
	return list[0], list[1], nil
}

// steps runs one statement with two arguments several times.
func (s *session) steps(ctx context.Context, statement string, pairs ...[2]any) error {
	for _, p := range pairs {
		if _, err := s.exec(ctx, statement, p[0], p[1]); err != nil {
			return err
		}
	}
	return nil
}

// swapEmails makes two accounts exchange their unique e-mail addresses.
func (s *session) swapEmails(ctx context.Context) error {
	id, err := s.pick(ctx, "account", "id")
	if err != nil {
		return err
	}
	a, b, err := s.two(ctx, fmt.Sprintf("SELECT email FROM account WHERE id >= %d ORDER BY id LIMIT 2", id))
	if err != nil {
		return err
	}
	free := fmt.Sprintf("swap-%d-%d", s.number, s.rng.IntN(1_000_000_000))
	return s.steps(ctx, "UPDATE account SET email = ? WHERE email = ?", [2]any{free, a}, [2]any{a, b}, [2]any{b, free})
}

// rotateEmails passes the addresses of three accounts round.
func (s *session) rotateEmails(ctx context.Context) error {
	id, err := s.pick(ctx, "account", "id")
	if err != nil {
		return err
	}
	list, err := s.words(ctx, fmt.Sprintf("SELECT email FROM account WHERE id >= %d ORDER BY id LIMIT 3%s", id, s.lock()))
	if err != nil || len(list) < 3 {
		return lost(err)
	}
	free := fmt.Sprintf("turn-%d-%d", s.number, s.rng.IntN(1_000_000_000))
	return s.steps(ctx, "UPDATE account SET email = ? WHERE email = ?", [2]any{free, list[0]}, [2]any{list[0], list[1]}, [2]any{list[1], list[2]}, [2]any{list[2], free})
}

// upsert writes a tag, whether or not there is one of that name.
func (s *session) upsert(ctx context.Context, name string) error {
	sql := map[string][]string{
		"postgres": {"INSERT INTO tag (name, weight, colour) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET weight = EXCLUDED.weight", "INSERT INTO tag (name, weight, colour) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"},
		"mariadb":  {"INSERT INTO tag (name, weight, colour) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE weight = VALUES(weight)", "REPLACE INTO tag (name, weight, colour) VALUES (?, ?, ?)", "INSERT IGNORE INTO tag (name, weight, colour) VALUES (?, ?, ?)"},
		"sqlite":   {"INSERT INTO tag (name, weight, colour) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET weight = excluded.weight", "REPLACE INTO tag (name, weight, colour) VALUES (?, ?, ?)", "INSERT OR IGNORE INTO tag (name, weight, colour) VALUES (?, ?, ?)"},
	}[s.shop.Product]
	_, err := s.exec(ctx, sql[s.rng.IntN(len(sql))], name, s.rng.IntN(2000), "#"+strconv.Itoa(100000+s.rng.IntN(1000)))
	return err
}

func (s *session) addTag(ctx context.Context) error {
	name := word(s.rng) + " " + strconv.Itoa(s.rng.IntN(1000))
	if s.rng.IntN(4) == 0 {
		name += "  "[:1+s.rng.IntN(2)] // blanks at its end
	}
	return s.upsert(ctx, name)
}

// tags returns up to n tags from a random place on.
func (s *session) tags(ctx context.Context, n int) ([]string, error) {
	list, err := s.words(ctx, fmt.Sprintf("SELECT name FROM tag WHERE weight >= %d ORDER BY weight, name LIMIT %d%s", s.rng.IntN(500), n, s.lock()))
	if err == nil && len(list) < n {
		err = errLost
	}
	return list, err
}

func (s *session) renameTag(ctx context.Context) error {
	list, err := s.tags(ctx, 1)
	if err != nil {
		return err
	}
	return s.steps(ctx, "UPDATE tag SET name = ? WHERE name = ?", [2]any{word(s.rng) + " r" + strconv.Itoa(s.rng.IntN(1000)), list[0]})
}

// respellTag changes nothing but the case, or the blanks at the end, of a tag's key.
func (s *session) respellTag(ctx context.Context) error {
	list, err := s.tags(ctx, 1)
	if err != nil {
		return err
	}
	name := []string{strings.ToUpper(list[0]), strings.ToLower(list[0]), strings.TrimRight(list[0], " "), list[0] + " "}[s.rng.IntN(4)]
	if len(name) > 40 {
		return errLost
	}
	return s.steps(ctx, "UPDATE tag SET name = ? WHERE name = ?", [2]any{name, list[0]})
}

func (s *session) swapTags(ctx context.Context) error {
	list, err := s.tags(ctx, 2)
	if err != nil {
		return err
	}
	free := fmt.Sprintf("swap-%d-%d", s.number, s.rng.IntN(1_000_000_000))
	return s.steps(ctx, "UPDATE tag SET name = ? WHERE name = ?", [2]any{free, list[0]}, [2]any{list[0], list[1]}, [2]any{list[1], free})
}

func (s *session) removeTag(ctx context.Context) error {
	list, err := s.tags(ctx, 1)
	if err != nil {
		return err
	}
	if _, err := s.exec(ctx, "DELETE FROM tag WHERE name = ?", list[0]); err != nil || s.rng.IntN(2) == 0 {
		return err
	}
	return s.upsert(ctx, list[0]) // gone and come again in one transaction
}

// swapSeats makes two rows exchange their primary keys.
func (s *session) swapSeats(ctx context.Context) error {
	a, b := 1+s.rng.IntN(40), 1+s.rng.IntN(40)
	if a == b {
		return nil
	}
	return s.steps(ctx, `UPDATE "Seat Map" SET "Seat" = ? WHERE "Seat" = ?`, [2]any{-1_000_000, a}, [2]any{a, b}, [2]any{b, -1_000_000})
}

// shiftSeats moves every row's key by one: the last becomes the first.
func (s *session) shiftSeats(ctx context.Context) error {
	if s.shop.Product == "mariadb" && s.rng.IntN(2) == 0 {
		return s.run(ctx, `UPDATE "Seat Map" SET "Seat" = "Seat" + 1 ORDER BY "Seat" DESC`, `UPDATE "Seat Map" SET "Seat" = "Seat" - 1 ORDER BY "Seat"`,
			`UPDATE "Seat Map" SET "Seat" = "Seat" + 1 ORDER BY "Seat" DESC`, `UPDATE "Seat Map" SET "Seat" = 1 WHERE "Seat" = 41`)
	}
	return s.run(ctx, `UPDATE "Seat Map" SET "Seat" = -"Seat"`, `UPDATE "Seat Map" SET "Seat" = 1 - "Seat"`, `UPDATE "Seat Map" SET "Seat" = 1 WHERE "Seat" = 41`)
}

// chainSeats lets a row take the key that another one has just left, and so on.
func (s *session) chainSeats(ctx context.Context) error {
	start := 1 + s.rng.IntN(35)
	if _, err := s.exec(ctx, `DELETE FROM "Seat Map" WHERE "Seat" = ?`, start); err != nil {
		return err
	}
	for i := start; i < start+4; i++ {
		if err := s.steps(ctx, `UPDATE "Seat Map" SET "Seat" = ? WHERE "Seat" = ?`, [2]any{i, i + 1}); err != nil {
			return err
		}
	}
	_, err := s.exec(ctx, `INSERT INTO "Seat Map" ("Seat", "Holder", row_no) VALUES (?, ?, 9)`, start+4, maybe(s.rng, "chained"+strconv.Itoa(s.rng.IntN(1000))))
	return err
}

// takeSeat moves a unique holder from one seat to another.
func (s *session) takeSeat(ctx context.Context) error {
	a, b, err := s.two(ctx, `SELECT "Holder" FROM "Seat Map" WHERE "Holder" IS NOT NULL ORDER BY row_no, "Seat" LIMIT 2`)
	if err != nil {
		return err
	}
	if s.rng.IntN(2) == 0 {
		return s.steps(ctx, `UPDATE "Seat Map" SET "Holder" = ? WHERE "Holder" = ?`, [2]any{nil, a}, [2]any{a, b})
	}
	return s.steps(ctx, `UPDATE "Seat Map" SET "Holder" = ? WHERE "Holder" = ?`, [2]any{"temporary", a}, [2]any{a, b}, [2]any{b, "temporary"})
}

// replaceSeat writes a row that may displace two others: the one of its key, and the one that has its holder.
func (s *session) replaceSeat(ctx context.Context) error {
	seat, holder := 1+s.rng.IntN(40), "holder"+strconv.Itoa(s.rng.IntN(40))
	if s.shop.Product != "postgres" {
		_, err := s.exec(ctx, `REPLACE INTO "Seat Map" ("Seat", "Holder", row_no) VALUES (?, ?, 7)`, seat, holder)
		return err
	}
	if _, err := s.exec(ctx, `DELETE FROM "Seat Map" WHERE "Holder" = ?`, holder); err != nil {
		return err
	}
	_, err := s.exec(ctx, `INSERT INTO "Seat Map" ("Seat", "Holder", row_no) VALUES (?, ?, 7) ON CONFLICT ("Seat") DO UPDATE SET "Holder" = EXCLUDED."Holder"`, seat, holder)
	return err
}
