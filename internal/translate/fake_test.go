package translate

import (
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// fake is a small dialect: enough of a product for types and names.
type fake struct {
	quote string
	carry func(t schema.Type, key bool) (schema.Type, []driver.Loss)
}

func (f fake) Quote(n string) string {
	return f.quote + strings.ReplaceAll(n, f.quote, f.quote+f.quote) + f.quote
}

func (f fake) Carry(t schema.Type, key bool) (schema.Type, []driver.Loss) { return f.carry(t, key) }
func (fake) CreateTable(*schema.Table) []driver.Statement                 { return nil }
func (fake) CreateType(*schema.TypeDef) []driver.Statement                { return nil }
func (fake) CreateKeys(*schema.Table) []driver.Statement                  { return nil }
func (fake) DropTable(*schema.Table) []driver.Statement                   { return nil }
func (fake) DropType(*schema.TypeDef) []driver.Statement                  { return nil }
func (fake) Orphans(*schema.Table, *schema.ForeignKey) string             { return "" }
func (fake) Classify(error) driver.Class                                  { return driver.Unclassified }

func (fake) CreateConstraints(*schema.Table) (add, prove []driver.Statement) {
	return nil, nil
}

// elephant is like PostgreSQL: names of 63 bytes, schemas, index names shared with tables, text compared by bytes.
var elephant = fake{quote: `"`, carry: func(t schema.Type, key bool) (schema.Type, []driver.Loss) {
	to := t
	to.Raw, to.Charset, to.Collation, to.Values, to.Set, to.Unsigned = "", "", "", nil, false, false
	var losses []driver.Loss
	switch {
	case len(t.Values) > 0, t.Kind == row.Text:
		to.Kind, to.Binary = row.Text, true
	case t.Kind == row.Date:
		losses = []driver.Loss{{
			Level: driver.Lossy, Message: "cannot hold the zero date", Unless: []driver.FactKind{driver.ZeroDate},
		}}
	}
	return to, losses
}}

var elephantInfo = driver.Info{Product: "elephant", Schema: "public", Limits: driver.Limits{
	Name: 63, NameBytes: true, Seconds: 6, Schemas: true, Value: 1 << 30, IndexBytes: 2704,
	Features: driver.PartialIndexes | driver.IncludeColumns | driver.NullsEqualKeys | driver.DeferrableKeys |
		driver.DeferrableForeign | driver.MatchFullForeign | driver.SetDefaultForeign | driver.IdentityAlways |
		driver.IdentitySteps | driver.IdentityAnywhere | driver.TableComments | driver.RandomUUIDs | driver.FreeSequences,
}}

// seal is like MariaDB: names of 64 characters in three bytes, decimals of 30 places, keys of bounded text.
var seal = fake{quote: "`", carry: func(t schema.Type, key bool) (schema.Type, []driver.Loss) {
	to := t
	to.Raw, to.Collation = "", "bin"
	switch t.Kind {
	case row.Decimal:
		if t.Precision == 0 {
			to.Precision, to.Scale = 65, 30
		}
	case row.Text:
		to.Binary = true
		if key && t.Length == 0 {
			to.Length = 768
			return to, []driver.Loss{{
				Level: driver.Forbidden, Message: "is part of a key and longer than 768 characters",
				Unless: []driver.FactKind{driver.Longest},
			}}
		}
	}
	return to, nil
}}

var sealInfo = driver.Info{Product: "seal", Schema: "shop", Limits: driver.Limits{
	Name: 64, Seconds: 6, Schemas: true, IndexPerTable: true, Value: 1 << 30, IndexBytes: 3072,
	FoldColumns: true, NarrowNames: true,
	Features: driver.PrefixIndexes | driver.FullTextIndexes | driver.SpatialIndexes | driver.IdentityInKey |
		driver.TableComments | driver.HiddenColumns | driver.OnUpdateNow | driver.RandomUUIDs,
}}

// feather is like SQLite: one schema, names compared without case, a generator on a sole key column only.
var feather = fake{quote: `"`, carry: func(t schema.Type, key bool) (schema.Type, []driver.Loss) {
	to := t
	to.Raw, to.Values, to.Binary = "", nil, true
	if len(t.Values) > 0 {
		to.Kind = row.Text
	}
	return to, nil
}}

var featherInfo = driver.Info{Product: "feather", Schema: "main", Limits: driver.Limits{
	Seconds: 9, FoldTables: true, FoldColumns: true, Reserved: "sqlite_",
	Features: driver.PartialIndexes | driver.DeferrableForeign | driver.SetDefaultForeign,
}}
