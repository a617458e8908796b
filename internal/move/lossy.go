package move

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/whimbrel/whimbrel/internal/plain"
	"github.com/whimbrel/whimbrel/internal/transform"
	"github.com/whimbrel/whimbrel/schema"
)

// LossyReport says of one column how many of its values lost characters on their way, because the release's rule replaces
// what is no character.
type LossyReport struct {
	Column string   `json:"column"`
	Values int      `json:"values"`
	Keys   []string `json:"keys"`           // at most 100, for people; all stand in lossy.tsv
	More   bool     `json:"more,omitempty"` // there are more values than are listed at all
}

// lossyFile is the list of every value that lost characters, in the move's folder: table, column and key of the row, a line each.
const lossyFile = "lossy.tsv"

// lossyFolder holds a document for each such value.
const lossyFolder = "lossy"

// mostLossy is how many values of one table are listed, beyond which nobody reads a list; a variable for tests.
var mostLossy = 100_000

// lossyValue is one such value, as it is kept. Without a column it says that more values of the table were not listed.
type lossyValue struct {
	Table  string `json:"table"`
	Column string `json:"column,omitempty"`
	Key    string `json:"key,omitempty"`
}

// folder and name are where the value is kept. Names and keys may hold anything, and be of any length.
func (v lossyValue) folder() string {
	sum := sha256.Sum256([]byte(v.Table))
	return lossyFolder + "/" + hex.EncodeToString(sum[:8])
}

func (v lossyValue) name() string {
	sum := sha256.Sum256([]byte(v.Column + "\x00" + v.Key))
	return v.folder() + "/" + hex.EncodeToString(sum[:16])
}

// losses are the values that lost characters, as far as they were read: by the check of all rows, the load, the replay and the
// comparisons. A value that is changed and sound then is struck when it is replayed.
type losses struct {
	m *Move

	mu    sync.Mutex
	read  bool            // what earlier processes kept is known
	known map[string]bool // by name: true is listed, false was struck by the replay
	count map[string]int  // listed values by table
}

var _ transform.Losses = (*losses)(nil)

// learn reads what earlier processes kept. The caller holds the lock.
func (l *losses) learn(ctx context.Context) error {
	if l.read {
		return nil
	}
	l.known, l.count = map[string]bool{}, map[string]int{}
	err := l.m.state.Documents(ctx, lossyFolder, func(_ string, body []byte) error {
		var v lossyValue
		err := json.Unmarshal(body, &v)
		l.note(v)
		return err
	})
	l.read = err == nil
	return err
}

// forget takes everything back, when the move is reset or another begins.
func (l *losses) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read = false
}

// Begin forgets what was listed of a table. See transform.Losses.
func (l *losses) Begin(ctx context.Context, table schema.Name) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	is := lossyValue{Table: table.String()}
	l.read = false
	return l.m.state.DeleteDocuments(ctx, is.folder())
}

// Read lists values that were read. See transform.Losses.
func (l *losses) Read(ctx context.Context, table schema.Name, lost []transform.LostValue) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.learn(ctx); err != nil {
		return err
	}
	return l.list(ctx, table, slices.DeleteFunc(slices.Clone(lost), func(value transform.LostValue) bool {
		_, struck := l.known[lossyValue{table.String(), value.Column, value.Key}.name()]
		return struck // or listed
	}))
}

// Taken lists values that were replayed, and strikes others. See transform.Losses.
func (l *losses) Taken(ctx context.Context, table schema.Name, lost, sound []transform.LostValue) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.learn(ctx); err != nil {
		return err
	}
	if err := l.list(ctx, table, lost); err != nil {
		return err
	}
	return l.strike(ctx, table, sound)
}

