package postgres

import (
	"encoding/binary"
	"net/url"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// FuzzFields reads fields that no server sends, of every type: cells or an error, and never a row that is half there. What could be
// read is written again.
func FuzzFields(f *testing.F) {
	for _, s := range []string{"", "t", "\x00\x00\x00\x01", "\x80\x00\x00\x00", "\x7f\xff\xff\xff\xff\xff\xff\xff", "1234.50", "NaN", "0123456789abcdef", "-838:59:59.999999", "\xff\xfe"} {
		f.Add([]byte(s), byte(0), 3)
	}
	f.Fuzz(func(t *testing.T, field []byte, options byte, scale int) {
		scale &= 31
		for raw := range wires {
			for _, kind := range row.Kinds() {
				column := &schema.Column{Name: "c", Type: describe(raw)}
				db := &database{encoding: []string{"UTF8", "SQL_ASCII"}[options&1]}
				all := db.codecs(schema.Shape{Columns: []schema.ShapeColumn{{Column: column, Cell: kind, Scale: scale, Digits: scale & 7}}})
				all[0].lenient = options&2 != 0
				b := row.NewBatch(1)
				b.AppendString("first")
				if err := appendRow(b, all, [][]byte{field}); err != nil {
					if b.Len() != 1 || strings.Contains(err.Error(), string(field)) && len(field) > 12 {
						t.Fatalf("%s as %s: %d rows after %v", raw, kind, b.Len(), err)
					}
					continue
				}
				if b.Len() != 2 {
					t.Fatalf("%s as %s: %d rows", raw, kind, b.Len())
				}
				cell := b.Cell(1, 0)
				_ = all[0].appendText(nil, cell)
				if all[0].wire == noWire || cell == nil {
					continue
				}
				if out, ok := all[0].appendWire(nil, cell); ok && (len(out) < 4 || int(binary.BigEndian.Uint32(out)) != len(out)-4) {
					t.Fatalf("%s as %s: the field of %q is %x", raw, kind, cell, out)
				}
			}
		}
	})
}

// FuzzWords reads what a catalog might say of types and defaults, and quotes it.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"numeric(10,-2)", "numeric(100000,50000)", "character varying(20)[]", `"char"`, "timestamp(3) without time zone", "bit(8)", "", "()", "''::date", "'a''b'::text", "(-5)::bigint", "now()", "'\\x00ff'::bytea", "'1 day'::interval"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, words string) {
		kind := describe(words)
		if kind.Scale > 1000 && kind.Kind == row.Decimal {
			t.Fatalf("%q has %d digits after the point", words, kind.Scale)
		}
		d := dialect{version: 150000, home: "public"}
		for _, key := range []bool{true, false} {
			_, _ = d.Carry(kind, key)
		}
		for raw := range wires {
			if got := readDefault(words, describe(raw)); got == nil || got.Kind == schema.Expression && got.Text != words {
				t.Fatalf("%q for %s: %+v", words, raw, got)
			}
		}
		if got := quote(words); strings.Count(got, `"`)%2 != 0 || strings.ReplaceAll(got[1:len(got)-1], `""`, `"`) != words {
			t.Fatalf("%q is quoted as %q", words, got)
		}
		if got := literal(words); strings.Count(got, "'")%2 != 0 || strings.ReplaceAll(got[1:len(got)-1], "''", "'") != words {
			t.Fatalf("%q is a literal as %q", words, got)
		}
		if utf8.ValidString(words) {
			_ = nameArray([]string{words, words})
		}
	})
}

// FuzzURL: any URL is a configuration or an error; its password is in neither the error nor the place that people see, and who asked
// for a server that proves itself gets no other.
func FuzzURL(f *testing.F) {
	for _, s := range []string{"postgres://a@b/c", "postgres://a@b/c?sslmode=verify-full&password=x", "postgres://a@b,c:1/d?target_session_attrs=any", "postgres://b?host=/tmp&service=x", "postgres:///x?sslmode=prefer", "postgres://a@b/%zz?sslcert=/x"} {
		f.Add(s)
	}
	dir := f.TempDir()
	f.Setenv("HOME", dir)
	for _, name := range os.Environ() {
		if strings.HasPrefix(name, "PG") {
			name, _, _ = strings.Cut(name, "=")
			f.Setenv(name, "")
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil || strings.Contains(text, "service") {
			return
		}
		const password = "k4nary7f"
		u.User = url.UserPassword("a", password)
		if q := u.Query(); len(q) < 5 {
			q.Set("sslpassword", password)
			u.RawQuery = q.Encode()
		}
		config, err := configure(u, driver.Options{Side: driver.Source, Run: "r"})
		if err != nil {
			if strings.Contains(err.Error(), password) {
				t.Fatalf("%q: the password is in %v", text, err)
			}
			return
		}
		if mode := u.Query().Get("sslmode"); (mode == "verify-full" || mode == "" && u.Query().Get("host") == "" && !local(u.Hostname())) && !strings.HasPrefix(config.Host, "/") {
			if config.TLSConfig == nil || config.TLSConfig.InsecureSkipVerify || config.TLSConfig.ServerName == "" {
				t.Fatalf("%q goes without proof: %+v", text, config.TLSConfig)
			}
			for _, other := range config.Fallbacks {
				if other.TLSConfig == nil && !strings.HasPrefix(other.Host, "/") {
					t.Fatalf("%q falls back to plain text", text)
				}
			}
		}
	})
}
