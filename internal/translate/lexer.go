package translate

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tokenKind is what a token of an expression is.
type tokenKind uint8

const (
	end    tokenKind = iota
	word             // an unquoted word: identifier, keyword or function
	quoted           // a quoted identifier
	text             // a string
	number
	sign // an operator or punctuation
)

// token is one token; text holds an identifier or string without its quotes.
type token struct {
	kind tokenKind
	text string
}

// is reports whether the token is this keyword or sign.
func (t token) is(s string) bool {
	return (t.kind == sign || t.kind == word) && strings.EqualFold(t.text, s)
}

// signs are the operators and punctuation an expression may have, the longest first.
var signs = []string{"::", "<=", ">=", "<>", "!=", "==", "<", ">", "=", "+", "-", "*", "/", "%", "(", ")", ",", ".", "[", "]"}

// lex cuts an expression into tokens. What the three products read differently (a backslash in a string, a comment) is
// an error that says so in a clause.
func lex(s string) ([]token, error) {
	var tokens []token
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		var t token
		var err error
		switch {
		case r == utf8.RuneError && size <= 1:
			return nil, fmt.Errorf("is not UTF-8")
		case unicode.IsSpace(r):
			s = s[size:]
			continue
		case r == '\'', r == '"', r == '`':
			t, s, err = lexQuoted(s, byte(r))
		case r >= '0' && r <= '9', r == '.' && len(s) > 1 && s[1] >= '0' && s[1] <= '9':
			t, s, err = lexNumber(s)
		case r == '_' || unicode.IsLetter(r):
			n := strings.IndexFunc(s, func(r rune) bool {
				return r != '_' && r != '$' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
			})
			if n < 0 {
				n = len(s)
			}
			t, s = token{word, s[:n]}, s[n:]
		default:
			t, s, err = lexSign(s, r)
		}
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
	}
	return append(tokens, token{}), nil
}

func lexQuoted(s string, quote byte) (token, string, error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == 0:
			return token{}, s, fmt.Errorf("holds a NUL")
		case s[i] == '\\' && quote == '\'':
			return token{}, s, fmt.Errorf("has a backslash in a string")
		case s[i] != quote:
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == quote:
			b.WriteByte(quote)
			i++
		default:
			kind := quoted
			if quote == '\'' {
				kind = text
			}
			return token{kind, b.String()}, s[i+1:], nil
		}
	}
	return token{}, s, fmt.Errorf("has a quote that does not end")
}

func lexNumber(s string) (token, string, error) {
	n := numberLength(s)
	if n < len(s) && (s[n] == '_' || s[n] == '.' || unicode.IsLetter(rune(s[n]))) {
		return token{}, s, fmt.Errorf("has a number written in its own way")
	}
	return token{number, s[:n]}, s[n:], nil
}

// numberLength is how many bytes at the start of s are a plain number: digits, a point, digits, an exponent.
func numberLength(s string) int {
	digits := func(i int) int {
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i
	}
	n := digits(0)
	if n < len(s) && s[n] == '.' {
		n = digits(n + 1)
	}
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		at := n + 1
		if at < len(s) && (s[at] == '+' || s[at] == '-') {
			at++
		}
		if last := digits(at); last > at {
			n = last
		}
	}
	return n
}

func lexSign(s string, r rune) (token, string, error) {
	if strings.HasPrefix(s, "--") || strings.HasPrefix(s, "/*") {
		return token{}, s, fmt.Errorf("holds a comment")
	}
	for _, one := range signs {
		if strings.HasPrefix(s, one) {
			// Operators of one product only begin like these: ->, <=>, ||, !~.
			rest := s[len(one):]
			if strings.ContainsAny(one, "<>=!") && rest != "" && strings.ContainsRune("<>=~@|&", rune(rest[0])) {
				return token{}, s, fmt.Errorf("uses the operator %s", one+rest[:1])
			}
			if one == "-" && strings.HasPrefix(rest, ">") {
				return token{}, s, fmt.Errorf("uses the operator ->")
			}
			return token{sign, one}, rest, nil
		}
	}
	return token{}, s, fmt.Errorf("uses %q", r)
}
