// Package failpoint lets a test end the process at a named place, as kill -9 would, so that what is found by the next
// process can be examined. The program does nothing at a failpoint unless the environment variable WHIMBREL_FAILPOINT
// names it:
//
//	WHIMBREL_FAILPOINT=load.commit.before          dies at the first passage
//	WHIMBREL_FAILPOINT=load.commit.before:3        dies at the third
//	WHIMBREL_FAILPOINT=drain.begin,drain.done      dies at whichever comes first
//
// A process that dies here writes the line "failpoint NAME" to its standard error before, so that a test can tell this
// death from another one.
package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Variable is the environment variable that arms failpoints.
const Variable = "WHIMBREL_FAILPOINT"

// armed is read once, when the process starts; nil in every process that nobody tests.
var armed = parse(os.Getenv(Variable))

// Hit is a failpoint: it returns at once, or never. Its name must be one of Names.
func Hit(name string) {
	if armed != nil {
		pass(name, "")
	}
}

// Step is the failpoint at an edge of a step of the procedure. The names are the steps' own, with a colon and the edge
// in front ("begin:drain"); they are not in Names, as the story has them already.
func Step(edge Edge, step string) {
	if armed != nil {
		pass(string(edge), ":"+step)
	}
}

// Edge is one side of a step.
type Edge string

// Begin is passed when a step has been noted as begun and has done nothing yet; Done when it has done everything and
// that is noted.
const (
	Begin Edge = "begin"
	Done  Edge = "done"
)

func pass(name, rest string) {
	left, ok := armed[name+rest]
	if !ok || left.Add(-1) != 0 {
		return
	}
	_, _ = os.Stderr.WriteString("failpoint " + name + rest + "\n")
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// parse reads the variable: names by commas, each with an optional count behind its last colon.
func parse(list string) map[string]*atomic.Int64 {
	if list == "" {
		return nil
	}
	points := map[string]*atomic.Int64{}
	for name := range strings.SplitSeq(list, ",") {
		count := int64(1)
		if i := strings.LastIndexByte(name, ':'); i >= 0 {
			if n, err := strconv.ParseInt(name[i+1:], 10, 64); err == nil {
				name, count = name[:i], n
			}
		}
		points[name] = new(atomic.Int64)
		points[name].Store(count)
	}
	return points
}
