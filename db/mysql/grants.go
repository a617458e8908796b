package mysql

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// granted is what an account has: its rights by the object they were granted on.
type granted struct {
	everywhere []string            // *.*
	databases  []pattern           // `shop`.*, of which the name is a pattern
	tables     map[string][]string // `shop`.`order`
}

// pattern is a right on the databases whose names it matches: % and _ stand for others unless a backslash is before them.
type pattern struct {
	like   string
	rights []string
}

// grants reads what the session's account may do, by its own grants and those of the role that is on.
func (s *session) grants(ctx context.Context, v version) (granted, error) {
	statement := "SHOW GRANTS"
	if !v.maria() {
		role, err := s.row(ctx, "SELECT CURRENT_ROLE()")
		if err != nil {
			return granted{}, err
		}
		if role[0] != "" && role[0] != "NONE" {
			statement += " FOR CURRENT_USER() USING " + role[0]
		}
	}
	lines, err := s.rows(ctx, statement)
	if err != nil {
		return granted{}, err
	}
	g := granted{tables: map[string][]string{}}
	for _, line := range lines {
		g.add(line[0])
	}
	return g, nil
}

// add takes one line of SHOW GRANTS in. What gives no right on tables (a role, a routine, a proxy) is passed over.
func (g *granted) add(line string) {
	rest, ok := strings.CutPrefix(line, "GRANT ")
	if !ok {
		return
	}
	var rights []string
	for {
		right, tail, err := cutRight(rest)
		if err != nil {
			return
		}
		if !strings.ContainsAny(right, "(`") { // rights on columns are none on the table
			rights = append(rights, right)
		}
		if rest, ok = strings.CutPrefix(tail, ", "); ok {
			continue
		}
		if rest, ok = strings.CutPrefix(tail, " ON "); !ok {
			return
		}
		break
	}
	if strings.Contains(rest, " WITH GRANT OPTION") {
		rights = append(rights, "GRANT OPTION")
	}
	database, rest, err := cutName(rest)
	if err != nil || !strings.HasPrefix(rest, ".") {
		return
	}
	table, _, err := cutName(rest[1:])
	switch {
	case err != nil:
	case database == "*":
		g.everywhere = append(g.everywhere, rights...)
	case table == "*":
		g.databases = append(g.databases, pattern{strings.Trim(database, "`"), rights})
	default:
		g.tables[database+"."+table] = append(g.tables[database+"."+table], rights...)
	}
}

var errGrant = errors.New("a line of SHOW GRANTS is not understood")

// cutRight cuts "SELECT", "REPLICA MONITOR" or "UPDATE (`a`, `b`)" off, up to ", " or " ON ".
func cutRight(s string) (right, rest string, err error) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '`':
			_, tail, err := cutName(s[i:])
			if err != nil {
				return "", "", err
			}
			i = len(s) - len(tail) - 1
		case s[i] == '(':
			depth++
		case s[i] == ')':
			depth--
		case depth == 0 && (strings.HasPrefix(s[i:], ", ") || strings.HasPrefix(s[i:], " ON ")):
			return s[:i], s[i:], nil
		}
	}
	return "", "", errGrant
}

// cutName cuts a quoted name or a star off. The name keeps its quotes.
func cutName(s string) (name, rest string, err error) {
	if strings.HasPrefix(s, "*") {
		return "*", s[1:], nil
	}
	if !strings.HasPrefix(s, "`") {
		return "", "", errGrant
	}
	for i := 1; i < len(s); i++ {
		if s[i] != '`' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '`' {
			i++
			continue
		}
		return s[:i+1], s[i+1:], nil
	}
	return "", "", errGrant
}

// global reports whether a right holds everywhere.
func (g granted) global(right string) bool { return holds(g.everywhere, right) }

// on reports whether a right holds on all tables of a database.
func (g granted) on(database, right string) bool {
	if g.global(right) {
		return true
	}
	written := strings.ReplaceAll(database, "`", "``")
	return slices.ContainsFunc(g.databases, func(p pattern) bool { return like(written, p.like) && holds(p.rights, right) })
}

// onTable reports whether a right holds on one table.
func (g granted) onTable(database, table, right string) bool {
	return g.on(database, right) || holds(g.tables[quote(database)+"."+quote(table)], right)
}

func holds(rights []string, right string) bool {
	all := right != "GRANT OPTION" && (slices.Contains(rights, "ALL PRIVILEGES") || slices.Contains(rights, "ALL"))
	return all || slices.Contains(rights, right)
}

// like matches a name with a pattern of GRANT.
func like(name, pattern string) bool {
	if pattern == "" {
		return name == ""
	}
	switch c := pattern[0]; {
	case c == '%':
		for i := 0; i <= len(name); i++ {
			if like(name[i:], pattern[1:]) {
				return true
			}
		}
		return false
	case name == "":
		return false
	case c == '_':
		return like(name[1:], pattern[1:])
	case c == '\\' && len(pattern) > 1 && strings.IndexByte(`%_\`, pattern[1]) >= 0:
		return name[0] == pattern[1] && like(name[1:], pattern[2:])
	default:
		return name[0] == c && like(name[1:], pattern[1:])
	}
}
