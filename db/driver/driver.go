// Package driver is the contract between Whimbrel and a database product: small roles that an open database plays.
//
// A driver says with a nil role what its product can not do, and with a value in Limits where it differs; nobody outside a
// driver asks which product it is. Everything here may be called twice: each method's comment says what a second call
// does. Contexts end a call early; an error that Dialect.Classify knows says whether the same call may be made again.
//
// One Database is opened for each side of a move, as its source or as its target (Options.Side). Names of what Whimbrel
// makes in a database begin with "whimbrel", are made from table numbers, and are left out by the inspector.
package driver

import (
	"context"
	"net/url"
	"time"

	"github.com/whimbrel/whimbrel/schema"
)

// Driver opens databases of one product.
type Driver interface {
	// Schemes are the URL schemes it answers to, the usual one first.
	Schemes() []string
	// Open connects and looks round: product, version, limits. It changes nothing. The URL's password, if any, must
	// never appear in an error. Again: a second, independent Database.
	Open(ctx context.Context, u *url.URL, o Options) (*Database, error)
}

// Side is the part a database plays in a move.
type Side string

// The two sides.
const (
	Source Side = "source"
	Target Side = "target"
)

// Options say how a database is opened.
type Options struct {
	Side     Side
	Run      string // the move's id, 1 to 40 characters of a-z, 0-9, -; on every session, so that people can see whose it is
	Sessions int    // the most sessions to hold at one time; 0 for 4
}

// Database is one open database. A nil role means that the product, or this server, has not got it.
type Database struct {
	Info      Info
	Dialect   Dialect
	Inspector Inspector
	Surveyor  Surveyor
	Executor  Executor
	Splitter  Splitter
	Reader    Reader
	Loader    Loader
	Pipe      Pipe
	Ledger    Ledger
	Lists     Lists
	Applier   Applier
	Stager    Stager
	Capturer  Capturer
	Recorder  Recorder
	Watcher   Watcher
	Gate      Gate
	Guard     Guard
	Admitter  Admitter
	Sequencer Sequencer
	Sequences SequencePlanner
	Many      Many
	Rights    Rights
	Shadows   Shadows
	Scripts   Scripts
	Relics    Relics
	// Inherit ends the sessions that earlier processes of this run have left at this server, with whatever they hold: one that has
	// frozen, or whose machine is gone, would hold its successor up until the server gives it up. Nil where a session can not
	// outlive its process, or none can be told from others'. Again: ends none.
	Inherit func(ctx context.Context) error
	// Vacate has the server's own housekeeping leave a table at which it is at work, so that Guard.Open waits for nobody; it may come
	// back after a while. Nil where it holds nothing that Open needs. Again: does so again.
	Vacate func(ctx context.Context, t *schema.Table) error
	// Blocked returns, in a clause, why a session that begins now can not run what capture has put at the source, so that its writes to
	// captured tables fail; empty where it can. What the driver can mend without taking capture off it mends, and an error says where it
	// could not. Nil where nothing that capture needs can go away under a running server. Again: looks again.
	Blocked func(ctx context.Context) (why string, err error)
	// Free returns the bytes that are free on the disk of the data, of which the records take their part; nil where only the server's
	// machine knows. Again: looks again.
	Free  func(ctx context.Context) (int64, error)
	Close func() error // ends every session. Again: does nothing
}

// Info is what opening found out.
type Info struct {
	Product string // postgres, mariadb, mysql, sqlite
	Version string // as the server says it
	Name    string // for people: product, host, port and database, never the user or password
	Schema  string // where unqualified names live: public, the MySQL database, main
	Server  string // tells this very server from every other, a restored copy of it included where that can be seen
	Limits  Limits
}

// Limits are the differences between products that others must know.
type Limits struct {
	Name          int    // the longest identifier
	NameBytes     bool   // Name counts bytes, else characters
	Writers       int    // the most sessions that can write at one time; 0 for no limit
	Readers       int    // the most sessions worth reading with; 0 for no limit
	Seconds       int    // the most digits of a second that a timestamp keeps
	Schemas       bool   // one connection can hold several schemas
	TransactDDL   bool   // a CREATE rolls back
	IndexPerTable bool   // index names are unique in their table only
	Value         int64  // the longest value in bytes
	IndexBytes    int    // the longest entry of an index in bytes; 0 for no limit worth a thought
	FoldTables    bool   // names of tables that differ only in case are one name
	FoldColumns   bool   // the same for columns, indexes and constraints
	NarrowNames   bool   // a name has no character above U+FFFF and does not end in a blank
	PlainChecks   bool   // a check can not name a column that has a generator
	Literals      bool   // a column can hold values of any kind: between two databases of this product cells are Other, whatever the column's own kind
	Ordered       bool   // a table is stored in the order of its key, so that rows which arrive in that order load faster
	Ahead         bool   // Take knows Want.Beyond, so that a batch can be read while the one before it is applied
	Reserved      string // a prefix that no table's name may have, compared without case; empty for none
	Features      Features
}

// Statement is one statement with what it is for, in the operator's words ("add foreign key orders_customer").
type Statement struct {
	Purpose string
	SQL     string
}

