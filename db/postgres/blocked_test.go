package postgres

import (
	"os"
	"path/filepath"
	"testing"
)

// A language whose library is gone is seen although every session that is there goes on with it; a right that is missing is no such thing.
func TestALibraryThatIsGoneIsSeen(t *testing.T) {
	p := pair(t, "CREATE TABLE v (id int PRIMARY KEY)")
	see := func(want bool) {
		t.Helper()
		why, err := p.source.Blocked(t.Context())
		if err != nil || (why != "") != want {
			t.Errorf("it is said %q, %v", why, err)
		}
	}
	see(false)
	const handlers = "('plpgsql_call_handler', 'plpgsql_inline_handler', 'plpgsql_validator')"
	p.app.do("UPDATE pg_proc SET probin = '$libdir/taken_away' WHERE proname IN " + handlers)
	see(true)
	dir := t.TempDir() // where the server's account may not look
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p.app.do("UPDATE pg_proc SET probin = '" + filepath.Join(dir, "a.so") + "' WHERE proname IN " + handlers)
	see(true)
	p.app.do("UPDATE pg_proc SET probin = '$libdir/plpgsql' WHERE proname IN " + handlers)
	see(false)
}
