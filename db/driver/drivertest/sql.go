package drivertest

import (
	"errors"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// SQL is an application that writes with plain statements.
type SQL struct {
	// Connect opens a session of the application's own, through no code of the driver's.
	Connect func(t testing.TB) Session
	// Quote writes an identifier.
	Quote func(name string) string
	// Literal writes a canonical cell as a literal for a column of this type.
	Literal  func(t schema.Type, cell []byte) string
	Start    string // the statement that begins a transaction; "BEGIN" when empty
	Truncate string // the words before the table's name; "TRUNCATE TABLE" when empty
}

// Session is one session of an application.
type Session interface {
	Exec(sql string) error
	Close() error
}

// Begin opens a session and begins a transaction on it.
func (a SQL) Begin(t testing.TB) Tx {
	t.Helper()
	x := &statements{app: a, s: a.Connect(t)}
	start := a.Start
	if start == "" {
		start = "BEGIN"
	}
	check(t, x.s.Exec(start))
	return x
}

// statements is a transaction as the statements it runs.
type statements struct {
	app SQL
	s   Session
}

func (x *statements) name(t *schema.Table) string {
	if t.Name.Schema == "" {
		return x.app.Quote(t.Name.Name)
	}
	return x.app.Quote(t.Name.Schema) + "." + x.app.Quote(t.Name.Name)
}

func (x *statements) literal(c *schema.Column, cell []byte) string {
	if cell == nil {
		return "NULL"
	}
	return x.app.Literal(c.Type, cell)
}

func (x *statements) Insert(t *schema.Table, cells ...[]byte) error {
	var names, values []string
	for i, c := range t.Columns {
		names, values = append(names, x.app.Quote(c.Name)), append(values, x.literal(c, cells[i]))
	}
	return x.s.Exec("INSERT INTO " + x.name(t) + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")")
}

func (x *statements) Update(t *schema.Table, key row.Key, cells ...[]byte) error {
	var set []string
	for i, c := range t.Columns {
		set = append(set, x.app.Quote(c.Name)+" = "+x.literal(c, cells[i]))
	}
	where, err := x.where(t, key)
	if err != nil {
		return err
	}
	return x.s.Exec("UPDATE " + x.name(t) + " SET " + strings.Join(set, ", ") + where)
}

func (x *statements) Delete(t *schema.Table, key row.Key) error {
	where, err := x.where(t, key)
	if err != nil {
		return err
	}
	return x.s.Exec("DELETE FROM " + x.name(t) + where)
}

func (x *statements) where(t *schema.Table, key row.Key) (string, error) {
	cells, err := key.Cells()
	if err != nil {
		return "", err
	}
	var terms []string
	for i, n := range t.LiveKey().Names() {
		terms = append(terms, x.app.Quote(n)+" = "+x.literal(t.Column(n), cells[i]))
	}
	return " WHERE " + strings.Join(terms, " AND "), nil
}

func (x *statements) Truncate(t *schema.Table) error {
	words := x.app.Truncate
	if words == "" {
		words = "TRUNCATE TABLE"
	}
	return x.s.Exec(words + " " + x.name(t))
}

func (x *statements) Commit() error { return errors.Join(x.s.Exec("COMMIT"), x.s.Close()) }

func (x *statements) Rollback() error { return errors.Join(x.s.Exec("ROLLBACK"), x.s.Close()) }
