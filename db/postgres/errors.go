package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel/whimbrel/db/driver"
)

// failure is an error whose class is known where it arose.
type failure struct {
	class driver.Class
	err   error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

var errFenced = &failure{class: driver.Fenced, err: errors.New("another epoch of this move has taken over")}

// errEnded is driver.ErrEnded with its class.
var errEnded = &failure{class: driver.Fenced, err: driver.ErrEnded}

// Classify says what an error means.
func (dialect) Classify(err error) driver.Class { return classify(err) }

func classify(err error) driver.Class {
	var known *failure
	var server *pgconn.PgError
	var cell *driver.CellError
	switch {
	case err == nil:
		return driver.Unclassified
	case errors.As(err, &known):
		return known.class
	case errors.As(err, &server):
		if server.Code == "23505" && server.SchemaName == "pg_catalog" {
			return driver.Transient // somebody makes the very same thing at this moment: a predecessor's last statement
		}
		return codeClass(server.Code)
	case errors.As(err, &cell):
		return driver.BadData
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return driver.Unclassified
	case driver.Broken(err):
		return driver.Lost
	}
	return driver.Unclassified
}

var codes = map[string]driver.Class{
	"40001": driver.Transient, "40P01": driver.Transient, "55P03": driver.Transient, "53300": driver.Transient,
	"57P03": driver.Transient, "55006": driver.Transient,
	"23505": driver.Conflict, "23P01": driver.Conflict,
	"42P07": driver.Exists, "42710": driver.Exists, "42P06": driver.Exists, "42701": driver.Exists, "42723": driver.Exists,
	"42P01": driver.Missing, "3F000": driver.Missing, "42704": driver.Missing, "42703": driver.Missing,
	"42883": driver.Missing, "3D000": driver.Missing,
	"42501": driver.Refused, "0LP01": driver.Refused,
	"53000": driver.Full, "53100": driver.Full, "53200": driver.Full, "53400": driver.Full,
	"57P01": driver.Lost, "57P02": driver.Lost, "57P05": driver.Lost, "25P03": driver.Lost, "25P04": driver.Lost,
}

func codeClass(code string) driver.Class {
	if c, ok := codes[code]; ok {
		return c
	}
	switch code[:min(2, len(code))] {
	case "08":
		return driver.Lost
	case "22", "23", "54":
		return driver.BadData
	case "28":
		return driver.Refused
	}
	return driver.Unclassified
}

// connectClass is for a session that could not be had: nothing had begun, so the call may be made again.
func connectClass(err error) driver.Class {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		if c := codeClass(server.Code); c != driver.Lost && c != driver.Unclassified {
			return c
		}
	}
	return driver.Transient
}

// explain takes the values of rows out of a server's sentence (HAZARDS, section 6) and names the cause of an ended context.
func (s *session) explain(ctx context.Context, err error) error {
	var server *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &server):
		return &serverError{cause: server}
	case ctx.Err() != nil:
		return errors.Join(context.Cause(ctx), &failure{class: driver.Lost, err: errors.New("the session was ended")})
	case s.conn.IsClosed():
		return &failure{class: driver.Lost, err: err}
	}
	return err
}

// serverError is a server's error without what could be a row's values.
type serverError struct{ cause *pgconn.PgError }

// Unwrap gives the server's own error, for its code.
func (e *serverError) Unwrap() error { return e.cause }

// Error says what happened and where; the sentence of an error about data is cut before its first quoted value.
func (e *serverError) Error() string {
	text := e.cause.Message
	if class := e.cause.Code[:min(2, len(e.cause.Code))]; class == "22" {
		if i := strings.Index(text, `: "`); i >= 0 {
			text = text[:i]
		}
	}
	for _, place := range []struct{ word, name string }{
		{"table", e.cause.TableName}, {"column", e.cause.ColumnName}, {"constraint", e.cause.ConstraintName},
	} {
		if place.name != "" && !strings.Contains(text, `"`+place.name+`"`) {
			text += ", " + place.word + " " + place.name
		}
	}
	if at := copyPlace(e.cause.Where); at != "" {
		text += ", " + at
	}
	return text + " (" + e.cause.Code + ")"
}

// copyPlace takes "line 5, column x" out of the context that COPY gives, and leaves the value.
func copyPlace(where string) string {
	if !strings.HasPrefix(where, "COPY ") {
		return ""
	}
	start := strings.Index(where, ", line ")
	if start < 0 {
		return ""
	}
	place, _, _ := strings.Cut(where[start+2:], "\n")
	place, _, _ = strings.Cut(place, ": ")
	return place
}
