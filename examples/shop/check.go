package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// rule is something that is true of the shop whatever its users do.
type rule struct {
	name   string
	broken func(*evidence) []string
}

// evidence is what stands in the books, and what the shop has told its users.
type evidence struct {
	*Audit
	release string
	size    Size
	journal []entry
}

// rules are all of them.
var rules = []rule{
	{"what is in stock and what was sold is what was delivered", (*evidence).stock},
	{"the total of an order is the sum of its lines", (*evidence).totals},
	{"every order has lines, numbered from 1, and every line its order", (*evidence).lines},
	{"every order has its customer", (*evidence).owners},
	{"the first orders are as they were", (*evidence).firsts},
	{"every acknowledged order is there once, as it was acknowledged", (*evidence).acknowledged},
	{"no order is there that nobody wanted", (*evidence).wanted},
	{"no order number was given twice, and later orders have higher ones", (*evidence).numbers},
	{"every customer has the name that was acknowledged last", (*evidence).names},
	{"what the owner has set is as it was acknowledged last, and what nobody has set is the release's", (*evidence).settings},
	{"texts and version are those of the release", (*evidence).texts},
	{"the sales of a day are those of its orders", (*evidence).days},
}

// check says of every rule whether it holds, and returns how many do not.
func (e *evidence) check(w io.Writer) int {
	bad := 0
	for _, r := range rules {
		broken := r.broken(e)
		if len(broken) == 0 {
			fmt.Fprintf(w, "holds   %s\n", r.name)
			continue
		}
		bad++
		fmt.Fprintf(w, "BROKEN  %s: %d times\n", r.name, len(broken))
		for _, s := range broken[:min(3, len(broken))] {
			fmt.Fprintf(w, "          %s\n", s)
		}
	}
	return bad
}

func (e *evidence) stock() (broken []string) {
	sold := map[int64]int64{}
	for _, o := range e.Orders {
		for _, l := range o.Lines {
			if o.State == placed {
				sold[l.Article] += l.Quantity
			}
		}
	}
	for _, a := range e.Articles {
		if a.Stock+sold[a.ID] != a.Delivered || a.Stock < 0 {
			broken = append(broken, fmt.Sprintf("article %d: %d in stock, %d sold, %d delivered", a.ID, a.Stock, sold[a.ID], a.Delivered))
		}
		delete(sold, a.ID)
	}
	for id := range sold {
		broken = append(broken, fmt.Sprintf("article %d was sold and is not there", id))
	}
	if len(e.Articles) != e.size.Articles {
		broken = append(broken, fmt.Sprintf("there are %d articles and were %d", len(e.Articles), e.size.Articles))
	}
	return broken
}

func (e *evidence) totals() (broken []string) {
	for _, o := range e.Orders {
		if o.Total != total(o.Lines) {
			broken = append(broken, fmt.Sprintf("order %d: total %s, lines %s", o.ID, o.Total, total(o.Lines)))
		}
	}
	return broken
}

func (e *evidence) lines() []string {
	broken := e.Lines
	for _, o := range e.Orders {
		if len(o.Lines) == 0 {
			broken = append(broken, fmt.Sprintf("order %d has no line", o.ID))
		}
	}
	return broken
}

func (e *evidence) owners() (broken []string) {
	there := map[int64]bool{}
	for _, c := range e.Customers {
		there[c.ID] = true
	}
	for _, o := range e.Orders {
		if !there[o.Customer] {
			broken = append(broken, fmt.Sprintf("order %d is of the customer %d, who is not there", o.ID, o.Customer))
		}
	}
	if len(there) != e.size.Customers || len(e.Customers) != e.size.Customers {
		broken = append(broken, fmt.Sprintf("there are %d customers and were %d", len(e.Customers), e.size.Customers))
	}
	return broken
}

func (e *evidence) firsts() (broken []string) {
	byID := map[int64]Order{}
	for _, o := range e.Orders {
		byID[o.ID] = o
	}
	for i := 1; i <= e.size.Orders; i++ {
		was, is := firstOrder(i, e.size), byID[int64(i)]
		if !was.like(is) || was.State != is.State || !was.placed.Equal(is.placed) {
			broken = append(broken, fmt.Sprintf("order %d was %+v and is %+v", i, was, is))
		}
	}
	return broken
}

// like reports whether two orders are the same but for their state.
func (o Order) like(p Order) bool {
	return o.ID == p.ID && o.Ref == p.Ref && o.Customer == p.Customer && o.Total == p.Total && slices.Equal(o.Lines, p.Lines)
}

// fates are what is known of the states of orders; empty: it may be either.
func (e *evidence) fates() map[int64]string {
	state := map[int64]string{}
	for _, j := range e.journal {
		switch {
		case j.Did == didPlace && j.acknowledged():
			state[j.Order.ID] = placed
		case j.Did == didCancel && j.acknowledged():
			state[j.Order.ID] = cancelled
		case j.Did == didCancel && j.unknown() && state[j.Order.ID] != cancelled:
			state[j.Order.ID] = "" // either
		}
	}
	return state
}

