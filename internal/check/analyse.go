package check

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// Roles finds what the two databases can not do and every move needs.
func Roles(source, target *driver.Database) []Finding {
	var found []Finding
	need := func(side driver.Side, what string, has ...bool) {
		for _, h := range has {
			if !h {
				found = append(found, Finding{
					Rule: "role", Level: driver.Forbidden, Object: string(side), Message: "cannot " + what,
					Do: "Take another " + string(side) + ".",
				})
				return
			}
		}
	}
	need(driver.Source, "describe its tables", source.Inspector != nil, source.Dialect != nil)
	need(driver.Source, "read rows", source.Reader != nil, source.Splitter != nil)
	need(driver.Source, "shut out writers", source.Gate != nil)
	need(driver.Target, "describe its tables", target.Inspector != nil, target.Dialect != nil)
	need(driver.Target, "make tables", target.Executor != nil)
	need(driver.Target, "load rows", target.Loader != nil, target.Ledger != nil)
	need(driver.Target, "read rows back, so that nothing could be verified", target.Reader != nil)
	wish := func(side driver.Side, rule, message, do string, has bool) {
		if !has {
			found = append(found, Finding{
				Rule: rule, Level: driver.Note, Object: string(side), Message: message, Do: do,
			})
		}
	}
	wish(driver.Source, "survey", "cannot look for values that the target might not hold",
		"A row that does not fit will stop its table: rehearse the move first.", source.Surveyor != nil)
	wish(driver.Target, "guard", "cannot keep others from writing to the tables before they are opened",
		"See to it that nobody uses the target before the end.", target.Guard != nil)
	wish(driver.Target, "generators", "cannot set generators past the largest value",
		"Set them by hand before the target is opened.", target.Sequencer != nil && source.Sequencer != nil)
	return found
}

// LiveRoles finds what the two databases can not do and a move with uptime tables needs.
func LiveRoles(source, target *driver.Database) []Finding {
	var found []Finding
	if source.Capturer == nil || source.Recorder == nil || source.Watcher == nil {
		found = append(found, Finding{
			Rule: "role", Level: driver.Forbidden, Object: string(driver.Source),
			Message: "cannot note which rows change while the application runs", Do: "Choose procedure: standard.",
		})
	}
	if target.Applier == nil || target.Lists == nil {
		found = append(found, Finding{
			Rule: "role", Level: driver.Forbidden, Object: string(driver.Target),
			Message: "cannot be given changes of single rows", Do: "Choose procedure: standard.",
		})
	}
	return found
}

// SameDatabase finds that both sides are one database. There is what the target has already: where the server is one and
// the names differ, a table that both have by the same full name gives it away.
func SameDatabase(source, target driver.Info, tables []*schema.Table, there *schema.Schema) []Finding {
	if source.Server == "" || source.Server != target.Server {
		return nil
	}
	same := source.Name == target.Name
	for _, t := range tables {
		same = same || there != nil && source.Schema == target.Schema && there.Table(t.Name) != nil
	}
	if !same {
		return nil
	}
	return []Finding{{
		Rule: "same-database", Level: driver.Forbidden, Object: string(driver.Target),
		Message: "is the database that is to be moved", Do: "Give another target.url.",
	}}
}

// Versions finds that the target runs an older release of the source's product.
func Versions(source, target driver.Info) []Finding {
	if source.Product != target.Product || !older(release(target.Version), release(source.Version)) {
		return nil
	}
	return []Finding{{
		Rule: "older-release", Level: driver.Lossy, Object: string(driver.Target),
		Message: fmt.Sprintf("runs release %s, older than the source's %s", target.Version, source.Version),
		Do:      "See to it that the application runs on the older release, or update the target first.",
	}}
}

// release returns the first two numbers of a version such as "10.11.6-MariaDB-0+deb12u1" or "15.4 (Debian 15.4-1)".
func release(version string) (parts [2]int) {
	version = strings.TrimLeft(version, "vV ")
	end := strings.IndexFunc(version, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end >= 0 {
		version = version[:end]
	}
	for i, word := range strings.SplitN(version, ".", 3) {
		if i < len(parts) {
			parts[i], _ = strconv.Atoi(word)
		}
	}
	return parts
}

func older(a, b [2]int) bool { return a[0] < b[0] || a[0] == b[0] && a[1] < b[1] }

// Occupied finds target tables that are there already. There is what the target has; filled names those of its tables
// that hold rows, found by reading and not from an estimate.
func Occupied(targets []*schema.Table, there *schema.Schema, filled map[schema.Name]bool) []Finding {
	var found []Finding
	for _, t := range targets {
		old := there.Table(t.Name)
		f := Finding{Rule: "target-table", Level: driver.Forbidden, Table: t.Name}
		switch {
		case old == nil:
			continue
		case filled[t.Name]:
			f.Message = "is at the target already and holds rows"
			f.Do = "Drop or empty it at the target, or move to another schema or database."
		case unlike(old, t) != "":
			f.Message = "is at the target already, empty, but is another table"
			f.Detail, f.Do = unlike(old, t), "Drop it at the target, so that it can be made as it must be."
		default:
			f.Level, f.Message = driver.Note, "is at the target already, empty, and is used as it is"
			f.Do = "Drop it at the target if it was not made for this move."
		}
		found = append(found, f)
	}
	return found
}

// unlike says in a clause how a table that is there differs from the one that would be made; empty when it can take its rows.
func unlike(old, want *schema.Table) string {
	for _, c := range want.Columns {
		is := old.Column(c.Name)
		switch {
		case is == nil:
			return "it has no column " + c.Name
		case is.Type.Kind != c.Type.Kind:
			return fmt.Sprintf("column %s is %s and not %s", c.Name, is.Type.Kind, c.Type.Kind)
		case c.Null && !is.Null:
			return "column " + c.Name + " takes no NULL"
		}
	}
	for _, c := range old.Columns {
		if want.Column(c.Name) == nil && !c.Null && c.Default == nil && c.Generated == nil && c.Identity.Kind == schema.None {
			return "it has a column " + c.Name + " that must be filled"
		}
	}
	return ""
}

// Denied turns an error met while looking into a finding. Doing says what was tried: "read the values". The error's own
// words are kept: drivers write no password into them.
func Denied(side driver.Side, table schema.Name, doing string, err error, class driver.Class) Finding {
	f := Finding{
		Rule: "looking", Level: driver.Forbidden, Table: table, Object: string(side),
		Message: "could not " + doing, Detail: err.Error(), Do: "Mend the cause and check again.",
	}
	switch class {
	case driver.Refused:
		f.Rule, f.Do = "right", "Grant the right to the user of "+string(side)+".url."
	case driver.Transient, driver.Lost:
		f.Do = "Check again."
	}
	return f
}
