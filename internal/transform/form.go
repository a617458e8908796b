package transform

import (
	"errors"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// form is a table of the source beside the form that a rule gives it.
type form struct {
	rule    Rule
	source  *schema.Table
	view    *schema.Table
	where   *expression
	split   *splitting // nil where a row becomes one row
	columns []made     // of the view, in its order
	notes   []string   // what stands beside the columns and does not stay, in clauses
	merge   *merge     // nil where every row is the users'
}

// made says how one column of the view comes about: from a column of the source, unchanged, converted or decoded, by an
// expression, or, where there is neither, as the position of the row among those made of the same one.
type made struct {
	name    string
	from    *schema.Column // nil for an expression
	convert conversion     // nil where cells stay as they are
	lossy   bool           // it may replace characters
	value   *expression
	place   string
}

func (m made) position() bool { return m.from == nil && m.value == nil }

// compile makes the form of a table, or says what is wrong with its rule.
func compile(rule Rule, source *schema.Table) (*form, error) {
	f := &form{rule: rule, source: source}
	if rule.Split != nil {
		return nil, mistake(rule.Split.Place, "split belongs to a new table; give it one, with of: %s", rule.Table)
	}
	errs := []error{f.filter()}
	view := *source
	view.Columns = nil
	errs = append(errs, f.keep(&view), f.add(&view))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(view.Columns) == 0 {
		return nil, mistake(rule.Place, "no column of %s is left", source.Name)
	}
	f.view = &view
	if err := f.rename(); err != nil {
		return nil, err
	}
	return f, f.compileMerge()
}

// filter reads the rule's condition.
func (f *form) filter() error {
	if f.rule.Where == "" {
		return nil
	}
	where, err := compileExpression(f.rule.Where, scope{table: f.source})
	switch {
	case err != nil:
		return mistake(f.rule.Place, "where: %v", err)
	case !where.fits(row.Bool):
		return mistake(f.rule.Place, "where: the expression gives %s and not true or false", where.result)
	}
	f.where = where
	return nil
}

// keep puts the columns into the view that stay, in their order.
func (f *form) keep(view *schema.Table) error {
	var errs []error
	gone := map[string]bool{}
	for _, name := range f.rule.Drop {
		if f.source.Column(name) == nil {
			errs = append(errs, mistake(f.rule.Place, "drop: %s has no column %s", f.source.Name, name))
		}
		gone[name] = true
	}
	for _, c := range f.rule.Columns {
		gone[c.From], gone[c.Name] = true, true
	}
	for _, c := range f.source.Columns {
		if gone[c.Name] {
			continue
		}
		m, column := made{name: c.Name, from: c}, c
		if f.reads(c) {
			var err error
			m, column, err = f.make(Column{Place: f.rule.Place, Name: c.Name, From: c.Name, Reading: f.rule.Reading})
			if err != nil {
				errs = append(errs, err)
				continue
			}
		}
		view.Columns = append(view.Columns, column)
		f.columns = append(f.columns, m)
	}
	return errors.Join(append(errs, f.reading())...)
}

// reads reports whether what the rule says of the whole table's text is meant for a column that stays.
func (f *form) reads(c *schema.Column) bool {
	switch {
	case f.rule.Charset == "" || c.Generated != nil || len(c.Type.Values) > 0:
		return false
	case f.rule.Stored == "":
		return c.Type.Kind == row.Bytes
	}
	return c.Type.Kind == row.Text
}

// reading looks at what the rule says of the whole table's text.
func (f *form) reading() error {
	switch {
	case f.rule.Charset == "" && f.rule.Reading != (Reading{}):
		return mistake(f.rule.Place, "declared and lossy say something of charset, which is not given")
	case f.rule.Charset != "" && !slices.ContainsFunc(f.source.Columns, f.reads):
		return mistake(f.rule.Place, "charset: %s has no column that it is meant for: of bytes, or with declared of text", f.source.Name)
	}
	return nil
}

// add makes the columns that the rule names. One that comes from a column takes that one's place in the order.
func (f *form) add(view *schema.Table) error {
	var errs []error
	for _, c := range f.rule.Columns {
		if slices.ContainsFunc(f.columns, func(m made) bool { return m.name == c.Name }) {
			errs = append(errs, mistake(c.Place, "there are two columns %s", c.Name))
			continue
		}
		m, column, err := f.make(c)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		at := len(f.columns)
		if m.from != nil {
			at = f.placeOf(m.from)
		}
		f.columns = slices.Insert(f.columns, at, m)
		view.Columns = slices.Insert(view.Columns, at, column)
	}
	return errors.Join(errs...)
}

// placeOf is where a column that comes from one of the source stands: behind all that come from columns before it.
func (f *form) placeOf(from *schema.Column) int {
	order := slices.Index(f.source.Columns, from)
	at := slices.IndexFunc(f.columns, func(m made) bool {
		return m.from == nil || slices.Index(f.source.Columns, m.from) > order
	})
	if at < 0 {
		return len(f.columns)
	}
	return at
}

func (f *form) make(c Column) (made, *schema.Column, error) {
	m := made{name: c.Name, place: c.Place}
	column := &schema.Column{Name: c.Name, Null: true}
	if c.Type != "" {
		t, err := ParseType(c.Type)
		if err != nil {
			return m, nil, mistake(c.Place, "column %s: %v", c.Name, err)
		}
		column.Type = t
	}
	var err error
	switch {
	case c.Name == "":
		err = mistake(c.Place, "a column has no name")
	case (c.From == "") == (c.Value == ""):
		err = mistake(c.Place, "column %s needs either from, a column of the source, or value, an expression", c.Name)
	case c.From != "":
		err = f.fromColumn(c, &m, column)
	default:
		err = f.fromValue(c, &m, column)
	}
	if c.Null != nil {
		column.Null = *c.Null
	}
	return m, column, err
}

func (f *form) fromColumn(c Column, m *made, column *schema.Column) error {
	from := f.source.Column(c.From)
	if from == nil {
		return mistake(c.Place, "column %s: %s has no column %s%s", c.Name, f.source.Name, c.From, alike(c.From, f.source))
	}
	m.from = from
	declared := column.Type
	*column = *from
	column.Name = c.Name
	if c.Charset != "" {
		return f.decoded(c, m, column, declared)
	}
	if c.Stored != "" || c.Lossy != "" {
		return mistake(c.Place, "column %s: declared and lossy say something of charset, which is not given", c.Name)
	}
	if c.Type == "" {
		return nil
	}
	column.Type, column.Generated, column.Default, column.OnUpdate, column.Made = declared, nil, nil, "", true
	if declared.Kind != row.Int {
		column.Identity = schema.Identity{}
	}
	convert, possible := conversionOf(from.Type, declared)
	if !possible {
		return mistake(c.Place, "column %s: %s can not be made of %s without an expression", c.Name, c.Type, from.Type.Kind)
	}
	m.convert = convert
	return nil
}

func (f *form) fromValue(c Column, m *made, column *schema.Column) error {
	if c.Type == "" {
		return mistake(c.Place, "column %s: a computed column needs a type", c.Name)
	}
	if c.Reading != (Reading{}) {
		return mistake(c.Place, "column %s: charset belongs to a column that comes from one of the source; in an expression it is decode(column, %q)", c.Name, c.Charset)
	}
	value, err := compileExpression(c.Value, f.scope())
	if err != nil {
		return mistake(c.Place, "column %s: %v", c.Name, err)
	}
	if !value.fits(column.Type.Kind) {
		return mistake(c.Place, "column %s: the expression gives %s, and the column is %s", c.Name, value.result, c.Type)
	}
	m.value, column.Made = value, true
	return nil
}

// decoded is a column of text that is stored in another character set than the source says, or as bytes.
func (f *form) decoded(c Column, m *made, column *schema.Column, declared schema.Type) error {
	set, err := findCharset(c.Charset)
	if err != nil {
		return mistake(c.Place, "column %s: %v", c.Name, err)
	}
	var stored *charset
	switch kind := naturalKind(m.from.Type); {
	case kind == row.Text && c.Stored == "":
		return mistake(c.Place, "column %s: %s is text; say in declared which character set the source takes it for", c.Name, c.From)
	case kind == row.Text:
		s, err := findCharset(c.Stored)
		if err != nil || s.name == "cesu8" {
			return mistake(c.Place, "column %s: declared: %q is no character set that a column can be declared to have", c.Name, c.Stored)
		}
		stored = &s
	case kind != row.Bytes:
		return mistake(c.Place, "column %s: %s holds neither text nor bytes", c.Name, c.From)
	case c.Stored != "":
		return mistake(c.Place, "column %s: %s holds bytes, which are declared to be in no character set", c.Name, c.From)
	}
	column.Type, column.Default, column.Generated = schema.Type{Kind: row.Text, Length: m.from.Type.Length, Binary: true}, nil, nil
	column.Made = true
	if c.Type != "" {
		column.Type = declared
	}
	if column.Type.Kind != row.Text {
		return mistake(c.Place, "column %s: text is decoded, and the type is %s", c.Name, c.Type)
	}
	switch c.Lossy {
	case "":
		m.convert = decoding(set, stored)
	case Replace:
		m.convert, m.lossy = lossily(set, stored), true
	default:
		return mistake(c.Place, "column %s: lossy is %s, or is left out: then bytes that are no character stop the table", c.Name, Replace)
	}
	return nil
}

// alike names a column that was perhaps meant.
func alike(name string, t *schema.Table) string {
	for _, c := range t.Columns {
		if strings.EqualFold(c.Name, name) {
			return "; " + c.Name + " is there"
		}
	}
	return ""
}
