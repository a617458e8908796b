package shop

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"
)

// answer is what the database's refusal of a statement means to the application.
type answer int

const (
	unexpected answer = iota
	refused           // the gate is shut: nobody may write any more
	again             // a deadlock, a time-out, a lost session: the same transaction may be tried again
	conflict          // the transaction breaks a key or a constraint: the application's own affair
)

// gate is a word in every sentence with which the gate refuses, in all products.
const gate = "whimbrel"

// Refused reports that an error is the gate's refusal of a write.
func Refused(err error) bool { return err != nil && judge(err) == refused }

// judge says what an error means. Everything that is not known is unexpected: the application has been disturbed.
func judge(err error) answer {
	if err == nil {
		return unexpected
	}
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	var lite *sqlite3.Error
	switch {
	case errors.As(err, &pg):
		return postgresAnswer(pg)
	case errors.As(err, &my):
		return mariadbAnswer(my)
	case errors.As(err, &lite):
		return sqliteAnswer(lite)
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), pgconn.SafeToRetry(err):
		return again
	case errors.Is(err, errLost):
		return conflict
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return again
	}
	return unexpected
}

func postgresAnswer(err *pgconn.PgError) answer {
	code := err.Code
	switch {
	case strings.Contains(strings.ToLower(err.Message), gate), code == "25006":
		return refused
	case code == "40001", code == "40P01", code == "55P03", strings.HasPrefix(code, "57"), strings.HasPrefix(code, "08"):
		return again
	case strings.HasPrefix(code, "23"):
		return conflict
	}
	return unexpected
}

func mariadbAnswer(err *mysql.MySQLError) answer {
	switch err.Number {
	case 1290, 1792: // read-only
		return refused
	case 1644: // SIGNAL: the shop has no triggers of its own
		if strings.Contains(strings.ToLower(err.Message), gate) {
			return refused
		}
	case 1213, 1205, 1020, 1053, 1927, 1317: // deadlock, lock wait, record changed since last read, shutdown, killed, interrupted
		return again
	case 1062, 1451, 1452, 1586, 1761, 1762, 4025:
		return conflict
	}
	return unexpected
}

func sqliteAnswer(err *sqlite3.Error) answer {
	switch {
	case strings.Contains(strings.ToLower(err.Error()), gate):
		return refused
	case err.Code() == sqlite3.CONSTRAINT:
		return conflict
	case err.Code() == sqlite3.BUSY, err.Code() == sqlite3.LOCKED:
		return again
	}
	return unexpected
}

// errLost says that the row which a transaction was about to change is gone: it gives up.
var errLost = errors.New("the row is gone")
