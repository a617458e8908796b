package mysql

import (
	"net/url"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// FuzzWords reads what a catalog might say of types, versions and keys, and quotes it.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"enum('a','b''c')", "set('x')", "decimal(65,30) unsigned", "enum('", "5.5.5-10.11.6-MariaDB-log", "bit(64)", "point", "a`b\\", "'\\", "varchar(20)"} {
		f.Add(s, "utf8mb4", "10", []byte("12"))
	}
	for _, cell := range []string{"'", `\`, `\'; --`, "\x00"} {
		f.Add("varchar(20)", "utf8mb4", "100000", []byte(cell))
	}
	words := []string{"tinyint", "decimal", "float", "bit", "varchar", "longtext", "binary", "blob", "enum", "set", "date", "time", "datetime", "timestamp", "json", "uuid", "inet6", "point", "year"}
	f.Fuzz(func(t *testing.T, column, charset, number string, cell []byte) {
		v := parseVersion(column, charset)
		d := dialect{version: v, schema: "shop"}
		for _, data := range append(words, column) {
			kind := catalogType{data: data, column: column, length: number, octets: number, digits: number, scale: number, seconds: number, charset: charset, collation: charset}.describe()
			if kind.Scale > 1000 || kind.Precision > 1000 {
				t.Fatalf("%s %q has %d digits after the point", data, column, kind.Scale)
			}
			for _, key := range []bool{true, false} {
				_, _ = d.Carry(kind, key)
			}
			if got := string(appendLiteral(nil, kind, cell)); !closed(got) {
				t.Fatalf("%q of %s is the literal %q", cell, data, got)
			}
		}
		if got := quote(column); strings.Count(got, "`")%2 != 0 || strings.ReplaceAll(got[1:len(got)-1], "``", "`") != column {
			t.Fatalf("%q is quoted as %q", column, got)
		}
		for _, text := range []string{column, charset, number} {
			if got := quoteText(text); !closed(got) {
				t.Fatalf("%q is the text %q", text, got)
			}
		}
	})
}

// closed reports whether every quote of a literal is closed, with backslash escapes on, and nothing but a literal's words stands
// outside of quotes.
func closed(s string) bool {
	inside := false
	for i := 0; i < len(s); i++ {
		switch {
		case inside && s[i] == '\\':
			i++
		case s[i] == '\'':
			inside = !inside
		case !inside && (s[i] == ';' || s[i] == '`' || s[i] == '#'):
			return false
		}
	}
	return !inside
}

// FuzzURL: any URL is a configuration or an error; its password is in neither the error nor the place that people see, and who asked
// for a server that proves itself gets no other.
func FuzzURL(f *testing.F) {
	for _, s := range []string{"mariadb://a@b/c", "mysql://a@127.0.0.1:1/c?tls=off", "mariadb://a@b/c?tls=verify&ca=/x", "mariadb://a@/c?socket=/s", "mariadb://a@b/c?tls=skip-verify", "mariadb://[::1]/c?x=y", "mariadb://b/c?x=y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil || u.Query().Get("ca") != "" {
			return
		}
		const password = "k4nary7f"
		u.User = url.UserPassword("a", password)
		if q := u.Query(); q.Has("x") {
			q.Set("password", password)
			u.RawQuery = q.Encode()
			if _, err := Driver.Open(t.Context(), u, driver.Options{Side: driver.Source}); err == nil || strings.Contains(err.Error(), password) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		cfg, err := configure(u, driver.Options{Side: driver.Source, Run: "r"})
		if err != nil {
			if strings.Contains(err.Error(), password) {
				t.Fatalf("%q: the password is in %v", text, err)
			}
			return
		}
		d := &database{cfg: cfg}
		if strings.Contains(d.place(), password) {
			t.Fatalf("%q is shown as %s", text, d.place())
		}
		if cfg.AllowAllFiles || cfg.AllowCleartextPasswords || cfg.AllowOldPasswords || cfg.AllowFallbackToPlaintext {
			t.Fatalf("%q allows too much: %+v", text, cfg)
		}
		if mode := u.Query().Get("tls"); mode == "verify" && (cfg.TLS == nil || cfg.TLS.InsecureSkipVerify) {
			t.Fatalf("%q goes without proof", text)
		}
	})
}

// FuzzCellsOfText reads any text as a value of any type: a cell, or a reason and no cell.
func FuzzCellsOfText(f *testing.F) {
	for _, s := range []string{"", "0000-00-00", "2024-02-30 25:61:61", "-838:59:59.000000", "1e400", "\xff", "12.50", "\x00\x01"} {
		f.Add([]byte(s))
	}
	columns := []schema.Column{}
	for _, kind := range row.Kinds() {
		for _, raw := range []string{"bit(3)", "timestamp", "uuid", "text", "decimal(5,2)"} {
			columns = append(columns, schema.Column{Name: "c", Type: schema.Type{Kind: kind, Raw: raw, Scale: 2, Length: 3}})
		}
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		for i := range columns {
			s := schema.Shape{Columns: []schema.ShapeColumn{{Column: &columns[i], Cell: columns[i].Type.Kind, Scale: 2, Digits: 3}}}
			c, b := newCells(&schema.Table{Columns: []*schema.Column{&columns[i]}}, s), row.NewBatch(1)
			why := c.text(b, 0, value)
			if why == "" && b.Len() != 1 {
				t.Fatalf("%q as %s has %d cells", value, columns[i].Type.Kind, b.Len())
			}
		}
	})
}