// list adds values, where they are not listed. The caller holds the lock.
func (l *losses) list(ctx context.Context, table schema.Name, lost []transform.LostValue) error {
	added := map[string]any{}
	for _, value := range lost {
		v := lossyValue{table.String(), value.Column, value.Key}
		if l.known[v.name()] || added[v.name()] != nil {
			continue
		}
		if l.count[v.Table]+len(added) >= mostLossy {
			v = lossyValue{Table: v.Table}
		}
		if !l.known[v.name()] {
			added[v.name()] = v
		}
	}
	if len(added) == 0 {
		return nil
	}
	if err := l.m.state.SetDocuments(ctx, added); err != nil {
		return err
	}
	for _, v := range added {
		l.note(v.(lossyValue))
	}
	return nil
}

// note counts a value that is kept. The caller holds the lock.
func (l *losses) note(v lossyValue) {
	if l.known[v.name()] = true; v.Column != "" {
		l.count[v.Table]++
	}
}

// strike takes values off the list. The caller holds the lock.
func (l *losses) strike(ctx context.Context, table schema.Name, sound []transform.LostValue) error {
	for _, value := range sound {
		v := lossyValue{table.String(), value.Column, value.Key}
		if !l.known[v.name()] {
			continue
		}
		if err := l.m.state.DeleteDocument(ctx, v.name()); err != nil {
			return err
		}
		l.known[v.name()] = false
		l.count[v.Table]--
	}
	return nil
}

// of is how many values of a table are listed.
func (l *losses) of(ctx context.Context, table string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.learn(ctx) != nil {
		return 0
	}
	return l.count[table]
}

// all reads the list, by table, column and key.
func (l *losses) all(ctx context.Context) ([]lossyValue, error) {
	var all []lossyValue
	err := l.m.state.Documents(ctx, lossyFolder, func(_ string, body []byte) error {
		var v lossyValue
		err := json.Unmarshal(body, &v)
		all = append(all, v)
		return err
	})
	slices.SortFunc(all, func(a, b lossyValue) int {
		return strings.Compare(a.Table+"\x00"+a.Column+"\x00"+a.Key, b.Table+"\x00"+b.Column+"\x00"+b.Key)
	})
	return all, err
}

// reports is the list by table, as the report shows it.
func (l *losses) reports(ctx context.Context) (map[string][]LossyReport, error) {
	all, err := l.all(ctx)
	reports, more := map[string][]LossyReport{}, map[string]bool{}
	for _, v := range all {
		if v.Column == "" {
			more[v.Table] = true
			continue
		}
		some := reports[v.Table]
		if len(some) == 0 || some[len(some)-1].Column != v.Column {
			some = append(some, LossyReport{Column: v.Column, More: more[v.Table]})
		}
		last := &some[len(some)-1]
		if last.Values++; len(last.Keys) < 100 {
			last.Keys = append(last.Keys, v.Key)
		}
		reports[v.Table] = some
	}
	return reports, err
}

// write puts the whole list into the move's folder; where nothing was ever lost there is none. Again: replaces it.
func (l *losses) write(ctx context.Context) error {
	all, err := l.all(ctx)
	if err != nil {
		return err
	}
	if _, none := os.Stat(filepath.Join(l.m.state.Dir(), lossyFile)); none != nil && len(all) == 0 {
		return nil
	}
	var text bytes.Buffer
	for _, v := range all {
		if v.Column == "" {
			fmt.Fprintf(&text, "%s\t\tmore values than are listed here\n", plain.Line(v.Table))
			continue
		}
		fmt.Fprintf(&text, "%s\t%s\t%s\n", plain.Line(v.Table), plain.Line(v.Column), plain.Line(v.Key))
	}
	return l.m.state.WriteFile(lossyFile, text.Bytes())
}

// writeLossy adds to the report's text what lost characters.
func (r Report) writeLossy(b *strings.Builder) {
	for _, x := range r.Tables {
		for _, l := range x.Lossy {
			more := ""
			if l.More || l.Values > len(l.Keys) {
				more = " and more"
			}
			fmt.Fprintf(b, "\n%s: %d values of %s lost characters, at %s%s; %s has every key\n", plain.Line(x.Name), l.Values, plain.Line(l.Column),
				plain.Line(strings.Join(l.Keys[:min(len(l.Keys), 10)], "; ")), more, lossyFile)
		}
	}
}
