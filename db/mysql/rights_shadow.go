package mysql

import (
	"context"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
)

// The rights on a shadow, and those to adopt what was built in it.
var (
	shadowRights = slices.Concat(fillRights, adoptRights)
	adoptRights  = []string{"CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE", "EVENT"}
)

// shadowed are the rights that shadows need: to make and fill them, to look at what their accounts may do elsewhere, for these accounts
// to build in them, and to adopt them at the target.
func (d rights) shadowed(ctx context.Context, s *session, has granted, account string, scope driver.Scope) ([]driver.Right, error) {
	if len(scope.Shadows) == 0 {
		return nil, nil
	}
	var all []driver.Right
	for _, shadow := range scope.Shadows {
		all = append(all, d.onDatabase(has, "right-shadow", "The account may not make the shadow "+shadow.Place+" and fill it.", shadow.Place, account, shadowRights))
	}
	for _, table := range d.lookInto() {
		what := "SELECT"
		columns := orElse(table[1], "*")
		if table[1] != "" {
			what += " (" + table[1] + ")"
		}
		err := s.run(ctx, "SELECT "+columns+" FROM mysql."+table[0]+" LIMIT 0")
		if err != nil && classes[number(err)] != driver.Refused {
			return nil, err
		}
		all = append(all, driver.Right{
			Rule: "right-look", Level: driver.Forbidden, Lacks: err != nil,
			Message: "The account may not see, in mysql." + table[0] + ", what accounts that build in a shadow may do elsewhere.",
			Grant:   "GRANT " + what + " ON " + quote("mysql") + "." + quote(table[0]) + " TO " + account,
		})
	}
	if !d.version.maria() {
		all = append(all, driver.Right{
			Rule: "right-look", Level: driver.Forbidden, Lacks: !has.global("SHOW_ROUTINE") && !has.global("SELECT"),
			Message: "The account may not read the routines that were built in a shadow.", Grant: "GRANT SHOW_ROUTINE ON *.* TO " + account,
		})
	}
	for _, shadow := range scope.Shadows {
		if shadow.Account == "" {
			continue
		}
		may, err := d.mayBuild(ctx, s, shadow)
		if err != nil && classes[number(err)] != driver.Refused {
			return nil, err
		}
		accounts, _ := d.accountsOf(ctx, s, shadow.Account)
		for _, builder := range accounts {
			all = append(all, driver.Right{
				Rule: "right-build", Level: driver.Forbidden, Lacks: err == nil && !may && !has.on(shadow.Place, "GRANT OPTION"),
				Message: "The account " + builder + ", which builds in the shadow " + shadow.Place + ", may not do so, and ours may not let it.",
				Grant:   letInto(shadow.Place, builder),
			})
		}
	}
	if d.options.Side == driver.Target {
		for _, name := range d.schemas(scope) {
			all = append(all, d.onDatabase(has, "right-adopt", "The account may not make the views, routines and events of "+name+" that were built in a shadow.", name, account, adoptRights))
		}
	}
	return all, nil
}
