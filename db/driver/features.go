package driver

import "github.com/whimbrel/whimbrel/schema"

// Features are what tables of one product can have and tables of another perhaps not. Translate asks the target's: what a
// source's table has and they lack becomes a finding. Between two databases of one product nobody asks.
type Features uint32

// The features. Every driver names those its product has, in Limits.
const (
	PartialIndexes    Features = 1 << iota // an index or unique key with a condition
	PrefixIndexes                          // an index of the first characters of a column
	FullTextIndexes                        // Method "fulltext"
	SpatialIndexes                         // Method "spatial"
	IncludeColumns                         // columns that an index only carries along
	NullsEqualKeys                         // a unique key that takes NULL once
	DeferrableKeys                         // a unique key checked at commit
	DeferrableForeign                      // a foreign key checked at commit
	MatchFullForeign                       // MATCH FULL
	SetDefaultForeign                      // ON DELETE or ON UPDATE SET DEFAULT
	IdentityAlways                         // a generator that refuses explicit values
	IdentitySteps                          // a generator with a start and an increment of its own
	IdentityAnywhere                       // a generator on any column, and on several of a table
	IdentityInKey                          // a generator on one column, the first of a key or index; without this and IdentityAnywhere: only on the one column of a primary key
	TableComments                          // comments on tables and columns
	HiddenColumns                          // columns that SELECT * leaves out
	OnUpdateNow                            // ON UPDATE CURRENT_TIMESTAMP
	RandomUUIDs                            // a default that makes a new UUID
	FreeSequences                          // generators that are objects of their own
	UnsignedNumbers                        // integers of 64 bits without a sign, with a generator too
)

// Has reports whether all of these are there.
func (f Features) Has(all Features) bool { return f&all == all }

// SequencePlanner plans generators that are objects of their own; nil in a Database whose product has none. A generator
// that belongs to an identity column is made with its table and is not planned here.
type SequencePlanner interface {
	// CreateSequence plans one; tables may need it in a default, so it is made before them. Again: does nothing.
	CreateSequence(s *schema.Sequence) []Statement
	// DropSequence is the way back. Again: does nothing.
	DropSequence(s *schema.Sequence) []Statement
}
