package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// probe is one thing that a survey counts in a column.
type probe struct {
	column string
	what   driver.FactKind
	where  string // the condition of rows it holds for; empty for Longest
	longs  string // Longest: the length
	above  int64  // Longest: what is of interest
}

// survey is what is asked about one table. Nearly every table is calm: no row has any of the values looked for. So the first
// reading asks for lengths, and for a row that is not calm by conditions that cost little; only where there is one, a second
// asks what it is. A condition on a NULL is NULL, and no row is restless for that.
type survey struct {
	asked    driver.Questions
	engine   string
	lengths  []probe
	counts   []probe
	restless []string            // conditions, one of which holds in every row that a count is for
	texts    map[string][]string // the columns of each character set and collation that hold text
	order    []string
}

func surveyOf(t *schema.Table, binary string, q driver.Questions) *survey {
	v := &survey{asked: q, engine: strings.ToLower(t.Options.Engine), texts: map[string][]string{}}
	for _, c := range t.Columns {
		v.column(c)
	}
	for _, collation := range v.order {
		v.restless = append(v.restless, v.restlessText(v.texts[collation], collation, binary))
	}
	return v
}

// count asks for a fact where it is wanted, and reports whether it is.
func (v *survey) count(c *schema.Column, what driver.FactKind, where string) bool {
	wanted := v.asked.Asks(c.Name, what)
	if wanted {
		v.counts = append(v.counts, probe{column: c.Name, what: what, where: where})
	}
	return wanted
}

func (v *survey) column(c *schema.Column) {
	q := quote(c.Name)
	word := baseWord(c.Type.Raw)
	switch c.Type.Kind {
	case row.Text, row.JSON:
		v.text(c, word)
	case row.Bytes:
		v.long(c, "OCTET_LENGTH("+q+")")
	case row.Date, row.Timestamp, row.Instant:
		zero := v.count(c, driver.ZeroDate, "(MONTH("+q+") = 0 OR DAYOFMONTH("+q+") = 0)")
		const before = " < '0001-01-01'"
		early := word != "timestamp" && v.count(c, driver.BeforeYear1, "("+q+before+" AND MONTH("+q+") > 0 AND DAYOFMONTH("+q+") > 0)")
		if zero || early { // a date with a zero month or day has no number, and the year 1 begins with day 366
			condition := "COALESCE(TO_DAYS(" + q + "), 0) < 366"
			if c.Null {
				condition = "(" + q + " IS NOT NULL AND " + condition + ")"
			}
			v.restless = append(v.restless, condition)
		}
	case row.Duration:
		beyond := "(" + q + " < '00:00:00' OR " + q + " >= '24:00:00')"
		if v.count(c, driver.BeyondHours, beyond) {
			v.restless = append(v.restless, beyond)
		}
	}
}

// text asks about a column of text. Those whose zero byte is their NUL, and that have one collation, are looked at together.
func (v *survey) text(c *schema.Column, word string) {
	q := quote(c.Name)
	if len(c.Type.Values) > 0 {
		if !c.Type.Set && v.count(c, driver.BadEnum, q+"+0 = 0") {
			v.restless = append(v.restless, q+"+0 = 0")
		}
		return
	}
	unicode := strings.HasPrefix(c.Type.Charset, "utf8")
	if unicode || c.Type.Charset == "ascii" {
		v.long(c, "OCTET_LENGTH("+q+")")
	} else {
		v.long(c, "OCTET_LENGTH(CONVERT("+q+" USING utf8mb4))")
	}
	holds := "LOCATE(CHAR(0 USING utf8mb4), " + q + ") > 0"
	nul, bad := v.count(c, driver.NulInText, holds), false
	if unicode && v.exchanged() {
		raw := "CAST(" + q + " AS BINARY)"
		bad = v.count(c, driver.BadText, "CAST(CONVERT("+raw+" USING "+c.Type.Charset+") AS BINARY) <> "+raw)
	}
	if c.Type.Kind == row.JSON && word != "json" && v.count(c, driver.NotJSON, "NOT JSON_VALID("+q+")") {
		v.restless = append(v.restless, "NOT JSON_VALID("+q+")")
	}
	if !nul && !bad {
		return
	}
	if !unicode && c.Type.Charset != "latin1" && c.Type.Charset != "ascii" || c.Type.Collation == "" {
		v.restless = append(v.restless, holds)
		if bad {
			v.restless = append(v.restless, v.restlessText([]string{q}, c.Type.Charset, ""))
		}
		return
	}
	if v.texts[c.Type.Collation] == nil {
		v.order = append(v.order, c.Type.Collation)
	}
	v.texts[c.Type.Collation] = append(v.texts[c.Type.Collation], q)
}

// exchanged reports whether the table's files can be exchanged for those of another one, so that text may hold bytes which the
// server lets into no column. InnoDB knows the tables of its files.
func (v *survey) exchanged() bool { return v.engine != "innodb" }

