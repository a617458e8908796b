package failpoint

// Names returns every failpoint that Hit is called with. Those at the edges of steps are Step's. A test holds this list against
// the calls in the source.
func Names() []string { return append(OfEveryMove(), OfReleases()...) }

// OfReleases returns those that only a move to a new release of the application passes, in the order in which it does.
func OfReleases() []string {
	return []string{
		"shadow.lock.after",      // the repository is locked at the source
		"shadow.fill.after",      // the shadow holds the repository, and nothing was built
		"scripts.migrate.after",  // a part's migrations have run, and its command has not
		"repository.copy.before", // the tables of the copies are there, and empty
		"shadow.adopt.before",    // what stands at the target is noted
		"shadow.adopt.after",     // the shadow is empty and still there
		"update.admit.after",     // the update is let in
	}
}

// OfEveryMove returns the others, in the order in which a move passes them.
func OfEveryMove() []string {
	return []string{
		"ledger.prepare.after",   // the book is at the target, no epoch yet
		"ledger.takeover.after",  // a new epoch stands, nothing was written in it
		"capture.install.before", // passed once a table: its triggers are about to be made
		"capture.install.after",  // made, and the journal does not know it
		"load.commit.before",     // all rows are written
		"load.commit.after",      // the range is in and only the ledger knows it
		"index.build.after",      // one index is built
		"replay.taken",           // entries and rows are read
		"replay.apply.before",    // they are durable at the source, which has promised the batch
		"replay.apply.after",     // the target has them and the record still holds the entries
		"replay.forgotten",       // the record has let go
		"verify.live.before",     // a table is about to be compared while it lives
		"gate.shut.before",       // the application's last moment
		"gate.shut.after",        // the gate is shut and the journal does not know it
		"drain.empty.after",      // the records are empty
		"rest.commit.after",      // a downtime table's range is in
		"sequence.set.after",     // one generator is set
		"constraint.add.after",   // one constraint stands
		"verify.table.after",     // one table is compared
		"guard.open.after",       // one table of the target is open
		"capture.remove.after",   // one table's record and triggers are gone
	}
}
