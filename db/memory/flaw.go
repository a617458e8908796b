package memory

import "slices"

// Flaw is a rule that the database breaks on purpose. The suite of drivers, and the tests of replay and verify, are
// themselves tested by seeing the damage of each.
type Flaw int

// The flaws, each with the rule it breaks.
const (
	Sound             Flaw = iota
	ForgetAll              // Forget empties the record (C1)
	ForgetUpto             // Forget removes everything up to the last entry taken (C1)
	NoLine                 // a range is loaded twice (C16)
	NoFence                // an older epoch goes on writing (C3)
	FoldedKeys             // keys are compared by the collation, not byte by byte (C10)
	NoRepairs              // displaced rows are not put on the repair list (C9)
	NoStamps               // Strike removes what was put on a list later
	AppliedTwice           // a batch is applied again under the same number
	NewKeyOnly             // a key change records the new key only
	RecordedAtOnce         // entries are there before, and without, the commit of the change
	NoTruncates            // capture does not see that a table was emptied (C11)
	GateLeaks              // a shut table can be written
	GateHasty              // Shut and Prove do not look for writes in flight (C14)
	SettledAtOnce          // Settle does not wait for older transactions (C6)
	ClosedRanges           // a range holds its lower bound too
	TrimmedText            // the load loses blanks at the end of texts
	IgnoredDuplicates      // the load drops a row whose key is there (C5)
	CommitOnClose          // a load that is given up is kept
	GoesBack               // a generator can be set back
	AnyPromise             // a batch is promised whatever was promised before (C8)
	LeavesTraces           // Remove leaves the record and its triggers
	flaws
)

// The flaws that show only where several things happen at once: the suite of drivers does one after the other.
const (
	Watermark        Flaw = flaws + iota // Forget remembers the last place it saw, and Take begins behind it (C1)
	OneEntryPerKey                       // a key that has an entry gets no second one (C1)
	StaleRows                            // Take reads rows of an earlier snapshot than the entries (C2)
	InstalledAtOnce                      // Install and Settle do not wait for those who write unnoted (C6)
	EntriesNotOnDisk                     // a receipt's Durable returns at once (C7)
	RowsNotOnDisk                        // a cursor's Durable returns at once (C7)
	BarrierElsewhere                     // Durable asks another session, and does not see that its own is lost (C7)
	LazyCommits                          // our own commits are visible before they are durable (C7)
	PlainUpsert                          // Apply writes by the primary key, whoever holds a unique value (C9)
	UpsertByAnyKey                       // Apply overwrites whatever row holds a unique value (C9)
	SilentCascades                       // rows that a foreign key's action removes are not recorded (C12)
	LineFirst                            // a range's ledger line is committed before its rows (C16)
	LoadReplaces                         // the load overwrites a row whose key is there (C5)
	PartForgets                          // Part removes rows and does not put them on the repair list (C18)
	NumberAtOnce                         // the ledger's number does not wait for a commit under way, and a number is applied twice (C8)
	subtle
)

var flawNames = [...]string{
	"sound", "forget-all", "forget-upto", "no-line", "no-fence", "folded-keys", "no-repairs", "no-stamps", "applied-twice",
	"new-key-only", "recorded-at-once", "no-truncates", "gate-leaks", "gate-hasty", "settled-at-once", "closed-ranges",
	"trimmed-text", "ignored-duplicates", "commit-on-close", "goes-back", "any-promise", "leaves-traces",
	"watermark", "one-entry-per-key", "stale-rows", "installed-at-once", "entries-not-on-disk", "rows-not-on-disk",
	"barrier-elsewhere", "lazy-commits", "plain-upsert", "upsert-by-any-key", "silent-cascades", "line-first", "load-replaces",
	"part-forgets", "number-at-once",
}

// String is the flaw's name.
func (f Flaw) String() string { return flawNames[f] }

// Flaws returns every flaw that shows where one thing happens after the other, without Sound.
func Flaws() []Flaw {
	all := make([]Flaw, 0, flaws-1)
	for f := Sound + 1; f < flaws; f++ {
		all = append(all, f)
	}
	return all
}

// FlawOf returns the flaw of a name; false when there is none.
func FlawOf(name string) (Flaw, bool) {
	i := slices.Index(flawNames[:], name)
	return Flaw(i), i >= 0
}
