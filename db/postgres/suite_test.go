package postgres

import (
	"context"
	"encoding/hex"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/driver/drivertest"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// TestSuite is the suite that every driver passes.
func TestSuite(t *testing.T) {
	drivertest.Run(t, drivertest.Config{
		Place: place, Absent: []string{"Free"}, // its administrator alone may ask what is free
		Folded: schema.Type{Kind: row.Text, Raw: "text", Collation: "public.folded"},
		Samples: []drivertest.Sample{
			{Name: "array", Type: describe("text[]"), Cells: []drivertest.Cell{{Text: `{"a\"b","c\\d",NULL,"{"}`}, {Text: "{}"}}},
			{Name: "range", Type: describe("int4range"), Cells: []drivertest.Cell{{Text: "[1,5)"}, {Text: "empty"}}},
			{Name: "inet", Type: describe("inet"), Cells: []drivertest.Cell{{Text: "10.0.0.0/8"}, {Text: "::1"}}},
			{Name: "jsonb", Type: describe("jsonb"), Cells: []drivertest.Cell{{Text: `{"a": 1}`}}},
			{Name: "char", Type: describe("character(5)"), Cells: []drivertest.Cell{{Text: "ab   "}}},
			{Name: "infinite", Type: describe("date"), Cells: []drivertest.Cell{{Text: "infinity"}, {Text: "0044-03-15 BC"}}},
			{Name: "timetz", Type: describe("time(6) with time zone"), Cells: []drivertest.Cell{{Text: "10:00:00.5+02"}}},
		},
		Truncate: drivertest.Noted,
	})
}

func place(t testing.TB) drivertest.Place {
	address := testserver.Postgres(t)
	u := login(t, address)
	u.do("CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
	return drivertest.Place{
		Open: func(t testing.TB, side driver.Side, run string) *driver.Database {
			return openFor(t, address, side, run)
		},
		App: drivertest.SQL{
			Connect: func(t testing.TB) drivertest.Session { return appSession{login(t, address)} }, Quote: quote, Literal: cellLiteral,
		},
		Left: func(t testing.TB) []string {
			left := u.ask(`SELECT nspname FROM pg_namespace WHERE nspname ~ '^whimbrel' UNION SELECT tgname FROM pg_trigger WHERE tgname ~ '^whimbrel'
				UNION SELECT proname FROM pg_proc WHERE proname ~ '^whimbrel' ORDER BY 1`)
			if left == "" {
				return nil
			}
			return strings.Split(left, ";")
		},
		Kill: func(testing.TB) {
			u.do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^whimbrel'")
		},
		Shadow: func(t testing.TB, name string) (driver.Shadow, *url.URL) {
			account := "builder of " + name
			if len(account) > 40 {
				account = account[:40]
			}
			account = strings.ToValidUTF8(account, "") + u.ask("SELECT current_database() || ' ' || count(*) FROM pg_roles")
			u.do("CREATE ROLE " + quote(account) + " LOGIN PASSWORD " + literal(testserver.Password))
			enters := mustParse(t, address)
			enters.User = url.UserPassword(account, testserver.Password)
			return driver.Shadow{Place: name, Account: account}, enters
		},
		Allow: func(t testing.TB, account string, table *schema.Table) {
			space := quote(table.Name.Schema)
			u.do("GRANT USAGE ON SCHEMA " + space + " TO " + quote(account) + "; GRANT ALL ON " + space + "." + quote(table.Name.Name) + " TO " + quote(account))
		},
		Program: func(t testing.TB, address, statements string) (string, error) {
			out, err := exec.CommandContext(t.Context(), "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", address, "-c", statements).CombinedOutput()
			return string(out), err
		},
		Done: func(t testing.TB) {
			const ours = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^whimbrel'"
			for range 100 {
				if u.ask(ours) == "0" {
					return
				}
				u.do("SELECT pg_sleep(0.05)")
			}
			t.Errorf("%s sessions are left", u.ask(ours))
		},
	}
}

func cellLiteral(t schema.Type, cell []byte) string {
	if t.Kind == row.Bytes {
		return `'\x` + hex.EncodeToString(cell) + "'"
	}
	return literal(string(cell))
}

type appSession struct{ *user }

func (s appSession) Exec(sql string) error {
	_, err := s.conn.Exec(context.Background(), sql).ReadAll()
	return err
}

func (s appSession) Close() error { return s.conn.Close(context.Background()) }
