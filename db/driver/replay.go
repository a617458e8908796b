package driver

import (
	"context"
	"errors"
	"time"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Ledger is Whimbrel's book at the target: which epoch may write, which ranges are in, which batch was applied last.
type Ledger interface {
	// Prepare makes the book, for this run. A book of another run that is not finished is an error naming it.
	// Again: does nothing.
	Prepare(ctx context.Context, run string) error
	// TakeOver ends the sessions of older epochs and returns a new epoch: from its return on, no transaction of an older
	// epoch can commit (HAZARDS C3). Again: a newer epoch.
	TakeOver(ctx context.Context) (epoch int64, err error)
	// Current returns nil while this epoch is the ledger's, and an error that Classify calls Fenced when another has taken over:
	// for what is done to the target in no transaction of its own. Again: looks again.
	Current(ctx context.Context, epoch int64) error
	// Epoch returns the epoch that may write, 0 before the first TakeOver: who does not know of it has been away too long, or
	// looks at a target that was set back. Again: looks again.
	Epoch(ctx context.Context) (int64, error)
	// Ranges returns the loaded ranges of a table, by number, with their rows.
	Ranges(ctx context.Context, t *schema.Table) (map[int]int64, error)
	// Clear empties a table, and takes its ledger lines, its lanes' batch numbers and its lists away, in one transaction
	// where the product can, so that it can be loaded again. Again: does nothing.
	Clear(ctx context.Context, t *schema.Table, epoch int64) error
	// Number returns the last batch applied in a lane of a table, zero when none was. It answers only when no
	// Apply of that lane can still commit: one whose COMMIT lost its answer is waited for, because the server may be at it
	// still.
	Number(ctx context.Context, t *schema.Table, lane int) (Batch, error)
	// Drop takes the book of this run (Options.Run) away, and what the guard made for all tables together and no table
	// needs any more; the book of another run is left alone. Again: does nothing.
	Drop(ctx context.Context) error
}

// ErrEnded answers whoever writes when there is no ledger any more: no epoch may. Every driver's Classify calls it Fenced.
var ErrEnded = errors.New("the ledger is gone: the move was ended or reset, or the target was set back or replaced")

// Batch is a batch of a lane: its number, and the epoch of the process that promised it at the source.
type Batch struct{ Number, By int64 }

// List is one of the lists of keys at the target.
type List string

// Repairs are keys whose rows must be read again; Changed are keys applied since the table was last verified.
const (
	Repairs List = "repairs"
	Changed List = "changed"
)

// Lists are durable sets of keys at the target, a pair a table, written by Apply in its own transaction.
type Lists interface {
	// Put puts these keys on a list, with a new stamp, durable when it returns: on the repair list they are read again by the
	// next batches of replay, as what Apply displaces is. Again: gives them a newer stamp.
	Put(ctx context.Context, l List, t *schema.Table, keys *row.Batch) error
	// Listed appends to listed those of the keys that are on the list, each once. Again: looks again.
	Listed(ctx context.Context, l List, t *schema.Table, keys, listed *row.Batch) error
	// Peek appends up to max keys of a list to keys (cells of the shape's key) and returns the stamp up to which they
	// stand: Strike with that stamp leaves whatever was put there later.
	Peek(ctx context.Context, l List, t *schema.Table, max int, keys *row.Batch) (stamp int64, err error)
	// Strike removes these keys, where they were not put there again after the stamp. Again: does nothing.
	Strike(ctx context.Context, l List, t *schema.Table, keys *row.Batch, stamp int64) error
	// Count returns how many keys a list holds.
	Count(ctx context.Context, l List, t *schema.Table) (int64, error)
}

// Delta is one batch of replay: these keys shall have these rows and no others.
type Delta struct {
	Table  *schema.Table
	Shape  schema.Shape // the columns that are written
	Lane   int
	Epoch  int64
	Number int64      // one more than the ledger's
	By     int64      // the epoch of who promised it
	Keys   *row.Batch // the keys, each once (cells of Shape.Keys())
	Images *row.Batch // the rows of those keys that exist (cells of Shape)
	Mended *row.Batch // keys taken from the repair list, struck from it in the same transaction; nil for none
	Stamp  int64      // and their stamp
	Note   bool       // put the keys on the changed list
}

// Applier makes the target equal to a delta.
type Applier interface {
	// Apply runs one transaction: the fence and the number; remove the rows of exactly these keys, compared byte by byte,
	// and every row that holds a unique value about to be written, whose key goes on the repair list; write the images; the
	// lists (HAZARDS C9). No trigger, no foreign key action and no ON UPDATE default of the application takes part. It
	// returns when the commit is durable. Again, with a number that the ledger has: writes nothing and returns an error that
	// Classify calls Exists. The batch that was applied under it may have had other keys than this one: take again.
	Apply(ctx context.Context, d Delta) error
	// Part removes every row that shares the values of a unique key with another row, and puts their keys on the repair
	// list, in one fenced transaction, so that the key can be built after a load that ran while rows moved (HAZARDS C18).
	// It returns how many rows. Again: removes what shares a value then.
	Part(ctx context.Context, t *schema.Table, s schema.Shape, k *schema.Key, epoch int64) (int64, error)
}

// Stager brings a delta's keys and images to the target before its turn, so that less is left to do when it comes; nil in a Database
// whose product gains nothing by it.
type Stager interface {
	// Stage takes a session of its own and changes nothing that anybody else can see. Of the delta it looks at the table, the
	// shape, the keys and the images, which stay as they are until Close. Where no session is free it waits for one, or, told to be quick, returns nil.
	// Again: another one.
	Stage(ctx context.Context, d Delta, quick bool) (Staged, error)
}

// Staged is a delta that waits for its turn.
type Staged interface {
	// Apply is Applier.Apply of these keys and images; the rest of the delta is given now. After an error nothing of it can
	// commit any more that Ledger.Number does not wait for. Again: an error.
	Apply(ctx context.Context, d Delta) error
	// Close gives the session back; what was not applied is undone. Again: does nothing.
	Close()
}

// Capturer makes the source note which keys change. A source belongs to one move at a time: the first Install or
// Gate.Shut writes the run (Options.Run) down among our tables there, and Finish of that run takes it away with the rest.
type Capturer interface {
	// Gaps names the blind spots of capture for this table, and which of them forbid it as an uptime table. What a foreign key
	// changes in it with a row of its parent is none: Install sees to it that such a change is noted, whether the parent is moved
	// or not and in whatever schema or database it is (HAZARDS C12).
	Gaps(ctx context.Context, t *schema.Table, s schema.Shape) ([]Notice, error)
	// Install makes record table and triggers of one table in a short transaction of their own; a lock that is not had in
	// w.Lock is Transient, a source of another run an error that names it. Again: does nothing.
	Install(ctx context.Context, t *schema.Table, s schema.Shape, w Wait) error
	// Settle returns when no transaction that began before the call, prepared ones included, can still write to the tables
	// (HAZARDS C6), or an error that names who still could. Again: waits for those that are older now.
	Settle(ctx context.Context, tables []*schema.Table, w Wait) error
	// Remove takes triggers, record and batch numbers of a table away; Finish what is left of ours at the source. Where the
	// source is another run's both do nothing. Again: nothing.
	Remove(ctx context.Context, t *schema.Table, w Wait) error
	Finish(ctx context.Context) error
}

// Recorder reads the records of the source.
type Recorder interface {
	// Backlog says what one table's record holds.
	Backlog(ctx context.Context, t *schema.Table) (Backlog, error)
	// Take reads up to want.Most entries of the record and, in the same or one later snapshot, the rows of their keys and of
	// want.Also as they are now (HAZARDS C2): all rows are of one snapshot, so that a unique value that moves from row to row
	// is in one of them. Keys are appended to keys, each once, rows to images; a row found whose key is not byte for byte a
	// key asked for does not count (C10). A batch may be smaller than asked for, because the rows' bytes are bounded: what
	// was not read is neither in keys nor covered by the receipt. One key is read where there is one. Again: perhaps other
	// entries; entries stay until Forget.
	Take(ctx context.Context, want Want, keys, images *row.Batch) (Receipt, error)
	// Numbers returns what the source remembers of a lane's batches (HAZARDS C8).
	Numbers(ctx context.Context, t *schema.Table, lane int) (Numbers, error)
}

// Numbers are the last batch that was promised to the target and the last that was forgotten, each 0 when none was, and the epoch of who
// promised the former. The promised one is the forgotten one or the next.
type Numbers struct{ Promised, Forgotten, By int64 }

// Want says what to take.
type Want struct {
	Table *schema.Table
	Shape schema.Shape
	Lane  int
	Lanes int   // 1 for a table with one lane
	Epoch int64 // whose batch it becomes, when it is promised
	Most  int
	Also  *row.Batch // more keys to read, from the repair list; nil for none

	// Beyond, where Limits.Ahead says that it is known, is another receipt of this lane that is still open: its entries and
	// all that Take would have read before its last are left out. What is left out beside them is found by a Take without it.
	Beyond Receipt
}

// Backlog is what a record holds.
type Backlog struct {
	Entries   int64         // exact up to 100,000, an estimate above
	Oldest    time.Duration // the age of the oldest, 0 when there is none
	Bytes     int64         // what the record takes on disk
	Truncated bool          // it holds a note that the whole table was emptied
}

// Receipt stands for exactly the entries that one Take read.
type Receipt interface {
	// Entries is how many entries the receipt covers. Emptied reports that one of them notes that the table was emptied:
	// then every key of the target must be read again before Forget (HAZARDS C11).
	Entries() int
	Emptied() bool
	// Cut reports that Take ended early, because the rows are large: what it had found beyond waits for the next Take.
	Cut() bool
	// Durable returns when everything read would survive a crash of the source (HAZARDS C7), and the source remembers as
	// lastingly that batch number is promised to the target: one that is set back to a time before the rows were read has
	// not made this promise, which shows (C8). Who promised it, the want's epoch, is remembered with it: a process that has slept
	// while the source was set back may promise a batch of the same number. The number must be one more than the last that was
	// promised and than the last that was forgotten, else it is an error that Classify calls Conflict: ask for the Numbers.
	// Again, for the same number: does nothing.
	Durable(ctx context.Context, number int64) error
	// Forget removes exactly the entries of the receipt and writes the batch's number, in one transaction. A change
	// recorded after Take stays. An answer that is lost must not lead to another Forget: take again instead (HAZARDS 38).
	Forget(ctx context.Context, number int64) error
	// Close gives the session back. Again: does nothing.
	Close() error
}

// Watcher notices what triggers can not.
type Watcher interface {
	// Fingerprint describes everything about a table whose change could hide changes of rows: columns, triggers and their
	// state, identity, partitions. Opaque; kept by the caller.
	Fingerprint(ctx context.Context, t *schema.Table) (string, error)
	// Judge compares an earlier fingerprint with a later one and says why, in a clause.
	Judge(earlier, later string) (Verdict, string)
}

// Verdict is what a changed fingerprint means.
type Verdict string

// Harmless: nothing was hidden. Suspect: changes may have been hidden for a moment, or the table may have been emptied:
// read every key of both sides again and verify in full. Invalid: it is another table now; load again.
const (
	Harmless Verdict = "harmless"
	Suspect  Verdict = "suspect"
	Invalid  Verdict = "invalid"
)

// Gate keeps the application's writes out of the source, as state in the database that survives our end.
type Gate interface {
	// Shut makes every write to these tables fail with a sentence that says why, whoever writes and however, by a write to a
	// table that is not shut and a foreign key that changes their rows with it too, and returns when each write in flight has
	// ended (HAZARDS C14). A source of another run is an error that names it. Again: shuts what is not shut.
	Shut(ctx context.Context, tables []*schema.Table, w Wait) error
	// Prove returns nil only if no transaction is left that could still write to the tables: older, idle or prepared.
	Prove(ctx context.Context, tables []*schema.Table, w Wait) error
	// Reopen lets writes in again, but where the source is another run's: then it does nothing. Again: does nothing.
	Reopen(ctx context.Context, tables []*schema.Table) error
	// Writers names the sessions, but ours, that write or may soon.
	Writers(ctx context.Context) ([]Writer, error)
}

// Writer is somebody's session, for people.
type Writer struct {
	Session string
	User    string
	Program string
	Since   time.Duration // the age of its transaction; negative where that is not known
	State   string
}

// Guard keeps everybody but our sessions from writing to tables of the target until it is opened.
type Guard interface {
	// Shut refuses others' writes to one table, on behalf of the epoch of Ledger.TakeOver: once another has taken over, it fails with
	// Classify's Fenced and changes nothing, since the target may be open to its users by then. Again: does nothing.
	Shut(ctx context.Context, t *schema.Table, epoch int64) error
	// Stands describes the guard of a table as it is: empty where there is none, else a text that is another one when
	// somebody has altered it or taken it off, as far as the catalog shows that even where it was put back. Opaque; kept by
	// the caller. Again: looks again.
	Stands(ctx context.Context, t *schema.Table) (string, error)
	// Open lets everybody write to it. Where somebody is at the table for longer than some seconds it fails with Classify's Transient and
	// says who. Again: does nothing.
	Open(ctx context.Context, t *schema.Table) error
}
