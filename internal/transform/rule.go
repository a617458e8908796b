// Package transform gives the tables of a source the form they have in a new release: renamed and dropped columns, other
// types, columns that are computed, rows that are left out or become several, text in another character set. It puts a view before an open
// database: whoever reads through it, a load, a replay or a comparison, meets tables of the new form and rows in it, made by
// the same functions, so that these three can not disagree. Nothing is changed at the source, and a table without a rule
// passes untouched.
//
// A row is known by the same key in both forms: the columns of its key may get other names, and types whose cells are the same
// bytes. Rows that are made of one are known by its key and their position. Everything else is refused before anything starts.
package transform

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Rule is the new form of one table, or with Of a new table.
type Rule struct {
	Place   string // file and line, where an error about it begins
	Table   string // the source's: name, or schema.name; with Of the new table's
	Of      string // the source's table whose rows feed this one, beside whatever else becomes of them; empty for none
	Split   *Split // with Of: how one row becomes several; nil for one row of each
	To      string // its name in the new release; empty for the same
	Where   string // an expression: only rows that it is true for are moved; empty for all
	Drop    []string
	Reading // of every column of text, or of bytes, that stays and is not named
	Columns []Column
	Merge   *Merge // nil for a table that is the users' alone
}

// Split says how one row of the source becomes several: one for each element of a list.
type Split struct {
	Place    string
	Each     string // an expression over the row's columns that gives the list; NULL is an empty one
	As       string // the element's name in the expressions of the columns; empty for item
	Position string // the column that holds the element's place in the list, from 1; with the source's key it is the key
	Most     int    // how many elements a list may have; a row with more stops the table
}

// Column is a column that the new form has beside those that stay as they are. A column of the source that one of them comes
// from stays only if another one of the same name says so.
type Column struct {
	Place string
	Name  string
	From  string // a column of the source; or
	Value string // an expression over the row's columns
	Type  string // as ParseType reads it; empty for that of From
	Null  *bool  // whether it takes NULL; nil for as From does, or yes
	Reading
}

// Reading says how bytes become text.
type Reading struct {
	Charset string // the character set of the bytes that the column holds; empty for the source's own word on it
	Stored  string // what the source declares them to be; empty where it is a column of bytes
	Lossy   string // Replace, or empty: bytes that are no character stop the table
}

// RuleError is a mistake in a rule, with its place.
type RuleError struct {
	Place, Message string
}

func (e *RuleError) Error() string { return e.Place + ": " + e.Message }

func mistake(place, format string, args ...any) error {
	return &RuleError{place, fmt.Sprintf(format, args...)}
}

// typeWord is a word for a type, with how many numbers may follow it in brackets.
type typeWord struct {
	made    schema.Type
	least   int
	most    int
	numbers func(t *schema.Type, n []int64)
}

func length(t *schema.Type, n []int64) {
	if len(n) > 0 {
		t.Length = n[0]
	}
}

func seconds(t *schema.Type, n []int64) {
	t.Scale = 6
	if len(n) > 0 {
		t.Scale = int(n[0])
	}
}

func digits(t *schema.Type, n []int64) {
	t.Scale = -1
	if len(n) > 0 {
		t.Precision, t.Scale = int(n[0]), 0
	}
	if len(n) > 1 {
		t.Scale = int(n[1])
	}
}

// typeWords are those of docs/encoding.md for what cells hold, so that a release can name a type for any product.
var typeWords = map[string]typeWord{
	"bool":      {made: schema.Type{Kind: row.Bool}},
	"int":       {schema.Type{Kind: row.Int, Precision: 64}, 0, 1, func(t *schema.Type, n []int64) { bits(t, n) }},
	"decimal":   {schema.Type{Kind: row.Decimal}, 0, 2, digits},
	"float32":   {made: schema.Type{Kind: row.Float32, Precision: 32}},
	"float64":   {made: schema.Type{Kind: row.Float64, Precision: 64}},
	"text":      {schema.Type{Kind: row.Text, Binary: true}, 0, 1, length},
	"bytes":     {schema.Type{Kind: row.Bytes}, 0, 1, length},
	"date":      {made: schema.Type{Kind: row.Date}},
	"time":      {schema.Type{Kind: row.Time}, 0, 1, seconds},
	"timestamp": {schema.Type{Kind: row.Timestamp}, 0, 1, seconds},
	"instant":   {schema.Type{Kind: row.Instant}, 0, 1, seconds},
	"uuid":      {made: schema.Type{Kind: row.UUID}},
	"json":      {made: schema.Type{Kind: row.JSON}},
}

func bits(t *schema.Type, n []int64) {
	if len(n) > 0 {
		t.Precision = int(n[0])
	}
}

// ParseType reads a type as a release writes it: bool, int, int(32), decimal(10,2), float64, text, text(100), bytes, date,
// timestamp(3), instant, uuid, json. The target's dialect makes its own type of it.
func ParseType(text string) (schema.Type, error) {
	name, rest, bracketed := strings.Cut(strings.TrimSpace(text), "(")
	word, known := typeWords[strings.TrimSpace(name)]
	if !known {
		return schema.Type{}, fmt.Errorf("%q is no type; there are bool, int, decimal, float32, float64, text, bytes, date, time, timestamp, instant, uuid and json", text)
	}
	var numbers []int64
	if bracketed {
		inner, after, closed := strings.Cut(rest, ")")
		if !closed || strings.TrimSpace(after) != "" {
			return schema.Type{}, fmt.Errorf("%q is no type: a bracket is not closed, or something follows it", text)
		}
		for part := range strings.SplitSeq(inner, ",") {
			n, err := strconv.ParseInt(strings.TrimSpace(part), 10, 32)
			if err != nil || n < 0 {
				return schema.Type{}, fmt.Errorf("%q is no type: %q is no whole number", text, strings.TrimSpace(part))
			}
			numbers = append(numbers, n)
		}
	}
	if len(numbers) < word.least || len(numbers) > word.most {
		return schema.Type{}, fmt.Errorf("%q is no type: %s takes at most %d numbers", text, name, word.most)
	}
	made := word.made
	if word.numbers != nil {
		word.numbers(&made, numbers)
	}
	switch made.Kind {
	case row.Int:
		if p := made.Precision; p != 8 && p != 16 && p != 32 && p != 64 {
			return schema.Type{}, fmt.Errorf("%q is no type: an int has 8, 16, 32 or 64 bits", text)
		}
	case row.Decimal:
		if made.Precision > 0 && made.Scale > made.Precision {
			return schema.Type{}, fmt.Errorf("%q is no type: it has more digits after the point than digits", text)
		}
	case row.Time, row.Timestamp, row.Instant:
		if made.Scale > 9 {
			return schema.Type{}, fmt.Errorf("%q is no type: a second has at most nine digits", text)
		}
	}
	return made, nil
}
