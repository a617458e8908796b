package verify

import "testing"

// SetEnough sets how many suspects are looked at in one go, for one test.
func SetEnough(t *testing.T, n int) {
	was := enough
	enough = n
	t.Cleanup(func() { enough = was })
}
