package mysql

import "strings"

// withoutDefiner takes the clause that says whose an object is out of the server's own words for it: whoever says them then is.
func withoutDefiner(text string) string {
	at := strings.Index(text, "DEFINER=")
	if at < 0 {
		return text
	}
	rest := afterQuoted(text[at+len("DEFINER="):])
	if strings.HasPrefix(rest, "@") {
		rest = afterQuoted(rest[1:])
	}
	return text[:at] + strings.TrimLeft(rest, " ")
}

// afterQuoted is what follows a quoted text at the beginning of s; s itself where there is none.
func afterQuoted(s string) string {
	if s == "" || strings.IndexByte("`\"'", s[0]) < 0 {
		return s
	}
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] != '`':
			i++
		case s[i] == s[0] && i+1 < len(s) && s[i+1] == s[0]:
			i++
		case s[i] == s[0]:
			return s[i+1:]
		}
	}
	return ""
}

// rehome lets SQL that names things of one database name them in another one: a name of the database before a point, bare or quoted,
// and not within a text, a comment or a longer name.
func rehome(sql, from, to string) string {
	var b strings.Builder
	named := false // what was before is a point: this name is a part of a longer one
	for sql != "" {
		n := token(sql)
		word := sql[:n]
		sql = sql[n:]
		name, is := identifier(word)
		if is && name == from && !named && strings.HasPrefix(strings.TrimLeft(sql, " \t\r\n"), ".") {
			word = quote(to)
		}
		b.WriteString(word)
		if strings.TrimSpace(word) != "" {
			named = word == "." || word == "@"
		}
	}
	return b.String()
}

// token is the length of the next piece of SQL: a quoted text or name, a comment, a word, or one sign.
func token(sql string) int {
	switch c := sql[0]; {
	case strings.IndexByte("`\"'", c) >= 0:
		return len(sql) - len(afterQuoted(sql))
	case c == '#', strings.HasPrefix(sql, "-- "), strings.HasPrefix(sql, "--\n"), strings.HasPrefix(sql, "--\t"):
		if end := strings.IndexByte(sql, '\n'); end >= 0 {
			return end + 1
		}
		return len(sql)
	case strings.HasPrefix(sql, "/*"):
		if end := strings.Index(sql[2:], "*/"); end >= 0 {
			return end + 4
		}
		return len(sql)
	case wordSign(c):
		n := 1
		for n < len(sql) && wordSign(sql[n]) {
			n++
		}
		return n
	}
	return 1
}

func wordSign(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// identifier is the name that a piece of SQL is, if it is one.
func identifier(word string) (string, bool) {
	switch {
	case wordSign(word[0]):
		return word, true
	case word[0] == '`' || word[0] == '"':
		q := word[:1]
		return strings.ReplaceAll(strings.TrimSuffix(word[1:], q), q+q, q), true
	}
	return "", false
}
