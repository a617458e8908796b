package transform

import (
	"fmt"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

func TestParseType(t *testing.T) {
	for text, want := range map[string]schema.Type{
		"int":            {Kind: row.Int, Precision: 64},
		" int( 32 ) ":    {Kind: row.Int, Precision: 32},
		"decimal(10, 2)": {Kind: row.Decimal, Precision: 10, Scale: 2},
		"decimal":        {Kind: row.Decimal, Scale: -1},
		"decimal(5)":     {Kind: row.Decimal, Precision: 5},
		"text(100)":      {Kind: row.Text, Length: 100, Binary: true},
		"timestamp":      {Kind: row.Timestamp, Scale: 6},
		"instant(3)":     {Kind: row.Instant, Scale: 3},
		"bytes":          {Kind: row.Bytes},
	} {
		if got, err := ParseType(text); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "varchar(10)", "int(7)", "int(8,8)", "text(-1)", "text(1", "text(1)x", "decimal(2,3)", "decimal(a)", "timestamp(10)", "date(1)"} {
		if got, err := ParseType(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

// sample is a table with a column of each kind that expressions tell apart.
func sample() *schema.Table {
	column := func(name string, k row.Kind, scale int) *schema.Column {
		return &schema.Column{Name: name, Type: schema.Type{Kind: k, Scale: scale, Precision: 20}, Null: true}
	}
	id := column("id", row.Int, 0)
	id.Null = false
	return &schema.Table{
		Name: schema.Name{Schema: "main", Name: "t"}, Number: 1,
		Columns: []*schema.Column{
			id, column("n", row.Int, 0), column("amount", row.Decimal, 2), column("ratio", row.Float64, 0), column("name", row.Text, 0),
			column("blob", row.Bytes, 0), column("flag", row.Bool, 0), column("day", row.Date, 0), column("first name", row.Text, 0), column("code", row.Text, 0),
		},
		Primary: &schema.Key{Name: "pk", Columns: []schema.Part{{Column: "id"}}},
	}
}

// sampleRow are cells of it; a nil one is NULL.
func sampleRow() [][]byte {
	return [][]byte{
		[]byte("7"), []byte("-3"), []byte("12.50"), []byte("0.25"), []byte("Ada"), {0xe9, 0x81}, []byte("1"), []byte("2024-02-29"), []byte("Lovelace"), nil,
	}
}

// evaluate computes one column of a row.
func evaluate(t *testing.T, text, kind string) (string, error) {
	t.Helper()
	f, err := compile(Rule{Place: "r:1", Table: "t", Columns: []Column{{Place: "r:2", Name: "x", Value: text, Type: kind}}}, sample())
	if err != nil {
		return "", err
	}
	made := f.view.Column("x")
	r, err := f.reader(schema.Shape{Columns: []schema.ShapeColumn{
		{Column: f.view.Columns[0], Cell: row.Int}, naturally(made),
	}, Key: []int{0}})
	if err != nil {
		return "", err
	}
	in, out := row.NewBatch(r.read.Width()), row.NewBatch(2)
	for _, c := range r.read.Columns {
		for i, own := range sample().Columns {
			if own.Name == c.Column.Name {
				if cell := sampleRow()[i]; cell == nil {
					in.AppendNull()
				} else {
					in.Append(cell)
				}
			}
		}
	}
	if err := r.turn(in, out); err != nil {
		return "", err
	}
	if out.Null(0, 1) {
		return "NULL", nil
	}
	return string(out.Cell(0, 1)), nil
}

func TestExpressions(t *testing.T) {
	for _, test := range []struct{ text, kind, want string }{
		{`name + " " + $env["first name"]`, "text", "Ada Lovelace"},
		{`n * 2 + id`, "int", "1"},
		{`n`, "decimal(10,3)", "-3.000"},
		{`amount`, "decimal(10,2)", "12.50"},
		{`amount * 3 - n`, "decimal(10,2)", "40.50"},
		{`rounded(amount / 3, 2)`, "decimal(10,2)", "4.17"},
		{`amount / decimal("0.3")`, "decimal", "41.666666666666666666666666666667"},
		{`amount > 12 and amount >= decimal("12.50") and amount == amount and not (amount != amount)`, "bool", "1"},
		{`ratio * 2`, "float64", "0.5"},
		{`n`, "float64", "-3"},
		{`flag ? "yes" : "no"`, "text", "yes"},
		{`day`, "date", "2024-02-29"},
		{`day + " 10:00:00"`, "timestamp", "2024-02-29 10:00:00"},
		{`day > "2024-01-01"`, "bool", "1"},
		{`code`, "text", "NULL"},
		{`code + "x"`, "text", "NULL"},
		{`code ?? "none"`, "text", "none"},
		{`code == nil ? 1 : 2`, "int", "1"},
		{`nil != code`, "bool", "0"},
		{`decode(blob, "latin1")`, "text", "é\u0081"},
		{`bytes(name)`, "bytes", "Ada"},
		{`lower(name)`, "text", "ada"},
		{`"constant"`, "text", "constant"},
		{`nil`, "text", "NULL"},
		{`{"a": n, "b": name} | toJSON()`, "json", "{\n  \"a\": -3,\n  \"b\": \"Ada\"\n}"},
	} {
		if got, err := evaluate(t, test.text, test.kind); err != nil || got != test.want {
			t.Errorf("%s as %s: %q, %v; want %q", test.text, test.kind, got, err, test.want)
		}
	}
}

// TestWrongExpressions are refused before anything starts, or stop the row with its key and without its values.
func TestWrongExpressions(t *testing.T) {
	for _, test := range []struct{ text, kind, want string }{
		{`name +`, "text", "r:2: column x: unexpected token EOF"},
		{`nobody + 1`, "int", "r:2: column x: unknown name nobody"},
		{`name + 1`, "int", "r:2: column x: invalid operation: + (mismatched types string and int)"},
		{`name`, "int", "r:2: column x: the expression gives string, and the column is int"},
		{`n`, "text", "r:2: column x: the expression gives int, and the column is text"},
		{`now()`, "instant", "r:2: column x: unknown name now"},
		{`"x"`, "", "r:2: column x: a computed column needs a type"},
		{`amount / 3`, "decimal(10,2)", "column x of main.t, key 7, has more digits after the point than the column's 2"},
		{`amount / (id - 7)`, "decimal(10,2)", "column x of main.t, key 7, division by zero"},
		{`"2024-1-5"`, "date", "column x of main.t, key 7, is no date as the column holds it"},
		{`"2023-02-29"`, "date", "is no date"},
		{`day + " 10:00:00.1234567"`, "timestamp(3)", "is no timestamp"},
		{`decode(blob, "cp1252")`, "text", "holds bytes that are no character of cp1252"},
		{`decode(blob, "klingon")`, "text", `"klingon" is no character set`},
		{`int(name)`, "int", "column x of main.t, key 7,"},
	} {
		got, err := evaluate(t, test.text, test.kind)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s as %s: %q, %v; want %q", test.text, test.kind, got, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "Lovelace") {
			t.Errorf("%s tells a value: %v", test.text, err)
		}
	}
}

func TestConversions(t *testing.T) {
	for _, test := range []struct {
		from     row.Kind
		text, to string
		want     string
	}{
		{row.Int, "5", "text", "5"},
		{row.Int, "5", "decimal(10,2)", "5.00"},
		{row.Text, "007.50", "decimal(10,2)", "7.50"},
		{row.Text, "007.505", "decimal(10,2)", "error"},
		{row.Text, "012", "int", "12"},
		{row.Text, "-0", "int", "0"},
		{row.Text, "NaN", "int", "error"},
		{row.Text, "1e3", "float64", "1000"},
		{row.Text, "yes", "bool", "error"},
		{row.Decimal, "12.00", "int", "12"},
		{row.Decimal, "12.01", "int", "error"},
		{row.Bool, "1", "int", "1"},
		{row.Int, "2", "bool", "error"},
		{row.Date, "2024-02-29", "timestamp", "2024-02-29 00:00:00"},
		{row.Timestamp, "2024-02-29 00:00:00", "date", "2024-02-29"},
		{row.Timestamp, "2024-02-29 00:00:01", "date", "error"},
		{row.Timestamp, "2024-02-29 00:00:01.5", "timestamp(1)", "2024-02-29 00:00:01.5"},
		{row.Timestamp, "2024-02-29 00:00:01.55", "timestamp(1)", "error"},
		{row.Text, "24:00:00", "time", "24:00:00"},
		{row.Text, "0000-01-01", "date", "error"},
		{row.Text, "00112233-4455-6677-8899-AABBCCDDEEFF", "uuid", "00112233-4455-6677-8899-aabbccddeeff"},
		{row.Text, "0011223344556677-8899-AABBCCDDEEFF", "uuid", "error"},
		{row.Bytes, "x", "text", "refused"},
		{row.Text, "x", "bytes", "x"},
		{row.Float32, "0.1", "float64", "0.1"},
	} {
		to, err := ParseType(test.to)
		if err != nil {
			t.Fatal(err)
		}
		got := "refused"
		if convert, possible := conversionOf(schema.Type{Kind: test.from}, to); possible {
			if got = test.text; convert != nil {
				out, err := convert(nil, []byte(test.text), naturally(&schema.Column{Type: to}))
				if got = string(out); err != nil {
					got = "error"
				}
			}
		}
		if got != test.want {
			t.Errorf("%s %q as %s: %q, want %q", test.from, test.text, test.to, got, test.want)
		}
	}
}

// TestCharsets: what a set can write it reads back, in each set, and what is no character is counted.
func TestCharsets(t *testing.T) {
	texts := []string{"", "plain text 123", "Größe naïve", "Привет", "日本語テスト", "한국어", "繁體中文", "简体中文", "😀 �"}
	for name := range charsets {
		c, err := findCharset(name)
		if err != nil {
			t.Fatal(err)
		}
		written := 0
		for _, text := range texts {
			raw, ok := c.encode(nil, []byte(text))
			if !ok {
				continue
			}
			written++
			if got, bad := c.decode(nil, raw); string(got) != text || bad != 0 {
				t.Errorf("%s: %q came back as %q, %d lost", name, text, got, bad)
			}
		}
		if written < 2 && name != "cesu8" {
			t.Errorf("%s writes %d texts", name, written)
		}
	}
	for _, test := range []struct{ set, raw, want string }{
		{"CESU-8", "a\xed\xa0\xbd\xed\xb8\x80b", "a😀b"},
		{"CESU-8", "\xed\xa0\xbdx", "���x"},
		{"CESU-8", "😀", "�"},
		{"EBCDIC 037", "\xc8\x85\x93\x93\x96", "Hello"},
		{"cp437", "\x81", "ü"},
		{"utf-8", "a\xffb", "a�b"},
		{"Shift_JIS", "\x81", "�"},
	} {
		c, err := findCharset(test.set)
		if err != nil {
			t.Fatal(err)
		}
		got, bad := c.decode(nil, []byte(test.raw))
		if string(got) != test.want || (bad > 0) != strings.Contains(test.want, "�") {
			t.Errorf("%s %q: %q, %d lost, want %q", test.set, test.raw, got, bad, test.want)
		}
	}
}

// TestWronglyDeclared: UTF-8 that was written into a column of latin1 is read as what it is.
func TestWronglyDeclared(t *testing.T) {
	latin1, _ := findCharset("latin1")
	utf8, _ := findCharset("utf8")
	for _, text := range []string{"Größe", "Ý\u008fÁ", "日本語", "À Í Ï Ð"} {
		mistaken, _ := latin1.decode(nil, []byte(text)) // what the source shows
		got, err := decoding(utf8, &latin1)(nil, mistaken, schema.ShapeColumn{})
		if string(got) != text || err != nil {
			t.Errorf("%q shown as %q came back as %q, %v", text, mistaken, got, err)
		}
	}
	if _, err := decoding(utf8, &latin1)(nil, []byte("Größe"), schema.ShapeColumn{}); err == nil {
		t.Error("latin1 text passes for UTF-8")
	}
}

// TestMistakes: each ends in one sentence with its place.
func TestMistakes(t *testing.T) {
	no := false
	for _, test := range []struct {
		rule Rule
		want string
	}{
		{Rule{Drop: []string{"nobody"}}, "r:1: drop: main.t has no column nobody"},
		{Rule{Drop: []string{"id"}}, "r:1: the columns of the key of main.t (id) must stay as they are"},
		{Rule{Where: "name"}, "r:1: where: the expression gives string and not true or false"},
		{Rule{Where: "nobody == 1"}, "r:1: where: unknown name nobody"},
		{Rule{Columns: []Column{{Name: "x"}}}, "r:2: column x needs either from"},
		{Rule{Columns: []Column{{Name: "x", From: "Name"}}}, "r:2: column x: main.t has no column Name; name is there"},
		{Rule{Columns: []Column{{Name: "x", From: "name", Type: "varchar"}}}, `r:2: column x: "varchar" is no type`},
		{Rule{Columns: []Column{{Name: "x", From: "blob", Type: "int"}}}, "r:2: column x: int can not be made of bytes without an expression"},
		{Rule{Columns: []Column{{Name: "id", From: "id", Type: "decimal(30,2)"}}}, "the columns of the key"},
		{Rule{Columns: []Column{{Name: "x", From: "name", Reading: Reading{Charset: "cp437"}}}}, "r:2: column x: name is text; say in declared"},
		{Rule{Columns: []Column{{Name: "x", From: "n", Reading: Reading{Charset: "cp437"}}}}, "r:2: column x: n holds neither text nor bytes"},
		{Rule{Columns: []Column{{Name: "x", From: "blob", Reading: Reading{Charset: "cp437", Stored: "latin1"}}}}, "r:2: column x: blob holds bytes"},
		{Rule{Columns: []Column{{Name: "x", From: "name", Reading: Reading{Stored: "latin1"}}}}, "which is not given"},
		{Rule{Columns: []Column{{Name: "x", Value: "1", Type: "int"}, {Name: "x", Value: "2", Type: "int"}}}, "r:2: there are two columns x"},
		{Rule{Columns: []Column{{Name: "n", From: "n", Null: &no}}}, ""},
	} {
		test.rule.Place, test.rule.Table = "r:1", "t"
		for i := range test.rule.Columns {
			test.rule.Columns[i].Place = "r:2"
		}
		_, err := compile(test.rule, sample())
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %q", test.rule, err, test.want)
		}
	}
}

// TestUniqueKeysThatNobodyCanCompare forbid a merge.
func TestUniqueKeysThatNobodyCanCompare(t *testing.T) {
	for _, k := range []*schema.Key{
		{Name: "some", Columns: []schema.Part{{Column: "name"}}, Where: "n > 1"},
		{Name: "some", Columns: []schema.Part{{Expression: "lower(name)"}}},
	} {
		s := sample()
		s.Uniques = []*schema.Key{k}
		_, err := compile(Rule{Place: "r:1", Table: "t", Merge: &Merge{Place: "r:2", Wins: SourceWins}}, s)
		if err == nil || !strings.Contains(err.Error(), "r:2: merge: the unique key some of main.t has a condition or an expression") {
			t.Error(err)
		}
	}
	s := sample()
	s.Columns[0].Generated = &schema.Generated{Expression: "1"}
	if _, err := compile(Rule{Place: "r:1", Table: "t", Merge: &Merge{Place: "r:2", Wins: SourceWins}}, s); err == nil || !strings.Contains(err.Error(), "r:2: merge: column id of the key of main.t is computed") {
		t.Error(err)
	}
}

// TestPrefixes: a unique key of a prefix compares as many characters of text, and bytes of bytes.
func TestPrefixes(t *testing.T) {
	s := sample()
	s.Uniques = []*schema.Key{{Name: "some", Columns: []schema.Part{{Column: "name", Prefix: 3}, {Column: "blob", Prefix: 2}}}}
	f, err := compile(Rule{Place: "r:1", Table: "t", Merge: &Merge{Place: "r:2", Wins: SourceWins}}, s)
	if err != nil {
		t.Fatal(err)
	}
	u := &f.uniques([]string{"name", "blob"})[0]
	value := func(name, blob string) string {
		b := row.NewBatch(2)
		b.AppendString(name)
		b.AppendString(blob)
		got, has := u.value(nil, b, 0)
		if !has {
			t.Error("no value")
		}
		return string(got)
	}
	if value("äöüß", "abc") != value("äöüx", "abd") {
		t.Error("what is behind a prefix counts")
	}
	if value("äöü", "ab") == value("äöx", "ab") || value("ä", "ab") == value("ä", "ax") || value("äö", "") == value("ä", "ö") {
		t.Error("what is in a prefix does not count")
	}
}

// TestWhatStandsBesideColumnsGetsTheirNames, and what speaks of a column that is not what it was is left out.
func TestWhatStandsBesideColumnsGetsTheirNames(t *testing.T) {
	s := sample()
	s.Uniques = []*schema.Key{{Name: "by_name", Columns: []schema.Part{{Column: "name"}}}, {Name: "by_n", Columns: []schema.Part{{Column: "n"}}}}
	s.Indexes = []*schema.Index{{Name: "days", Columns: []schema.Part{{Column: "day"}, {Column: "name"}}}, {Name: "flags", Columns: []schema.Part{{Column: "flag"}}, Where: "n > 1"}}
	s.Checks = []*schema.Check{{Name: "positive", Expression: "amount >= 0"}, {Name: "small", Expression: "n < 10"}}
	s.Foreign = []*schema.ForeignKey{{Name: "people", Columns: []string{"name"}, Parent: schema.Name{Name: "p"}, ParentCols: []string{"name"}}}
	f, err := compile(Rule{Place: "r:1", Table: "t", Drop: []string{"n"}, Columns: []Column{
		{Name: "number", From: "id"}, {Name: "full", From: "name"}, {Name: "ratio", From: "ratio"},
	}}, s)
	if err != nil {
		t.Fatal(err)
	}
	v := f.view
	var names []string
	for _, c := range v.Columns {
		names = append(names, c.Name)
	}
	got := fmt.Sprintln(strings.Join(names, ","), v.Primary.Names(), len(v.Uniques), v.Uniques[0].Names(), len(v.Indexes), v.Indexes[0].Columns[1].Column, len(v.Checks), v.Checks[0].Name, v.Foreign[0].Columns)
	if want := "number,amount,ratio,full,blob,flag,day,first name,code [number] 1 [full] 1 full 1 positive [full]\n"; got != want {
		t.Errorf("%s\n%s", got, want)
	}
	if notes := strings.Join(f.notes, "; "); strings.Count(notes, "loses") != 3 || !strings.Contains(notes, "unique key by_n") || !strings.Contains(notes, "index flags") || !strings.Contains(notes, "check small") {
		t.Error(notes)
	}
}
