package mysql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// This file is what happens to the rows in the transaction of an Apply. In its statements t is the table, and a stage has a name that
// no table can have: one of the application's may be called as we please.

// stageName is what a stage is called in a statement.
const stageName = "whimbrel_staged"

// known is the condition that a row and a staged one have the same key, byte for byte.
func (a *apply) known() string {
	var same []string
	for _, k := range keyColumns(a.delta.Shape) {
		q := quote(k.name)
		same = append(same, "t."+q+" = "+stageName+"."+q)
		if !exact(k.typ) {
			same = append(same, "CAST(t."+q+" AS BINARY) = CAST("+stageName+"."+q+" AS BINARY)")
		}
	}
	return strings.Join(same, " AND ")
}

func (a *apply) name() string { return a.d.dialect.name(a.delta.Table.Name) }

// remove deletes the rows of exactly the staged keys.
func (a *apply) remove(ctx context.Context) error {
	return a.s.run(ctx, "DELETE t FROM "+a.keys+" "+stageName+" STRAIGHT_JOIN "+a.name()+" t WHERE "+a.known())
}

// write writes the staged rows, and adds the keys of those that were in the way to displaced.
func (a *apply) write(ctx context.Context, displaced *row.Batch) error {
	left, err := int64(a.delta.Images.Len()), error(nil)
	if a.manner() == inPlace && left > 0 {
		left, err = a.update(ctx, left)
	}
	if err != nil || left == 0 {
		return err
	}
	if a.manner() == upsert {
		return a.insert(ctx, left, 2*left) // a row that was there counts twice
	}
	if err := a.displace(ctx, displaced); err != nil {
		return err
	}
	return a.insert(ctx, left, left)
}

// insert inserts what is staged; the server counts the rows.
func (a *apply) insert(ctx context.Context, least, most int64) error {
	columns := list(a.delta.Shape.Names())
	sql := "INSERT INTO " + a.name() + " (" + columns + ") SELECT " + columns + " FROM " + a.rows + " " + stageName
	if a.manner() == upsert {
		sql += " ON DUPLICATE KEY UPDATE " + strings.Join(a.assignments(""), ", ")
	}
	stored, err := a.s.exec(ctx, sql)
	if err == nil && (stored < least || stored > most) {
		err = fmt.Errorf("%d rows were sent and %d stored", least, stored)
	}
	return err
}

// assignments name every column but the key's, so that none follows a rule of its own (HAZARDS 67), or the key's where there
// are no others.
func (a *apply) assignments(alias string) []string {
	var all, key []string
	for i, n := range a.delta.Shape.Names() {
		set := alias + quote(n) + " = " + stageName + "." + quote(n)
		if slices.Contains(a.delta.Shape.Key, i) {
			key = append(key, set)
		} else {
			all = append(all, set)
		}
	}
	if len(all) == 0 {
		return key
	}
	return all
}

// update deletes the rows whose unique values will be others, since two of them may swap one, updates those that are left, and
// returns how many of the staged rows were not there: the stage holds only these then.
//
// The table is the first of the join, and its rows are found by their keys in the statement: only so does the server change
// them as it finds them, and not in a second pass.
func (a *apply) update(ctx context.Context, staged int64) (int64, error) {
	if err := a.removeChanged(ctx); err != nil {
		return 0, err
	}
	key := keyColumns(a.delta.Shape)
	head := "UPDATE " + strings.TrimPrefix(a.d.along(a.delta.Table, key), " FROM ") + " STRAIGHT_JOIN " + a.rows + " " + stageName + " ON " + a.known() +
		" SET " + strings.Join(a.assignments("t."), ", ") + " WHERE "
	part := 2000
	if len(key) > 1 {
		part = keysAtOnce
	}
	updated := int64(0)
	for first := 0; first < a.delta.Keys.Len(); first += part {
		n, err := a.s.exec(ctx, head+among(key, a.delta.Keys, first, min(first+part, a.delta.Keys.Len())))
		if err != nil {
			return 0, err
		}
		updated += n
	}
	if updated == staged {
		return 0, nil
	}
	pruned, err := a.s.exec(ctx, "DELETE "+stageName+" FROM "+a.rows+" "+stageName+" STRAIGHT_JOIN "+a.name()+" t WHERE "+a.known())
	if err == nil && pruned != updated {
		err = fmt.Errorf("%d rows were updated and %d are there", updated, pruned)
	}
	return staged - updated, err
}

