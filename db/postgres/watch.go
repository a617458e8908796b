package postgres

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

//go:embed sql/fingerprint.sql
var fingerprintQuery string

// watcher compares the catalog with itself.
type watcher struct{ db *database }

// Fingerprint is one line of JSON; that of a table which is gone is "gone".
func (w watcher) Fingerprint(ctx context.Context, t *schema.Table) (string, error) {
	l, err := w.db.keeper(ctx)
	if err != nil {
		return "", err
	}
	defer l.release()
	r, err := l.query(ctx, fingerprintQuery, w.db.dialect().table(t.Name), itoa(t.Number))
	if err != nil {
		return "", fmt.Errorf("take the fingerprint of %s: %w", t.Name, err)
	}
	if len(r.Rows) == 0 {
		return "gone", nil
	}
	return string(r.Rows[0][0]), nil
}

// stamps are a trigger's object id, the transaction that last changed it, and whether it is on.
type stamps [3]any

type fingerprint struct {
	ID          int64             `json:"id"`
	Kind        string            `json:"kind"`
	Persistence string            `json:"persistence"`
	Columns     json.RawMessage   `json:"columns"`
	Primary     string            `json:"primary"`
	Members     json.RawMessage   `json:"members"`
	Security    json.RawMessage   `json:"security"`
	Subscribed  bool              `json:"subscribed"` // the database is to changes of another
	Fed         bool              `json:"fed"`        // and the table is among what is changed so
	Triggers    map[string]stamps `json:"triggers"`
	Function    json.RawMessage   `json:"function"`
	Record      json.RawMessage   `json:"record"`
}

// Judge reads what changed, and what hides changes now, be it from the beginning. What it does not know is invalid.
func (watcher) Judge(earlier, later string) (driver.Verdict, string) {
	var a, b fingerprint
	if json.Unmarshal([]byte(later), &b) != nil {
		return driver.Invalid, "the table is gone"
	}
	if json.Unmarshal([]byte(earlier), &a) != nil {
		return driver.Invalid, "the earlier fingerprint can not be read"
	}
	switch hidden := b.hides(); {
	case earlier == later && hidden == "":
		return driver.Harmless, "nothing changed"
	case earlier == later:
		return driver.Invalid, hidden
	case a.ID != b.ID:
		return driver.Invalid, "another table has its name"
	case a.Kind != b.Kind || a.Persistence != b.Persistence:
		return driver.Invalid, "it is another kind of table now"
	case string(a.Columns) != string(b.Columns):
		return driver.Invalid, "its columns changed"
	case string(a.Members) != string(b.Members):
		return driver.Invalid, "its partitions or heirs changed"
	case len(a.Record) > 0 && len(b.Record) < 5 && len(a.Record) > 4:
		return driver.Invalid, "its record is gone"
	}
	if hidden := b.hides(); hidden != "" {
		return driver.Invalid, hidden
	}
	if verdict, why := judgeTriggers(a.Triggers, b.Triggers); verdict != driver.Harmless {
		return verdict, why
	}
	switch {
	case b.Subscribed && !a.Subscribed && !rowTriggers(b.Triggers):
		return driver.Suspect, "a subscription was made, whose writes fire no statement trigger"
	case string(a.Function) != string(b.Function):
		return driver.Suspect, "the function that notes its changes was replaced"
	case string(a.Record) != string(b.Record):
		return driver.Suspect, "its record was emptied or written anew"
	case a.Primary != b.Primary:
		return driver.Suspect, "its primary key changed"
	case string(a.Security) != string(b.Security):
		return driver.Suspect, "its row security changed"
	case a.Subscribed != b.Subscribed:
		return driver.Harmless, "subscriptions changed"
	}
	return driver.Invalid, "it changed in a way that is not known"
}

// hides says what hides changes of a captured table now; empty when nothing does.
func (f fingerprint) hides() string {
	for _, is := range f.Triggers {
		if is[2] != "A" {
			return "a trigger of ours is off"
		}
	}
	if f.Fed && len(f.Triggers) > 0 && !rowTriggers(f.Triggers) {
		return "a subscription writes to it, which fires no statement trigger"
	}
	return ""
}

// judgeTriggers: a trigger that is gone hides changes now; one that has another stamp may have hidden some.
func judgeTriggers(a, b map[string]stamps) (driver.Verdict, string) {
	for name, was := range a {
		is, ok := b[name]
		switch {
		case !ok:
			return driver.Invalid, "a trigger of ours is gone"
		case was != is:
			return driver.Suspect, "a trigger of ours was changed for a moment"
		}
	}
	if len(b) != len(a) && len(a) > 0 {
		return driver.Suspect, "triggers of ours were added"
	}
	return driver.Harmless, ""
}

func rowTriggers(all map[string]stamps) bool {
	for name := range all {
		if strings.Contains(name, " whimbrel_row_") {
			return true
		}
	}
	return false
}
