package sqlite

import (
	"fmt"
	"strings"
)

// What the pragmas do not tell stands only in the words of CREATE TABLE: checks, the rules of generated columns, names and
// deferral of foreign keys. This file reads just that; anything it does not know it steps over.

type tokenKind uint8

const (
	word tokenKind = iota
	quoted
	literal
	sign
)

type token struct {
	kind       tokenKind
	text       string // without quotes
	start, end int    // its place in the statement
	depth      int    // how many parentheses it stands in
}

func (t token) is(keyword string) bool { return t.kind == word && strings.EqualFold(t.text, keyword) }
func (t token) mark(s string) bool     { return t.kind == sign && t.text == s }

// tokens cuts a statement into words, quoted names, literals and signs; comments are left out.
func tokens(sql string) ([]token, error) {
	var all []token
	depth := 0
	for i := 0; i < len(sql); {
		t, next, err := cutToken(sql, i)
		if err != nil {
			return nil, err
		}
		i = next
		if t == nil {
			continue
		}
		if t.mark(")") {
			depth--
		}
		t.depth = depth
		if t.mark("(") {
			depth++
		}
		all = append(all, *t)
	}
	return all, nil
}

// cutToken returns the token that begins at i, nil for blanks and comments, and where the next begins.
func cutToken(sql string, i int) (*token, int, error) {
	rest := sql[i:]
	switch c := rest[0]; {
	case strings.IndexByte(" \t\r\n\f\x00", c) >= 0:
		return nil, i + 1, nil
	case strings.HasPrefix(rest, "--"):
		if n := strings.IndexByte(rest, '\n'); n >= 0 {
			return nil, i + n + 1, nil
		}
		return nil, len(sql), nil
	case strings.HasPrefix(rest, "/*"):
		if n := strings.Index(rest[2:], "*/"); n >= 0 {
			return nil, i + n + 4, nil
		}
		return nil, len(sql), nil
	case c == '\'' || c == '"' || c == '`':
		return cutQuoted(sql, i, c)
	case c == '[':
		n := strings.IndexByte(rest, ']')
		if n < 0 {
			return nil, 0, fmt.Errorf("read definition: a bracket at %d does not end", i)
		}
		return &token{kind: quoted, text: rest[1:n], start: i, end: i + n + 1}, i + n + 1, nil
	case wordByte(c):
		n := 1
		for n < len(rest) && (wordByte(rest[n]) || rest[n] == '.' && c >= '0' && c <= '9') {
			n++
		}
		kind := word
		if c >= '0' && c <= '9' {
			kind = literal
		}
		return &token{kind: kind, text: rest[:n], start: i, end: i + n}, i + n, nil
	}
	return &token{kind: sign, text: rest[:1], start: i, end: i + 1}, i + 1, nil
}

func cutQuoted(sql string, i int, quote byte) (*token, int, error) {
	var b strings.Builder
	for n := i + 1; n < len(sql); n++ {
		if sql[n] != quote {
			b.WriteByte(sql[n])
			continue
		}
		if n+1 < len(sql) && sql[n+1] == quote {
			b.WriteByte(quote)
			n++
			continue
		}
		kind := quoted
		if quote == '\'' {
			kind = literal
		}
		return &token{kind: kind, text: b.String(), start: i, end: n + 1}, n + 1, nil
	}
	return nil, 0, fmt.Errorf("read definition: a quote at %d does not end", i)
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// definition is what a CREATE TABLE says beyond the pragmas.
type definition struct {
	checks    []parsedCheck
	generated map[string]string // by column, lower case: the expression
	foreign   []parsedForeign   // in the order they are declared
	primary   string            // the name of the primary key's constraint
}

type parsedCheck struct{ name, expression string }

type parsedForeign struct {
	name       string
	deferrable bool
	deferred   bool
}

// parseTable reads a CREATE TABLE.
func parseTable(sql string) (definition, error) {
	all, err := tokens(sql)
	if err != nil {
		return definition{}, err
	}
	p := tableParser{sql: sql, found: definition{generated: map[string]string{}}}
	for _, item := range items(all) {
		p.item(item)
	}
	return p.found, nil
}

// items cuts what stands in the first outer parentheses at its commas.
func items(all []token) [][]token {
	var parts [][]token
	first := -1
	for i, t := range all {
		switch {
		case first < 0 && t.mark("(") && t.depth == 0:
			first = i + 1
		case first >= 0 && (t.mark(",") && t.depth == 1 || t.mark(")") && t.depth == 0):
			parts = append(parts, all[first:i])
			first = i + 1
			if t.depth == 0 {
				return parts
			}
		}
	}
	return parts
}

type tableParser struct {
	sql   string
	found definition
}

// item reads one column or one or more table constraints.
func (p *tableParser) item(ts []token) {
	column, name := "", ""
	i := 0
	if len(ts) > 0 && !tableConstraint(ts[0]) {
		column, i = ts[0].text, 1
	}
	for i < len(ts) {
		t := ts[i]
		switch {
		case t.depth != 1 || t.kind != word:
		case t.is("CONSTRAINT") && i+1 < len(ts):
			name = ts[i+1].text
			i++
		case t.is("CHECK"):
			p.found.checks = append(p.found.checks, parsedCheck{name: name, expression: p.inner(ts, i+1)})
			name = ""
		case t.is("AS"):
			p.found.generated[strings.ToLower(column)] = p.inner(ts, i+1)
			name = ""
		case t.is("REFERENCES"):
			p.found.foreign = append(p.found.foreign, parsedForeign{name: name})
			name = ""
		case t.is("PRIMARY"):
			p.found.primary, name = name, ""
		case t.is("DEFERRABLE") && len(p.found.foreign) > 0:
			k := &p.found.foreign[len(p.found.foreign)-1]
			k.deferrable = !ts[i-1].is("NOT")
			k.deferred = k.deferrable && i+2 < len(ts) && ts[i+1].is("INITIALLY") && ts[i+2].is("DEFERRED")
		case t.is("UNIQUE"), t.is("DEFAULT"), t.is("COLLATE"):
			name = ""
		}
		i++
	}
}

func tableConstraint(t token) bool {
	for _, k := range []string{"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"} {
		if t.is(k) {
			return true
		}
	}
	return false
}

// inner returns the text inside the parentheses that begin at token i.
func (p *tableParser) inner(ts []token, i int) string {
	if i >= len(ts) || !ts[i].mark("(") {
		return ""
	}
	for _, t := range ts[i+1:] {
		if t.mark(")") && t.depth == ts[i].depth {
			return strings.TrimSpace(p.sql[ts[i].end:t.start])
		}
	}
	return ""
}

// parsedIndex is what a CREATE INDEX says: the words of each part, without collation and direction, and its condition.
type parsedIndex struct {
	parts []string
	where string
}

func parseIndex(sql string) (parsedIndex, error) {
	all, err := tokens(sql)
	if err != nil {
		return parsedIndex{}, err
	}
	var x parsedIndex
	for _, item := range items(all) {
		last := len(item)
		for last > 1 {
			if t := item[last-1]; t.depth == 1 && (t.is("ASC") || t.is("DESC")) {
				last--
				continue
			}
			if last > 2 && item[last-2].depth == 1 && item[last-2].is("COLLATE") {
				last -= 2
				continue
			}
			break
		}
		if last > 0 {
			x.parts = append(x.parts, sql[item[0].start:item[last-1].end])
		}
	}
	for _, t := range all {
		if t.depth == 0 && t.is("WHERE") {
			x.where = strings.TrimSpace(sql[t.end:])
			break
		}
	}
	return x, nil
}
