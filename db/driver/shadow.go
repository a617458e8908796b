package driver

import (
	"context"
	"database/sql"
	"net/url"

	"github.com/whimbrel/whimbrel/schema"
)

// Shadow is a place beside a database's own tables in which a new release builds what belongs to it.
type Shadow struct {
	Place   string // a schema (PostgreSQL), a database (MariaDB, MySQL), the path of a file (SQLite)
	Account string // who builds in it, as the product names accounts; empty where the product has none
}

// Shadows make shadows on the database's own server, fill them, make them real and take them away. The move's own account must
// be allowed to do so: Rights say how.
type Shadows interface {
	// Make makes the shadow, empty, and lets nobody in but our sessions and its account. A place that is there and that this
	// run has not made is an error that Classify calls Exists. Again: does nothing.
	Make(ctx context.Context, s Shadow) error
	// Clone makes tables of this database anew in the shadow, with keys, indexes, checks, defaults, generators of their own, the foreign
	// keys between them and the rows of one snapshot. The account may do with them what it likes. Nothing of the tables
	// themselves is changed. Again: makes them anew.
	Clone(ctx context.Context, s Shadow, tables []*schema.Table) error
	// Lend moves tables of this database into the shadow, with everything that belongs to them but the guard. The account may do
	// with them what it likes. At the source it is an error: Drop would take them away. Again: moves those that are not there yet.
	Lend(ctx context.Context, s Shadow, tables []*schema.Table) error
	// Adopt moves everything in the shadow into a schema of this database (empty: the default one), where it belongs to our
	// account: tables, views, routines, types, sequences, triggers. Something of the same name there is an error that names
	// it, and then nothing was moved that can not be moved again. Again: moves what is left.
	Adopt(ctx context.Context, s Shadow, schema string) error
	// Outside names, for people, what the account could reach or has made on this database outside of the shadow: tables of these that it can
	// read or write, and objects that it owns elsewhere. Nil where nothing is. Again: as it is then.
	Outside(ctx context.Context, s Shadow, tables []*schema.Table) ([]string, error)
	// Drop takes the shadow away with all that is in it. A place that this run has not made stays. Again: does nothing.
	Drop(ctx context.Context, s Shadow) error
}

// Scripts let a release's own programs in: a migration library that speaks database/sql, and programs that take a URL.
type Scripts interface {
	// Dialect is the product's name in goose's words: postgres, mysql, sqlite3.
	Dialect() string
	// Address is the URL by which a program reaches a place (a Shadow's Place, or a schema of the database; empty: the default
	// one) with the account and password of u: unqualified names mean that place.
	Address(u *url.URL, place string) (string, error)
	// Pool opens the place for a migration library, with the account of u and nothing of ours in its sessions but what lets
	// them write to a guarded target where Guard.Admit has let their account in. It is for scripts of several statements. The
	// caller closes it. Again: another pool.
	Pool(ctx context.Context, u *url.URL, place string) (*sql.DB, error)
}

// Relics know what stands in a schema, so that what scripts have made there can be taken away again.
type Relics interface {
	// List names every object of a schema (empty: the default one) that is not ours, by lines that only Remove understands.
	List(ctx context.Context, schema string) ([]string, error)
	// Remove drops every object of the schema that is neither ours nor on the list of those to keep. Again: does nothing.
	Remove(ctx context.Context, schema string, keep []string) error
}

// Admitter lets one account write to tables of the target that stay guarded against everybody else: the new release's scripts.
type Admitter interface {
	// Admit lets sessions of the account, as the product names accounts, write to a guarded table until Guard.Open. Where the
	// product has no accounts everybody can. Guard.Stands is not empty afterwards where it was not. Again: does nothing.
	Admit(ctx context.Context, t *schema.Table, account string) error
}
