// Yardstick is the floor that the benchmark compares Whimbrel with: the plainest pipelines that the usual Go drivers allow. It
// makes no tables, keeps no progress, verifies nothing and can not go on after a crash. It knows the benchmark's tables.
//
//	yardstick copy   [-streams N] [-then SQL]... FROM TO TABLE...   rows of one database into empty tables of another, then statements there
//	yardstick read   [-streams N] DATABASE... TABLE...              every row of the tables once, into a hash; the databases at the same time
//	yardstick replay [-batch N] FROM TO                             the rows of wide whose keys the table changed(seq, k) of FROM lists
//
// Databases are named by URL: postgres://, mariadb:// or sqlite:path. Streams share a table by ranges of its key.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "yardstick:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("copy, read or replay?")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	streams := flags.Int("streams", 1, "ranges of a table at one time")
	batch := flags.Int64("batch", 10_000, "keys in one transaction")
	var then []string
	flags.Func("then", "a statement at the target after the rows", func(s string) error {
		then = append(then, s)
		return nil
	})
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	var urls, tables []string
	for _, a := range flags.Args() {
		if strings.Contains(a, ":") {
			urls = append(urls, a)
		} else {
			tables = append(tables, a)
		}
	}
	switch {
	case args[0] == "copy" && len(urls) == 2:
		return copyTables(ctx, urls[0], urls[1], tables, *streams, then)
	case args[0] == "read" && len(urls) > 0:
		return together(len(urls), func(i int) error { return readTables(ctx, urls[i], tables, *streams) })
	case args[0] == "replay" && len(urls) == 2:
		return replay(ctx, urls[0], urls[1], *batch)
	}
	return fmt.Errorf("%q can not be meant", args)
}

// together runs do for 0 to n-1 at the same time and returns the first error when all have ended.
func together(n int, do func(i int) error) error {
	errs := make(chan error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs <- do(i) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
