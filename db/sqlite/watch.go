package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// watcher notices what triggers can not. DELETE without WHERE is noted row by row here, since a table with triggers is not
// emptied in one go; what is left is a change of the schema. The words of table, indexes and triggers show one that lasted,
// and the file's schema version, less the steps that were ours, shows that there was one at all: a trigger dropped and made
// again leaves nothing else, and is two steps, one to drop it and one to make it, in one transaction as well. So a single step
// between two looks hides nothing, whatever it was: VACUUM takes one, and ANALYZE when it makes the tables of its statistics. A
// row's place in the file (rootpage) is left out: VACUUM moves it.
type watcher struct{ d *database }

// fingerprint is what Fingerprint writes, as JSON.
type fingerprint struct {
	Steps    int64    `json:"steps"`    // of the schema version, by others
	Table    string   `json:"table"`    // its words, empty when it is gone
	Triggers []string `json:"triggers"` // ours on it
	Others   []string `json:"others"`   // the application's triggers and indexes on it
}

// Fingerprint describes a table's part of the schema.
func (w watcher) Fingerprint(ctx context.Context, t *schema.Table) (print string, err error) {
	err = w.d.read(ctx, w.d.control, func(s *session) (err error) {
		print, err = s.fingerprint(t)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("fingerprint %s: %w", t.Name, err)
	}
	return print, nil
}

func (s *session) fingerprint(t *schema.Table) (string, error) {
	var f fingerprint
	var err error
	if f.Steps, err = s.othersSteps(); err != nil {
		return "", err
	}
	const ownWords = "SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE tbl_name = ?1 COLLATE NOCASE ORDER BY name"
	err = s.each(ownWords, func(st *sqlite3.Stmt) error {
		what, name, sql := st.ColumnText(0), st.ColumnText(1), st.ColumnText(2)
		switch {
		case what == "table":
			f.Table = sql
		case what == "trigger" && slices.ContainsFunc(recordTriggers, func(r string) bool { return name == triggerName(r, t) }):
			f.Triggers = append(f.Triggers, sql)
		case !ours(name):
			f.Others = append(f.Others, what+" "+name+": "+sql)
		}
		return nil
	}, text(t.Name.Name))
	if err != nil {
		return "", err
	}
	words, err := json.Marshal(f)
	return string(words), err
}

// othersSteps is how many steps the schema version took that are not ours.
func (s *session) othersSteps() (steps int64, err error) {
	if steps, err = s.schemaVersion(); err != nil {
		return 0, err
	}
	counting, err := s.has("whimbrel_source_steps")
	if err == nil && counting {
		err = s.one("SELECT steps FROM whimbrel_source_steps", func(st *sqlite3.Stmt) { steps -= st.ColumnInt64(0) })
	}
	return steps, err
}

// Judge says what a changed fingerprint means.
func (watcher) Judge(earlier, later string) (driver.Verdict, string) {
	if earlier == later {
		return driver.Harmless, "nothing changed"
	}
	var a, b fingerprint
	if json.Unmarshal([]byte(earlier), &a) != nil || json.Unmarshal([]byte(later), &b) != nil {
		return driver.Invalid, "the fingerprint can not be read"
	}
	switch {
	case b.Table == "":
		return driver.Invalid, "the table is gone"
	case a.Table != b.Table:
		return driver.Invalid, "the table was declared anew"
	case !slices.Equal(a.Triggers, b.Triggers):
		return driver.Invalid, "the triggers that note changes are not the same"
	case b.Steps == a.Steps+1:
		return driver.Harmless, "the schema took one step, as by VACUUM, and a trigger that is off for a moment takes two"
	case a.Steps != b.Steps:
		return driver.Suspect, "the schema was changed, so that triggers may have been off for a moment"
	}
	return driver.Harmless, "indexes or triggers of the application's own changed"
}