// removeChanged deletes the rows of the staged keys that have another value of another unique key than is staged, as that key
// compares them.
func (a *apply) removeChanged(ctx context.Context) error {
	var stays []string
	for _, k := range uniqueKeys(a.delta.Table) {
		if a.owns(k) {
			continue
		}
		for _, p := range k.Columns {
			stays = append(stays, part(p, "t")+" <=> "+part(p, stageName))
		}
	}
	return a.s.run(ctx, "DELETE t FROM "+a.rows+" "+stageName+" STRAIGHT_JOIN "+a.name()+" t WHERE "+a.known()+" AND NOT ("+strings.Join(stays, " AND ")+")")
}

// displace removes the rows that hold a unique value about to be inserted, as the target compares them, and adds their keys
// to found. The key that rows are known by is one of the unique keys: under a collation another row can hold a value like
// ours. A row of this very batch is left where it is: two of its rows can not both be, and the INSERT says so.
func (a *apply) displace(ctx context.Context, found *row.Batch) error {
	t := a.delta.Table
	for _, k := range uniqueKeys(t) {
		if k.Where != "" || a.owns(k) && bytewiseKey(t, k) {
			continue
		}
		join := a.rows + " " + stageName + " STRAIGHT_JOIN " + a.name() + " t WHERE " + strings.Join(equal(k, "t", stageName), " AND ")
		before := found.Len()
		if err := a.d.collect(ctx, a.s, t, a.delta.Shape, "SELECT DISTINCT %s FROM "+join+" FOR UPDATE", found); err != nil {
			return err
		}
		if found.Len() == before || a.ours(found, before) {
			continue
		}
		if err := a.s.run(ctx, "DELETE t FROM "+join); err != nil {
			return err
		}
	}
	return nil
}

// ours reports whether one of the keys found, from first on, is the batch's own.
func (a *apply) ours(found *row.Batch, first int) bool {
	own := make(map[string]struct{}, a.delta.Keys.Len())
	for i := range a.delta.Keys.Len() {
		own[string(a.delta.Keys.Row(i))] = struct{}{}
	}
	for i := first; i < found.Len(); i++ {
		if _, ok := own[string(found.Row(i))]; ok {
			return true
		}
	}
	return false
}

// owns reports whether k is the key that the delta's rows are known by.
func (a *apply) owns(k *schema.Key) bool {
	return slices.EqualFunc(k.Names(), keyColumns(a.delta.Shape), func(n string, c keyColumn) bool { return n == c.name })
}

// bytewiseKey reports whether keys that are equal have equal bytes, so that no other row than that of the key itself
// can be in the way.
func bytewiseKey(t *schema.Table, k *schema.Key) bool {
	for _, p := range k.Columns {
		c := t.Column(p.Column)
		if c == nil || p.Prefix > 0 || !exact(c.Type) {
			return false
		}
	}
	return true
}

// exact reports whether values of a type that the server finds equal have equal bytes.
func exact(t schema.Type) bool {
	return (t.Charset == "" || t.Binary) && t.Kind != row.Float32 && t.Kind != row.Float64
}

// equal compares the parts of a unique key of two tables, as the key does.
func equal(k *schema.Key, a, b string) []string {
	var all []string
	for _, p := range k.Columns {
		all = append(all, part(p, a)+" = "+part(p, b))
	}
	return all
}

func part(p schema.Part, alias string) string {
	switch {
	case p.Column == "":
		return "(" + p.Expression + ")"
	case p.Prefix > 0:
		return "LEFT(" + alias + "." + quote(p.Column) + ", " + strconv.Itoa(p.Prefix) + ")"
	}
	return alias + "." + quote(p.Column)
}

// collect runs a query with the key's columns of t in place of %s and appends the keys.
func (d *database) collect(ctx context.Context, s *session, t *schema.Table, shape schema.Shape, query string, keys *row.Batch) error {
	c := newCells(t, shape.Keys())
	r, err := s.conn.QueryContext(ctx, strings.Replace(query, "%s", c.exprs("t"), 1), nil)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		if err := r.Next(c.values); errors.Is(err, io.EOF) {
			return r.Close()
		} else if err != nil {
			return err
		}
		if err := c.append(keys, c.values); err != nil {
			keys.Abandon()
			return err
		}
	}
}