func (e *evidence) acknowledged() (broken []string) {
	byRef := map[string][]Order{}
	for _, o := range e.Orders {
		byRef[o.Ref] = append(byRef[o.Ref], o)
	}
	fates, seen := e.fates(), 0
	for _, j := range e.journal {
		if j.Did != didPlace || !j.acknowledged() {
			continue
		}
		seen++
		is := byRef[j.Order.Ref]
		switch fate := fates[j.Order.ID]; {
		case len(is) != 1:
			broken = append(broken, fmt.Sprintf("order %d is there %d times", j.Order.ID, len(is)))
		case !j.Order.like(is[0]) || fate != "" && fate != is[0].State:
			broken = append(broken, fmt.Sprintf("order %d was acknowledged as %+v (%s) and is %+v", j.Order.ID, *j.Order, fate, is[0]))
		}
	}
	if seen == 0 && len(e.journal) > 0 {
		broken = append(broken, "no order was acknowledged at all")
	}
	return broken
}

func (e *evidence) wanted() (broken []string) {
	wanted := map[string]bool{}
	for i := 1; i <= e.size.Orders; i++ {
		wanted[firstOrder(i, e.size).Ref] = true
	}
	for _, j := range e.journal {
		if j.Did == didPlace && (j.acknowledged() || j.unknown()) {
			wanted[j.Order.Ref] = true
		}
	}
	for _, o := range e.Orders {
		if !wanted[o.Ref] {
			broken = append(broken, fmt.Sprintf("order %d, %s", o.ID, o.Ref))
		}
		delete(wanted, o.Ref) // the second one is not wanted
	}
	return broken
}

// numbers: an order that was asked for after another one was acknowledged has a higher number.
func (e *evidence) numbers() (broken []string) {
	type given struct {
		at time.Time
		id int64
	}
	var ends []given
	var asked []entry
	used := map[int64]string{}
	for _, j := range e.journal {
		if j.Did != didPlace || !j.acknowledged() {
			continue
		}
		if other, twice := used[j.Order.ID]; twice || j.Order.ID <= int64(e.size.Orders) {
			broken = append(broken, fmt.Sprintf("the number %d was given to %s and to %s", j.Order.ID, j.Order.Ref, other))
		}
		used[j.Order.ID] = j.Order.Ref
		ends, asked = append(ends, given{j.Ended, j.Order.ID}), append(asked, j)
	}
	slices.SortFunc(ends, func(a, b given) int { return a.at.Compare(b.at) })
	slices.SortFunc(asked, func(a, b entry) int { return a.Began.Compare(b.Began) })
	highest, i := int64(0), 0
	for _, j := range asked {
		for ; i < len(ends) && ends[i].at.Before(j.Began); i++ {
			highest = max(highest, ends[i].id)
		}
		if j.Order.ID <= highest {
			broken = append(broken, fmt.Sprintf("order %d came after order %d", j.Order.ID, highest))
		}
	}
	return broken
}

// last returns what a thing may be: what was acknowledged last, and what was asked for since without an answer.
func last(journal []entry, of func(entry) (value string, ok bool), first ...string) []string {
	may := first
	for _, j := range journal {
		value, ok := of(j)
		switch {
		case ok && j.acknowledged():
			may = []string{value}
		case ok && j.unknown():
			may = append(may, value)
		}
	}
	return may
}

func (e *evidence) names() (broken []string) {
	of := map[int64][]entry{}
	for _, j := range e.journal {
		if j.Did == didRename {
			of[j.Person.ID] = append(of[j.Person.ID], j)
		}
	}
	for _, c := range e.Customers {
		may := last(of[c.ID], func(j entry) (string, bool) { return j.Person.Name, true }, firstCustomer(int(c.ID)).Name)
		if !slices.Contains(may, c.Name) {
			broken = append(broken, fmt.Sprintf("customer %d is %q and not %q", c.ID, c.Name, may))
		}
	}
	return broken
}

func (e *evidence) settings() (broken []string) {
	may := last(e.journal, func(j entry) (string, bool) { return j.Value, j.Did == didSet && j.Name == "banner" }, "Free shipping", "Now with invoices")
	if is := e.Settings["banner"]; !slices.Contains(may, is) {
		broken = append(broken, fmt.Sprintf("the banner is %q and not %q", is, may))
	}
	for name, value := range releases[e.release].settings {
		if is := e.Settings[name]; is != value {
			broken = append(broken, fmt.Sprintf("the setting %s is %q and not %q", name, is, value))
		}
	}
	return broken
}

func (e *evidence) texts() (broken []string) {
	want := releases[e.release]
	if e.Version != want.version {
		broken = append(broken, fmt.Sprintf("the version is %s and not %s", e.Version, want.version))
	}
	if e.Welcome != want.welcome {
		broken = append(broken, fmt.Sprintf("the shop says %q and not %q", e.Welcome, want.welcome))
	}
	return broken
}

func (e *evidence) days() (broken []string) {
	if e.Days == nil {
		return nil // release 1 does not keep them
	}
	sales := map[string]Day{}
	for _, o := range e.Orders {
		if o.State == placed {
			d := sales[o.placed.Format(time.DateOnly)]
			sales[o.placed.Format(time.DateOnly)] = Day{d.Orders + 1, d.Total + o.Total}
		}
	}
	for day := range maps.Keys(e.Days) {
		if _, sold := sales[day]; !sold {
			sales[day] = Day{}
		}
	}
	for day, want := range sales {
		if is := e.Days[day]; is != want {
			broken = append(broken, fmt.Sprintf("%s: %d orders for %s, and the books say %d for %s", day, want.Orders, want.Total, is.Orders, is.Total))
		}
	}
	return broken
}
