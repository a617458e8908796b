package check

import "github.com/whimbrel/whimbrel/db/driver"

// Rights finds what a side's account lacks, each with the statement that gives it, and what it has beyond a move's needs.
func Rights(side driver.Side, needed []driver.Right, surplus []driver.Notice) []Finding {
	var found []Finding
	for _, r := range needed {
		if !r.Lacks {
			continue
		}
		f := Finding{Rule: r.Rule, Level: r.Level, Object: string(side), Message: r.Message, Do: "As an administrator of the " + string(side) + ": " + r.Grant + "."}
		if r.Grant == "" {
			f.Do = "Only a superuser can do it on this release; see docs/grants.md."
		}
		found = append(found, f)
	}
	for _, f := range Notices(surplus) {
		f.Object = string(side)
		found = append(found, f)
	}
	return found
}
