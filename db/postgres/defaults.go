package postgres

import (
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

const textKind = row.Text

var (
	constant = regexp.MustCompile(`^(?:B)?'((?:[^']|'')*)'(?:::.*)?$`)
	numeral  = regexp.MustCompile(`^\(?(-?[0-9]+(?:\.[0-9]+)?)\)?(?:::[a-z ]+(?:\([0-9, ]+\))?)?$`)
	castTail = regexp.MustCompile(`^[^':()]+(?:\([0-9, ]+\))?[^':()]*$`)
)

var nowWords = []string{
	"now()", "CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "transaction_timestamp()", "statement_timestamp()", "clock_timestamp()",
	"CURRENT_DATE", "LOCALTIME", "CURRENT_TIME", "('now'::text)::date", "timezone('utc'::text, now())",
	"timezone('UTC'::text, now())", "(now() AT TIME ZONE 'utc'::text)", "(now() AT TIME ZONE 'UTC'::text)",
}

// readDefault finds out how far a default in the server's words can travel.
func readDefault(words string, t schema.Type) *schema.Default {
	bare, _, _ := strings.Cut(words, "(")
	switch {
	case slices.Contains(nowWords, words), strings.HasPrefix(words, "CURRENT_TIMESTAMP("), strings.HasPrefix(words, "LOCALTIMESTAMP("),
		(t.Kind == row.Date || t.Kind == row.Timestamp) && (words == "(now())::date" || words == "(now())::timestamp without time zone"):
		return &schema.Default{Kind: schema.Now}
	case strings.HasSuffix(bare, "gen_random_uuid") || strings.HasSuffix(bare, "uuid_generate_v4"):
		if strings.HasSuffix(words, "()") {
			return &schema.Default{Kind: schema.RandomUUID}
		}
	}
	if cell, ok := constantCell(words, t); ok {
		return &schema.Default{Kind: schema.Literal, Text: cell}
	}
	return &schema.Default{Kind: schema.Expression, Text: words}
}

// constantCell returns the canonical cell of a default that is a constant, as the server prints it.
func constantCell(words string, t schema.Type) (string, bool) {
	text, quoted := "", false
	if m := numeral.FindStringSubmatch(words); m != nil {
		text = m[1]
	} else if m := constant.FindStringSubmatch(words); m != nil {
		if _, cast, found := strings.Cut(words[strings.LastIndexByte(words, '\'')+1:], "::"); found && !castTail.MatchString(cast) {
			return "", false
		}
		text, quoted = strings.ReplaceAll(m[1], "''", "'"), true
	}
	switch {
	case t.Kind == row.Bool && (words == "true" || words == "false"):
		return map[string]string{"true": "1", "false": "0"}[words], true
	case text == "" && !quoted:
		return "", false
	}
	return canonical(text, t)
}

func canonical(text string, t schema.Type) (string, bool) {
	switch t.Kind {
	case row.Int:
		_, err := strconv.ParseInt(text, 10, 64)
		return text, err == nil
	case row.Decimal:
		cell, ok := row.AppendDecimal(nil, []byte(text), t.Scale)
		return string(cell), ok
	case row.Float32, row.Float64:
		f, err := strconv.ParseFloat(text, 64)
		width := map[row.Kind]int{row.Float32: 32, row.Float64: 64}[t.Kind]
		return string(row.AppendFloat(nil, f, width)), err == nil
	case row.Bytes:
		digits, found := strings.CutPrefix(text, `\x`)
		cell, err := hex.DecodeString(digits)
		return string(cell), found && err == nil
	case row.Instant:
		cell, found := strings.CutSuffix(text, "+00")
		return string(row.AppendFraction(nil, []byte(cell))), found
	case row.Date, row.Time, row.Timestamp:
		return string(row.AppendFraction(nil, []byte(text))), text != "" && text[0] >= '0' && text[0] <= '9'
	case row.Bool:
		return map[string]string{"t": "1", "f": "0", "true": "1", "false": "0"}[text], strings.ContainsAny(text, "tf")
	}
	return text, true
}
