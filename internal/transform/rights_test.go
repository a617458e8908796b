package transform

import (
	"context"
	"slices"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// asked remembers what rights were asked for.
type asked struct{ driver.Rights }

func (a *asked) Needed(_ context.Context, s driver.Scope) ([]driver.Right, error) {
	var all []driver.Right
	for _, t := range s.Live {
		all = append(all, driver.Right{Message: t.Name.Name, Rule: string(rune('0' + t.Number))})
	}
	return all, nil
}

// TestRightsForEveryRecord: a table that feeds another one has two records, and the account needs rights on both.
func TestRightsForEveryRecord(t *testing.T) {
	whole := &schema.Schema{Tables: []*schema.Table{sample()}}
	v := &view{Database: &driver.Database{Rights: &asked{}}, forms: map[schema.Name]*form{}}
	if err := v.compile(whole, []Rule{parted(`parts(name, ";")`, 3)}); err != nil {
		t.Fatal(err)
	}
	fed := v.forms[schema.Name{Schema: "main", Name: "word"}].view
	fed.Number = 2
	tables := []*schema.Table{whole.Tables[0], fed}
	needed, err := rights{v}.Needed(t.Context(), driver.Scope{Tables: tables, Live: tables})
	if err != nil {
		t.Fatal(err)
	}
	records := []string{}
	for _, r := range needed {
		records = append(records, r.Message+" "+r.Rule)
	}
	if !slices.Equal(records, []string{"t 1", "t 2"}) {
		t.Errorf("rights for the records of %q", records)
	}
}
