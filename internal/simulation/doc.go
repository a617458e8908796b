// Package simulation runs whole moves, deterministically, by the thousand. The code is the program's own: procedure, state, move,
// load, replay, verify. The two databases are db/memory, the clock is that of testing/synctest, and one scheduler decides
// everything else from a seed: which of our waiting calls goes on, what the application does between two of them, and what
// goes wrong.
//
// A call to a database waits twice: before it is done and, where it commits, before its answer arrives. When every goroutine of
// the move waits, the scheduler takes one decision: a call goes on, fails, is lost with its session, is done and its answer
// lost, or is left for the server to come to later; the application begins, writes, prepares, commits or takes back; our process
// is killed or becomes a zombie that goes on beside its successor; a server crashes and forgets what was not durable, or is
// set back to a copy; triggers are muted; time passes. So a schedule is a list of decisions, and the same list is the same
// schedule, whatever the machine does.
//
// An oracle looks after every decision: a row that differs on the two sides must have an entry in the record or stand on the
// repair list (no stale row wins, and nothing heals by luck); when drain is done and when the target opens, both sides must be
// equal; a move must come to its end, and leave nothing behind.
//
// A list of decisions that fails is made shorter while it goes on failing, and is kept as a file in testdata, which the tests
// play again. Decision 0 is the plainest one: the oldest call goes on. Beyond the end of a list every decision is 0.
//
//	go test ./internal/simulation                                  regressions, mutants, and some schedules
//	go test ./internal/simulation -run Schedules -schedules 10000  so many schedules; -seed is the first
//	go test ./internal/simulation -run Regressions -v              the kept files, one by one
package simulation
