package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"strings"

	gosql "github.com/go-sql-driver/mysql"

	"github.com/whimbrel/whimbrel/db/driver"
)

var (
	errFenced  = errors.New("another epoch has taken over: this process may not write any more")
	errLoaded  = errors.New("the range is in the ledger already")
	errApplied = errors.New("the ledger has a batch of this number already")

	errUnpromised = errors.New("the batch before it was not promised or is not forgotten")
	errForgotten  = errors.New("a later batch has been forgotten already")
)

// outcomeError is a COMMIT whose answer was lost.
type outcomeError struct{ cause error }

func (e *outcomeError) Error() string { return "the answer to COMMIT was lost: " + e.cause.Error() }
func (e *outcomeError) Unwrap() error { return e.cause }

// warningError is a row that LOAD DATA would have altered or left out.
type warningError struct {
	code uint16
	what error
}

func (e *warningError) Error() string { return fmt.Sprintf("%v (error %d)", e.what, e.code) }
func (e *warningError) Unwrap() error { return e.what }

// waitError is something that others still hold after the time allowed.
type waitError struct{ what string }

func (e *waitError) Error() string { return e.what }

// classes are the server's error numbers that mean something to callers (MySQL and MariaDB share them).
var classes = map[uint16]driver.Class{
	1205: driver.Transient, 1213: driver.Transient, 1040: driver.Transient, 1203: driver.Transient, 1226: driver.Transient,
	1614: driver.Transient, 3572: driver.Transient, 1206: driver.Transient, 1020: driver.Transient, 1412: driver.Transient,
	1158: driver.Lost, 1159: driver.Lost, 1160: driver.Lost, 1161: driver.Lost, 1053: driver.Lost, 1317: driver.Transient,
	1927: driver.Lost, 1152: driver.Lost, 1184: driver.Lost, 3169: driver.Lost, 4031: driver.Lost,

	1062: driver.Conflict, 1022: driver.Conflict, 1586: driver.Conflict, 1859: driver.Conflict,
	1050: driver.Exists, 1061: driver.Exists, 1007: driver.Exists, 1826: driver.Exists, 1359: driver.Exists, 1304: driver.Exists,
	1060: driver.Exists, 3822: driver.Exists, 1068: driver.Exists,
	1146: driver.Missing, 1051: driver.Missing, 1049: driver.Missing, 1054: driver.Missing, 1091: driver.Missing,
	1360: driver.Missing, 1305: driver.Missing, 1347: driver.Missing, 4091: driver.Missing,
	1044: driver.Refused, 1045: driver.Refused, 1142: driver.Refused, 1143: driver.Refused, 1227: driver.Refused,
	1290: driver.Refused, 1370: driver.Refused, 1419: driver.Refused, 1792: driver.Refused, 1836: driver.Refused, 1644: driver.Refused,
	1698: driver.Refused,
	1114: driver.Full, 1021: driver.Full, 1041: driver.Full, 1037: driver.Full, 1038: driver.Full,
	1264: driver.BadData, 1265: driver.BadData, 1366: driver.BadData, 1292: driver.BadData, 1406: driver.BadData, 1048: driver.BadData,
	1261: driver.BadData, 1262: driver.BadData, 1263: driver.BadData, 1300: driver.BadData, 1153: driver.BadData, 1364: driver.BadData,
	1367: driver.BadData, 1411: driver.BadData, 1416: driver.BadData, 1690: driver.BadData, 1977: driver.BadData, 3140: driver.BadData,
	3819: driver.BadData, 4025: driver.BadData, 4035: driver.BadData, 4036: driver.BadData, 4037: driver.BadData, 4038: driver.BadData,
	1242: driver.BadData, 1118: driver.BadData, 1452: driver.BadData, 1451: driver.BadData, 1216: driver.BadData, 1217: driver.BadData,
	1105: driver.Unclassified, 3988: driver.BadData, 1301: driver.BadData, 1526: driver.BadData,
}

// serverClass goes by the server's number, and, where it says of a file only what the system has said, by the system's: 28 is no room.
func serverClass(e *gosql.MySQLError) driver.Class {
	c := classes[e.Number]
	if c == driver.Unclassified && (strings.Contains(e.Message, "(Errcode: 28 ") || e.Number == 1030 && strings.Contains(e.Message, " 28 ")) {
		return driver.Full
	}
	return c
}

// Classify says what an error means, by the server's numbers and the client library's values only.
func (dialect) Classify(err error) driver.Class {
	var (
		outcome *outcomeError
		server  *gosql.MySQLError
		warning *warningError
		wait    *waitError
		said    *saidError
		cell    *driver.CellError
	)
	switch {
	case err == nil:
		return driver.Unclassified
	case errors.As(err, &outcome):
		return driver.Unknown
	case errors.Is(err, errFenced), errors.Is(err, driver.ErrEnded):
		return driver.Fenced
	case errors.Is(err, errLoaded), errors.Is(err, errApplied):
		return driver.Exists
	case errors.Is(err, errUnpromised):
		return driver.Conflict
	case errors.As(err, &warning):
		if c := classes[warning.code]; c != driver.Unclassified {
			return c
		}
		return driver.BadData
	case errors.As(err, &server):
		return serverClass(server)
	case errors.As(err, &said):
		return said.class
	case errors.As(err, &wait):
		return driver.Transient
	case errors.As(err, &cell):
		return driver.BadData
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return driver.Unclassified
	case errors.Is(err, sqldriver.ErrBadConn), errors.Is(err, gosql.ErrInvalidConn), errors.Is(err, gosql.ErrPktSync), driver.Broken(err):
		return driver.Lost
	}
	return driver.Unclassified
}
