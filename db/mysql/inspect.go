package mysql

import (
	"context"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Inspect reads the catalog, one query for each kind of thing.
func (d *database) Inspect(ctx context.Context, schemas []string) (*schema.Schema, error) {
	if len(schemas) == 0 {
		schemas = []string{d.schema}
	}
	found := &schema.Schema{}
	err := d.control.with(ctx, func(s *session) error {
		for _, home := range schemas {
			i := &inspection{d: d, s: s, home: home, found: found, tables: map[string]*schema.Table{}}
			for _, step := range []func(context.Context) error{i.readTables, i.readColumns, i.readKeys, i.readForeign, i.readChecks, i.readPartitions, i.readOthers, i.readSequences} {
				if err := step(ctx); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	return found, nil
}

type inspection struct {
	d      *database
	s      *session
	home   string
	found  *schema.Schema
	tables map[string]*schema.Table
	json   map[string]bool // MariaDB: table and column that a json_valid check stands on
}

func (i *inspection) name(n string) schema.Name { return schema.Name{Schema: i.home, Name: n} }

// ourTables and ourTriggers match the names of what we make in a database, and no others: an application may have a table
// whimbrel_orders, which moves like any other. Settings refuses one that has the very name of one of ours.
const (
	ourTables   = "^whimbrel_(source_(owner|shadow|lane|mark|flush|helper|(record|walk)_[0-9]+)|target_(epoch|shadow|range|lane|list))$"
	ourTriggers = "^whimbrel_((shut_|guard_|guard_admit_)?(insert|update|delete)_[0-9]+|(shut_)?cascade_(delete|update|updated)_.+)$"
)

func (i *inspection) readTables(ctx context.Context) error {
	all, err := i.s.rows(ctx, `SELECT table_name, COALESCE(engine, ''), COALESCE(table_collation, ''), table_comment, COALESCE(table_rows, -1),
		COALESCE(data_length + index_length, -1), table_type, COALESCE(create_options, '') FROM information_schema.tables
		WHERE table_schema = ? AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND table_name NOT REGEXP ? ORDER BY table_name`, i.home, ourTables)
	if err != nil {
		return err
	}
	for _, l := range all {
		t := &schema.Table{Name: i.name(l[0]), Comment: l[3]}
		t.Rows, _ = strconv.ParseInt(l[4], 10, 64)
		t.Bytes, _ = strconv.ParseInt(l[5], 10, 64)
		t.Options = schema.Options{Engine: l[1], Collation: l[2], Versioned: l[6] == "SYSTEM VERSIONED", Partitioned: strings.Contains(l[7], "partitioned")}
		i.tables[l[0]] = t
		i.found.Tables = append(i.found.Tables, t)
	}
	return nil
}

func (i *inspection) readColumns(ctx context.Context) error {
	json, err := i.jsonColumns(ctx)
	if err != nil {
		return err
	}
	all, err := i.s.rows(ctx, `SELECT table_name, column_name, column_default IS NULL, COALESCE(column_default, ''), is_nullable, data_type, column_type,
		COALESCE(character_maximum_length, ''), COALESCE(character_octet_length, ''), COALESCE(numeric_precision, ''), COALESCE(numeric_scale, ''),
		COALESCE(datetime_precision, ''), COALESCE(character_set_name, ''), COALESCE(collation_name, ''), extra, column_comment,
		COALESCE(generation_expression, '') FROM information_schema.columns WHERE table_schema = ? ORDER BY table_name, ordinal_position`, i.home)
	if err != nil {
		return err
	}
	for _, l := range all {
		t := i.tables[l[0]]
		if t == nil {
			continue
		}
		extra := strings.ToLower(l[14])
		c := &schema.Column{Name: l[1], Null: l[4] == "YES", Comment: l[15], Hidden: strings.Contains(extra, "invisible")}
		c.Type = catalogType{
			data: strings.ToLower(l[5]), column: l[6], length: l[7], octets: l[8], digits: l[9], scale: l[10], seconds: l[11],
			charset: l[12], collation: l[13], json: json[l[0]+"\x00"+l[1]],
		}.describe()
		if strings.Contains(extra, "auto_increment") {
			c.Identity = schema.Identity{Kind: schema.ByDefault, Start: 1, Increment: 1}
		}
		if at := strings.Index(extra, "on update "); at >= 0 {
			c.OnUpdate = strings.TrimSuffix(strings.TrimSpace(strings.TrimSuffix(extra[at+len("on update "):], "invisible")), ",")
		}
		if l[16] != "" {
			c.Generated = &schema.Generated{Expression: i.expression(l[16]), Stored: strings.Contains(extra, "stored") || strings.Contains(extra, "persistent")}
		} else if l[2] == "0" {
			c.Default = i.d.version.readDefault(c.Type, l[3], strings.Contains(extra, "default_generated"))
		}
		if strings.Contains(extra, "start") && t.Options.Versioned { // GENERATED ALWAYS AS ROW START and END
			c.Generated = &schema.Generated{Expression: "ROW START", Stored: true}
		}
		t.Columns = append(t.Columns, c)
	}
	return nil
}

// expression undoes MySQL's quoting of expressions in the catalog: _utf8mb4\'a\'.
func (i *inspection) expression(text string) string {
	if i.d.version.maria() {
		return text
	}
	return strings.ReplaceAll(text, `\'`, `'`)
}

var (
	jsonCheck = regexp.MustCompile("(?i)^json_valid\\(`((?:[^`]|``)+)`\\)$")
	nowText   = regexp.MustCompile(`(?i)^(current_timestamp|now|localtime|localtimestamp|curdate|curtime|current_date|current_time)(\(\d*\))?$`)
)

// jsonColumns finds MariaDB's JSON columns: longtext with a json_valid check.
func (i *inspection) jsonColumns(ctx context.Context) (map[string]bool, error) {
	found := map[string]bool{}
	if !i.d.version.maria() {
		return found, nil
	}
	all, err := i.s.rows(ctx, "SELECT table_name, check_clause FROM information_schema.check_constraints WHERE constraint_schema = ?", i.home)
	for _, l := range all {
		if m := jsonCheck.FindStringSubmatch(l[1]); m != nil {
			found[l[0]+"\x00"+strings.ReplaceAll(m[1], "``", "`")] = true
		}
	}
	i.json = found
	return found, err
}

// readDefault reads COLUMN_DEFAULT. MariaDB quotes literals there and MySQL does not, but says what is an expression.
func (v version) readDefault(t schema.Type, text string, generated bool) *schema.Default {
	if v.maria() && strings.EqualFold(text, "NULL") {
		return nil
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(text, "("), ")")
	switch {
	case nowText.MatchString(text) || nowText.MatchString(bare) && strings.Count(bare, "(") == strings.Count(bare, ")"):
		return &schema.Default{Kind: schema.Now, Text: text}
	case strings.EqualFold(text, "uuid()"):
		return &schema.Default{Kind: schema.RandomUUID, Text: text}
	case generated:
		return &schema.Default{Kind: schema.Expression, Text: text}
	}
	literal := text
	if v.maria() {
		quoted := strings.HasPrefix(text, "'") && strings.HasSuffix(text, "'") && len(text) > 1
		switch {
		case quoted:
			literal = unquote(text[1 : len(text)-1])
		case !t.Kind.Numeric() && t.Kind != row.Bits && !plainNumber([]byte(text)) || t.Kind.Numeric() && !plainNumber([]byte(text)):
			return &schema.Default{Kind: schema.Expression, Text: text}
		}
	}
	switch {
	case t.Kind == row.Bits:
		literal = bitText(literal, int(t.Length))
	case t.Kind == row.Bytes && strings.HasPrefix(literal, "0x"):
		if raw, err := hex.DecodeString(literal[2:]); err == nil {
			literal = string(raw)
		}
	case t.Kind == row.Decimal:
		if cell, ok := row.AppendDecimal(nil, []byte(literal), t.Scale); ok {
			literal = string(cell)
		}
	}
	return &schema.Default{Kind: schema.Literal, Text: literal}
}

var unescape = strings.NewReplacer(`\\`, `\`, `\'`, `'`, `''`, `'`, `\n`, "\n", `\r`, "\r", `\t`, "\t", `\0`, "\x00", `\Z`, "\x1a")

func unquote(s string) string { return unescape.Replace(s) }

// bitText reads b'101' or a number as the column's bits.
func bitText(s string, n int) string {
	s = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(s, "b'"), "B'"), "'")
	if len(strings.Trim(s, "01")) > 0 {
		u, _ := strconv.ParseUint(s, 10, 64)
		s = strconv.FormatUint(u, 2)
	}
	return strings.Repeat("0", max(n-len(s), 0)) + s
}

// readKeys reads primary keys, unique keys and indexes.
func (i *inspection) readKeys(ctx context.Context) error {
	expression := "''"
	if !i.d.version.maria() {
		expression = "COALESCE(expression, '')"
	}
	all, err := i.s.rows(ctx, `SELECT table_name, index_name, non_unique, COALESCE(column_name, ''), COALESCE(sub_part, 0), COALESCE(collation, ''), index_type, `+
		expression+` FROM information_schema.statistics WHERE table_schema = ? ORDER BY table_name, index_name, seq_in_index`, i.home)
	if err != nil {
		return err
	}
	for at := 0; at < len(all); {
		end := at + 1
		for end < len(all) && all[end][0] == all[at][0] && all[end][1] == all[at][1] {
			end++
		}
		if t := i.tables[all[at][0]]; t != nil {
			i.addKey(t, all[at:end])
		}
		at = end
	}
	return nil
}

func (i *inspection) addKey(t *schema.Table, lines [][]string) {
	parts := make([]schema.Part, len(lines))
	for n, l := range lines {
		prefix, _ := strconv.Atoi(l[4])
		parts[n] = schema.Part{Column: l[3], Expression: i.expression(l[7]), Descending: l[5] == "D", Prefix: prefix}
		if l[6] == "SPATIAL" || l[6] == "FULLTEXT" {
			parts[n].Prefix = 0
		}
		// The catalog gives the hidden column of an index on an expression no name, and a whole column no sub_part.
	}
	name, method := lines[0][1], strings.ToLower(lines[0][6])
	switch {
	case name == "PRIMARY":
		t.Primary = &schema.Key{Name: name, Columns: parts, Constraint: true, Method: method}
	case lines[0][2] == "0":
		t.Uniques = append(t.Uniques, &schema.Key{Name: name, Columns: parts, Constraint: true, Method: method})
	default:
		t.Indexes = append(t.Indexes, &schema.Index{Name: name, Columns: parts, Method: method})
	}
}

func (i *inspection) readForeign(ctx context.Context) error {
	all, err := i.s.rows(ctx, `SELECT k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema, k.referenced_table_name,
		k.referenced_column_name, r.delete_rule, r.update_rule FROM information_schema.key_column_usage k
		JOIN information_schema.referential_constraints r ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name
		AND r.table_name = k.table_name WHERE k.table_schema = ? AND k.constraint_schema = ? AND k.referenced_table_name IS NOT NULL
		ORDER BY k.table_name, k.constraint_name, k.ordinal_position`, i.home, i.home)
	if err != nil {
		return err
	}
	var last *schema.ForeignKey
	lastOf := ""
	for _, l := range all {
		t := i.tables[l[0]]
		if t == nil {
			continue
		}
		if last == nil || last.Name != l[1] || lastOf != l[0] {
			last = &schema.ForeignKey{Name: l[1], Parent: schema.Name{Schema: l[3], Name: l[4]}, OnDelete: schema.Action(l[6]), OnUpdate: schema.Action(l[7])}
			lastOf = l[0]
			t.Foreign = append(t.Foreign, last)
		}
		last.Columns, last.ParentCols = append(last.Columns, l[2]), append(last.ParentCols, l[5])
	}
	return nil
}

// readChecks reads the checks that were written as checks: those of JSON columns are part of their type.
func (i *inspection) readChecks(ctx context.Context) error {
	query := "SELECT table_name, constraint_name, check_clause FROM information_schema.check_constraints WHERE constraint_schema = ? ORDER BY 1, 2"
	if !i.d.version.maria() {
		query = `SELECT t.table_name, c.constraint_name, c.check_clause FROM information_schema.check_constraints c
			JOIN information_schema.table_constraints t ON t.constraint_schema = c.constraint_schema AND t.constraint_name = c.constraint_name
			AND t.constraint_type = 'CHECK' WHERE c.constraint_schema = ? ORDER BY 1, 2`
	}
	all, err := i.s.rows(ctx, query, i.home)
	if err != nil {
		return err
	}
	for _, l := range all {
		t := i.tables[l[0]]
		if strings.HasPrefix(l[1], "whimbrel_guard_") {
			continue // ours
		}
		if t == nil || i.d.version.maria() && jsonCheck.MatchString(l[2]) && i.json[l[0]+"\x00"+strings.ReplaceAll(jsonCheck.FindStringSubmatch(l[2])[1], "``", "`")] {
			continue
		}
		t.Checks = append(t.Checks, &schema.Check{Name: l[1], Expression: i.expression(l[2])})
	}
	return nil
}

func (i *inspection) readPartitions(ctx context.Context) error {
	all, err := i.s.rows(ctx, `SELECT DISTINCT table_name, partition_name FROM information_schema.partitions
		WHERE table_schema = ? AND partition_name IS NOT NULL ORDER BY table_name, partition_name`, i.home)
	if err != nil {
		return err
	}
	for _, l := range all {
		if t := i.tables[l[0]]; t != nil {
			t.Options.Partitioned = true
			t.Options.Partitions = append(t.Options.Partitions, l[1])
		}
	}
	return nil
}

// readOthers lists what is not carried.
func (i *inspection) readOthers(ctx context.Context) error {
	all, err := i.s.rows(ctx, `SELECT 'view', table_name, '' FROM information_schema.views WHERE table_schema = ?
		UNION ALL SELECT LOWER(routine_type), routine_name, '' FROM information_schema.routines WHERE routine_schema = ?
		UNION ALL SELECT 'trigger', trigger_name, event_object_table FROM information_schema.triggers WHERE trigger_schema = ? AND trigger_name NOT REGEXP ?
		UNION ALL SELECT 'event', event_name, '' FROM information_schema.events WHERE event_schema = ? ORDER BY 1, 2`, i.home, i.home, i.home, ourTriggers, i.home)
	for _, l := range all {
		o := schema.Object{What: l[0], Name: i.name(l[1])}
		if l[2] != "" {
			o.Table = i.name(l[2])
		}
		i.found.Others = append(i.found.Others, o)
	}
	return err
}

func (i *inspection) readSequences(ctx context.Context) error {
	all, err := i.s.rows(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_type = 'SEQUENCE' ORDER BY 1", i.home)
	if err != nil {
		return err
	}
	for _, l := range all {
		q, err := i.s.row(ctx, "SELECT start_value, increment, minimum_value, maximum_value, cycle_option, cache_size FROM "+i.d.dialect.name(i.name(l[0])))
		if err != nil {
			return err
		}
		n := func(at int) int64 { v, _ := strconv.ParseInt(q[at], 10, 64); return v }
		i.found.Sequences = append(i.found.Sequences, &schema.Sequence{Name: i.name(l[0]), Start: n(0), Increment: n(1), Min: n(2), Max: n(3), Cycle: q[4] == "1", Cache: n(5)})
	}
	return nil
}
