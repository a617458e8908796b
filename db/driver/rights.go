package driver

import (
	"context"

	"github.com/whimbrel/whimbrel/schema"
)

// Rights know what an account must be allowed to do for its side of a move, and no more. nil where the product has no accounts.
type Rights interface {
	// Needed lists every right that this side of the move needs of an account, in the order in which to give them. Again: as
	// it is then.
	Needed(ctx context.Context, s Scope) ([]Right, error)
	// Surplus returns a Note for each right that the account the database was opened with has, that no move needs, and that
	// would let whoever has its password do more than a move does.
	Surplus(ctx context.Context) ([]Notice, error)
}

// Scope is what a side of a move touches.
type Scope struct {
	Account   string          // for whom the statements are written, as the product names accounts; empty: the one the database was opened with
	Schemas   []string        // in which the tables are, or at the target will be; those that are not there yet are made by the move
	Tables    []*schema.Table // at the source: those that move, with their numbers
	Live      []*schema.Table // those of them that are moved while the application runs
	Sequences []schema.Name   // at the source: the free sequences that move
	Shadows   []Shadow        // those that are made on this side
}

// Right is one right that a side of a move needs.
type Right struct {
	Rule    string // a stable word for it
	Level   Level  // what it means that it is missing
	Lacks   bool   // the account that the database was opened with has not got it
	Message string // one sentence: what the account may not do without it
	Grant   string // the statement that gives it, without a semicolon
}
