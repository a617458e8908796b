package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel/whimbrel/db/driver"
)

// blocked has a session that begins now run a block of the language of capture's triggers. Sessions that are there hold its library in
// memory: they go on when an upgrade has replaced the file or taken it away, and every one that begins afterwards fails (HAZARDS 27).
func (db *database) blocked(ctx context.Context) (string, error) {
	s, err := db.connect(ctx)
	if err != nil {
		return "", err
	}
	defer s.conn.Close(context.WithoutCancel(ctx))
	err = s.exec(ctx, "DO LANGUAGE plpgsql 'BEGIN END'")
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return "", err
	}
	gone := strings.HasPrefix(server.Code, "58") || server.Code == "XX000" // the file, or what is in it
	if classify(err) == driver.Refused {
		// A file that the server may not read is refused like a language that this role may not use, which can not tell then.
		r, failed := s.query(ctx, "SELECT has_language_privilege('plpgsql', 'USAGE')")
		if failed != nil || !yes(r.Rows[0][0]) {
			return "", failed
		}
		gone = true
	}
	if gone {
		return "the server can not load PL/pgSQL: " + server.Message, nil
	}
	return "", err
}
