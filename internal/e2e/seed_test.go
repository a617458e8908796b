package e2e

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// seed is what this run's choices are made from: WHIMBREL_SEED, or the day. It stands in the test's output, so that a
// failure can be repeated.
func seed(t *testing.T) uint64 {
	t.Helper()
	n := uint64(time.Now().Unix() / 86400)
	if s := os.Getenv("WHIMBREL_SEED"); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("WHIMBREL_SEED: %v", err)
		}
	}
	t.Logf("WHIMBREL_SEED=%d", n)
	return n
}