// widest is the longest value in bytes that a type holds, whatever its declared length, turned into utf8mb4.
var widest = map[string]int64{
	"char": 4 << 10, "binary": 4 << 10, "varchar": 4 << 16, "varbinary": 4 << 16, "tinytext": 4 << 8, "tinyblob": 4 << 8,
	"text": 4 << 16, "blob": 4 << 16, "mediumtext": 4 << 24, "mediumblob": 1 << 24,
}

// long asks for the longest value of the column, if one can be of interest.
func (v *survey) long(c *schema.Column, length string) {
	above, of := v.asked.Above(c.Name)
	if most := widest[baseWord(c.Type.Raw)]; !of || most > 0 && most <= above {
		return
	}
	v.lengths = append(v.lengths, probe{column: c.Name, what: driver.Longest, longs: length, above: above})
}

// restlessText holds for a row in which one of the columns has a zero byte or, where the table's files can be exchanged, bytes
// that are no text of the character set: put together, with a dot between them, they change when they are taken for bytes and
// then for text. They are NULL where they are too long to be put together.
func (v *survey) restlessText(columns []string, collation, binary string) string {
	all := "CONCAT_WS('.', " + strings.Join(columns, ", ") + ")"
	charset, _, _ := strings.Cut(collation, "_")
	raw := "REPLACE(CAST(" + all + " AS BINARY), x'00', '?')"
	same := ""
	switch {
	case !strings.HasPrefix(charset, "utf8") || !v.exchanged():
		return "COALESCE(LOCATE(x'00', CAST(" + all + " AS BINARY)), 1) > 0"
	case charset == "utf8mb4" && binary != "":
		same = "CONVERT(" + raw + " USING utf8mb4) = " + all + " COLLATE " + binary
	default:
		same = "CAST(CONVERT(" + raw + " USING " + charset + ") AS BINARY) = CAST(" + all + " AS BINARY)"
	}
	return "NOT COALESCE(" + same + ", 0)"
}

// Survey reads the table once, without locks, and a second time where not all of it is calm; then it fetches a key for each
// thing found.
func (d *database) Survey(ctx context.Context, t *schema.Table, q driver.Questions) ([]driver.Fact, error) {
	v := surveyOf(t, d.version.binaryCollation(), q)
	if len(v.lengths)+len(v.counts) == 0 {
		return nil, nil
	}
	var facts []driver.Fact
	err := d.work.with(ctx, func(s *session) error {
		restless := "FALSE"
		if len(v.restless) > 0 {
			restless = strings.Join(v.restless, " OR ")
		}
		found, err := d.answer(ctx, s, t, v.lengths, "COALESCE(SUM("+restless+"), 0)", "")
		if err != nil {
			return err
		}
		facts = found.facts
		if found.first == "0" {
			return nil
		}
		found, err = d.answer(ctx, s, t, v.counts, "0", " WHERE "+restless)
		facts = append(facts, found.facts...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("survey %s: %w", t.Name, err)
	}
	return facts, nil
}

// answers is what one reading brought.
type answers struct {
	first string
	facts []driver.Fact
}

// answer asks probes, and something before them, in one reading.
func (d *database) answer(ctx context.Context, s *session, t *schema.Table, probes []probe, first, condition string) (answers, error) {
	columns := []string{first}
	for _, p := range probes {
		if p.longs != "" {
			columns = append(columns, "COALESCE(MAX("+p.longs+"), 0)")
		} else {
			columns = append(columns, "COALESCE(SUM("+p.where+"), 0)")
		}
	}
	line, err := s.row(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+d.dialect.name(t.Name)+condition)
	if err != nil {
		return answers{}, err
	}
	found := answers{first: line[0]}
	for i, p := range probes {
		n, _ := strconv.ParseInt(line[1+i], 10, 64)
		if n <= p.above {
			continue
		}
		f := driver.Fact{Column: p.column, What: p.what, Count: n}
		where := p.where
		if p.longs != "" {
			f.Count, f.Value = 1, n
			where = p.longs + " = " + line[1+i]
		}
		if p.longs == "" || n >= 1<<20 { // else it is not worth another reading
			if f.Sample, err = d.sample(ctx, s, t, where); err != nil {
				return answers{}, err
			}
		}
		found.facts = append(found.facts, f)
	}
	return found, nil
}

func (d *database) sample(ctx context.Context, s *session, t *schema.Table, where string) (string, error) {
	key := t.LiveKey()
	if key == nil {
		return "", nil
	}
	lines, err := s.rows(ctx, "SELECT "+list(key.Names())+" FROM "+d.dialect.name(t.Name)+" WHERE "+where+" LIMIT 1")
	if err != nil || len(lines) == 0 {
		return "", err
	}
	return strings.Join(lines[0], ", "), nil
}