// Executor runs statements that a Dialect planned.
type Executor interface {
	// Execute runs one statement, in its own transaction where the product needs none of its own. Again: runs it again; the
	// dialect's statements are made so that a repeated one does nothing or fails with Classify's Exists or Missing.
	Execute(ctx context.Context, s Statement) error
	// Look runs a query that a dialect planned and returns its rows for people: cells as the product writes them, NULL as
	// "NULL" or empty. Again: looks again.
	Look(ctx context.Context, s Statement) ([][]string, error)
}

// Inspector reads the catalog.
type Inspector interface {
	// Inspect describes every table of the named schemas and what else is in them; the connection's default schema when
	// none is named. What belongs to Whimbrel is left out. Names keep their spelling.
	Inspect(ctx context.Context, schemas []string) (*schema.Schema, error)
	// Settings returns what the server's settings forbid or endanger in a move, for this database's side.
	Settings(ctx context.Context) ([]Notice, error)
}

// Notice is something about a server, a table or a column that an operator must know.
type Notice struct {
	Rule    string // a stable word for it: sync-binlog, no-key, row-security, zero-date, …
	Level   Level
	Table   schema.Name // empty for the server
	Column  string
	Message string // one sentence: what it is
	Do      string // one sentence: what to do about it
}

// Level is how much a notice or a finding weighs.
type Level string

// Note informs; Lossy needs the operator's consent; Forbidden stops the move until it is mended; NotLive forbids the
// table as an uptime table only.
const (
	Note      Level = "note"
	NotLive   Level = "not-live"
	Lossy     Level = "loss"
	Forbidden Level = "forbidden"
)

// Class is what an error means for the caller, found by the product's error codes only.
type Class int

// Unclassified: not known. Transient: the same call may be made again (a deadlock, a lock time-out, too many sessions).
// Conflict: a row is there already. Exists, Missing: an object is or is not there. Refused: a right is missing. Full: no
// room. BadData: a value does not fit. Lost: the session is gone and what it had begun is undone. Unknown: the session
// went during COMMIT, so that only the ledger knows. Fenced: another epoch has taken over.
const (
	Unclassified Class = iota
	Transient
	Conflict
	Exists
	Missing
	Refused
	Full
	BadData
	Lost
	Unknown
	Fenced
)

// Dialect is a product's language: pure functions, no connection.
type Dialect interface {
	// Quote writes an identifier of any spelling.
	Quote(name string) string
	// Carry returns the type that a column of a foreign type gets here, with what would be lost in it; nil losses say that
	// every value of the type arrives as it was. Key says that the column is part of a key or an index.
	Carry(t schema.Type, key bool) (schema.Type, []Loss)
	// CreateTable plans the table with its columns, defaults, NOT NULL, and what the product can only declare here, or is
	// better declared here (the primary key of an index-organised table). What it declares, CreateKeys and
	// CreateConstraints leave out. Again: does nothing when it is there.
	CreateTable(t *schema.Table) []Statement
	// CreateType plans one of the application's own types; nil where the product has none.
	CreateType(d *schema.TypeDef) []Statement
	// CreateKeys plans primary key, unique keys and indexes, each its own statement, the primary key first.
	CreateKeys(t *schema.Table) []Statement
	// CreateConstraints plans foreign keys and checks, in two parts: what makes them hold for new rows without reading the
	// table where the product can, and what proves them for the rows that are there.
	CreateConstraints(t *schema.Table) (add, prove []Statement)
	// DropTable plans the removal of a table made here. Again: does nothing.
	DropTable(t *schema.Table) []Statement
	// DropType is CreateType's way back.
	DropType(d *schema.TypeDef) []Statement
	// Orphans plans a query that returns the keys of rows without their parent, at most the first 100.
	Orphans(t *schema.Table, k *schema.ForeignKey) string
	// Classify says what an error means. It knows wrapped errors.
	Classify(err error) Class
}

// Loss is something a column would lose on its way, found from its type alone.
type Loss struct {
	Level   Level
	Message string     // one clause: "cannot hold the zero date"
	Unless  []FactKind // the survey facts that must be found in the column for the loss to be real; none: it always is
}

// Sequencer reads and sets generators.
type Sequencer interface {
	// Next returns, for each generator of the named tables and each sequence, a value that was never handed out (HAZARDS 71).
	Next(ctx context.Context, s *schema.Schema) ([]Generator, error)
	// Set makes a generator hand out at least value next, and never moves it back. Again: does nothing.
	Set(ctx context.Context, g Generator) error
}

// Generator is the state of one sequence, or of the generator of one column.
type Generator struct {
	Sequence schema.Name // empty for a column's own generator
	Table    schema.Name // empty for a free sequence
	Column   string
	Next     string // decimal digits: the next value to hand out
}

// Wait bounds how long a call waits for others' locks and transactions before it gives up with Transient.
type Wait struct {
	Lock    time.Duration // for one lock: 2 s keeps the application undisturbed (HAZARDS 73, 74)
	Settled time.Duration // for older transactions to end
}
