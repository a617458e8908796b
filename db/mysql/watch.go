package mysql

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// fingerprint is what a table's change of which could hide changes of rows.
type fingerprint struct {
	Engine     string              `json:"engine"`
	Tables     []string            `json:"tables"` // InnoDB's numbers of the table and its partitions: TRUNCATE and rebuilding change them
	Created    string              `json:"created"`
	Columns    []string            `json:"columns"`
	Partitions []string            `json:"partitions,omitempty"`
	Triggers   map[string][]string `json:"triggers"`          // ours that record: body's hash and time of creation
	Foreign    []string            `json:"foreign,omitempty"` // the foreign keys that change its rows, from wherever the change comes
	Helpers    map[string][]string `json:"helpers,omitempty"` // our triggers on the tables above, as Triggers
	Behind     []string            `json:"behind,omitempty"`  // others' triggers there that may change an update after ours have seen it
}

// Fingerprint reads the catalog. The gate's and the guard's triggers, comments, statistics and other people's triggers
// are no part of it.
func (d *database) Fingerprint(ctx context.Context, t *schema.Table) (string, error) {
	var f fingerprint
	err := d.control.with(ctx, func(s *session) (err error) {
		f, err = d.fingerprint(ctx, s, t)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("fingerprint %s: %w", t.Name, err)
	}
	text, err := json.Marshal(f)
	return string(text), err
}

func (d *database) fingerprint(ctx context.Context, s *session, t *schema.Table) (f fingerprint, err error) {
	home, name := orElse(t.Name.Schema, d.schema), t.Name.Name
	about, err := s.rows(ctx, "SELECT COALESCE(engine, ''), COALESCE(create_time, '') FROM information_schema.tables WHERE table_schema = ? AND table_name = ?", home, name)
	if err != nil || len(about) == 0 {
		return f, err
	}
	f.Engine, f.Created = about[0][0], about[0][1]
	numbers := "innodb_sys_tables"
	if !d.version.maria() {
		numbers = "innodb_tables"
	}
	encoded := "CONCAT(CAST(CONVERT(? USING filename) AS BINARY), '/', CAST(CONVERT(? USING filename) AS BINARY))"
	ids, err := s.rows(ctx, "SELECT table_id FROM information_schema."+numbers+" WHERE CAST(name AS BINARY) = "+encoded+
		" OR LOCATE(CONCAT("+encoded+", '#'), CAST(name AS BINARY)) = 1 ORDER BY table_id", home, name, home, name)
	if err != nil {
		return f, err
	}
	f.Tables = flat(ids)
	columns, err := s.rows(ctx, `SELECT CONCAT_WS(' ', column_name, column_type, COALESCE(collation_name, ''), is_nullable, extra)
		FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position`, home, name)
	if err != nil {
		return f, err
	}
	f.Columns = flat(columns)
	partitions, err := s.rows(ctx, `SELECT CONCAT_WS(' ', partition_name, subpartition_name, partition_method, partition_expression, partition_description)
		FROM information_schema.partitions WHERE table_schema = ? AND table_name = ? AND partition_name IS NOT NULL ORDER BY 1`, home, name)
	if err != nil {
		return f, err
	}
	f.Partitions = flat(partitions)
	ours := numberedNames(t, "insert", "update", "delete")
	triggers, err := s.rows(ctx, `SELECT trigger_name, MD5(CONCAT(action_timing, event_manipulation, action_statement)), created FROM information_schema.triggers
		WHERE event_object_schema = ? AND event_object_table = ? AND trigger_name IN (?, ?, ?)`,
		home, name, ours[0], ours[1], ours[2])
	f.Triggers = map[string][]string{}
	for _, line := range triggers {
		f.Triggers[line[0]] = line[1:]
	}
	if err == nil && len(f.Triggers) > 0 {
		err = d.fingerprintAbove(ctx, s, t, &f)
	}
	return f, err
}

// fingerprintAbove adds what stands above a captured table.
func (d *database) fingerprintAbove(ctx context.Context, s *session, t *schema.Table, f *fingerprint) error {
	home := orElse(t.Name.Schema, d.schema)
	moving, err := s.rows(ctx, `SELECT 1 FROM information_schema.referential_constraints WHERE constraint_schema = ? AND table_name = ?
		AND (delete_rule IN ('CASCADE', 'SET NULL') OR update_rule IN ('CASCADE', 'SET NULL')) LIMIT 1`, home, t.Name.Name)
	if err != nil || len(moving) == 0 && !cascaded(t) {
		return err
	}
	all, err := d.cascades(ctx, s)
	if err != nil {
		return err
	}
	w := newWays(all, d.full(t.Name))
	f.Foreign, f.Helpers = w.involved(), map[string][]string{}
	n := strconv.Itoa(t.Number)
	for _, on := range w.above() {
		lines, err := s.rows(ctx, `SELECT trigger_name, MD5(CONCAT(action_timing, event_manipulation, action_statement)), created,
			CONCAT(action_timing, ' ', event_manipulation), action_order FROM information_schema.triggers WHERE event_object_schema = ? AND event_object_table = ?
			ORDER BY action_timing, event_manipulation, action_order`, on.Schema, on.Name)
		if err != nil {
			return err
		}
		ours := false
		for _, l := range lines {
			switch {
			case strings.HasPrefix(l[0], capturing) && strings.HasSuffix(l[0], "_"+n+"_"+d.place64(on)):
				f.Helpers[l[0]] = l[1:3]
				ours = ours || l[3] == "BEFORE UPDATE"
			case ours && l[3] == "BEFORE UPDATE" && !strings.HasPrefix(l[0], "whimbrel_"):
				f.Behind = append(f.Behind, on.String()+" "+l[0])
			}
		}
	}
	return nil
}

func flat(lines [][]string) []string {
	all := make([]string, len(lines))
	for i, l := range lines {
		all[i] = strings.Join(l, " ")
	}
	return all
}

// judgeTriggers compares our triggers.
func judgeTriggers(earlier, later map[string][]string) (driver.Verdict, string) {
	for name := range earlier {
		if _, ok := later[name]; !ok {
			return driver.Invalid, "the trigger " + name + " is gone"
		}
	}
	for name, was := range earlier {
		if !slices.Equal(was, later[name]) {
			return driver.Suspect, "the trigger " + name + " was made anew"
		}
	}
	return driver.Harmless, ""
}

// Judge compares two fingerprints.
func (d *database) Judge(earlier, later string) (driver.Verdict, string) {
	var a, b fingerprint
	if earlier == later {
		return driver.Harmless, ""
	}
	if json.Unmarshal([]byte(earlier), &a) != nil || json.Unmarshal([]byte(later), &b) != nil {
		return driver.Invalid, "a fingerprint can not be read"
	}
	switch {
	case b.Engine == "" && a.Engine != "":
		return driver.Invalid, "the table is gone"
	case a.Engine != b.Engine:
		return driver.Invalid, "its engine was changed"
	case !slices.Equal(a.Columns, b.Columns):
		return driver.Invalid, "its columns were changed"
	case !slices.Equal(a.Partitions, b.Partitions):
		return driver.Invalid, "its partitions were changed"
	case !slices.Equal(a.Foreign, b.Foreign):
		return driver.Invalid, "the foreign keys that change its rows were changed"
	case !slices.Equal(a.Behind, b.Behind):
		return driver.Invalid, "a trigger was put behind ours on a table above it, or taken away there: " + strings.Join(append(a.Behind, b.Behind...), ", ")
	}
	verdict, why := judgeTriggers(a.Triggers, b.Triggers)
	if above, reason := judgeTriggers(a.Helpers, b.Helpers); verdict == driver.Harmless || above == driver.Invalid {
		verdict, why = above, reason
	}
	if verdict != driver.Harmless {
		return verdict, why
	}
	if !slices.Equal(a.Tables, b.Tables) || len(b.Tables) == 0 && a.Created != b.Created {
		return driver.Suspect, "the table was emptied or rebuilt"
	}
	return driver.Harmless, ""
}
