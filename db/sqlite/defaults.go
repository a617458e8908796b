package sqlite

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// defaultOf reads the words of DEFAULT; nil for DEFAULT NULL, which is no default.
func defaultOf(t schema.Type, words string) *schema.Default {
	expression := &schema.Default{Kind: schema.Expression, Text: words}
	ts, err := tokens(words)
	if err != nil || len(ts) == 0 {
		return expression
	}
	for len(ts) > 2 && ts[0].mark("(") && ts[len(ts)-1].mark(")") {
		ts = ts[1 : len(ts)-1]
	}
	minus := ""
	if len(ts) == 2 && (ts[0].mark("-") || ts[0].mark("+")) {
		minus, ts = strings.Trim(ts[0].text, "+"), ts[1:]
	}
	first := ts[0]
	switch {
	case len(ts) == 2 && first.is("x") && ts[1].kind == literal && words[ts[1].start] == '\'':
		if b, err := hex.DecodeString(ts[1].text); err == nil {
			return &schema.Default{Kind: schema.Literal, Text: string(b)}
		}
	case len(ts) != 1:
	case first.is("NULL"):
		return nil
	case first.is("CURRENT_TIMESTAMP"), first.is("CURRENT_DATE"), first.is("CURRENT_TIME"):
		if nowWord(t.Kind) == strings.ToUpper(first.text) {
			return &schema.Default{Kind: schema.Now}
		}
	case first.is("TRUE"), first.is("FALSE"):
		return &schema.Default{Kind: schema.Literal, Text: map[bool]string{true: "1", false: "0"}[first.is("TRUE")]}
	case first.kind == literal, first.kind == quoted && words[first.start] == '"':
		return literalDefault(t, minus+first.text, expression)
	}
	return expression
}

// literalDefault writes a constant as the column's canonical cell, where it is one.
func literalDefault(t schema.Type, constant string, otherwise *schema.Default) *schema.Default {
	if untyped(t) {
		return otherwise
	}
	switch t.Kind {
	case row.Decimal:
		cell, ok := row.AppendDecimal(nil, []byte(constant), t.Scale)
		if !ok || !plainDecimal(cell) {
			return otherwise
		}
		constant = string(cell)
	case row.Float32, row.Float64:
		f, err := strconv.ParseFloat(constant, 64)
		if err != nil {
			return otherwise
		}
		constant = string(row.AppendFloat(nil, f, t.Precision))
	case row.Int, row.Bool:
		if !plainInteger([]byte(constant)) {
			return otherwise
		}
	case row.Date, row.Time, row.Timestamp, row.Instant:
		c := column{cell: t.Kind, digits: 9}
		cell, why := c.timeCell(nil, []byte(constant))
		if why != "" {
			return otherwise
		}
		constant = string(cell)
	}
	return &schema.Default{Kind: schema.Literal, Text: constant}
}

// nowWord is SQL's word for the present in a column of this kind, empty where there is none.
func nowWord(k row.Kind) string {
	switch k {
	case row.Date:
		return "CURRENT_DATE"
	case row.Time:
		return "CURRENT_TIME"
	case row.Timestamp, row.Instant:
		return "CURRENT_TIMESTAMP"
	}
	return ""
}

// randomUUID is an expression that makes a UUID of version 4.
const randomUUID = "(lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2))) || '-4' || substr(lower(hex(randomblob(2))), 2) || '-' || " +
	"substr('89ab', abs(random() % 4) + 1, 1) || substr(lower(hex(randomblob(2))), 2) || '-' || lower(hex(randomblob(6))))"

// defaultWords is the way back; empty for none.
func defaultWords(c *schema.Column) string {
	d := c.Default
	switch {
	case d == nil || c.Generated != nil:
		return ""
	case d.Kind == schema.Now:
		return nowWord(c.Type.Kind)
	case d.Kind == schema.RandomUUID:
		return randomUUID
	case d.Kind == schema.Expression:
		return "(" + d.Text + ")"
	}
	switch c.Type.Kind {
	case row.Bytes:
		return "x'" + hex.EncodeToString([]byte(d.Text)) + "'"
	case row.Int, row.Bool, row.Decimal, row.Float32, row.Float64:
		if affinityOf(c.Type.Raw) != affinityText && plainDecimal([]byte(strings.TrimLeft(d.Text, "+"))) {
			return d.Text
		}
	}
	return quoteText(d.Text)
}

func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
